/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "network/relay.h"
#include "tests/tap.h"

/* left -- l | relay | r -- right */
struct fixture {
        struct ev_loop *loop;
        int left, right;
        struct relay *relay;
        int ended;
        ev_timer watchdog;
        int late;
};

static void on_end(void *ctx, struct relay *relay)
{
        struct fixture *f = ctx;

        (void)relay;
        f->ended++;
}

static void on_watchdog(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct fixture *f = container_of(w, struct fixture, watchdog);

        (void)revents;
        f->late = 1;
        ev_break(loop, EVBREAK_ALL);
}

/* A connected TCP pair: resets and partial writes are those of real connections. */
static void tcp_pair(int *ret_a, int *ret_b)
{
        struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t len = sizeof(sin);

        if (bind(listener, (const struct sockaddr *)&sin, len) < 0 || listen(listener, 1) < 0 ||
            getsockname(listener, (struct sockaddr *)&sin, &len) < 0)
                abort();
        *ret_a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(*ret_a, (const struct sockaddr *)&sin, len) < 0)
                abort();
        *ret_b = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        (void)close(listener);
}

static void setup(struct fixture *f)
{
        int l, r;

        *f = (struct fixture){.loop = ev_default_loop(EVFLAG_AUTO)};
        tcp_pair(&f->left, &l);
        tcp_pair(&f->right, &r);
        f->relay = relay_start(f->loop, l, r, false, on_end, f);
        ev_timer_init(&f->watchdog, on_watchdog, 5.0, 0.0);
}

static void teardown(struct fixture *f)
{
        if (f->left >= 0)
                (void)close(f->left);
        if (f->right >= 0)
                (void)close(f->right);
}

static void turns(struct fixture *f, int n)
{
        for (int i = 0; i < n; i++)
                ev_run(f->loop, EVRUN_NOWAIT);
}

/* Run the loop until fd has something for us; its size, 0 at the end, or -errno. */
static ssize_t get(struct fixture *f, int fd, char *data, size_t n)
{
        ssize_t got;

        ev_timer_start(f->loop, &f->watchdog);
        do {
                ev_run(f->loop, EVRUN_NOWAIT);
                got = recv(fd, data, n, MSG_DONTWAIT);
        } while (got < 0 && errno == EAGAIN && !f->late);
        ev_timer_stop(f->loop, &f->watchdog);
        return got < 0 ? -errno : got;
}

static void run_to_end(struct fixture *f)
{
        ev_timer_start(f->loop, &f->watchdog);
        while (!f->ended && !f->late)
                ev_run(f->loop, EVRUN_ONCE);
        ev_timer_stop(f->loop, &f->watchdog);
        turns(f, 2); /* deferred frees */
}

static void test_half_close(void)
{
        struct fixture f;
        char data[16] = "";

        setup(&f);
        (void)send(f.left, "ping", 4, 0);
        is_int(get(&f, f.right, data, sizeof(data)), 4, "left to right");
        ok(memcmp(data, "ping", 4) == 0, "unchanged");
        (void)shutdown(f.left, SHUT_WR);
        is_int(get(&f, f.right, data, sizeof(data)), 0, "end of stream travels");
        is_int(f.ended, 0, "and the other direction stays open");
        (void)send(f.right, "pong!", 5, 0);
        is_int(get(&f, f.left, data, sizeof(data)), 5, "right to left after it");
        (void)shutdown(f.right, SHUT_WR);
        is_int(get(&f, f.left, data, sizeof(data)), 0, "its end travels too");
        run_to_end(&f);
        is_int(f.ended, 1, "then the relay ends, once");
        teardown(&f);
}

