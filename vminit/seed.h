/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_SEED_H
#define VMINIT_SEED_H

/*
 * First use of a named volume: it gets what the image has at that path, as with Docker.
 */

#include "vminit/fail.h"

/**
 * Copy the content of folder `from` (owner, mode, times, links, devices) into folder `to`, and its
 * own owner and mode, if `to` is empty apart from lost+found. Both: directory descriptors, O_PATH
 * is enough.
 */
int seed_folder(int from, int to, struct fail *f);

#endif
