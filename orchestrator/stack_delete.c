/* SPDX-License-Identifier: Apache-2.0 */
/* A stack goes: noted first, and forgotten when nothing of it is left. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "orchestrator/daemon.h"
#include "storage/volume.h"

int daemon_delete(struct daemon *d, const char *name, bool volumes, struct err *err)
{
        struct desired *desired = daemon_find(d, name);
        enum stack_wanted wanted = volumes ? STACK_DELETING_VOLUMES : STACK_DELETING;
        int r;

        if (!desired)
                return err_set(err, ENOENT, "there is no stack %s; see `berth ps`", name);
        r = store_set_wanted(d->store, name, wanted, err);
        if (r < 0)
                return r;
        desired->wanted = wanted;
        event_emit(d->events, name, NULL, 0, "deleting", "", volumes ? "with its volumes" : "");
        daemon_dirty(d);
        return 0;
}

/* Of a stack that `berth run` made only those without a name of their own go with it. */
static bool goes_with(const struct desired *desired, const struct volume_info *volume)
{
        const char *stack = desired->stack->name;
        size_t len = strlen(stack);

        if (!streq(volume->stack, stack))
                return false;
        return !desired_is_once(desired) ||
               (strncmp(volume->name, stack, len) == 0 && volume->name[len] == '_');
}

static void remove_volumes(const struct daemon *d, const struct desired *desired)
{
        const char *stack = desired->stack->name;
        struct volume_info **list = NULL;
        struct err err = ERR_INIT;
        size_t n = 0;

        if (volume_list(d->volumes_dir, &list, &n, NULL, &err) < 0) {
                log_warn("volume", stack, "%s", err.msg);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                if (goes_with(desired, list[i]) &&
                    volume_remove(d->volumes_dir, list[i]->name, &err) < 0)
                        log_warn("volume", list[i]->name, "%s", err.msg);
                volume_info_free(list[i]);
        }
        free(list);
}

static void replica_clear(struct replica_fact *fact)
{
        free(fact->stack);
        free(fact->service);
        free(fact->last_spec_hash);
        free(fact->last_message);
}

static void forget_replicas(struct daemon *d, const char *stack)
{
        size_t kept = 0;

        for (size_t i = 0; i < d->replicas_len; i++)
                if (streq(d->replicas[i].stack, stack))
                        replica_clear(&d->replicas[i]);
                else
                        d->replicas[kept++] = d->replicas[i];
        d->replicas_len = kept;
}

static bool leaves_nothing(const struct daemon *d, const char *stack)
{
        const struct network_entry *n;

        for (size_t i = 0; i < d->instances_len; i++)
                if (streq(d->instances[i]->stack, stack))
                        return false;
        for (size_t i = 0; i < d->ahead_len; i++)
                if (streq(d->ahead[i]->stack, stack))
                        return false;
        for (size_t i = 0; (n = networks_at(d->networks, i)); i++)
                if (streq(n->stack, stack))
                        return false;
        return true;
}

static void finish_delete(struct daemon *d, size_t index)
{
        struct desired *desired = d->desired[index];
        const char *name = desired->stack->name;
        struct err err = ERR_INIT;

        if (desired->wanted == STACK_DELETING_VOLUMES)
                remove_volumes(d, desired);
        if (logs_remove(d->logs, name, NULL, 0, &err) < 0)
                log_warn("logs", name, "%s", err.msg);
        /* Last: a daemon that dies before goes on, one that dies behind has nothing left to do. */
        if (store_delete_stack(d->store, name, &err) < 0) {
                log_error("store", name, "%s", err.msg);
                return;
        }
        forget_replicas(d, name);
        networks_forget_stack(d->networks, name);
        event_emit(d->events, name, NULL, 0, "deleted", "", "nothing of it is left%s",
                   desired->wanted == STACK_DELETING ? " but its volumes" : "");
        memmove(&d->desired[index], &d->desired[index + 1],
                (d->desired_len - index - 1) * sizeof(*d->desired));
        d->desired_len--;
        desired_unref(desired);
}

void daemon_finish_deletes(struct daemon *d)
{
        for (size_t i = d->desired_len; i > 0; i--)
                if (d->desired[i - 1]->wanted != STACK_UP &&
                    leaves_nothing(d, d->desired[i - 1]->stack->name))
                        finish_delete(d, i - 1);
}
