/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody who watches one VM's service closely: its raw output as it comes, its end, its standard
 * input. An instance has at most one. Output goes to the log first; while `full` is set the guest
 * is not told that it may forget it, so that a reader who is slow slows the service down, and
 * instance_attach_drained() goes on.
 */
#ifndef ORCHESTRATOR_ATTACH_H
#define ORCHESTRATOR_ATTACH_H

#include "vz/guest.h"

struct instance;

struct attach {
        struct instance *instance; /* NULL: not attached, or it is gone */
        bool full;                 /* the owner's to set and clear */
        void (*on_started)(struct attach *attach);
        void (*on_output)(struct attach *attach, enum guest_stream stream, const void *bytes,
                          size_t len);
        void (*on_writable)(struct attach *attach); /* standard input takes more now */
        /* The process ended, or could not be executed; output may still come. */
        void (*on_exited)(struct attach *attach, const struct guest_exit *exit);
        /* The VM failed before or while its service ran. */
        void (*on_failed)(struct attach *attach, const char *message);
        /* No more output comes. */
        void (*on_output_end)(struct attach *attach);
        /* Nothing of the VM is left; the attachment has ended. */
        void (*on_gone)(struct attach *attach);
};

/** Attach to an instance that nobody is attached to. Both: borrowed until on_gone or the detach. */
void instance_attach(struct instance *instance, struct attach *attach);

/** End it; fine when it has ended. What was held back flows again, to the log alone. */
void instance_detach(struct attach *attach);

/** The reader caught up (full was cleared). */
void instance_attach_drained(struct attach *attach);

#endif
