/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "reconciler/diff.h"
#include "reconciler/facts.h"
#include "reconciler/reconcile.h"
#include "tests/tap.h"

/* All values have a name of their own. */
#define names_differ(function, type, last, what)                                        \
        do {                                                                            \
                int same_ = 0;                                                          \
                for (int i_ = 0; i_ <= (int)(last); i_++)                               \
                        for (int j_ = 0; j_ < i_; j_++)                                 \
                                same_ += streq(function((type)i_), function((type)j_)); \
                is_int(same_, 0, "%s", (what));                                         \
        } while (0)

static void test_release(void)
{
        struct facts facts = {0};
        struct vm_fact *vm = array_push(&facts.vms, &facts.vms_len);

        vm->id = xstrdup("vm-1");
        vm->message = xstrdup("gone");
        array_push(&facts.replicas, &facts.replicas_len)->last_message = xstrdup("why");
        array_push(&facts.networks, &facts.networks_len)->network = xstrdup("front");
        array_push(&facts.images, &facts.images_len)->ref = xstrdup("web:1");
        facts_release(&facts);
        ok(!facts.vms && facts.vms_len == 0, "released facts are empty");
        facts_release(&facts);
        ok(!facts.images, "and can be released again");
}

int main(void)
{
        names_differ(vm_state_name, enum vm_state, VM_FAILED, "VM states have names");
        names_differ(health_state_name, enum health_state, HEALTH_UNHEALTHY,
                     "health states have names");
        names_differ(exit_reason_name, enum exit_reason, EXIT_STOPPED, "exit reasons have names");
        names_differ(step_kind_name, enum step_kind, STEP_VM_REMOVE, "kinds of steps have names");
        names_differ(service_phase_name, enum service_phase, PHASE_STOPPED, "phases have names");
        names_differ(change_kind_name, enum change_kind, CHANGE_REMOVE, "changes have names");
        names_differ(change_effect_name, enum change_effect, EFFECT_REPLACE, "effects have names");
        is_str(vm_state_name(VM_RUNNING), "running", "a name for display");
        is_str(exit_reason_name(EXIT_CODE), "exit-code", "a name for display");
        test_release();
        return tap_done();
}
