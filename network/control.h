/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netd's control socket: daemons connect (one after the other, as they are restarted), each request
 * is carried out at once and answered (proto.h). Everybody who can open the socket, which has mode
 * 0600, is trusted to ask; what he sends is still checked.
 */
#ifndef NETWORK_CONTROL_H
#define NETWORK_CONTROL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "network/dns_server.h"
#include "network/egress.h"
#include "network/forwarder.h"

/* Connections at a time; a daemon that restarts has two for a moment. The oldest makes room. */
#define CONTROL_PEERS_MAX 8

/* What netd is, for hello. */
struct netd_identity {
        const char *stack, *name;
        uint32_t subnet;
        unsigned bits;
        bool egress;
};

/* What it drives; borrowed for the life of the control. */
struct control_parts {
        struct dns_server *dns;
        struct forwarder *forwarder;
        struct egress *egress; /* NULL: none */
};

struct control;

/** Serve a listening socket (taken, non-blocking). on_stop: a peer asked netd to end. */
struct control *control_new(struct ev_loop *loop, int listener, const struct netd_identity *id,
                            const struct control_parts *parts, void (*on_stop)(void *ctx),
                            void *ctx);
void control_free(struct control *c);

/** Tell every daemon that a link of the namespace is gone (proto.h). */
void control_tell_link_gone(struct control *c);

/** Tell every daemon how egress is, once that is known. */
void control_tell_egress(struct control *c);
AUTO_TYPE(control)

#endif
