/* SPDX-License-Identifier: Apache-2.0 */
#include "network/dns_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/loop.h"
#include "base/mem.h"
#include "base/value.h"
#include "network/dns_forward.h"
#include "network/dns_msg.h"
#include "network/dns_zone.h"

/* Questions in a row from one socket before others get their turn. */
#define DNS_BURST 32
/* A question with EDNS0 and every option in use is far below. */
#define DNS_QUERY_MAX 2048
/* What an answer of ours can need: 64 addresses, or one name. */
#define DNS_ANSWER_MAX 4096

/* A question by UDP that others are asked. */
struct udp_question {
        struct dns_server *server;
        struct sockaddr_in from;
        size_t n;
        uint8_t message[DNS_QUERY_MAX];
};

struct tcp_client {
        struct dns_server *server;
        struct tcp_client *next, *prev;
        uint32_t ip;
        int fd;
        ev_io reader;
        ev_timer idle;
        uint8_t in[2 + DNS_QUERY_MAX];
        size_t in_len;
        struct dns_forward_query *forwarded; /* until it is answered, the next message waits */
};

struct dns_server {
        struct ev_loop *loop;
        char *stack, *network;
        struct dns_zone *zone;
        struct dns_forward *forward; /* NULL: there is nobody else to ask */
        size_t turn;
        int udp, tcp;
        ev_io udp_reader, acceptor;
        struct tcp_client *clients, *oldest; /* newest first */
        size_t clients_len;
};

/* As dns_server_answer(); ret->foreign: it is for others to answer, where there are any. */
static size_t answer_ours(struct dns_server *s, uint32_t client, const uint8_t *message, size_t n,
                          bool tcp, uint8_t *answer, size_t size, struct dns_result *ret)
{
        struct dns_query query;
        struct dns_answer a;
        int code = dns_query_parse(message, n, &query);

        memset(ret, 0, sizeof(*ret));
        if (code < 0)
                return 0;
        dns_answer_begin(&a, &query, answer, size, tcp ? DNS_TCP_MAX : dns_udp_limit(&query));
        if (code > 0)
                return dns_answer_end(&a, (enum dns_rcode)code);
        dns_zone_lookup(s->zone, client, &query, s->turn++, ret);
        for (size_t i = 0; i < ret->addresses_len; i++)
                dns_answer_add_a(&a, ret->addresses[i], DNS_TTL_S);
        if (*ret->pointer)
                dns_answer_add_ptr(&a, ret->pointer, DNS_TTL_S);
        return dns_answer_end(&a, ret->rcode);
}

size_t dns_server_answer(struct dns_server *s, uint32_t client, const uint8_t *message, size_t n,
                         bool tcp, uint8_t *answer, size_t size)
{
        struct dns_result result;

        return answer_ours(s, client, message, n, tcp, answer, size, &result);
}

/* Nobody answered, or nobody could be asked: the client may try again. */
static size_t answer_failure(const uint8_t *message, size_t n, uint8_t *answer, size_t size)
{
        struct dns_query query;
        struct dns_answer a;

        if (dns_query_parse(message, n, &query) < 0)
                return 0;
        dns_answer_begin(&a, &query, answer, size, DNS_UDP_PLAIN);
        return dns_answer_end(&a, DNS_RCODE_FAILURE);
}

static void tcp_client_close(struct tcp_client *c)
{
        struct dns_server *s = c->server;

        *(c->prev ? &c->prev->next : &s->clients) = c->next;
        *(c->next ? &c->next->prev : &s->oldest) = c->prev;
        s->clients_len--;
        if (c->forwarded)
                dns_forward_cancel(STEAL(c->forwarded));
        ev_io_stop(s->loop, &c->reader);
        ev_timer_stop(s->loop, &c->idle);
        (void)close(c->fd); /* answers were sent whole, or the client is given up */
        loop_defer_free(s->loop, free, c);
}

static void on_tcp_client_idle(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        tcp_client_close(container_of(w, struct tcp_client, idle));
}

static bool tcp_client_send(struct tcp_client *c, const uint8_t *answer, size_t len)
{
        uint8_t head[2] = {(uint8_t)(len >> 8), (uint8_t)len};
        struct iovec parts[2] = {{head, sizeof(head)}, {(void *)(uintptr_t)answer, len}};
        const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

        return len && sendmsg(c->fd, &message, MSG_NOSIGNAL) == (ssize_t)(len + 2);
}

