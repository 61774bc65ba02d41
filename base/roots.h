/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an instance of berth keeps its things. One root is one isolated instance: `--root DIR` or
 * BERTH_ROOT moves state, run folder and images together, so that many run side by side; without it
 * the places of the system (root) or of the user (XDG) apply. Both programs derive them here.
 *
 *              --root DIR    root               an ordinary user
 *   state      DIR           /var/lib/berth     ${XDG_STATE_HOME:-~/.local/state}/berth
 *   run        DIR/run       /run/berth         $XDG_RUNTIME_DIR/berth, else state/run
 *   images     state/images, or BERTH_IMAGES, or --images DIR of berthd
 *   cache      ${BERTH_CACHE:-${XDG_CACHE_HOME:-~/.cache}/berth}   (shared by all roots)
 */
#ifndef BASE_ROOTS_H
#define BASE_ROOTS_H

#include "base/err.h"

/* What sockaddr_un holds without its NUL: the kernel refuses longer socket paths. */
#define ROOTS_SOCKET_MAX 107

struct roots {
        char *root;   /* as asked for, absolute; NULL: the default places */
        char *state;  /* database, volumes, logs of services, berthd.log */
        char *run;    /* sockets, locks: gone after a reboot */
        char *images; /* content store and unpacked images; may be shared by several roots */
        char *cache;  /* kernel builds and other things that can be made again */
};

/**
 * Derive all paths; nothing is created, nothing needs to exist.
 * root: from --root; NULL: BERTH_ROOT, else the defaults. images: from --images; NULL:
 * BERTH_IMAGES, else state/images. Relative paths count from the present folder. EINVAL: no home
 * folder is known; ENAMETOOLONG: a socket in the run folder would not work.
 */
int roots_init(struct roots *roots, const char *root, const char *images, struct err *err);

/** Free the paths. Safe on a zeroed one. */
void roots_release(struct roots *roots);

/** Make the state, run and images folders, for their owner only (0700). */
int roots_create(const struct roots *roots, struct err *err);

/** "RUN/name" for a socket or a lock, on the heap. */
char *roots_run_path(const struct roots *roots, const char *name);

#endif
