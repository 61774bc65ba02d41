/* SPDX-License-Identifier: Apache-2.0 */
/* VMs that belong to no desired service: stopped, in reverse order of dependency where known. */
#include <stdlib.h>

#include "base/mem.h"
#include "reconciler/steps.h"

static void stop_stray(const struct vm_fact *vm, struct plan *plan)
{
        if (vm_is_ended(vm))
                plan_add_vm(plan, STEP_VM_REMOVE, vm, xstrdup("not in the manifest"));
        else if (vm_is_alive(vm))
                plan_add_vm(plan, STEP_VM_STOP, vm, xstrdup("not in the manifest"));
}

/* One leaving stack; held[k] is set for VMs that have to wait, done[k] for those dealt with. */
struct leave {
        const struct view *view;
        const struct stack *stack;
        struct graph graph;
        bool *held; /* a service: VMs of it or of its dependants are still there */
};

/* Whether VMs of a dependant are still there. Within a cycle nobody waits for anybody. */
static bool dependants_left(const struct leave *leave, size_t i)
{
        const struct graph *graph = &leave->graph;

        for (size_t e = graph->back_begin[i]; e < graph->back_begin[i + 1]; e++) {
                size_t by = graph->back_edges[e];

                if (leave->held[by] && !(graph->cyclic[i] && graph->cyclic[by]))
                        return true;
        }
        return false;
}

static void leave_service(struct leave *leave, size_t i, bool *done, struct plan *plan)
{
        const struct view *view = leave->view;
        bool wait = dependants_left(leave, i);
        size_t begin, end;

        leave->held[i] = wait;
        view_find_vms(view, leave->stack->name, leave->stack->services[i].name, &begin, &end);
        for (size_t k = end; k-- > begin;) {
                if (view->vm_units[k] != UNIT_NONE || done[k])
                        continue;
                done[k] = true;
                leave->held[i] = true;
                if (!wait || vm_is_ended(view->vms[k]))
                        stop_stray(view->vms[k], plan);
        }
}

static void leave_stack(const struct view *view, const struct stack *stack, bool *done,
                        struct plan *plan)
{
        struct leave leave = {.view = view, .stack = stack};

        graph_init(&leave.graph, stack);
        leave.held = xcalloc(leave.graph.len, sizeof(*leave.held));
        for (size_t k = leave.graph.len; k-- > 0;)
                leave_service(&leave, leave.graph.order[k], done, plan);
        graph_release(&leave.graph);
        free(leave.held);
}

void steps_leaving(const struct view *view, struct plan *plan)
{
        bool *done = xcalloc(view->vms_len, sizeof(*done));
        size_t begin, end;

        for (size_t s = 0; s < view->input->leaving_len; s++) {
                const struct stack *stack = view->input->leaving[s];

                view_find_vms(view, stack->name, NULL, &begin, &end);
                if (begin < end)
                        leave_stack(view, stack, done, plan);
        }
        for (size_t k = view->vms_len; k-- > 0;)
                if (view->vm_units[k] == UNIT_NONE && !done[k])
                        stop_stray(view->vms[k], plan);
        free(done);
}
