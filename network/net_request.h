/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon asked netd and has no answer to yet, in order. A request waits until netd is
 * ready, is sent, and ends by netd's answer or by the loss of netd; its callback is called once in
 * either case, unless the queue is released before.
 */
#ifndef NETWORK_NET_REQUEST_H
#define NETWORK_NET_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "network/channel.h"
#include "network/net.h"

/* Requests that wait for netd to come up or to answer; a stack has at most some hundred VMs. */
#define NET_REQUESTS_MAX 4096

struct request;

struct requests {
        struct request *first, **last;
        size_t len;
        int64_t last_id;
};

/** An empty queue; ids start at 1. */
void requests_init(struct requests *q);

/** Forget all, without callbacks but those that are owed, which get ECANCELED. */
void requests_release(struct requests *q);

/**
 * Queue a request; parameters as in net.h. message: taken; its answer has a descriptor. owed: cb is
 * called whatever happens.
 * EAGAIN: too many wait. EINVAL, E2BIG: bad content. */
int requests_add_fd(struct requests *q, json_t *message, bool owed,
                    void (*cb)(void *ctx, int fd, const struct err *err), void *ctx,
                    struct err *err);
int requests_add_zone(struct requests *q, const struct zone *zone, struct err *err);
int requests_add_forwards(struct requests *q, const struct forward *forwards, size_t n,
                          void (*cb)(void *ctx, const struct forward_result *results, size_t n,
                                     const struct err *err),
                          void *ctx, struct err *err);

/** Have a tap moved (taps.h); netns_fd: borrowed. cb gets -1, and err when it failed. */
int requests_add_move(struct requests *q, const char *tap, int netns_fd,
                      void (*cb)(void *ctx, int none, const struct err *err), void *ctx,
                      struct err *err);

/** Send what was not sent yet. < 0: the channel takes no more. */
int requests_send(struct requests *q, struct channel *ch, struct err *err);

/**
 * Give an answer to the request it belongs to; one that belongs to none is passed over.
 * label: goes in front of errors. fd: taken, -1 for none.
 */
void requests_answer(struct requests *q, const char *label, const json_t *message, int fd);

/** Fail the first request; false when there is none. */
bool requests_fail_first(struct requests *q, const struct err *err);

#endif
