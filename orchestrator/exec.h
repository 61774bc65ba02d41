/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every exec session in a guest has in common: the guest channel hands its session pointer to
 * one set of callbacks per VM; they dispatch through this, to a probe or to an API client.
 */
#ifndef ORCHESTRATOR_EXEC_H
#define ORCHESTRATOR_EXEC_H

#include "vz/guest.h"

struct exec_session {
        struct exec_session *next; /* of those an instance ends when its guest goes */
        void (*on_output)(struct exec_session *session, enum guest_stream stream, const void *bytes,
                          size_t len);
        void (*on_writable)(struct exec_session *session); /* may be NULL */
        void (*on_exited)(struct exec_session *session, const struct guest_exit *exit);
};

#endif