static void tcp_client_shift(struct tcp_client *c)
{
        size_t n = 2U + (size_t)(c->in[0] << 8 | c->in[1]);

        c->in_len -= n;
        memmove(c->in, c->in + n, c->in_len);
}

static bool tcp_client_answer(struct tcp_client *c);

static void on_tcp_forwarded(void *ctx, const uint8_t *answer, size_t n)
{
        struct tcp_client *c = ctx;
        uint8_t failure[DNS_UDP_PLAIN];

        c->forwarded = NULL;
        if (!n) {
                n = answer_failure(c->in + 2, (size_t)(c->in[0] << 8 | c->in[1]), failure,
                                   sizeof(failure));
                answer = failure;
        }
        tcp_client_shift(c);
        ev_io_start(c->server->loop, &c->reader);
        if (!tcp_client_send(c, answer, n) || !tcp_client_answer(c))
                tcp_client_close(c);
}

/* One whole message. false: the client is to be dropped. */
static bool tcp_client_answer_one(struct tcp_client *c, size_t n)
{
        uint8_t answer[DNS_ANSWER_MAX];
        struct dns_server *s = c->server;
        struct dns_result result;
        size_t len = answer_ours(s, c->ip, c->in + 2, n, true, answer, sizeof(answer), &result);

        if (result.foreign && s->forward) {
                c->forwarded = dns_forward_ask(s->forward, &result, c->in + 2, n, true,
                                               on_tcp_forwarded, c);
                if (c->forwarded) {
                        ev_io_stop(s->loop, &c->reader); /* one at a time */
                        return true;
                }
                len = answer_failure(c->in + 2, n, answer, sizeof(answer));
        }
        if (!tcp_client_send(c, answer, len))
                return false;
        tcp_client_shift(c);
        return true;
}

/*
 * Answer the whole messages that are there; false when the client is to be dropped: a message above
 * the limit, or answers that it does not read.
 */
static bool tcp_client_answer(struct tcp_client *c)
{
        while (c->in_len >= 2 && !c->forwarded) {
                size_t n = (size_t)(c->in[0] << 8 | c->in[1]);

                if (n > DNS_QUERY_MAX)
                        return false;
                if (c->in_len < n + 2)
                        return true;
                if (!tcp_client_answer_one(c, n))
                        return false;
        }
        return true;
}

static void on_tcp_client_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct tcp_client *c = container_of(w, struct tcp_client, reader);
        ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);

        (void)revents;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n > 0)
                c->in_len += (size_t)n;
        if (n <= 0 || !tcp_client_answer(c)) {
                tcp_client_close(c);
                return;
        }
        ev_timer_again(loop, &c->idle);
}

static void tcp_client_new(struct dns_server *s, int fd, uint32_t ip)
{
        struct tcp_client *c = xnew(struct tcp_client);

        if (s->clients_len >= DNS_TCP_CLIENTS_MAX)
                tcp_client_close(s->oldest);
        c->server = s;
        c->fd = fd;
        c->ip = ip;
        c->next = s->clients;
        *(c->next ? &c->next->prev : &s->oldest) = c;
        s->clients = c;
        s->clients_len++;
        ev_io_init(&c->reader, on_tcp_client_readable, fd, EV_READ);
        ev_init(&c->idle, on_tcp_client_idle);
        c->idle.repeat = DNS_TCP_IDLE_S;
        ev_io_start(s->loop, &c->reader);
        ev_timer_again(s->loop, &c->idle);
}

static void on_server_acceptable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct dns_server *s = container_of(w, struct dns_server, acceptor);
        struct sockaddr_in from = {0};
        socklen_t len = sizeof(from);
        int fd = accept4(s->tcp, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

        (void)loop;
        (void)revents;
        if (fd >= 0)
                tcp_client_new(s, fd, ntohl(from.sin_addr.s_addr));
        else if ((errno == EMFILE || errno == ENFILE) && s->oldest)
                tcp_client_close(s->oldest);
}

/* An answer that does not get out is asked for again. */
static void udp_send(const struct dns_server *s, const struct sockaddr_in *to,
                     const uint8_t *answer, size_t n)
{
        if (n)
                (void)sendto(s->udp, answer, n, MSG_NOSIGNAL, (const struct sockaddr *)to,
                             sizeof(*to));
}

