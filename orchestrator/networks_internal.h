/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by networks.c (lives of networks), leases.c (addresses), publish.c (zones, forwards). */
#ifndef ORCHESTRATOR_NETWORKS_INTERNAL_H
#define ORCHESTRATOR_NETWORKS_INTERNAL_H

#include "base/loop.h"
#include "network/net.h"
#include "orchestrator/networks.h"

/* The fate of one forward, by the id that netd knows it by: see forward_id(). */
struct forward_slot {
        char *id;
        enum forward_state state;
        uint16_t host_port;
        uint32_t target_ip; /* told last */
        char *error;
};

struct network_state {
        struct network_entry entry; /* first */
        struct networks *owner;
        char *dir;
        struct net *net;                   /* NULL: not started, or lost */
        int netns_fd;                      /* to move taps there; -1: not known (yet) */
        bool inherited;                    /* a former daemon started it: VMs may hang on it */
        char zone_digest[DIGEST_TEXT_MAX]; /* of what netd was told last; "": nothing */
        char forwards_digest[DIGEST_TEXT_MAX];
        unsigned zone_failures, ports_failures; /* in a row: see zone_retry_ms, ports_retry_ms */
        struct forward_slot *slots;
        size_t slots_len;
};

struct networks {
        struct networks_env env;
        char *run_dir, *netd;
        struct taps *taps;
        struct stored_leases leases; /* as in the store */
        struct network_state **items;
        size_t len;
};

/** The subnet: the manifest's, else its lease, else a free one of the pool, which it leases. */
int networks_choose_subnet(struct networks *networks, const char *stack, const struct network *spec,
                           uint32_t *ret_subnet, unsigned *ret_bits, struct err *err);

/** netd is told all with the next publish, as if it had never refused anything. */
void networks_tell_anew(struct network_state *network);

#endif
