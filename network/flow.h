/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP forwarding of one host port: each client address and port is a flow with a socket of its own
 * inside the namespace, connected to the target, so that answers find their way back. A flow ends
 * when nothing passed for FLOW_IDLE_S. The only timer runs while there are flows.
 */
#ifndef NETWORK_FLOW_H
#define NETWORK_FLOW_H

#include <ev.h>
#include <stdint.h>

#include "base/auto.h"

/* As Linux's connection tracking keeps an answered UDP flow. */
#define FLOW_IDLE_S 120.0
/* Flows of one port; past it the one that was quiet longest makes room. */
#define FLOW_MAX 1024

struct flows;

/** Serve a bound UDP socket with IP_PKTINFO (taken, non-blocking). Never NULL. */
struct flows *flows_new(struct ev_loop *loop, int fd, uint32_t target_ip, uint16_t target_port);

/** Close the socket and all flows. */
void flows_free(struct flows *f);
AUTO_TYPE(flows)

/** Where new flows go; existing ones with another target end. */
void flows_set_target(struct flows *f, uint32_t target_ip, uint16_t target_port);

#endif
