/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/pool.h"

#include <string.h>
#include <sys/sysinfo.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/host.h"
#include "base/mem.h"
#include "vz/pool_member.h"
#include "vz/program.h"
#include "vz/template.h"

/* A shape whose machines could not be made, or ended, is not tried for ever. */
#define FAILURES_MAX 3
/* After memory was short. */
#define PAUSE_S 60.0

struct shape {
        int64_t memory_bytes;
        unsigned cpus, failures, claims;
        int64_t used_ms;
        char reason[160];
        struct pool_member *members[POOL_SIZE_MAX];
        size_t members_len;
};

struct pool {
        struct pool_env env;
        char *qemu, *kernel, *initrd, *dir, *disk, *volume;
        struct shape shapes[POOL_SHAPES_MAX];
        size_t len;
        char mark[7]; /* ours alone, in paths */
        unsigned serial;
        ev_timer pause; /* active: none are made */
};

static struct shape *find(struct pool *p, int64_t memory_bytes, unsigned cpus)
{
        for (size_t i = 0; i < p->len; i++)
                if (p->shapes[i].memory_bytes == memory_bytes && p->shapes[i].cpus == cpus)
                        return &p->shapes[i];
        return NULL;
}

static struct shape *shape_of(struct pool *p, const struct pool_member *m)
{
        for (size_t i = 0; i < p->len; i++)
                for (size_t k = 0; k < p->shapes[i].members_len; k++)
                        if (p->shapes[i].members[k] == m)
                                return &p->shapes[i];
        return NULL;
}

static void forget(struct shape *s, const struct pool_member *m)
{
        for (size_t i = 0; i < s->members_len; i++)
                if (s->members[i] == m) {
                        s->members[i] = s->members[--s->members_len];
                        return;
                }
}

static void empty(struct shape *s)
{
        while (s->members_len)
                pool_member_free(s->members[--s->members_len]);
}

static void blame(struct shape *s, const char *why)
{
        s->failures++;
        (void)snprintf(s->reason, sizeof(s->reason), "%.150s", why);
}

void pool_judge(struct pool *p, int64_t memory_bytes, unsigned cpus, const char *why)
{
        struct shape *s = find(p, memory_bytes, cpus);

        if (s && why) {
                blame(s, why);
        } else if (s) {
                s->failures = 0;
                s->reason[0] = '\0';
        }
}

/* A member is ready, or it is none any more and is to be freed. */
static void on_member(void *ctx, struct pool_member *m, const char *failure)
{
        struct pool *p = ctx;
        struct shape *s = shape_of(p, m);

        if (failure && s) {
                forget(s, m);
                blame(s, failure);
        }
        if (failure)
                pool_member_free(m);
        p->env.on_change(p->env.ctx);
}

static int on_tap_wanted(void *ctx, const char *name, struct pool_member *m, struct err *err)
{
        struct pool *p = ctx;

        return p->env.open_tap(p->env.ctx, name, m, err);
}

/* The one that was wanted longest ago makes room. */
static struct shape *place_for_shape(struct pool *p)
{
        struct shape *oldest = &p->shapes[0];

        if (p->len < POOL_SHAPES_MAX)
                return &p->shapes[p->len++];
        for (size_t i = 1; i < p->len; i++)
                if (p->shapes[i].used_ms < oldest->used_ms)
                        oldest = &p->shapes[i];
        empty(oldest);
        return oldest;
}

void pool_want(struct pool *p, int64_t memory_bytes, unsigned cpus)
{
        struct shape *s = find(p, memory_bytes, cpus);

        if (!s) {
                s = place_for_shape(p);
                *s = (struct shape){.memory_bytes = memory_bytes, .cpus = cpus};
        }
        s->used_ms = clock_mono_ms();
}

static bool making(const struct pool *p)
{
        for (size_t i = 0; i < p->len; i++)
                for (size_t k = 0; k < p->shapes[i].members_len; k++)
                        if (!pool_member_waits(p->shapes[i].members[k]))
                                return true;
        return false;
}

/* A QEMU that ends removes its sockets by the path that they were made with, also when it has been
 * claimed since, and its daemon is gone: no path is used twice. */
