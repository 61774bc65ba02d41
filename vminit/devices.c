/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/devices.h"

#include <stdio.h>
#include <unistd.h>

#include "vminit/sys.h"
#include "vminit/wire.h"

#define DRIVER "/sys/bus/platform/drivers/virtio-mmio/"

int devices_unbind(unsigned mask, struct fail *f)
{
        for (unsigned slot = 1; slot < WIRE_SLOTS; slot++) {
                char name[32];
                if (!(mask & 1u << slot))
                        continue;
                (void)snprintf(name, sizeof(name), "virtio-mmio.%u", slot);
                int rc = sys_write_file(DRIVER "unbind", name);
                if (rc)
                        return fail_set(f, -rc, "unbind the device in slot %u", slot);
        }
        return 0;
}

int devices_bind_slot(unsigned slot)
{
        char name[32], path[96];
        (void)snprintf(name, sizeof(name), "virtio-mmio.%u", slot);
        (void)snprintf(path, sizeof(path), DRIVER "%s", name);
        return access(path, F_OK) == 0 ? 0 : sys_write_file(DRIVER "bind", name);
}

int devices_bind(unsigned mask, struct fail *f)
{
        for (unsigned slot = 1; slot < WIRE_SLOTS; slot++) {
                int rc = mask & 1u << slot ? devices_bind_slot(slot) : 0;
                if (rc)
                        return fail_set(f, -rc, "bind the device in slot %u", slot);
        }
        return 0;
}