static void test_backpressure(void)
{
        enum { TOTAL = 32 << 20 };
        struct fixture f;
        char *chunk = calloc(1, 1 << 20);
        size_t sent = 0, got = 0, wrong = 0;
        unsigned char out = 0, in = 0;
        int idle = 0;

        setup(&f);
        while (idle < 200 && sent < TOTAL) { /* nobody reads on the right: it must stop */
                ssize_t n;

                for (size_t i = 0; i < 4096; i++)
                        chunk[i] = (char)(out + i);
                n = send(f.left, chunk, 4096, MSG_DONTWAIT);
                idle = n < 0 ? idle + 1 : 0;
                sent += n > 0 ? (size_t)n : 0;
                out = (unsigned char)(out + (n > 0 ? n : 0));
                turns(&f, 1);
        }
        ok(sent < TOTAL, "a receiver that does not read stops the sender (after %zu bytes)", sent);
        (void)shutdown(f.left, SHUT_WR);
        for (;;) {
                ssize_t n = get(&f, f.right, chunk, 1 << 20);

                if (n <= 0)
                        break;
                for (ssize_t i = 0; i < n; i++)
                        wrong += (unsigned char)chunk[i] != in++;
                got += (size_t)n;
        }
        ok(got == sent, "then all %zu bytes arrive (%zu), end of stream last", sent, got);
        is_int(wrong, 0, "in order");
        (void)close(steal_fd(&f.right));
        run_to_end(&f);
        is_int(f.ended, 1, "and the relay ends");
        free(chunk);
        teardown(&f);
}

static void test_reset(void)
{
        const struct linger hard = {.l_onoff = 1, .l_linger = 0};
        struct fixture f;
        char data[16];

        setup(&f);
        (void)setsockopt(f.right, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        (void)close(steal_fd(&f.right));
        run_to_end(&f);
        is_int(f.ended, 1, "a reset ends the relay");
        is_int(get(&f, f.left, data, sizeof(data)), -ECONNRESET, "and resets the other side");
        teardown(&f);
}

static void test_early_answer(void)
{
        struct fixture f;
        char data[16];

        setup(&f);
        (void)send(f.right, "no", 2, 0);
        (void)close(steal_fd(&f.right)); /* answered, closed, and the request comes after */
        turns(&f, 3);
        (void)send(f.left, "request", 7, 0);
        is_int(get(&f, f.left, data, sizeof(data)), 2, "an answer before the request arrives");
        (void)close(steal_fd(&f.left));
        run_to_end(&f);
        is_int(f.ended, 1, "and the relay ends");
        teardown(&f);
}

static void test_connect(void)
{
        struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int gone = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct fixture f = {.loop = ev_default_loop(EVFLAG_AUTO), .right = -1};
        socklen_t len = sizeof(sin);
        char data[16];
        int l;

        ev_timer_init(&f.watchdog, on_watchdog, 5.0, 0.0);
        if (bind(gone, (const struct sockaddr *)&sin, len) < 0 ||
            getsockname(gone, (struct sockaddr *)&sin, &len) < 0)
                abort();
        tcp_pair(&f.left, &l);
        (void)connect(fd, (const struct sockaddr *)&sin, len); /* bound, but nobody listens */
        f.relay = relay_start(f.loop, l, fd, true, on_end, &f);
        run_to_end(&f);
        is_int(f.ended, 1, "a target that refuses ends the relay");
        is_int(get(&f, f.left, data, sizeof(data)), -ECONNRESET, "by a reset, not an empty answer");
        (void)close(gone);
        teardown(&f);
}

static void test_abort(void)
{
        struct fixture f;
        char data[16];

        setup(&f);
        relay_abort(f.relay);
        is_int(get(&f, f.left, data, sizeof(data)), -ECONNRESET, "abort resets the left");
        is_int(get(&f, f.right, data, sizeof(data)), -ECONNRESET, "and the right");
        is_int(f.ended, 0, "and does not call back");
        teardown(&f);
}

int main(void)
{
        test_half_close();
        test_backpressure();
        test_reset();
        test_early_answer();
        test_connect();
        test_abort();
        ev_loop_destroy(ev_default_loop(EVFLAG_AUTO));
        return tap_done();
}
