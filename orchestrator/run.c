/* SPDX-License-Identifier: Apache-2.0 */
/* What `berth run` asks for: a new stack of its own, by the way of every other stack. */
#include "base/clock.h"
#include "base/mem.h"
#include "orchestrator/daemon.h"

int daemon_run_stack(struct daemon *d, const json_t *manifest, bool once, json_t **ret_diagnostics,
                     struct err *err)
{
        AUTO(desired) struct desired *new = NULL;
        int r;

        if (d->draining)
                return err_set(err, ESHUTDOWN, "the daemon is shutting down; try again");
        r = desired_new(manifest, &new, ret_diagnostics, err);
        if (r < 0)
                return r;
        if (daemon_find(d, new->stack->name))
                return err_set(err, EEXIST,
                               "there is a stack %s already; `berth delete %s` removes it, or take "
                               "another --name",
                               new->stack->name, new->stack->name);
        new->source = xstrdup("berth run");
        new->ports = STACK_PORTS_MANIFEST;
        new->revision = 1;
        new->created_ms = clock_wall_ms();
        for (size_t i = 0; i < new->wishes.services_len; i++)
                new->wishes.services[i].once = once;
        r = daemon_admit(d, new, err);
        if (r < 0)
                return r;
        images_retry_missing(d->images);
        return daemon_accept(d, STEAL(new), "run", err);
}
