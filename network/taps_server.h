/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of taps.h: berth-netd --taps. */
#ifndef NETWORK_TAPS_SERVER_H
#define NETWORK_TAPS_SERVER_H

#include "base/err.h"

#define TAPS_SERVER_OPTION "--taps"
/* A connected socket; its end ends the process. */
#define TAPS_SERVER_FD 3

/** Go into a namespace and serve until the daemon hangs up. */
int taps_serve(struct err *err);

#endif
