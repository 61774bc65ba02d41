/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of ours above a program, in two parts:
 *
 * Pid 1 of a service with `init: true`: it passes signals on to the program, buries what the
 * program leaves behind, and ends as the program does. It is the child of vminit that would have
 * become the program; that is a child of it then.
 *
 * The keeper of an exec session, a hook or a healthcheck, in a service without `init`: processes
 * that lose their parent when a session is killed are buried here. The service's own pid 1 would
 * take them for children of its own: PostgreSQL, told of one that SIGKILL ended, takes it for a
 * server process that crashed, and ends without a checkpoint.
 */
#ifndef VMINIT_REAPER_H
#define VMINIT_REAPER_H

#include <signal.h>
#include <stdbool.h>

#include "vminit/fail.h"

/* Of vminit to a keeper, with sigqueue(): a signal for the program; 0: kill its group. */
#define REAPER_ORDER SIGRTMAX

/**
 * Become it. Returns in a new child, which becomes the program; <0: there is none. tty: standard
 * input is the controlling terminal, and goes to the child.
 */
int reaper_become(bool tty, struct fail *f);

/**
 * Become the keeper of a session, which ends as its program does, also of a signal. Needs all
 * capabilities and keeps CAP_KILL; returns as reaper_become(), the program in `cgroup`: limits of
 * the service do not count its keepers.
 */
int reaper_keep(bool tty, int cgroup, struct fail *f);

#endif
