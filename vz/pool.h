/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The warm pool: clones that wait for a service.
 *
 *   (taps) --clone starts--> hello --rehearsal--> WAITING --pool_reserve, vm_start--> a service
 *     any step fails or takes too long, memory gets short: gone
 *
 * A machine that waits has three placeholder disks, two network cards on taps of nobody's network,
 * and a guest that has played a start once (vminit/rehearse.h): the emulator has translated the
 * code by then. Whoever starts a service that fits reserves one, moves its taps into the networks,
 * and gives it to vm_start() in vm_spec.member; the guest gets its seed and configuration as any
 * other does.
 *
 * Machines are kept for the shapes that were wanted last, made one at a time, at low priority, and
 * only while nobody starts anything. They die with us until a service has them (base/leash.h).
 * After a few failures a shape has none any more: clones are always there. This module knows
 * templates and VMs, but no networks: taps come from its owner.
 */
#ifndef VZ_POOL_H
#define VZ_POOL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "vminit/wire.h"
#include "vz/vm.h"

/* Shapes that have machines waiting at the same time. */
#define POOL_SHAPES_MAX 4
/* Waiting machines of a shape; one has about 49 MiB of its own. */
#define POOL_SIZE_MAX 16
/* Image, scratch disk, and that of a volume, which a service without one leaves alone. A service
 * with more disks, or with a volume that is read-only, is cloned. */
#define POOL_DISKS 3
/* Network cards; a service with one network leaves the second alone. */
#define POOL_NICS WIRE_PLACEHOLDER_CARDS

struct pool;
struct pool_member;

struct pool_env {
        struct ev_loop *loop;
        struct templates *templates; /* outlives the pool */
        const char *qemu;            /* NULL: qemu-system-x86_64 */
        const char *kernel, *initrd;
        const char *dir;    /* exists, ours alone; short, see vm_spec.dir. Emptied at start */
        const char *disk;   /* an ext4 file system without files, for placeholders */
        const char *volume; /* another with a journal, for that of a volume */
        enum vm_accel accel;
        unsigned size; /* machines a shape, 1 to POOL_SIZE_MAX */
        /* Make a tap called name, one at a time; pool_give_tap() answers, maybe at once. <0: not
         * now. */
        int (*open_tap)(void *ctx, const char *name, struct pool_member *member, struct err *err);
        /* A machine waits, or none is to be had any more; from the loop. */
        void (*on_change)(void *ctx);
        void *ctx;
};

struct pool_info {
        int64_t memory_bytes;
        unsigned cpus, waiting, making, claims;
        const char *reason; /* why there are none; "" otherwise */
};

/** A pool without machines; what a killed daemon left in env->dir is removed. */
int pool_new(const struct pool_env *env, struct pool **ret, struct err *err);

/** End all machines that wait. NULL is fine. */
void pool_free(struct pool *pool);
AUTO_TYPE(pool)

/** A service of this shape starts, or may: machines for the next ones are to be had. */
void pool_want(struct pool *pool, int64_t memory_bytes, unsigned cpus);

/** Make the next machine if one is missing and none is being made. Call it when nothing starts. */
void pool_refill(struct pool *pool);

/** Memory is short: end what waits, and make none for a while. */
void pool_shrink(struct pool *pool);

/**
 * A machine of this shape, for the caller to give to vm_start() or pool_member_free(); NULL: there
 * is none. ret_taps: the caller's, the taps of its cards (pool_member_tap_name()).
 */
struct pool_member *pool_reserve(struct pool *pool, int64_t memory_bytes, unsigned cpus,
                                 int ret_taps[POOL_NICS]);
const char *pool_member_tap_name(const struct pool_member *member, size_t nic);

/** How the last one of this shape did as a service's VM. why: NULL: well. */
void pool_judge(struct pool *pool, int64_t memory_bytes, unsigned cpus, const char *why);

/** End it; NULL is fine. */
void pool_member_free(struct pool_member *member);

/** The answer to open_tap: fd is taken; -1 and why: there is none. */
void pool_give_tap(struct pool_member *member, int fd, const struct err *why);

/** Machines of a shape that are to wait. */
unsigned pool_size(const struct pool *pool);

/** Shape number i of those that are kept; false: no more. */
bool pool_at(const struct pool *pool, size_t i, struct pool_info *ret);

/** For vm_start: the VM of a machine that was reserved; the machine is freed. NULL: it ended. */
struct vm *pool_member_take(struct pool_member *member);

#endif
