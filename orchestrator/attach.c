/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/attach.h"

#include <assert.h>
#include <stddef.h>

#include "orchestrator/instance_internal.h"

void instance_attach(struct instance *in, struct attach *attach)
{
        assert(!in->attach && !attach->instance);
        in->attach = attach;
        attach->instance = in;
}

void instance_detach(struct attach *attach)
{
        struct instance *in = attach->instance;

        if (!in)
                return;
        attach->full = false;
        instance_acknowledge(in);
        in->attach = NULL;
        attach->instance = NULL;
}

void instance_attach_drained(struct attach *attach)
{
        if (attach->instance)
                instance_acknowledge(attach->instance);
}
