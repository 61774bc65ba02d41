/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
#include "reconciler/reconcile.h"
#include "reconciler/replica.h"
#include "tests/tap.h"

#define NOW 5000000

static void release(struct replica_fact *r)
{
        free(r->last_spec_hash);
        free(r->last_message);
        *r = (struct replica_fact){0};
}

static enum replica_verdict judge(const struct replica_fact *r, enum restart_policy policy,
                                  unsigned max, int64_t now_ms)
{
        struct service service = {.restart = policy, .restart_max_attempts = max};
        int64_t at;

        return replica_judge(r, &service, "h1", now_ms, 0, &at);
}

static void test_counts(void)
{
        struct replica_fact r = {.replica = 1};

        replica_on_started(&r, NOW);
        is_int(r.restarts, 0, "the first start is no restart");
        replica_on_ended(&r, EXIT_CODE, 3, "h1", NOW + 10);
        is_int(r.failures, 1, "one failure");
        is_int(r.last_exit_code, 3, "the code is kept");
        is_int(r.last_end_ms, NOW + 10, "the end is kept");
        is_str(r.last_spec_hash, "h1", "the spec is kept");
        ok(!r.completed, "not completed");
        replica_on_started(&r, NOW + 20);
        is_int(r.restarts, 1, "the second start is a restart");
        replica_on_ended(&r, EXIT_VMM, 0, "h1", NOW + 30);
        is_int(r.failures, 2, "two failures in a row");
        is_int(r.own_failures, 1, "one of them the service's own");
        replica_on_started(&r, NOW + 40);
        replica_on_well(&r, NULL, RESTART_WINDOW_MS - 1);
        replica_on_ended(&r, EXIT_CODE, 1, "h1", NOW + 90000);
        is_int(r.failures, 3, "a run just below the limit clears nothing");
        replica_on_started(&r, NOW + 100000);
        replica_on_well(&r, NULL, RESTART_WINDOW_MS);
        replica_on_ended(&r, EXIT_CODE, 1, "h1", NOW + 200000);
        is_int(r.failures, 1, "a run that lasted clears the failures");
        is_int(r.own_failures, 1, "both counts");
        replica_on_ended(&r, EXIT_PREPARE, 0, "h2", NOW + 300000);
        is_int(r.failures, 1, "another spec begins anew");
        is_str(r.last_spec_hash, "h2", "and is remembered");
        release(&r);
}

static void test_stopped(void)
{
        struct replica_fact r = {.replica = 1};

        replica_on_ended(&r, EXIT_BOOT, 0, "h1", NOW);
        replica_on_ended(&r, EXIT_STOPPED, 0, "h1", NOW + 5);
        is_int(r.failures, 1, "stopped before it ran: nothing changes");
        is_int(r.last_exit, EXIT_BOOT, "nor does the reason");
        replica_on_started(&r, NOW + 10);
        replica_on_ended(&r, EXIT_STOPPED, 0, "h1", NOW + 20);
        is_int(r.failures, 0, "stopped while it ran: failures are forgotten");
        is_int(judge(&r, RESTART_NO, 0, NOW + 20), REPLICA_DUE, "and it is due again");
        release(&r);
        replica_on_started(&r, NOW);
        replica_on_ended(&r, EXIT_CODE, 0, "h1", NOW + 1);
        replica_on_ended(&r, EXIT_STOPPED, 0, "h1", NOW + 2);
        ok(r.completed, "the removal of a completed one's VM leaves it completed");
        replica_on_ended(&r, EXIT_VMM, 0, "h1", NOW + 3);
        is_int(judge(&r, RESTART_NO, 0, NOW + 4), REPLICA_COMPLETED,
               "so does a crash of that VM later");
        release(&r);
}

static void test_message(void)
{
        struct replica_fact r = {.replica = 1};

        replica_on_ended(&r, EXIT_PREPARE, 0, "h1", NOW);
        replica_set_message(&r, "port 80 is taken");
        is_str(r.last_message, "port 80 is taken", "the cause is kept");
        replica_on_ended(&r, EXIT_PREPARE, 0, "h1", NOW + 1);
        ok(!r.last_message, "and forgotten with the next end");
        release(&r);
}

