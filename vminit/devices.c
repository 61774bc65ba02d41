/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/devices.h"

#include <stdio.h>
#include <unistd.h>

#include "vminit/sys.h"

#define DRIVER "/sys/bus/platform/drivers/virtio-mmio/"

int devices_unbind(size_t n, struct fail *f)
{
        for (size_t slot = 1; slot <= n; slot++) {
                char name[32];
                (void)snprintf(name, sizeof(name), "virtio-mmio.%zu", slot);
                int rc = sys_write_file(DRIVER "unbind", name);
                if (rc)
                        return fail_set(f, -rc, "unbind the device in slot %zu", slot);
        }
        return 0;
}

int devices_bind_slot(size_t slot)
{
        char name[32], path[96];
        (void)snprintf(name, sizeof(name), "virtio-mmio.%zu", slot);
        (void)snprintf(path, sizeof(path), DRIVER "%s", name);
        return access(path, F_OK) == 0 ? 0 : sys_write_file(DRIVER "bind", name);
}

int devices_bind(size_t n, struct fail *f)
{
        for (size_t slot = 1; slot <= n; slot++) {
                int rc = devices_bind_slot(slot);
                if (rc)
                        return fail_set(f, -rc, "bind the device in slot %zu", slot);
        }
        return 0;
}
