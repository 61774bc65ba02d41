/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: virtual machines that booted once, and of which every other one is a copy.
 *
 *   NONE --want--> BUILDING --booted, saved, sealed--> READY --what it is made of changed--> NONE
 *                      |                                 |
 *                      +-- FAILED <-- clones do not work +      wanted again: BUILDING, a few times
 *
 * A template is made for a shape (memory, CPUs) by a QEMU with no devices but the guest channel.
 * When its vminit says hello, the device state is written to one memory file, the guest's memory is
 * in another, QEMU is ended and both files are sealed: nobody can change them any more, not even a
 * clone whose QEMU was taken over. They live as long as this process and its clones; the next
 * daemon makes its own (half a second, in the background).
 *
 * vm_start() asks for a template itself. Its owner should ask templates_want() before and wait
 * while BUILDING: a clone of a template that will be there in a moment is there sooner than a cold
 * boot beside it. docs/templates.md tells the rest.
 */
#ifndef VZ_TEMPLATE_H
#define VZ_TEMPLATE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "vz/vm.h"

/* Shapes in use at the same time; the one that was used longest ago makes room. Each costs about
 * 40 MiB at first and at most its own size. */
#define TEMPLATES_MAX 8

/* A bigger machine is booted. Where clones have no `preload`, what a guest uses is in memory twice
 * (docs/templates.md). */
#define TEMPLATE_MEMORY_MAX (INT64_C(4) << 30)

enum template_state { TEMPLATE_NONE, TEMPLATE_BUILDING, TEMPLATE_READY, TEMPLATE_FAILED };

struct templates;

struct templates_env {
        struct ev_loop *loop;
        const char *qemu; /* NULL: qemu-system-x86_64 */
        const char *kernel, *initrd;
        /* What a clone's QEMU loads first, so that it can give memory back
         * (preload/clone_memory.c); NULL: clones do not. */
        const char *preload;
        const char *dir; /* exists, ours alone; short, see vm_spec.dir. Emptied at start */
        enum vm_accel accel;
        /* A template got READY or FAILED; from the loop. May be NULL. */
        void (*on_change)(void *ctx);
        void *ctx;
};

/* What a view shows of one. */
struct template_info {
        int64_t memory_bytes;
        unsigned cpus;
        enum template_state state;
        int64_t build_ms;       /* the last time it was built */
        int64_t resident_bytes; /* of its two files */
        unsigned clones;        /* made from it */
        const char *reason;     /* why FAILED; "" otherwise; borrowed until the next call */
};

/** A store without templates; what a killed daemon left in env->dir is removed. */
int templates_new(const struct templates_env *env, struct templates **ret, struct err *err);

/** Forget all templates, end builds. Clones go on. NULL is fine. */
void templates_free(struct templates *templates);
AUTO_TYPE(templates)

/** The size that a machine with at least this much memory gets: few shapes serve many services. */
int64_t templates_round_memory(int64_t bytes);

/**
 * Make sure that a template for this shape is there or being built. memory_bytes: rounded.
 * BUILDING: on_change tells. FAILED: there will be none for now, *ret_reason (may be NULL) says
 * why.
 */
enum template_state templates_want(struct templates *templates, int64_t memory_bytes, unsigned cpus,
                                   const char **ret_reason);

/** Number i of those that are there; false: no more. */
bool templates_at(const struct templates *templates, size_t i, struct template_info *ret);

/** A word for people: static. */
const char *template_state_name(enum template_state state);

/* Between vm.c and template.c: */

struct process_mode;

/**
 * What process_launch needs for a clone of this shape. 0: *ret's descriptors are the caller's.
 * TEMPLATE_NOT_READY (1): boot it; reason (borrowed until the next call) says why.
 */
#define TEMPLATE_NOT_READY 1
int templates_clone(struct templates *templates, const struct vm_spec *spec,
                    struct process_mode *ret, const char **ret_reason);

/** A clone did not come to life: the template is not used again; it is built anew a few times. */
void templates_distrust(struct templates *templates, int64_t memory_bytes, unsigned cpus,
                        const char *why);

#endif
