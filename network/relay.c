/* SPDX-License-Identifier: Apache-2.0 */
#include "network/relay.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/loop.h"
#include "base/mem.h"

/* Reads in a row from one side before others get their turn. */
#define RELAY_BURST 4

/*
 * One socket and the direction that starts at it:
 *
 *      OPEN --end of stream, reset--> ENDED --kept bytes are out--> DONE (peer's write side shut)
 */
enum direction { DIRECTION_OPEN, DIRECTION_ENDED, DIRECTION_DONE };

struct end {
        struct relay *relay;
        int fd;
        ev_io reader, writer;
        enum direction from; /* of the bytes that are read here */
        char *kept;          /* bytes for this socket that it did not take yet */
        size_t kept_len, kept_off;
};

struct relay {
        struct ev_loop *loop;
        struct end ends[2];
        bool connecting; /* ends[1] */
        bool reset;      /* one side was reset: so shall the other be */
        bool over;
        void (*on_end)(void *ctx, struct relay *relay);
        void *ctx;
};

static struct end *other(struct end *e)
{
        return &e->relay->ends[e == &e->relay->ends[0]];
}

static void relay_close(struct relay *r, bool reset)
{
        const struct linger hard = {.l_onoff = 1, .l_linger = 0};

        r->over = true;
        for (int i = 0; i < 2; i++) {
                struct end *e = &r->ends[i];

                ev_io_stop(r->loop, &e->reader);
                ev_io_stop(r->loop, &e->writer);
                if (reset) /* not a TCP socket: then there is nothing to reset */
                        (void)setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
                (void)close(e->fd); /* all that was taken was sent, or is given up */
                free(STEAL(e->kept));
        }
        loop_defer_free(r->loop, free, r);
}

void relay_abort(struct relay *relay)
{
        assert(!relay->over);
        relay_close(relay, true);
}

static void relay_finish(struct relay *r, bool reset)
{
        relay_close(r, reset);
        r->on_end(r->ctx, r);
}

/* The direction from e has ended and nothing of it is kept any more. */
static void direction_done(struct end *e)
{
        struct relay *r = e->relay;

        e->from = DIRECTION_DONE;
        if (r->reset) {
                relay_finish(r, true);
                return;
        }
        (void)shutdown(other(e)->fd, SHUT_WR); /* fails when it is gone: its read side tells */
        if (other(e)->from == DIRECTION_DONE)
                relay_finish(r, false);
}

static void direction_end(struct end *e, bool reset)
{
        e->from = DIRECTION_ENDED;
        e->relay->reset |= reset;
        ev_io_stop(e->relay->loop, &e->reader);
        if (!other(e)->kept)
                direction_done(e);
}

/*
 * The socket takes nothing any more: whoever sends to it is not read again. Its own direction goes
 * on, for it may have answered in full before it closed.
 */
static void end_write_failed(struct end *to)
{
        free(STEAL(to->kept));
        if (other(to)->from != DIRECTION_DONE)
                direction_end(other(to), false);
}

/* Write n bytes to an end that keeps nothing; false when it failed. */
static bool end_write(struct end *to, const char *data, size_t n)
{
        ssize_t done = send(to->fd, data, n, MSG_NOSIGNAL);

        if (done < 0 && errno != EAGAIN && errno != EINTR) {
                end_write_failed(to);
                return false;
        }
        if (done < 0)
                done = 0;
        if ((size_t)done == n)
                return true;
        to->kept_len = n - (size_t)done;
        to->kept_off = 0;
        to->kept = xmemdup(data + done, to->kept_len);
        ev_io_stop(to->relay->loop, &other(to)->reader);
        ev_io_start(to->relay->loop, &to->writer);
        return true;
}

static void end_read(struct end *e)
{
        char chunk[RELAY_CHUNK];

        for (int i = 0; i < RELAY_BURST; i++) {
                ssize_t n = recv(e->fd, chunk, sizeof(chunk), 0);

                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n <= 0) {
                        direction_end(e, n < 0);
                        return;
                }
                if (!end_write(other(e), chunk, (size_t)n) || other(e)->kept)
                        return;
                if ((size_t)n < sizeof(chunk))
                        return; /* the rest, if any, wakes us again */
        }
}

static void end_flush(struct end *to)
{
        ssize_t done =
                send(to->fd, to->kept + to->kept_off, to->kept_len - to->kept_off, MSG_NOSIGNAL);

        if (done < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        ev_io_stop(to->relay->loop, &to->writer);
        if (done < 0) {
                end_write_failed(to);
                return;
        }
        to->kept_off += (size_t)done;
        if (to->kept_off < to->kept_len) {
                ev_io_start(to->relay->loop, &to->writer);
                return;
        }
        free(STEAL(to->kept));
        if (other(to)->from == DIRECTION_OPEN)
                ev_io_start(to->relay->loop, &other(to)->reader);
        else
                direction_done(other(to));
}

static void relay_connected(struct relay *r)
{
        int code = 0;
        socklen_t len = sizeof(code);

        ev_io_stop(r->loop, &r->ends[1].writer);
        if (getsockopt(r->ends[1].fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0 || code) {
                relay_finish(r, true); /* the client sees a reset, not an empty answer */
                return;
        }
        r->connecting = false;
        ev_io_start(r->loop, &r->ends[0].reader);
        ev_io_start(r->loop, &r->ends[1].reader);
}

static void on_end_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        (void)loop;
        (void)revents;
        end_read(container_of(w, struct end, reader));
}

static void on_end_writable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct end *e = container_of(w, struct end, writer);

        (void)loop;
        (void)revents;
        if (e->relay->connecting)
                relay_connected(e->relay);
        else
                end_flush(e);
}

struct relay *relay_start(struct ev_loop *loop, int a, int b, bool connecting,
                          void (*on_end)(void *ctx, struct relay *relay), void *ctx)
{
        struct relay *r = xnew(struct relay);

        r->loop = loop;
        r->connecting = connecting;
        r->on_end = on_end;
        r->ctx = ctx;
        for (int i = 0; i < 2; i++) {
                struct end *e = &r->ends[i];

                e->relay = r;
                e->fd = i ? b : a;
                ev_io_init(&e->reader, on_end_readable, e->fd, EV_READ);
                ev_io_init(&e->writer, on_end_writable, e->fd, EV_WRITE);
                if (!connecting)
                        ev_io_start(loop, &e->reader);
        }
        if (connecting)
                ev_io_start(loop, &r->ends[1].writer);
        return r;
}
