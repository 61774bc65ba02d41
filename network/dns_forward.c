/* SPDX-License-Identifier: Apache-2.0 */
#include "network/dns_forward.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "network/dns_msg.h"
#include "network/resolv_conf.h"

#define DNS_PORT 53
/* A TCP answer, with its two bytes of length. */
#define ANSWER_MAX (2 + DNS_TCP_MAX)

struct dns_forward_query {
        struct dns_forward *forward;
        struct dns_forward_query *next, *prev;
        uint8_t *message; /* room for the length of TCP, then the message with our own id */
        size_t message_len;
        uint16_t id; /* the asker's */
        bool tcp;
        uint32_t servers[RESOLV_SERVERS_MAX];
        size_t servers_len, tries;
        int fd; /* -1: none */
        ev_io io;
        ev_timer wait;
        uint8_t *in; /* ANSWER_MAX bytes */
        size_t in_len;
        void (*cb)(void *ctx, const uint8_t *answer, size_t n);
        void *ctx;
};

struct dns_forward {
        struct ev_loop *loop;
        struct binder *binder;
        char *resolv_conf;
        uint32_t subnet, mask;
        struct dns_forward_query *first;
        size_t len;
};

struct dns_forward *dns_forward_new(struct ev_loop *loop, struct binder *binder,
                                    const char *resolv_conf, uint32_t subnet, unsigned bits)
{
        struct dns_forward *f = xnew(struct dns_forward);

        f->loop = loop;
        f->binder = binder;
        f->resolv_conf = xstrdup(resolv_conf);
        f->mask = UINT32_MAX << (32 - bits);
        f->subnet = subnet & f->mask;
        return f;
}

static void hang_up(struct dns_forward_query *q)
{
        struct ev_loop *loop = q->forward->loop;

        ev_io_stop(loop, &q->io);
        ev_timer_stop(loop, &q->wait);
        if (q->fd >= 0)
                (void)close(steal_fd(&q->fd)); /* nothing is held back */
        q->in_len = 0;
}

static void query_free(void *p)
{
        struct dns_forward_query *q = p;

        free(q->message);
        free(q->in);
        free(q);
}

void dns_forward_cancel(struct dns_forward_query *q)
{
        struct dns_forward *f = q->forward;

        hang_up(q);
        *(q->prev ? &q->prev->next : &f->first) = q->next;
        if (q->next)
                q->next->prev = q->prev;
        f->len--;
        loop_defer_free(f->loop, query_free, q);
}

static void finish(struct dns_forward_query *q, uint8_t *answer, size_t n)
{
        if (n) {
                answer[0] = (uint8_t)(q->id >> 8);
                answer[1] = (uint8_t)q->id;
        }
        q->cb(q->ctx, answer, n);
        dns_forward_cancel(q);
}

void dns_forward_free(struct dns_forward *f)
{
        if (!f)
                return;
        while (f->first)
                finish(f->first, NULL, 0);
        free(f->resolv_conf);
        free(f);
}

/* Names have no case (lengths of labels are no letters); type and class behind them are numbers. */
static bool same_question(const uint8_t *a, const uint8_t *b, size_t n)
{
        size_t name = n - 4;

        for (size_t i = 0; i < name; i++)
                if (tolower(a[i]) != tolower(b[i]))
                        return false;
        return memcmp(a + name, b + name, 4) == 0;
}

/* Is it the answer to what was asked? The question comes back, in whatever case. */
static bool answer_fits(const struct dns_forward_query *q, const uint8_t *answer, size_t n)
{
        const uint8_t *message = q->message + 2;
        struct dns_query asked;

        if (n < DNS_HEADER || memcmp(answer, message, 2) != 0 || !(answer[2] & 0x80))
                return false;
        if (answer[4] == 0 && answer[5] == 0) /* an error may come without the question */
                return (answer[3] & 0x0f) != DNS_RCODE_OK;
        if (dns_query_parse(message, q->message_len, &asked) < 0 || !asked.question_len)
                return false;
        return n >= DNS_HEADER + asked.question_len &&
               same_question(answer + DNS_HEADER, asked.question, asked.question_len);
}

static void ask_next(struct dns_forward_query *q);

/* What came, as a whole message. A server that cannot answer may have a neighbour that can. */
static void take_answer(struct dns_forward_query *q, uint8_t *answer, size_t n)
{
        enum dns_rcode code;

        if (!answer_fits(q, answer, n)) {
                if (q->tcp)
                        ask_next(q); /* over UDP anybody could have sent it: wait on */
                return;
        }
        code = answer[3] & 0x0f;
        if ((code == DNS_RCODE_FAILURE || code == DNS_RCODE_REFUSED) &&
            q->tries < q->servers_len * DNS_FORWARD_ROUNDS && q->servers_len > 1)
                ask_next(q);
        else
                finish(q, answer, n);
}

static bool would_block(void)
{
        return errno == EAGAIN || errno == EINTR;
}

static void read_udp(struct dns_forward_query *q)
{
        ssize_t n = recv(q->fd, q->in, ANSWER_MAX, 0);

        if (n >= 0)
                take_answer(q, q->in, (size_t)n);
        else if (!would_block())
                ask_next(q); /* nobody is there */
}

