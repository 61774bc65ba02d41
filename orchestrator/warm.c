/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/warm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "network/taps.h"
#include "orchestrator/networks.h"
#include "storage/volume.h"

/* The disks of every machine that waits; the smallest that there are. */
#define PLACEHOLDER_SIZE   (INT64_C(16) << 20)
#define PLACEHOLDER_VOLUME "placeholder"

/* Tasks waited for memory 150 ms of 2 s (an ordinary user may not ask for a shorter window). */
#define PRESSURE_PATH    "/proc/pressure/memory"
#define PRESSURE_TRIGGER "some 150000 2000000"

struct warm {
        struct ev_loop *loop;
        struct pool *pool;
        struct taps *taps;
        struct networks *networks;
        int pressure, inner; /* the trigger, and an epoll that waits for its EPOLLPRI; -1: none */
        ev_io short_of_memory;
        void (*on_change)(void *ctx);
        void *ctx;
};

static void on_pool_change(void *ctx)
{
        const struct warm *w = ctx;

        w->on_change(w->ctx);
}

static void on_tap(void *ctx, int fd, const struct err *err)
{
        pool_give_tap(ctx, fd, err);
}

static int open_tap(void *ctx, const char *name, struct pool_member *member, struct err *err)
{
        const struct warm *w = ctx;

        return taps_open(w->taps, name, on_tap, member, err);
}

static void on_short_of_memory(struct ev_loop *loop, ev_io *io, int revents)
{
        struct warm *w = container_of(io, struct warm, short_of_memory);
        struct epoll_event event;

        (void)loop;
        (void)revents;
        if (epoll_wait(w->inner, &event, 1, 0) <= 0)
                return;
        log_info("pool", "", "the host's memory is short: waiting machines are given up");
        pool_shrink(w->pool);
        w->on_change(w->ctx);
}

/* libev knows no EPOLLPRI, but an epoll with such an event is readable itself. */
static int watch_pressure(struct warm *w, struct err *err)
{
        struct epoll_event event = {.events = EPOLLPRI};

        w->pressure = open(PRESSURE_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (w->pressure < 0 || write(w->pressure, PRESSURE_TRIGGER, sizeof(PRESSURE_TRIGGER)) < 0)
                return err_errno(err, errno, PRESSURE_PATH);
        w->inner = epoll_create1(EPOLL_CLOEXEC);
        if (w->inner < 0 || epoll_ctl(w->inner, EPOLL_CTL_ADD, w->pressure, &event) < 0)
                return err_errno(err, errno, "epoll");
        ev_io_set(&w->short_of_memory, w->inner, EV_READ);
        ev_io_start(w->loop, &w->short_of_memory);
        return 0;
}

static int open_pool(struct warm *w, const struct warm_env *env, struct err *err)
{
        AUTO_FREE char *dir = file_join(env->run_dir, "pool");
        AUTO_FREE char *disk = file_join(env->run_dir, "placeholder.ext4");
        AUTO_FREE char *volume = file_join(env->run_dir, PLACEHOLDER_VOLUME "/disk.ext4");
        bool created;
        const struct pool_env pool = {.loop = env->loop,
                                      .templates = env->templates,
                                      .kernel = env->kernel,
                                      .initrd = env->initrd,
                                      .dir = dir,
                                      .disk = disk,
                                      .volume = volume,
                                      .accel = env->accel,
                                      .size = env->size,
                                      .open_tap = open_tap,
                                      .on_change = on_pool_change,
                                      .ctx = w};
        int r = scratch_create(disk, PLACEHOLDER_SIZE, err);

        if (r == 0)
                r = volume_ensure(env->run_dir, PLACEHOLDER_VOLUME, "", PLACEHOLDER_SIZE, NULL, "/",
                                  &created, err);
        return r < 0 ? r : pool_new(&pool, &w->pool, err);
}

int warm_new(const struct warm_env *env, struct warm **ret, struct err *err)
{
        struct warm *w = xnew(struct warm);
        struct err why = ERR_INIT;
        int r;

        w->loop = env->loop;
        w->networks = env->networks;
        w->on_change = env->on_change;
        w->ctx = env->ctx;
        w->pressure = w->inner = -1;
        ev_io_init(&w->short_of_memory, on_short_of_memory, -1, EV_READ);
        r = taps_start(env->loop, env->netd, &w->taps, err);
        if (r == 0)
                r = open_pool(w, env, err);
        if (r < 0) {
                warm_free(w);
                return r;
        }
        /* Then only the check before each machine protects the host. */
        if (watch_pressure(w, &why) < 0)
                log_info("pool", "", "memory pressure is not watched: %s", why.msg);
        networks_set_taps(env->networks, w->taps);
        *ret = w;
        return 0;
}

void warm_free(struct warm *w)
{
        if (!w)
                return;
        networks_set_taps(w->networks, NULL);
        pool_free(w->pool);
        taps_free(w->taps);
        ev_io_stop(w->loop, &w->short_of_memory);
        if (w->inner >= 0)
                (void)close(w->inner);
        if (w->pressure >= 0)
                (void)close(w->pressure); /* which ends the trigger */
        free(w);
}

struct pool *warm_pool(const struct warm *w)
{
        return w->pool;
}