static void on_udp_forwarded(void *ctx, const uint8_t *answer, size_t n)
{
        struct udp_question *u = ctx;
        uint8_t failure[DNS_UDP_PLAIN];

        if (!n) {
                n = answer_failure(u->message, u->n, failure, sizeof(failure));
                answer = failure;
        }
        udp_send(u->server, &u->from, answer, n);
        free(u);
}

/* false: too many are under way. */
static bool udp_forward(struct dns_server *s, const struct dns_result *to, const uint8_t *message,
                        size_t n, const struct sockaddr_in *from)
{
        struct udp_question *u = xnew(struct udp_question);

        u->server = s;
        u->from = *from;
        u->n = n;
        memcpy(u->message, message, n);
        if (dns_forward_ask(s->forward, to, message, n, false, on_udp_forwarded, u))
                return true;
        free(u);
        return false;
}

static bool udp_serve_one(struct dns_server *s)
{
        uint8_t message[DNS_QUERY_MAX], answer[DNS_ANSWER_MAX];
        struct sockaddr_in from = {0};
        socklen_t len = sizeof(from);
        ssize_t n = recvfrom(s->udp, message, sizeof(message), 0, (struct sockaddr *)&from, &len);
        struct dns_result result;
        size_t out;

        if (n < 0)
                return false;
        out = answer_ours(s, ntohl(from.sin_addr.s_addr), message, (size_t)n, false, answer,
                          sizeof(answer), &result);
        if (result.foreign && s->forward) {
                if (udp_forward(s, &result, message, (size_t)n, &from))
                        return true;
                out = answer_failure(message, (size_t)n, answer, sizeof(answer));
        }
        udp_send(s, &from, answer, out);
        return true;
}

static void on_server_datagram(struct ev_loop *loop, ev_io *w, int revents)
{
        struct dns_server *s = container_of(w, struct dns_server, udp_reader);

        (void)loop;
        (void)revents;
        for (int i = 0; i < DNS_BURST && udp_serve_one(s); i++)
                ;
}

static int open_socket(int type, uint32_t ip, uint16_t port, int *ret_fd, struct err *err)
{
        AUTO_CLOSE int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_in sin = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
        const int on = 1;
        char text[VALUE_IP4_MAX];

        value_ip4_text(ip, text);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(fd, (const struct sockaddr *)&sin, sizeof(sin)) < 0 ||
            (type == SOCK_STREAM && listen(fd, DNS_TCP_CLIENTS_MAX) < 0))
                return err_errno(err, errno, "DNS on %s:%u", text, port);
        *ret_fd = steal_fd(&fd);
        return 0;
}

int dns_server_new(struct ev_loop *loop, uint32_t ip, uint16_t port, const char *stack,
                   const char *network, struct dns_server **ret, struct err *err)
{
        const struct zone nothing = {NULL, 0, NULL, 0};
        AUTO_CLOSE int udp = -1;
        AUTO_CLOSE int tcp = -1;
        struct dns_server *s;
        int r = open_socket(SOCK_DGRAM, ip, port, &udp, err);

        if (r < 0)
                return r;
        r = open_socket(SOCK_STREAM, ip, port, &tcp, err);
        if (r < 0)
                return r;
        s = xnew(struct dns_server);
        s->loop = loop;
        s->stack = xstrdup(stack);
        s->network = xstrdup(network);
        s->zone = dns_zone_new(stack, network, &nothing);
        s->udp = steal_fd(&udp);
        s->tcp = steal_fd(&tcp);
        ev_io_init(&s->udp_reader, on_server_datagram, s->udp, EV_READ);
        ev_io_init(&s->acceptor, on_server_acceptable, s->tcp, EV_READ);
        ev_io_start(loop, &s->udp_reader);
        ev_io_start(loop, &s->acceptor);
        *ret = s;
        return 0;
}

void dns_server_set_forward(struct dns_server *s, struct dns_forward *forward)
{
        s->forward = forward;
}

void dns_server_free(struct dns_server *s)
{
        if (!s)
                return;
        dns_forward_free(s->forward); /* tells the clients */
        while (s->oldest)
                tcp_client_close(s->oldest);
        ev_io_stop(s->loop, &s->udp_reader);
        ev_io_stop(s->loop, &s->acceptor);
        (void)close(s->udp); /* nothing is held back */
        (void)close(s->tcp);
        dns_zone_free(s->zone);
        free(s->stack);
        free(s->network);
        free(s);
}

void dns_server_set_zone(struct dns_server *s, const struct zone *zone)
{
        dns_zone_free(s->zone);
        s->zone = dns_zone_new(s->stack, s->network, zone);
}
