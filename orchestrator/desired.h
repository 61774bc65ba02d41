/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One revision of one stack as it is wanted. Shared (ref/unref) between the daemon, which replaces
 * it by the next revision, and the instances that are being made from it.
 */
#ifndef ORCHESTRATOR_DESIRED_H
#define ORCHESTRATOR_DESIRED_H

#include <jansson.h>

#include "base/auto.h"
#include "orchestrator/store.h"
#include "schema/manifest.h"

struct desired {
        unsigned refs;
        struct stack *stack;
        json_t *manifest; /* canonical JSON of stack */
        char *source;
        unsigned revision;
        enum stack_ports ports;
        enum stack_wanted wanted;
        int64_t created_ms;
};

/** A new one with one reference. manifest: borrowed, hostile until this read it. */
int desired_new(const json_t *manifest, struct desired **ret, json_t **ret_diagnostics,
                struct err *err);

/** One more owner; returns the same. The last unref frees it; NULL is fine there. */
struct desired *desired_ref(struct desired *desired);
void desired_unref(struct desired *desired);
AUTO_DEFINE(desired, struct desired, desired_unref)

#endif
