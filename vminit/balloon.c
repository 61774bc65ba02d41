/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/balloon.h"

#include <errno.h>

#include "vminit/devices.h"
#include "vminit/sys.h"
#include "vminit/wire.h"

#define ORDER "/sys/module/page_reporting/parameters/page_reporting_order"

/*
 * The smallest run of free pages that is reported, as a power of two: 128 KiB. The kernel's own
 * choice without huge pages is 4 MiB, and as it reports nothing unless 32 such runs are free, a VM
 * of 128 MiB never would.
 */
#define REPORTED "5"

int balloon_open(size_t n, struct fail *f)
{
        if (n >= WIRE_SLOT_BALLOON)
                return 0;
        int rc = devices_bind_slot(WIRE_SLOT_BALLOON);
        if (rc == -ENODEV)
                return 0;
        if (rc)
                return fail_set(f, -rc, "bind the balloon");
        /* The driver sets it when it is bound, so the kernel's command line has no say. */
        rc = sys_write_file(ORDER, REPORTED);
        return rc ? fail_set(f, -rc, "page reporting") : 0;
}
