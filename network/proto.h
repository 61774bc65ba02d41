/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between the daemon and netd, as JSON. A request has "op" and "id", its reply the
 * same "id" and either what the operation gives or "error" and "code" (an errno value).
 *
 *   hello                      -> protocol, pid, start_time, stack, name, subnet ("a.b.c.d/n"),
 *                                 egress
 *   tap                        -> a descriptor
 *   namespace                  -> a descriptor, of the network namespace
 *   zone      records, clients -> nothing
 *   forwards  forwards         -> results
 *   stop                       -> nothing; netd ends
 *
 * and to the netd of taps that wait (taps.h):
 *
 *   tap       name             -> a descriptor
 *   move      tap, descriptor  -> nothing; the tap is in that namespace's bridge
 *
 * By itself netd says "event": "link-gone" when a link of its namespace went: a VM ended, or
 * somebody removed its tap; and "event": "egress" when the way out came or went, with "error" in
 * the second case (after hello, too).
 *
 * Everything that is read is checked and bounded: netd serves whoever may open its socket.
 */
#ifndef NETWORK_PROTO_H
#define NETWORK_PROTO_H

#include <jansson.h>

#include "base/auto.h"
#include "base/err.h"
#include "network/net.h"

#define PROTO_VERSION   1
#define PROTO_LINK_GONE "link-gone"
#define PROTO_EGRESS    "egress"

/* Twice what a /20 full of replicas needs; larger stacks are a mistake of the caller. */
#define PROTO_RECORDS_MAX  8192
#define PROTO_NAMES_MAX    64 /* names of one record: service, replica, aliases */
#define PROTO_CLIENTS_MAX  8192
#define PROTO_NETWORKS_MAX 64 /* networks of one client */
#define PROTO_FORWARDS_MAX 1024
#define PROTO_ID_MAX       256 /* bytes of a forward's id */

/** A new request or reply object. */
json_t *proto_request(const char *op, int64_t id);
json_t *proto_reply(int64_t id);
json_t *proto_error(int64_t id, const struct err *err);

/** Add a zone to a request. */
void proto_put_zone(json_t *request, const struct zone *zone);

/**
 * Read it back: arrays are new, strings are borrowed from request. EINVAL, E2BIG: err names the
 * member.
 */
int proto_get_zone(const json_t *request, struct zone *ret, struct err *err);
void proto_zone_release(struct zone *zone);

/** Add forwards to a request, and read them: *ret is new (free()), strings are borrowed. */
void proto_put_forwards(json_t *request, const struct forward *forwards, size_t n);
int proto_get_forwards(const json_t *request, struct forward **ret, size_t *ret_n, struct err *err);

/** Add one result to a reply; code: errno of a failure. */
void proto_put_result(json_t *reply, const struct forward_result *result, int code);

#endif
