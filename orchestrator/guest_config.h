/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a service as the manifest wants it, and an image as its maker configured it, to the one
 * message that configures a guest. Docker's rules: the service's environment lies over the image's;
 * an entrypoint of the service drops the image's command; everything else falls back to the image.
 *
 * Pure: no I/O. The object owns what the configuration points to.
 */
#ifndef ORCHESTRATOR_GUEST_CONFIG_H
#define ORCHESTRATOR_GUEST_CONFIG_H

#include "base/auto.h"
#include "base/err.h"
#include "base/value.h"
#include "schema/manifest.h"
#include "storage/image.h"
#include "vz/guest.h"

/* An interface of the replica, in the order of the service's networks. */
struct guest_nic {
        uint32_t ip, gateway; /* host byte order; gateway is also the network's DNS server */
        unsigned bits;
        bool egress; /* a way out of it */
        int gw_priority;
        const struct str_list *link_local; /* more addresses, or NULL */
        uint8_t mac[VALUE_MAC_BYTES];
};

/* What the daemon chose for this replica, on top of manifest and image. All borrowed. */
struct guest_input {
        const struct stack *stack;
        const struct service *service;
        const struct image *image;
        unsigned replica;
        const char *machine_id; /* for /etc/machine-id */
        const struct guest_nic *nics;
        size_t nics_len;
        const char *host_address; /* what host-gateway stands for; NULL: not known, left out */
        /* For each entry of service->volumes: serial of its disk, or 9p tag; NULL for tmpfs. */
        const char *const *mount_names;
        /* Likewise, all may be NULL: whether a volume is a share, not a disk; what in the share or
         * disk is mounted instead of all of it, above the mount's own subpath. */
        const bool *mount_shared;
        const bool *mount_seed; /* whether an empty share gets what the image has there */
        const char *const *mount_subpaths;
};

struct guest_setup;

/**
 * EINVAL names what cannot be done: no command in service and image, an unknown signal, ulimit,
 * capability or config, and the way out.
 */
int guest_setup_new(const struct guest_input *input, struct guest_setup **ret, struct err *err);
void guest_setup_free(struct guest_setup *setup);
AUTO_TYPE(guest_setup)

/** The configuration, without seed and clock (the sender fills them at the last moment). */
const struct guest_config *guest_setup_config(const struct guest_setup *setup);

/** Serials of the two disks every VM has. */

/** The MAC of an interface: what the manifest asks for, else locally administered, 02:be followed
 * by the address. */
void guest_mac(const struct network_ref *ref, uint32_t ip, uint8_t ret_mac[VALUE_MAC_BYTES]);

#endif