static void make(struct pool *p, struct shape *s)
{
        AUTO_FREE char *dir = xasprintf("%s/%s.%u", p->dir, p->mark, ++p->serial);
        const struct pool_member_spec spec = {.vm = {.id = "pool",
                                                     .dir = dir,
                                                     .qemu = p->qemu,
                                                     .kernel = p->kernel,
                                                     .initrd = p->initrd,
                                                     .accel = p->env.accel,
                                                     .memory_bytes = s->memory_bytes,
                                                     .cpus = s->cpus,
                                                     .templates = p->env.templates},
                                              .disk = p->disk,
                                              .volume = p->volume,
                                              .number = p->serial,
                                              .open_tap = on_tap_wanted,
                                              .on_change = on_member,
                                              .ctx = p};
        struct pool_member *m = pool_member_new(p->env.loop, &spec);

        s->members[s->members_len++] = m;
        pool_member_start(m);
}

void pool_refill(struct pool *p)
{
        if (ev_is_active(&p->pause) || making(p))
                return;
        for (size_t i = 0; i < p->len; i++) {
                struct shape *s = &p->shapes[i];
                enum template_state template;

                if (s->members_len >= p->env.size || s->failures >= FAILURES_MAX)
                        continue;
                template = templates_want(p->env.templates, s->memory_bytes, s->cpus, NULL);
                if (template == TEMPLATE_BUILDING)
                        return; /* one thing at a time, here too */
                if (template != TEMPLATE_READY)
                        continue;
                if (host_memory_spare(s->memory_bytes)) {
                        make(p, s);
                        return;
                }
                pool_shrink(p);
                (void)snprintf(s->reason, sizeof(s->reason), "the host has no memory to spare");
                return;
        }
}

void pool_shrink(struct pool *p)
{
        for (size_t i = 0; i < p->len; i++) {
                if (p->shapes[i].members_len)
                        (void)snprintf(p->shapes[i].reason, sizeof(p->shapes[i].reason),
                                       "given up: the host's memory was short");
                empty(&p->shapes[i]);
        }
        ev_timer_stop(p->env.loop, &p->pause);
        ev_timer_set(&p->pause, PAUSE_S, 0.0);
        ev_timer_start(p->env.loop, &p->pause);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct pool *p = w->data;

        (void)loop;
        (void)revents;
        p->env.on_change(p->env.ctx);
}

struct pool_member *pool_reserve(struct pool *p, int64_t memory_bytes, unsigned cpus,
                                 int ret_taps[POOL_NICS])
{
        struct shape *s = find(p, memory_bytes, cpus);

        for (size_t i = 0; s && i < s->members_len; i++) {
                struct pool_member *m = s->members[i];

                if (!pool_member_waits(m))
                        continue;
                forget(s, m);
                s->claims++;
                pool_member_reserve(m, ret_taps);
                return m;
        }
        return NULL;
}

unsigned pool_size(const struct pool *p)
{
        return p->env.size;
}

bool pool_at(const struct pool *p, size_t i, struct pool_info *ret)
{
        const struct shape *s;

        if (i >= p->len)
                return false;
        s = &p->shapes[i];
        *ret = (struct pool_info){.memory_bytes = s->memory_bytes,
                                  .cpus = s->cpus,
                                  .claims = s->claims,
                                  .reason = s->reason};
        for (size_t k = 0; k < s->members_len; k++)
                if (pool_member_waits(s->members[k]))
                        ret->waiting++;
                else
                        ret->making++;
        return true;
}

int pool_new(const struct pool_env *env, struct pool **ret, struct err *err)
{
        struct pool *p;
        AUTO_FREE char *qemu = program_find(env->qemu ? env->qemu : PROGRAM_QEMU);

        if (!qemu)
                return err_set(err, ENOENT, "%s: not found", env->qemu ? env->qemu : PROGRAM_QEMU);
        if (file_remove_tree(env->dir, err) < 0 || file_mkdir_p(env->dir, 0700, err) < 0)
                return -err->code;
        p = xnew(struct pool);
        p->env = *env;
        random_hex(p->mark, sizeof(p->mark) - 1);
        p->qemu = STEAL(qemu);
        p->kernel = xstrdup(env->kernel);
        p->initrd = xstrdup(env->initrd);
        p->dir = xstrdup(env->dir);
        p->disk = xstrdup(env->disk);
        p->volume = xstrdup(env->volume);
        ev_timer_init(&p->pause, on_pause_over, PAUSE_S, 0.0);
        p->pause.data = p;
        *ret = p;
        return 0;
}

void pool_free(struct pool *p)
{
        if (!p)
                return;
        for (size_t i = 0; i < p->len; i++)
                empty(&p->shapes[i]);
        ev_timer_stop(p->env.loop, &p->pause);
        free(p->qemu);
        free(p->kernel);
        free(p->initrd);
        free(p->dir);
        free(p->disk);
        free(p->volume);
        free(p);
}
