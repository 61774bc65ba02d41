/* SPDX-License-Identifier: Apache-2.0 */
#include "network/egress.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "network/netns.h"

/* What is read of slirp4netns's last words. */
#define WORDS_MAX 4096

/*
 *   STARTING --byte on `ready`--> UP --ends--> DOWN --retry--> STARTING
 *       '------------ ends, or cannot be executed ---^
 */
struct egress {
        struct ev_loop *loop;
        struct slirp_keeper *keeper;
        void (*on_change)(void *ctx);
        void *ctx;
        struct slirp slirp;
        struct loop_child child;
        ev_io ready;
        ev_timer retry;
        double delay_s; /* before the next try */
        bool up, known;
        char *error;
        uint32_t *clients;
        size_t clients_len;
};

static void egress_stop(struct egress *e)
{
        ev_io_stop(e->loop, &e->ready);
        loop_child_stop(e->loop, &e->child);
        slirp_close(&e->slirp);
        e->up = false;
}

/* The first time that it is up, or known not to be. */
static void egress_known(struct egress *e)
{
        struct err err = ERR_INIT;

        if (e->known)
                return;
        e->known = true;
        if (netns_outside_known(&err) < 0)
                log_warn("egress", "", "%s", err.msg);
}

static void egress_down(struct egress *e, const char *why)
{
        bool news = !e->error || !streq(e->error, why);

        egress_stop(e);
        ev_timer_set(&e->retry, e->delay_s, 0.0);
        ev_timer_start(e->loop, &e->retry);
        e->delay_s = e->delay_s * 2 < EGRESS_RETRY_MAX_S ? e->delay_s * 2 : EGRESS_RETRY_MAX_S;
        if (!news)
                return;
        free(e->error);
        e->error = xstrdup(why);
        egress_known(e);
        e->on_change(e->ctx);
}

/* The first line that tells something. text: cut up. */
static const char *cause_of(char *text)
{
        static const char *const noise[] = {"WARNING", "sent tapfd", "received tapfd"};
        char *save;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                bool skip = false;

                for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
                        skip |= has_prefix(line, noise[i]);
                if (!skip)
                        return line;
        }
        return "without a word";
}

static void on_slirp_exit(struct loop_child *child)
{
        struct egress *e = container_of(child, struct egress, child);
        char words[WORDS_MAX];
        /* It has ended: what it wrote is there, and read() does not wait. */
        ssize_t n = read(e->slirp.words, words, sizeof(words) - 1);
        AUTO_FREE char *why = NULL;

        words[n > 0 ? n : 0] = '\0';
        for (char *p = words; *p; p++)
                if ((unsigned char)*p >= 0x7f || (*p < ' ' && *p != '\n'))
                        *p = '?';
        why = e->up ? xasprintf("slirp4netns ended") /* its farewell would say no more */
                    : xasprintf("slirp4netns: %s", cause_of(words));
        egress_down(e, why);
}

static void on_slirp_ready(struct ev_loop *loop, ev_io *w, int revents)
{
        struct egress *e = container_of(w, struct egress, ready);
        struct err err = ERR_INIT;
        char byte;

        (void)revents;
        ev_io_stop(loop, w);
        if (read(w->fd, &byte, 1) != 1)
                return; /* it ends, and tells why */
        if (netns_uplink_setup(SLIRP_TAP, &err) < 0) {
                egress_down(e, err.msg);
                return;
        }
        e->up = true;
        e->delay_s = EGRESS_RETRY_MIN_S;
        free(e->error);
        e->error = NULL;
        egress_known(e);
        e->on_change(e->ctx);
}

static void egress_start(struct egress *e)
{
        struct err err = ERR_INIT;
        int pidfd;

        if (slirp_start(e->keeper, &e->slirp, &err) < 0) {
                egress_down(e, err.msg);
                return;
        }
        pidfd = steal_fd(&e->slirp.pidfd);
        loop_child_start(e->loop, &e->child, pidfd, on_slirp_exit);
        ev_io_init(&e->ready, on_slirp_ready, e->slirp.ready, EV_READ);
        ev_io_start(e->loop, &e->ready);
}

static void on_retry_due(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        egress_start(container_of(w, struct egress, retry));
}

struct egress *egress_new(struct ev_loop *loop, struct slirp_keeper *keeper,
                          void (*on_change)(void *ctx), void *ctx)
{
        struct egress *e = xnew(struct egress);

        e->loop = loop;
        e->keeper = keeper;
        e->on_change = on_change;
        e->ctx = ctx;
        e->slirp = (struct slirp){-1, -1, -1, -1};
        e->delay_s = EGRESS_RETRY_MIN_S;
        ev_init(&e->ready, on_slirp_ready);
        ev_timer_init(&e->retry, on_retry_due, 0.0, 0.0);
        ev_timer_start(loop, &e->retry); /* from the loop, as all that calls back */
        return e;
}

void egress_free(struct egress *e)
{
        if (!e)
                return;
        egress_stop(e);
        ev_timer_stop(e->loop, &e->retry);
        free(e->error);
        free(e->clients);
        free(e);
}

bool egress_up(const struct egress *e)
{
        return e->up;
}

const char *egress_error(const struct egress *e)
{
        return e->error;
}

static bool has(const uint32_t *ips, size_t n, uint32_t ip)
{
        for (size_t i = 0; i < n; i++)
                if (ips[i] == ip)
                        return true;
        return false;
}

int egress_set_clients(struct egress *e, const uint32_t *ips, size_t n, struct err *err)
{
        uint32_t *now = xcalloc(n + 1, sizeof(*now));
        size_t len = 0;
        int r = 0;

        for (size_t i = 0; i < e->clients_len; i++)
                if (!has(ips, n, e->clients[i]) &&
                    netns_route_client(e->clients[i], false, err) < 0)
                        r = -err->code;
        for (size_t i = 0; i < n; i++) {
                if (has(now, len, ips[i]))
                        continue;
                if (!has(e->clients, e->clients_len, ips[i]) &&
                    netns_route_client(ips[i], true, err) < 0)
                        r = -err->code;
                else
                        now[len++] = ips[i];
        }
        free(e->clients);
        e->clients = now;
        e->clients_len = len;
        return r;
}
