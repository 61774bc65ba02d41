/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/replica.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "reconciler/reconcile.h"

bool exit_reason_is_infrastructure(enum exit_reason reason)
{
        switch (reason) {
        case EXIT_PANIC:
        case EXIT_VMM:
        case EXIT_BOOT:
        case EXIT_PREPARE:
                return true;
        case EXIT_NONE:
        case EXIT_CODE:
        case EXIT_SIGNAL:
        case EXIT_OOM:
        case EXIT_START:
        case EXIT_HEALTH:
        case EXIT_STOPPED:
                break;
        }
        return false;
}

void replica_on_started(struct replica_fact *replica, int64_t now_ms)
{
        if (replica->last_exit != EXIT_NONE && replica->last_exit != EXIT_STOPPED)
                replica->restarts++;
        replica->started_ms = now_ms > 0 ? now_ms : 1; /* 0 says that none runs */
}

void replica_retry(struct replica_fact *replica)
{
        if (replica->completed || replica->last_exit == EXIT_NONE)
                return;
        replica->failures = replica->own_failures = 0;
        replica->last_exit = EXIT_STOPPED;
}

void replica_on_well(struct replica_fact *replica, const struct service *service, int64_t well_ms)
{
        int64_t window = service ? service->delays.window_ms : -1;

        if (well_ms >= (window > 0 ? window : RESTART_WINDOW_MS))
                replica->failures = replica->own_failures = 0;
}

static void count_failure(struct replica_fact *replica, enum exit_reason reason,
                          const char *spec_hash)
{
        if (!streq(replica->last_spec_hash, spec_hash))
                replica->failures = replica->own_failures = 0;
        replica->failures++;
        if (!exit_reason_is_infrastructure(reason))
                replica->own_failures++;
}

void replica_set_message(struct replica_fact *replica, const char *message)
{
        free(replica->last_message);
        replica->last_message = xstrdup(message);
}

void replica_on_ended(struct replica_fact *replica, enum exit_reason reason, int code,
                      const char *spec_hash, int64_t now_ms)
{
        bool ran = replica->started_ms != 0;

        replica->started_ms = 0;
        if (reason == EXIT_STOPPED && !ran)
                return;
        if (reason == EXIT_STOPPED)
                replica->failures = replica->own_failures = 0;
        else
                count_failure(replica, reason, spec_hash);
        if (ran || !streq(replica->last_spec_hash, spec_hash) || reason == EXIT_CODE)
                replica->completed = reason == EXIT_CODE && code == 0;
        replica->last_end_ms = now_ms > 0 ? now_ms : 1;
        replica->last_exit = reason;
        replica->last_exit_code = code;
        replica_set_message(replica, NULL);
        if (!streq(replica->last_spec_hash, spec_hash)) {
                free(replica->last_spec_hash);
                replica->last_spec_hash = xstrdup(spec_hash);
        }
}

static enum replica_verdict judge_delay(const struct replica_fact *replica,
                                        const struct service *service, int64_t now_ms,
                                        uint64_t seed, int64_t *ret_retry_at_ms)
{
        const struct restart_delays *delays = &service->delays;
        uint64_t key = backoff_key(seed, replica->stack, replica->service, replica->replica);
        int64_t at = replica->last_end_ms +
                     backoff_delay_ms(delays->first_ms, delays->max_ms, replica->failures, key);

        /* An end in the future comes from another boot's clock: it says nothing about the delay. */
        if (now_ms >= at || replica->last_end_ms > now_ms)
                return REPLICA_DUE;
        *ret_retry_at_ms = at;
        return REPLICA_BACKOFF;
}

static bool policy_wants_more(const struct service *service, const struct replica_fact *replica)
{
        switch (service->restart) {
        case RESTART_NO:
                return false;
        case RESTART_ALWAYS:
        case RESTART_UNLESS_STOPPED:
                break;
        case RESTART_ON_FAILURE:
                if (replica->completed)
                        return false;
                break;
        }
        return service->restart_max_attempts == 0 ||
               replica->own_failures <= service->restart_max_attempts;
}

enum replica_verdict replica_judge(const struct replica_fact *replica,
                                   const struct service *service, const char *hash, int64_t now_ms,
                                   uint64_t seed, int64_t *ret_retry_at_ms)
{
        *ret_retry_at_ms = 0;
        if (!replica || !streq(replica->last_spec_hash, hash))
                return REPLICA_DUE;
        if (replica->completed && !policy_wants_more(service, replica))
                return REPLICA_COMPLETED;
        if (replica->last_exit == EXIT_NONE || replica->last_exit == EXIT_STOPPED)
                return REPLICA_DUE;
        if (!exit_reason_is_infrastructure(replica->last_exit) &&
            !policy_wants_more(service, replica))
                return REPLICA_FAILED;
        return judge_delay(replica, service, now_ms, seed, ret_retry_at_ms);
}

char *exit_text(enum exit_reason reason, int code)
{
        switch (reason) {
        case EXIT_NONE:
                return xstrdup("ended");
        case EXIT_CODE:
                return xasprintf("exited with code %d", code);
        case EXIT_SIGNAL:
                return xasprintf("killed by signal %d", code > 128 ? code - 128 : code);
        case EXIT_OOM:
                return xstrdup("out of memory in the guest");
        case EXIT_START:
                return xasprintf("could not be started (code %d)", code);
        case EXIT_HEALTH:
                return xstrdup("ended for being unhealthy");
        case EXIT_PANIC:
                return xstrdup("guest kernel panic");
        case EXIT_VMM:
                return xstrdup("the VM died");
        case EXIT_BOOT:
                return xstrdup("the VM did not boot");
        case EXIT_PREPARE:
                return xstrdup("could not be prepared");
        case EXIT_STOPPED:
                return xstrdup("stopped");
        }
        bug("an exit reason without a text");
}
