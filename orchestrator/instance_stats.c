/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of a running VM: what its guest says of itself, and what it costs the host. */
#include <sys/stat.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/instance.h"
#include "storage/volume.h"
#include "vz/usage.h"

bool instance_ask_stats(struct instance *in, struct stats_wait *wait)
{
        struct err ignored; /* a guest that cannot be asked has no answer: the caller knows */

        if (in->state != VM_RUNNING || !in->guest || !guest_is_live(in->guest) ||
            guest_stats(in->guest, &ignored) < 0)
                return false;
        wait->instance = in;
        wait->next = in->stats_waits;
        in->stats_waits = wait;
        return true;
}

void instance_forget_stats(struct stats_wait *wait)
{
        if (!wait->instance)
                return;
        for (struct stats_wait **p = &wait->instance->stats_waits; *p; p = &(*p)->next)
                if (*p == wait) {
                        *p = wait->next;
                        break;
                }
        wait->instance = NULL;
}

void instance_tell_stats(struct instance *in, const struct guest_stats *stats)
{
        struct stats_wait *wait = STEAL(in->stats_waits), *next;

        for (; wait; wait = next) {
                next = wait->next;
                wait->instance = NULL;
                wait->on_stats(wait, in, stats);
        }
}

static int64_t blocks_bytes(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 ? (int64_t)st.st_blocks * 512 : 0;
}

static int64_t volumes_bytes(const struct instance *in)
{
        int64_t sum = 0;

        for (size_t i = 0; i < in->volumes.len; i++) {
                AUTO(volume_info) struct volume_info *info = NULL;
                struct err ignored; /* removed meanwhile */

                if (volume_find(in->env->volumes_dir, in->volumes.items[i], &info, &ignored) == 0)
                        sum += info->used_bytes;
        }
        return sum;
}

json_t *instance_usage_json(const struct instance *in)
{
        struct vm_usage usage;
        struct err ignored; /* it ends just now */
        json_t *j;

        if (!in->vm || vm_usage(vm_pid(in->vm), &usage, &ignored) < 0)
                return NULL;
        j = json_object();
        json_set_int(j, "cpu_usec", usage.cpu_usec);
        json_set_int(j, "private_bytes", usage.private_bytes);
        json_set_int(j, "template_bytes", usage.template_bytes);
        json_set_int(j, "shared_bytes", usage.shared_bytes);
        json_set_int(j, "scratch_bytes", blocks_bytes(in->scratch));
        json_set_int(j, "volumes_bytes", volumes_bytes(in));
        return j;
}
