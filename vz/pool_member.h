/* SPDX-License-Identifier: Apache-2.0 */
/* One machine of the pool, from its tap to the service that gets it; for pool.c alone. */
#ifndef VZ_POOL_MEMBER_H
#define VZ_POOL_MEMBER_H

#include "vz/pool.h"

struct pool_member_spec {
        struct vm_spec vm;         /* without devices; strings are copied */
        const char *disk, *volume; /* copied */
        unsigned number;           /* names the taps, with our pid */
        /* A tap is wanted: as in struct pool_env. */
        int (*open_tap)(void *ctx, const char *name, struct pool_member *member, struct err *err);
        /* It waits (failure NULL), or failed or ended, and pool_member_free() is due. From the
         * loop, or from pool_give_tap(). Not after pool_member_reserve(). */
        void (*on_change)(void *ctx, struct pool_member *member, const char *failure);
        void *ctx;
};

/** A member that is nothing yet. */
struct pool_member *pool_member_new(struct ev_loop *loop, const struct pool_member_spec *spec);

/** Ask for its taps; the last of them starts it. May call on_change at once. */
void pool_member_start(struct pool_member *member);

/** It can be reserved. */
bool pool_member_waits(const struct pool_member *member);

/** It is somebody's now; the taps are the caller's. */
void pool_member_reserve(struct pool_member *member, int ret_taps[POOL_NICS]);

#endif
