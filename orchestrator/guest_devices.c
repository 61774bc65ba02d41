/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/guest_devices.h"

#include <string.h>

#include "base/mem.h"
#include "schema/device.h"

#define DEV "/dev/"

static void add(const char *source, const char *target, struct guest_mount **mounts, size_t *len)
{
        *array_push(mounts, len) = (struct guest_mount){
                .kind = WIRE_MOUNT_DEVICE, .path = target, .name = source + strlen(DEV)};
}

static bool is_taken(const struct guest_mount *mounts, size_t len, const char *path)
{
        for (size_t i = 0; i < len; i++)
                if (streq(mounts[i].path, path))
                        return true;
        return false;
}

void guest_devices_add(const struct service *service, struct guest_mount **mounts, size_t *len)
{
        for (size_t i = 0; i < service->devices_len; i++)
                add(service->devices[i].source, service->devices[i].target, mounts, len);
        for (size_t i = 0; service->privileged && device_sources[i]; i++)
                if (!is_taken(*mounts, *len, device_sources[i]))
                        add(device_sources[i], device_sources[i], mounts, len);
}
