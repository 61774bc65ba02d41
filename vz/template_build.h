/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Make one template: boot, save, end QEMU, seal. A build is made of two things that end by
 * themselves, a QEMU and a stream of device state, and is over when the first has ended.
 *
 *   BOOTING --QMP and vminit are there--> SAVING --the stream ended--> ASKING --"completed"--> DONE
 *
 * Whatever goes wrong ends QEMU, and QEMU's end ends the build.
 */
#ifndef VZ_TEMPLATE_BUILD_H
#define VZ_TEMPLATE_BUILD_H

#include <ev.h>

#include "base/err.h"
#include "vz/vm.h"

/* From nothing to ready, 0.5 s on a machine with nothing else to do. */
#define TEMPLATE_BUILD_MS 30000

/* Device state has 40 to 80 KB. */
#define TEMPLATE_STATE_MAX (8 << 20)

struct template_build;

/* What came of it: two sealed memory files, and what the console said. */
struct template_files {
        int memory_fd, state_fd;
        unsigned tsc_khz;
        char *boot_log; /* what the kernel said; NULL: it cannot be read */
};

/** Told once, from the loop: files (the callee's), or NULL and err. template_build_free() follows.
 */
typedef void template_built(void *ctx, const struct template_files *files, const struct err *err);

/** Begin. spec: without devices, borrowed; its dir must not exist and is removed at the end. */
int template_build_start(struct ev_loop *loop, const struct vm_spec *spec, template_built *cb,
                         void *ctx, struct template_build **ret, struct err *err);

/** End it without a callback, or after it. NULL is fine. */
void template_build_free(struct template_build *build);

#endif
