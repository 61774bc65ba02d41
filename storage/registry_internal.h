/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the registry*.c files of a session. For nobody else. */
#ifndef STORAGE_REGISTRY_INTERNAL_H
#define STORAGE_REGISTRY_INTERNAL_H

#include "storage/registry.h"

#define REGISTRY_STALL_BYTES 1024 /* a second; less for stall_ms is a stall */

/* A call that somebody waits for inside of the loop: its context. */
struct waiting {
        bool done;
        struct registry *registry;
        const struct registry_request *request; /* NULL: nothing is uploaded */
};

/** Callbacks of such a call: it has ended; whether a redirect may be followed. */
void registry_on_waited(void *ctx);
bool registry_may_follow(void *ctx, const char *url);

/** A call got no answer. */
enum verdict registry_judge_failure(struct registry *registry, const struct http_call *call,
                                    struct retry *retry, int64_t gained, struct err *err);

/**
 * The wait before the next attempt: first_ms, doubled each time up to half a minute, a fifth more
 * or less; or as Retry-After told (RFC 9110 section 10.2.3; NULL: it did not), at most two minutes.
 */
int64_t registry_delay_ms(int64_t first_ms, unsigned attempts, const char *retry_after);

/** Another attempt, or the end with err as it was prepared. */
enum verdict registry_again(const struct registry *registry, struct retry *retry, int64_t gained,
                            const char *retry_after, const struct err *err);

/** A call was answered 401: do what its challenge asks for. */
int registry_authorise(struct registry *registry, const struct http_call *call, struct err *err);

#endif