static void test_judge(void)
{
        struct replica_fact r = {.replica = 1};

        is_int(judge(NULL, RESTART_NO, 0, NOW), REPLICA_DUE, "no memory: due");
        replica_on_started(&r, NOW);
        replica_on_ended(&r, EXIT_CODE, 1, "h1", NOW);
        is_int(judge(&r, RESTART_NO, 0, NOW), REPLICA_FAILED, "no: failed");
        is_int(judge(&r, RESTART_ALWAYS, 0, NOW), REPLICA_BACKOFF, "always: back-off");
        is_int(judge(&r, RESTART_ALWAYS, 0, NOW + 199), REPLICA_BACKOFF, "until 200 ms are over");
        is_int(judge(&r, RESTART_ALWAYS, 0, NOW + 200), REPLICA_DUE, "then due");
        is_int(judge(&r, RESTART_ALWAYS, 0, NOW - 1), REPLICA_DUE, "an end in the future: due");
        is_int(judge(&r, RESTART_ON_FAILURE, 1, NOW), REPLICA_BACKOFF, "on-failure:1 tries once");
        replica_on_ended(&r, EXIT_CODE, 1, "h1", NOW + 300);
        is_int(judge(&r, RESTART_ON_FAILURE, 1, NOW + 9000), REPLICA_FAILED, "and no more");
        is_int(judge(&r, RESTART_ON_FAILURE, 0, NOW + 9000), REPLICA_DUE, "without limit: again");
        replica_on_ended(&r, EXIT_START, 127, "h0", NOW);
        is_int(judge(&r, RESTART_NO, 0, NOW), REPLICA_DUE, "another spec: due at once");
        replica_on_ended(&r, EXIT_CODE, 0, "h1", NOW);
        is_int(judge(&r, RESTART_NO, 0, NOW), REPLICA_COMPLETED, "no, exit 0: completed");
        is_int(judge(&r, RESTART_ON_FAILURE, 0, NOW), REPLICA_COMPLETED, "on-failure as well");
        is_int(judge(&r, RESTART_UNLESS_STOPPED, 0, NOW), REPLICA_BACKOFF, "unless-stopped: again");
        release(&r);
}

static void test_infrastructure(void)
{
        static const enum exit_reason reasons[] = {EXIT_PREPARE, EXIT_BOOT, EXIT_VMM, EXIT_PANIC};

        for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
                struct replica_fact r = {.replica = 1};

                ok(exit_reason_is_infrastructure(reasons[i]), "%s is infrastructure",
                   exit_reason_name(reasons[i]));
                for (unsigned n = 0; n < 20; n++)
                        replica_on_ended(&r, reasons[i], 0, "h1", NOW);
                is_int(judge(&r, RESTART_NO, 0, NOW), REPLICA_BACKOFF, "tried again with `no`");
                is_int(judge(&r, RESTART_ON_FAILURE, 1, NOW + 60000), REPLICA_DUE,
                       "and with on-failure:1, however often");
                release(&r);
        }
        ok(!exit_reason_is_infrastructure(EXIT_OOM), "the guest's memory limit is not");
        ok(!exit_reason_is_infrastructure(EXIT_START), "nor is a missing program");
}

static void test_text(void)
{
        static const struct {
                enum exit_reason reason;
                int code;
                const char *text;
        } cases[] = {
                {EXIT_CODE, 3, "exited with code 3"},
                {EXIT_SIGNAL, 137, "killed by signal 9"},
                {EXIT_OOM, 137, "out of memory in the guest"},
                {EXIT_START, 126, "could not be started (code 126)"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_FREE char *text = exit_text(cases[i].reason, cases[i].code);

                is_str(text, cases[i].text, "text of %s", exit_reason_name(cases[i].reason));
        }
        for (int r = EXIT_NONE; r <= EXIT_STOPPED; r++) {
                AUTO_FREE char *text = exit_text((enum exit_reason)r, 1);

                ok(text && *text, "%s has a text", exit_reason_name((enum exit_reason)r));
        }
}

int main(void)
{
        test_counts();
        test_stopped();
        test_message();
        test_judge();
        test_infrastructure();
        test_text();
        return tap_done();
}
