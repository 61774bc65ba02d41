/* SPDX-License-Identifier: Apache-2.0 */
/* What reconciler/admission.c is asked before a stack is taken on, or grows. */
#include <sys/statvfs.h>

#include "base/host.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/daemon.h"
#include "reconciler/admission.h"

static struct admission_stack as_stack(const struct desired *desired)
{
        if (!desired || desired->wanted != STACK_UP)
                return (struct admission_stack){0};
        return (struct admission_stack){.stack = desired->stack,
                                        .wishes = &desired->wishes,
                                        .any_ports = desired->ports == STACK_PORTS_AUTO};
}

static int64_t disk_free(const char *path)
{
        struct statvfs fs;

        if (statvfs(path, &fs) < 0)
                return -1;
        return (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
}

/* The other stacks, and the subnets that their networks have. */
static void add_others(const struct daemon *d, const char *name, struct admission_stack **ret,
                       struct admission_subnet **ret_subnets, struct admission_input *in)
{
        const struct network_entry *n;

        for (size_t i = 0; i < d->desired_len; i++)
                if (d->desired[i]->wanted == STACK_UP && !streq(d->desired[i]->stack->name, name))
                        *array_push(ret, &in->others_len) = as_stack(d->desired[i]);
        for (size_t i = 0; (n = networks_at(d->networks, i)); i++) {
                const struct desired *owner = daemon_find(d, n->stack);
                bool stays = streq(n->stack, STACK_SHARED) ||
                             (owner && owner->wanted == STACK_UP && !streq(n->stack, name));

                if (n->bits && stays)
                        *array_push(ret_subnets, &in->subnets_len) =
                                (struct admission_subnet){n->stack, n->name, n->subnet, n->bits};
        }
        in->others = *ret;
        in->subnets = *ret_subnets;
}

void daemon_admission(const struct daemon *d, const struct desired *desired, struct admission *ret)
{
        const char *name = desired->stack->name;
        AUTO_FREE struct admission_stack *others = NULL;
        AUTO_FREE struct admission_subnet *subnets = NULL;
        struct admission_input in = {.wanted = as_stack(desired),
                                     .before = as_stack(daemon_find(d, name)),
                                     .shared = shared_stack(d->shared),
                                     .vm_memory = instance_memory,
                                     .overcommit = d->overcommit,
                                     .memory_bytes = host_memory_total(),
                                     .memory_free_bytes = host_memory_available(),
                                     .disk = d->roots.state,
                                     .disk_free_bytes = disk_free(d->roots.state)};

        add_others(d, name, &others, &subnets, &in);
        admission_check(&in, ret);
}

int daemon_admit(const struct daemon *d, const struct desired *desired, struct err *err)
{
        struct admission admission;
        AUTO_FREE char *more = NULL;
        size_t n;

        daemon_admission(d, desired, &admission);
        n = admission.len + admission.untold;
        if (n > 1)
                more = xasprintf(" (and %zu more; `berth apply --dry-run` shows them)", n - 1);
        if (n > 0)
                err_set(err, EBUSY, "stack %s was not changed: %s%s", desired->stack->name,
                        admission.refusals[0], more ? more : "");
        admission_release(&admission);
        return n ? -EBUSY : 0;
}

json_t *daemon_memory_json(const struct daemon *d)
{
        json_t *j = json_object();
        int64_t sum = 0;

        for (size_t i = 0; i < d->desired_len; i++) {
                const struct admission_stack s = as_stack(d->desired[i]);

                sum += admission_memory(&s, instance_memory, NULL);
        }
        json_object_set_new(j, "overcommit",
                            d->overcommit > 0 ? json_real(d->overcommit) : json_null());
        json_set_int(j, "host_bytes", host_memory_total());
        json_set_int(j, "vms_bytes", sum);
        return j;
}
