/* SPDX-License-Identifier: Apache-2.0 */
/* The disks, volumes and folders of the host that a VM is started with. */
#ifndef ORCHESTRATOR_PREPARE_MOUNTS_H
#define ORCHESTRATOR_PREPARE_MOUNTS_H

#include "orchestrator/instance.h"

/* Host side of the service's mounts: what QEMU opens, and the names the guest knows it by. */
struct attachments {
        struct vm_spec vm;
        const char *names[STACK_MOUNTS_MAX];
        const char *subpaths[STACK_MOUNTS_MAX]; /* what of the share is mounted */
        bool shared[STACK_MOUNTS_MAX];          /* volumes that are folders */
        bool seed[STACK_MOUNTS_MAX];            /* those that begin with what the image has */
        struct spawn_bind binds[STACK_MOUNTS_MAX + 1];
        char *owned[4 * STACK_MOUNTS_MAX + 2];
        size_t owned_len;
        int fds[VM_DISKS_MAX];
        size_t fds_len;
};

/**
 * A disk is of one VM at a time: two would destroy what is on it. 1: the one that has it goes. The
 * manifest allows no two services of a stack, so it is an earlier revision's, or another stack's.
 */
int prepare_volumes_free(const struct instance *instance, const struct service *service,
                         struct err *err);

/** Whether that mount is a volume that is a disk, in no other VM at the same time. */
bool prepare_is_disk(const struct stack *stack, const struct service *service, size_t index);

/**
 * Make what is not there yet and open it: image, scratch disk, volumes, binds. ret: zeroed; release
 * it also after a failure, and not before QEMU was started.
 */
int prepare_attach(struct instance *instance, struct attachments *ret,
                   const struct service *service, struct err *err);

/** A scratch disk that nobody has written to, in the place of any other; the caller closes it. */
int prepare_scratch(const struct instance *instance, int *ret_fd, struct err *err);

/** Close and free what QEMU has its own copies of. */
void attachments_release(struct attachments *at);

#endif
