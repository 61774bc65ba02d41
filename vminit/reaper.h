/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_REAPER_H
#define VMINIT_REAPER_H

/*
 * Pid 1 of a service with `init: true`: it passes signals on to the program, buries what the
 * program leaves behind, and ends as the program does. It is the child of vminit that would have
 * become the program; that is a child of it then.
 */

#include <stdbool.h>

#include "vminit/fail.h"

/**
 * Become it. Returns in a new child, which becomes the program; <0: there is none. tty: standard
 * input is the controlling terminal, and goes to the child.
 */
int reaper_become(bool tty, struct fail *f);

#endif
