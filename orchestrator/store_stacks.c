/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks and their history in the store. */
#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/store_db.h"

/* A manifest went through the API: larger ones were never written by us. */
#define MANIFEST_BYTES_MAX (64u << 20)

static const char *const wanted_names[] = {
        [STACK_UP] = "up",
        [STACK_DELETING] = "deleting",
        [STACK_DELETING_VOLUMES] = "deleting-volumes",
};

static const char *const ports_names[] = {
        [STACK_PORTS_MANIFEST] = "manifest",
        [STACK_PORTS_AUTO] = "auto",
};

static int name_index(const char *const *names, size_t len, const char *name)
{
        for (size_t i = 0; i < len; i++)
                if (strcmp(names[i], name) == 0)
                        return (int)i;
        return -1;
}

static bool manifest_valid(sqlite3_stmt *row, int column)
{
        AUTO_JSON json_t *manifest = NULL;

        return json_parse(row_text(row, column), (size_t)sqlite3_column_bytes(row, column),
                          MANIFEST_BYTES_MAX, "manifest", &manifest, NULL) == 0 &&
               json_is_object(manifest);
}

static bool revision_valid(int64_t revision)
{
        return revision >= 1 && revision <= UINT_MAX;
}

static void stored_stack_release(struct stored_stack *stack)
{
        free(stack->name);
        free(stack->source);
        free(stack->manifest);
        free(stack->wishes);
        free(stack->note);
}

void stored_stacks_release(struct stored_stacks *stacks)
{
        for (size_t i = 0; i < stacks->len; i++)
                stored_stack_release(&stacks->items[i]);
        free(stacks->items);
        *stacks = (struct stored_stacks){0};
}

static const char *parse_stack(sqlite3_stmt *row, void *result)
{
        struct stored_stacks *stacks = result;
        int ports = name_index(ports_names, ARRAY_SIZE(ports_names), row_text(row, 4));
        int wanted = name_index(wanted_names, ARRAY_SIZE(wanted_names), row_text(row, 5));
        struct stored_stack *stack;

        if (!value_name_valid(row_text(row, 0)))
                return "the name is not a stack's name";
        if (!revision_valid(row_int(row, 1)))
                return "the revision is out of range";
        if (!manifest_valid(row, 3))
                return "the manifest is not a JSON object";
        if (!manifest_valid(row, 8))
                return "the wishes are not a JSON object";
        if (ports < 0)
                return "unknown way to choose ports";
        if (wanted < 0)
                return "unknown wanted state";
        stack = array_push(&stacks->items, &stacks->len);
        stack->name = xstrdup(row_text(row, 0));
        stack->revision = (unsigned)row_int(row, 1);
        stack->source = xstrdup(row_text(row, 2));
        stack->manifest = xstrdup(row_text(row, 3));
        stack->ports = (enum stack_ports)ports;
        stack->wanted = (enum stack_wanted)wanted;
        stack->created_ms = row_int(row, 6);
        stack->updated_ms = row_int(row, 7);
        stack->wishes = xstrdup(row_text(row, 8));
        return NULL;
}

int store_list_stacks(struct store *store, struct stored_stacks *ret, struct err *err)
{
        static const struct row_reader reader = {STMT_STACK_LIST, STMT_STACK_DROP, "stacks",
                                                 parse_stack, 1};
        struct stored_stacks stacks = {0};
        int r = store_read(store, &reader, store_bind(store, STMT_STACK_LIST, ""), &stacks, err);

        if (r < 0)
                stored_stacks_release(&stacks);
        else
                *ret = stacks;
        return r;
}

static int put_stack(struct store *store, const struct stored_stack *stack, struct err *err)
{
        int r = store_run(store, STMT_STACK_PUT, "write a stack", err, "sissssiis", stack->name,
                          (int64_t)stack->revision, stack->source ? stack->source : "",
                          stack->manifest, ports_names[stack->ports], wanted_names[stack->wanted],
                          stack->created_ms, stack->updated_ms,
                          stack->wishes ? stack->wishes : "{}");

        if (r < 0)
                return r;
        r = store_run(store, STMT_HISTORY_PUT, "write the history", err, "sisis", stack->name,
                      (int64_t)stack->revision, stack->manifest, stack->updated_ms,
                      stack->note ? stack->note : "");
        if (r < 0)
                return r;
        return store_run(store, STMT_HISTORY_PRUNE, "prune the history", err, "si", stack->name,
                         (int64_t)stack->revision - STORE_HISTORY_MAX);
}

int store_put_stack(struct store *store, const struct stored_stack *stack, struct err *err)
{
        int r;

        assert(stack->revision >= 1);
        r = store_tx_begin(store, err);
        if (r < 0)
                return r;
        return store_tx_end(store, put_stack(store, stack, err), err);
}

int store_set_wanted(struct store *store, const char *name, enum stack_wanted wanted,
                     struct err *err)
{
        int r = store_run(store, STMT_STACK_WANTED, "write a stack", err, "ssi", name,
                          wanted_names[wanted], clock_wall_ms());

        if (r == 0 && sqlite3_changes(store->db) == 0)
                return err_set(err, ENOENT, "no stack named %s", name);
        return r;
}

int store_set_wishes(struct store *store, const char *name, const char *wishes, struct err *err)
{
        return store_run(store, STMT_STACK_WISHES, "write a stack", err, "ss", name, wishes);
}

int store_delete_stack(struct store *store, const char *name, struct err *err)
{
        static const enum stmt deletes[] = {STMT_STACK_DELETE, STMT_HISTORY_DELETE,
                                            STMT_REPLICA_DELETE_STACK, STMT_LEASE_DELETE_STACK,
                                            STMT_SUBNET_DELETE_STACK};

        int r = store_tx_begin(store, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(deletes) && r == 0; i++)
                r = store_run(store, deletes[i], "delete a stack", err, "s", name);
        return store_tx_end(store, r, err);
}

static const char *parse_revision(sqlite3_stmt *row, void *result)
{
        struct stored_revisions *revisions = result;
        struct stored_revision *revision;

        if (!revision_valid(row_int(row, 1)))
                return "the revision is out of range";
        if (!manifest_valid(row, 2))
                return "the manifest is not a JSON object";
        revision = array_push(&revisions->items, &revisions->len);
        revision->revision = (unsigned)row_int(row, 1);
        revision->manifest = xstrdup(row_text(row, 2));
        revision->created_ms = row_int(row, 3);
        revision->note = xstrdup(row_text(row, 4));
        return NULL;
}

int store_list_history(struct store *store, const char *stack, struct stored_revisions *ret,
                       struct err *err)
{
        static const struct row_reader reader = {STMT_HISTORY_LIST, STMT_HISTORY_DROP, "history",
                                                 parse_revision, 2};
        struct stored_revisions revisions = {0};
        int r = store_read(store, &reader, store_bind(store, STMT_HISTORY_LIST, "s", stack),
                           &revisions, err);

        if (r < 0)
                stored_revisions_release(&revisions);
        else
                *ret = revisions;
        return r;
}

void stored_revisions_release(struct stored_revisions *revisions)
{
        for (size_t i = 0; i < revisions->len; i++) {
                free(revisions->items[i].manifest);
                free(revisions->items[i].note);
        }
        free(revisions->items);
        *revisions = (struct stored_revisions){0};
}
