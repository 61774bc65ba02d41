/* SPDX-License-Identifier: Apache-2.0 */
/* Signals as something to read: they are blocked, and children get their defaults back (spawn). */
#ifndef ORCHESTRATOR_CLI_INTERRUPT_H
#define ORCHESTRATOR_CLI_INTERRUPT_H

#include <signal.h>

/** A signalfd (struct signalfd_siginfo) for SIGINT, SIGTERM and SIGHUP; the caller's. */
int interrupt_open(void);

/** One for the signals in the 0-terminated list. */
int interrupt_open_for(const int *signals);

/** Read one signal: its number, or 0 when none is there. *ret_code: si_code; may be NULL. */
int interrupt_read(int fd, int *ret_code);

#endif
