/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of stacks when the host has restarted. STATE/boot-id has the kernel's boot id of the
 * last daemon's life; another one now means that every VM ended without anybody wanting it.
 */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "orchestrator/daemon.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX  64

static bool is_stopped(const struct desired *desired, size_t service)
{
        return service < desired->wishes.services_len && desired->wishes.services[service].stopped;
}

/* The services of a stack to stop (or start) that the restart policy says so of; NULL: none. */
static json_t *services_by_policy(const struct desired *desired, bool stop)
{
        AUTO_JSON json_t *names = json_array();

        for (size_t i = 0; i < desired->stack->services_len; i++) {
                const struct service *s = &desired->stack->services[i];
                bool stopped = is_stopped(desired, i);

                if (stop ? s->restart == RESTART_NO && !stopped
                         : s->restart == RESTART_ALWAYS && stopped)
                        json_array_append_new(names, json_string(s->name));
        }
        return json_array_size(names) ? STEAL(names) : NULL;
}

static void change_by_policy(struct daemon *d, const char *stack, bool stop)
{
        AUTO_JSON json_t *names = services_by_policy(daemon_find(d, stack), stop);
        const struct stack_change change = {.verb = stop ? "stop" : "start", .services = names};
        struct err err = ERR_INIT;

        if (names && daemon_change(d, stack, &change, &err) < 0)
                log_error("daemon", stack, "after the host's restart: %s", err.msg);
}

static void keep_to_policies(struct daemon *d)
{
        for (size_t i = 0; i < d->desired_len; i++) {
                AUTO_FREE char *stack = xstrdup(d->desired[i]->stack->name);

                change_by_policy(d, stack, true);
                change_by_policy(d, stack, false);
        }
}

void daemon_after_boot(struct daemon *d, bool by_policy)
{
        AUTO_FREE char *path = file_join(d->roots.state, "boot-id");
        AUTO_FREE char *now = NULL, *before = NULL;
        struct err err = ERR_INIT;
        size_t len;

        if (file_read(BOOT_ID_PATH, BOOT_ID_MAX, &now, &len, &err) < 0) {
                log_warn("daemon", "", "whether the host restarted: %s", err.msg);
                return;
        }
        (void)file_read(path, BOOT_ID_MAX, &before, NULL, NULL); /* none: the first start */
        if (before && streq(before, now))
                return;
        if (before) {
                event_emit(d->events, NULL, NULL, 0, "host-restarted", "", "%s",
                           by_policy ? "services come back by their restart policy"
                                     : "all stacks come back as they are wanted");
                if (by_policy)
                        keep_to_policies(d);
        }
        if (file_write_atomic(path, now, len, 0600, &err) < 0)
                log_warn("daemon", "", "%s", err.msg);
}