static void read_tcp(struct dns_forward_query *q)
{
        ssize_t n = recv(q->fd, q->in + q->in_len, ANSWER_MAX - q->in_len, 0);
        size_t len;

        if (n < 0 && would_block())
                return;
        if (n <= 0) {
                ask_next(q);
                return;
        }
        q->in_len += (size_t)n;
        len = q->in_len < 2 ? DNS_TCP_MAX : (size_t)(q->in[0] << 8 | q->in[1]);
        if (q->in_len >= 2 + len)
                take_answer(q, q->in + 2, len);
}

static void on_answer_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct dns_forward_query *q = container_of(w, struct dns_forward_query, io);

        (void)loop;
        (void)revents;
        if (q->tcp)
                read_tcp(q);
        else
                read_udp(q);
}

/* Connected, or not: then sending fails. A question fits any socket's buffer. */
static void on_server_writable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct dns_forward_query *q = container_of(w, struct dns_forward_query, io);
        size_t len = q->message_len + 2;

        (void)revents;
        ev_io_stop(loop, w);
        if (send(q->fd, q->message, len, MSG_NOSIGNAL) != (ssize_t)len) {
                ask_next(q);
                return;
        }
        ev_io_init(w, on_answer_readable, q->fd, EV_READ);
        ev_io_start(loop, w);
}

static int open_socket(struct dns_forward_query *q, uint32_t server)
{
        const struct dns_forward *f = q->forward;

        if ((server & f->mask) != f->subnet)
                return binder_socket(f->binder, !q->tcp, &q->fd, NULL);
        q->fd = socket(AF_INET, (q->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK,
                       0);
        return q->fd < 0 ? -errno : 0;
}

static int send_to(struct dns_forward_query *q, uint32_t server)
{
        struct sockaddr_in sin = {.sin_family = AF_INET,
                                  .sin_port = htons(DNS_PORT),
                                  .sin_addr.s_addr = htonl(server)};
        int r = open_socket(q, server);

        if (r < 0)
                return r;
        if (connect(q->fd, (const struct sockaddr *)&sin, sizeof(sin)) < 0 && errno != EINPROGRESS)
                return -errno;
        if (!q->tcp && send(q->fd, q->message + 2, q->message_len, MSG_NOSIGNAL) < 0)
                return -errno;
        ev_io_init(&q->io, q->tcp ? on_server_writable : on_answer_readable, q->fd,
                   q->tcp ? EV_WRITE : EV_READ);
        ev_io_start(q->forward->loop, &q->io);
        return 0;
}

/* The next server, or the end. */
static void ask_next(struct dns_forward_query *q)
{
        hang_up(q);
        if (q->tries >= q->servers_len * DNS_FORWARD_ROUNDS) {
                finish(q, NULL, 0);
                return;
        }
        /* One that cannot be sent to at all is as good as silent: the timer comes back. */
        ev_timer_set(&q->wait,
                     send_to(q, q->servers[q->tries % q->servers_len]) < 0 ? 0.0
                                                                           : DNS_FORWARD_WAIT_S,
                     0.0);
        q->tries++;
        ev_timer_start(q->forward->loop, &q->wait);
}

static void on_server_silent(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        ask_next(container_of(w, struct dns_forward_query, wait));
}

static void choose_id(uint8_t *ret)
{
        if (getrandom(ret, 2, 0) != 2)
                bug("getrandom gives no two bytes");
}

static_assert(ZONE_SERVERS_MAX <= RESOLV_SERVERS_MAX, "a client's own servers fit");

struct dns_forward_query *dns_forward_ask(struct dns_forward *f, const struct dns_result *to,
                                          const uint8_t *message, size_t n, bool tcp,
                                          void (*cb)(void *ctx, const uint8_t *answer, size_t n),
                                          void *ctx)
{
        struct dns_forward_query *q;

        assert(n >= DNS_HEADER && n <= DNS_TCP_MAX && to->servers_len <= ZONE_SERVERS_MAX);
        if (f->len >= DNS_FORWARD_MAX)
                return NULL;
        q = xnew(struct dns_forward_query);
        q->forward = f;
        q->id = (uint16_t)(message[0] << 8 | message[1]);
        q->tcp = tcp;
        q->fd = -1;
        q->cb = cb;
        q->ctx = ctx;
        q->message_len = n;
        q->message = xcalloc(n + 2, 1);
        q->message[0] = (uint8_t)(n >> 8);
        q->message[1] = (uint8_t)n;
        memcpy(q->message + 2, message, n);
        choose_id(q->message + 2);
        q->in = xcalloc(ANSWER_MAX, 1);
        q->servers_len = to->servers_len;
        if (q->servers_len)
                memcpy(q->servers, to->servers, q->servers_len * sizeof(*q->servers));
        else
                q->servers_len = resolv_conf_read(f->resolv_conf, q->servers);
        ev_init(&q->io, on_answer_readable);
        ev_timer_init(&q->wait, on_server_silent, 0.0, 0.0);
        ev_timer_start(f->loop, &q->wait); /* the first server, from the loop */
        q->next = f->first;
        if (q->next)
                q->next->prev = q;
        f->first = q;
        f->len++;
        return q;
}
