/* SPDX-License-Identifier: Apache-2.0 */
/* vz/pool.h and network/taps.h: there is no pool here (instance_env.pool is NULL), nobody asks. */
#include "vz/pool.h"

#include "base/mem.h"
#include "network/net.h"
#include "network/taps.h"
#include "tests/sim/sim.h"

#define NO_POOL() bug("there is no pool here")

int pool_new(const struct pool_env *env, struct pool **ret, struct err *err)
{
        (void)env;
        (void)ret;
        (void)err;
        NO_POOL();
}

void pool_free(struct pool *pool)
{
        (void)pool;
}

void pool_want(struct pool *pool, int64_t memory_bytes, unsigned cpus)
{
        (void)pool;
        (void)memory_bytes;
        (void)cpus;
        NO_POOL();
}

void pool_refill(struct pool *pool)
{
        (void)pool;
        NO_POOL();
}

void pool_shrink(struct pool *pool)
{
        (void)pool;
        NO_POOL();
}

struct pool_member *pool_reserve(struct pool *pool, int64_t memory_bytes, unsigned cpus,
                                 int ret_taps[POOL_NICS])
{
        (void)pool;
        (void)memory_bytes;
        (void)cpus;
        (void)ret_taps;
        NO_POOL();
}

const char *pool_member_tap_name(const struct pool_member *member, size_t nic)
{
        (void)member;
        (void)nic;
        NO_POOL();
}

void pool_judge(struct pool *pool, int64_t memory_bytes, unsigned cpus, const char *why)
{
        (void)pool;
        (void)memory_bytes;
        (void)cpus;
        (void)why;
        NO_POOL();
}

void pool_member_free(struct pool_member *member)
{
        (void)member;
}

void pool_give_tap(struct pool_member *member, int fd, const struct err *why)
{
        (void)member;
        (void)fd;
        (void)why;
        NO_POOL();
}

int taps_start(struct ev_loop *loop, const char *netd, struct taps **ret, struct err *err)
{
        (void)loop;
        (void)netd;
        (void)ret;
        (void)err;
        NO_POOL();
}

void taps_free(struct taps *taps)
{
        (void)taps;
}

int taps_open(struct taps *taps, const char *name,
              void (*cb)(void *ctx, int tap_fd, const struct err *err), void *ctx, struct err *err)
{
        (void)taps;
        (void)name;
        (void)cb;
        (void)ctx;
        (void)err;
        NO_POOL();
}

int taps_move(struct taps *taps, const char *name, int netns_fd,
              void (*cb)(void *ctx, int none, const struct err *err), void *ctx, struct err *err)
{
        (void)taps;
        (void)name;
        (void)netns_fd;
        (void)cb;
        (void)ctx;
        (void)err;
        NO_POOL();
}

int net_open_namespace(struct net *net, void (*cb)(void *ctx, int netns_fd, const struct err *err),
                       void *ctx, struct err *err)
{
        (void)net;
        (void)cb;
        (void)ctx;
        (void)err;
        NO_POOL();
}
