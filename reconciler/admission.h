/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a stack can be taken on beside the others: memory, disk, published ports, subnets. Pure:
 * what the host has is input. Only what a change adds is looked at, so a stack that is there, or
 * gets smaller, is never refused, however full the host is.
 */
#ifndef RECONCILER_ADMISSION_H
#define RECONCILER_ADMISSION_H

#include "reconciler/reconcile.h"

/* How much of the host's memory may be promised to VMs, unless told otherwise. Guests touch theirs
 * lazily and share the pages of their template: most promise far more than they use. */
#define ADMISSION_OVERCOMMIT 2.0
/* Least that a disk takes once a VM has written to it, and what stays for database and logs. */
#define ADMISSION_DISK_BYTES    (INT64_C(1) << 20)
#define ADMISSION_RESERVE_BYTES (INT64_C(16) << 20)
/* Refusals that are told; more are counted. */
#define ADMISSION_REFUSALS_MAX 8

struct admission_stack {
        const struct stack *stack;         /* NULL: there is none */
        const struct stack_wishes *wishes; /* NULL: nothing is stopped */
        bool any_ports;                    /* its published ports are not those of the manifest */
};

struct admission_subnet {
        const char *stack, *network;
        uint32_t subnet; /* host byte order */
        unsigned bits;
};

struct admission_input {
        struct admission_stack wanted, before;
        const struct admission_stack *others; /* but those that are being deleted */
        size_t others_len;
        const struct admission_subnet *subnets; /* that networks of others have now */
        size_t subnets_len;
        const struct stack *shared; /* STACK_SHARED; NULL: there is none */
        int64_t (*vm_memory)(const struct service *service);
        double overcommit; /* VMs get so many times the host's memory; 0: any sum of it */
        int64_t memory_bytes, memory_free_bytes; /* of the host */
        const char *disk;                        /* a folder of its file system, for the text */
        int64_t disk_free_bytes;                 /* < 0: not known */
};

/* Texts for people, each with the arithmetic and the way out; none: it fits. */
struct admission {
        char **refusals;
        size_t len, untold;
};

/** Decide. Never fails. *ret: released with admission_release(). */
void admission_check(const struct admission_input *input, struct admission *ret);

/** Memory that the VMs of a stack have together, and how many they are (may be NULL). */
int64_t admission_memory(const struct admission_stack *stack,
                         int64_t (*vm_memory)(const struct service *service), unsigned *ret_vms);

/** Free the texts. A zeroed one is fine. */
void admission_release(struct admission *admission);

#endif
