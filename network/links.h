/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches the links of the network namespace: should somebody remove the bridge or a tap behind our
 * back, it is told at once. Nothing is asked for again and again; the kernel tells (rtnetlink, RFC
 * 3549).
 */
#ifndef NETWORK_LINKS_H
#define NETWORK_LINKS_H

#include <ev.h>

#include "base/auto.h"
#include "base/err.h"

struct links_events {
        void (*on_bridge_gone)(void *ctx);
        /* A link other than the bridge went, or news were lost. Also when a VM ended by itself. */
        void (*on_link_gone)(void *ctx);
        void *ctx;
};

struct links;

/** Watch the namespace of the calling process; bridge: its name, it is there. */
int links_new(struct ev_loop *loop, const char *bridge, const struct links_events *events,
              struct links **ret, struct err *err);
void links_free(struct links *links);
AUTO_TYPE(links)

#endif
