/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/machine-id of a VM: its own, and the same in every VM that the replica has in the course of
 * time. It is derived from the name of the replica and a number that this instance of berth made
 * up once (STATE/id), so two hosts, or two roots of one, give different ones to equal stacks.
 */
#ifndef ORCHESTRATOR_MACHINE_ID_H
#define ORCHESTRATOR_MACHINE_ID_H

#include "base/err.h"

/* 32 hexadecimal digits, as machine-id(5) has it, and the terminating NUL. */
#define MACHINE_ID_MAX 33

/** The instance's number; made and stored at the first call. */
int machine_id_load(const char *state_dir, char ret[MACHINE_ID_MAX], struct err *err);

/** The id of a replica's VMs: a version 4 UUID without dashes. */
void machine_id_derive(const char *instance, const char *stack, const char *service,
                       unsigned replica, char ret[MACHINE_ID_MAX]);

#endif
