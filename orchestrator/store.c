/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/store.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/store_db.h"

#define EVENT_MATCH \
        "(?2 IS NULL OR stack = ?2) AND (?3 IS NULL OR service = ?3) AND (?4 = 0 OR replica = ?4)"

static const char *const statements[] = {
        [STMT_BEGIN] = "BEGIN IMMEDIATE",
        [STMT_COMMIT] = "COMMIT",
        [STMT_ROLLBACK] = "ROLLBACK",
        [STMT_STACK_PUT] = "INSERT OR REPLACE INTO stacks (name, revision, source, manifest, ports,"
                           " wanted, created_ms, updated_ms, wishes)"
                           " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [STMT_STACK_WANTED] = "UPDATE stacks SET wanted = ?2, updated_ms = ?3 WHERE name = ?1",
        [STMT_STACK_WISHES] = "UPDATE stacks SET wishes = ?2 WHERE name = ?1",
        [STMT_STACK_LIST] = "SELECT name, revision, source, manifest, ports, wanted, created_ms,"
                            " updated_ms, wishes, rowid FROM stacks ORDER BY name",
        [STMT_STACK_DELETE] = "DELETE FROM stacks WHERE name = ?",
        [STMT_STACK_DROP] = "DELETE FROM stacks WHERE rowid = ?",
        [STMT_HISTORY_PUT] = "INSERT OR REPLACE INTO history (stack, revision, manifest,"
                             " created_ms, note) VALUES (?, ?, ?, ?, ?)",
        [STMT_HISTORY_PRUNE] = "DELETE FROM history WHERE stack = ? AND revision <= ?",
        [STMT_HISTORY_LIST] = "SELECT stack, revision, manifest, created_ms, note, rowid"
                              " FROM history WHERE stack = ? ORDER BY revision DESC",
        [STMT_HISTORY_DELETE] = "DELETE FROM history WHERE stack = ?",
        [STMT_HISTORY_DROP] = "DELETE FROM history WHERE rowid = ?",
        [STMT_REPLICA_PUT] = "INSERT OR REPLACE INTO replicas (stack, service, replica, failures,"
                             " restarts, last_end_ms, last_exit, last_exit_code, last_spec_hash,"
                             " completed, own_failures, started_ms, last_message)"
                             " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [STMT_REPLICA_LIST] = "SELECT stack, service, replica, failures, restarts, last_end_ms,"
                              " last_exit, last_exit_code, last_spec_hash, completed,"
                              " own_failures, started_ms, last_message, rowid FROM replicas ORDER "
                              "BY stack, service, replica",
        [STMT_REPLICA_DELETE] = "DELETE FROM replicas WHERE stack = ?1 AND service = ?2 AND"
                                " (?3 = 0 OR replica = ?3)",
        [STMT_REPLICA_DELETE_STACK] = "DELETE FROM replicas WHERE stack = ?",
        [STMT_REPLICA_DROP] = "DELETE FROM replicas WHERE rowid = ?",
        [STMT_NETWORK_PUT] = "INSERT OR REPLACE INTO networks (name, subnet, internal, egress,"
                             " labels, maker, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [STMT_NETWORK_LIST] = "SELECT name, subnet, internal, egress, labels, maker, created_ms,"
                              " rowid FROM networks ORDER BY name",
        [STMT_NETWORK_DELETE] = "DELETE FROM networks WHERE name = ?",
        [STMT_NETWORK_DROP] = "DELETE FROM networks WHERE rowid = ?",
        [STMT_SUBNET_PUT] = "INSERT INTO subnets (stack, network, subnet, bits)"
                            " VALUES (?, ?, ?, ?) ON CONFLICT (stack, network)"
                            " DO UPDATE SET subnet = excluded.subnet, bits = excluded.bits",
        [STMT_SUBNET_LIST] = "SELECT stack, network, subnet, bits, rowid FROM subnets"
                             " ORDER BY stack, network",
        [STMT_SUBNET_DELETE] = "DELETE FROM subnets WHERE stack = ? AND network = ?",
        [STMT_SUBNET_DELETE_STACK] = "DELETE FROM subnets WHERE stack = ?",
        [STMT_SUBNET_DROP] = "DELETE FROM subnets WHERE rowid = ?",
        [STMT_LEASE_PUT] = "INSERT INTO leases (stack, network, service, replica, ip)"
                           " VALUES (?, ?, ?, ?, ?) ON CONFLICT (stack, network, service, replica)"
                           " DO UPDATE SET ip = excluded.ip",
        [STMT_LEASE_LIST] = "SELECT stack, network, service, replica, ip, rowid FROM leases"
                            " ORDER BY stack, network, service, replica",
        [STMT_LEASE_DELETE] = "DELETE FROM leases WHERE stack = ?1 AND service = ?2 AND"
                              " (?3 = 0 OR replica = ?3)",
        [STMT_LEASE_DELETE_NETWORK] = "DELETE FROM leases WHERE stack = ? AND network = ?",
        [STMT_LEASE_DELETE_STACK] = "DELETE FROM leases WHERE stack = ?1 OR (stack = '' AND"
                                    " substr(service, 1, length(?1) + 1) = ?1 || '/')",
        [STMT_LEASE_DROP] = "DELETE FROM leases WHERE rowid = ?",
        [STMT_EVENT_PUT] = "INSERT INTO events (time_ns, stack, service, replica, type, reason,"
                           " message) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [STMT_EVENT_PRUNE] = "DELETE FROM events WHERE seq <= ?",
        [STMT_EVENT_LIST] = "SELECT seq, time_ns, stack, service, replica, type, reason, message"
                            " FROM events WHERE seq > ?1 AND " EVENT_MATCH " ORDER BY seq LIMIT ?5",
        [STMT_EVENT_TAIL] = "SELECT coalesce((SELECT min(seq) - 1 FROM (SELECT seq FROM events"
                            " WHERE " EVENT_MATCH " ORDER BY seq DESC LIMIT ?1)),"
                            " (SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)",
        [STMT_QUARANTINE_PUT] = "INSERT INTO quarantine (tbl, key, record, reason, time_ms)"
                                " VALUES (?, ?, ?, ?, ?)",
        [STMT_QUARANTINE_LIST] = "SELECT tbl, key, record, reason, time_ms FROM quarantine"
                                 " ORDER BY id",
};
static_assert(ARRAY_SIZE(statements) == STMT_COUNT, "a text for each statement");

int store_prepare(struct store *store, struct err *err)
{
        for (size_t i = 0; i < STMT_COUNT; i++) {
                int rc = sqlite3_prepare_v3(store->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                            &store->stmts[i], NULL);

                if (rc != SQLITE_OK)
                        return store_failed(store, rc, "prepare statements", err);
        }
        return 0;
}

static int code_of(int rc)
{
        switch (rc & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return EBUSY;
        case SQLITE_FULL:
                return ENOSPC;
        case SQLITE_READONLY:
                return EROFS;
        case SQLITE_PERM:
        case SQLITE_AUTH:
        case SQLITE_CANTOPEN:
                return EACCES;
        case SQLITE_CONSTRAINT:
                return EEXIST;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return EBADMSG;
        default:
                return EIO;
        }
}

int store_failed(struct store *store, int rc, const char *what, struct err *err)
{
        int os = errno; /* SQLite knows its own only for some: a commit's fsync() is none of them */

        if ((rc & 0xff) == SQLITE_IOERR && os)
                return err_set(err, os, "state database %s: %s: %s", store->path, what,
                               strerror(os));
        return err_set(err, code_of(rc), "state database %s: %s: %s", store->path, what,
                       store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc));
}

/* ---------------------------------------------------------------------------------- statements */

sqlite3_stmt *store_bind(struct store *store, enum stmt id, const char *format, ...)
{
        sqlite3_stmt *stmt = store->stmts[id];
        va_list ap;
        int rc = SQLITE_OK;

        (void)sqlite3_reset(stmt); /* repeats an error that was reported before */
        va_start(ap, format);
        for (int i = 0; format[i] && rc == SQLITE_OK; i++) {
                if (format[i] == 's')
                        rc = sqlite3_bind_text(stmt, i + 1, va_arg(ap, const char *), -1,
                                               SQLITE_TRANSIENT);
                else
                        rc = sqlite3_bind_int64(stmt, i + 1, va_arg(ap, int64_t));
        }
        va_end(ap);
        assert(rc == SQLITE_OK); /* only a wrong index, or text past a gigabyte */
        return stmt;
}

int store_run_stmt(struct store *store, sqlite3_stmt *stmt, const char *what, struct err *err)
{
        int rc, r = 0;

        errno = 0;
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_DONE && rc != SQLITE_ROW)
                r = store_failed(store, rc, what, err);
        (void)sqlite3_reset(stmt);          /* repeats the error of the step */
        (void)sqlite3_clear_bindings(stmt); /* always SQLITE_OK; manifests are not kept in memory */
        return r;
}

const char *row_text(sqlite3_stmt *row, int i)
{
        const unsigned char *text = sqlite3_column_text(row, i);

        return text ? (const char *)text : "";
}

int64_t row_int(sqlite3_stmt *row, int i)
{
        return sqlite3_column_int64(row, i);
}

/* -------------------------------------------------------------------------------- transactions */

int store_tx_begin(struct store *store, struct err *err)
{
        return store->batch ? 0 : store_run(store, STMT_BEGIN, "begin", err, "");
}

int store_tx_end(struct store *store, int r, struct err *err)
{
        if (store->batch)
                return r;
        if (r >= 0)
                r = store_run(store, STMT_COMMIT, "commit", err, "");
        if (r < 0 && !sqlite3_get_autocommit(store->db))
                (void)store_run(store, STMT_ROLLBACK, "rollback", NULL, ""); /* r tells */
        return r;
}

int store_begin(struct store *store, struct err *err)
{
        int r;

        assert(!store->batch);
        r = store_tx_begin(store, err);
        store->batch = r == 0;
        return r;
}

int store_commit(struct store *store, struct err *err)
{
        assert(store->batch);
        store->batch = false;
        return store_tx_end(store, 0, err);
}

void store_rollback(struct store *store)
{
        if (!store->batch)
                return;
        store->batch = false;
        (void)store_tx_end(store, -1, NULL); /* nothing else is to be done */
}

bool store_in_batch(const struct store *store)
{
        return store->batch;
}

/* ---------------------------------------------------------------------------------- quarantine */

struct bad_row {
        int64_t rowid;
        char *key, *record;
        const char *reason;
};

static json_t *column_json(sqlite3_stmt *row, int i)
{
        json_t *text;

        if (sqlite3_column_type(row, i) == SQLITE_INTEGER)
                return json_integer(sqlite3_column_int64(row, i));
        text = json_stringn(row_text(row, i), (size_t)sqlite3_column_bytes(row, i));
        return text ? text : json_string("(not UTF-8)");
}

static void note_bad_row(sqlite3_stmt *row, const struct row_reader *reader, const char *reason,
                         struct bad_row *ret)
{
        AUTO_STRBUF struct strbuf key = STRBUF_INIT(1024);
        AUTO_JSON json_t *record = json_object();
        int columns = sqlite3_column_count(row);

        for (int i = 0; i < (int)reader->key_columns; i++)
                strbuf_addf(&key, "%s%s", i ? "/" : "", row_text(row, i));
        for (int i = 0; i < columns - 1; i++)
                json_object_set_new(record, sqlite3_column_name(row, i), column_json(row, i));
        ret->rowid = row_int(row, columns - 1);
        ret->key = strbuf_take(&key);
        ret->record = json_text(record);
        ret->reason = reason;
}

static int set_aside(struct store *store, const struct row_reader *reader,
                     const struct bad_row *bad, struct err *err)
{
        int r = store_tx_begin(store, err);

        if (r < 0)
                return r;
        r = store_run(store, STMT_QUARANTINE_PUT, "set a record aside", err, "ssssi", reader->table,
                      bad->key, bad->record, bad->reason, clock_wall_ms());
        if (r == 0)
                r = store_run(store, reader->drop, "set a record aside", err, "i", bad->rowid);
        r = store_tx_end(store, r, err);
        if (r == 0 && store->on_quarantine)
                store->on_quarantine(store->ctx, reader->table, bad->key, bad->reason);
        return r;
}

int store_read(struct store *store, const struct row_reader *reader, sqlite3_stmt *bound,
               void *result, struct err *err)
{
        struct bad_row *bad = NULL;
        size_t bad_len = 0;
        int rc, r = 0;

        while ((rc = sqlite3_step(bound)) == SQLITE_ROW) {
                const char *reason = reader->parse(bound, result);

                if (reason)
                        note_bad_row(bound, reader, reason, array_push(&bad, &bad_len));
        }
        if (rc != SQLITE_DONE)
                r = store_failed(store, rc, reader->table, err);
        (void)sqlite3_reset(bound); /* repeats the error of the step */
        for (size_t i = 0; i < bad_len; i++) {
                if (r == 0)
                        r = set_aside(store, reader, &bad[i], err);
                free(bad[i].key);
                free(bad[i].record);
        }
        free(bad);
        return r;
}

int store_list_quarantine(struct store *store, struct quarantined_list *ret, struct err *err)
{
        sqlite3_stmt *row = store_bind(store, STMT_QUARANTINE_LIST, "");
        struct quarantined_list list = {0};
        int rc;

        while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
                struct quarantined *q = array_push(&list.items, &list.len);

                q->table = xstrdup(row_text(row, 0));
                q->key = xstrdup(row_text(row, 1));
                q->record = xstrdup(row_text(row, 2));
                q->reason = xstrdup(row_text(row, 3));
                q->time_ms = row_int(row, 4);
        }
        (void)sqlite3_reset(row); /* repeats the error of the step */
        if (rc != SQLITE_DONE) {
                quarantined_list_release(&list);
                return store_failed(store, rc, "list the quarantine", err);
        }
        *ret = list;
        return 0;
}

void quarantined_list_release(struct quarantined_list *list)
{
        for (size_t i = 0; i < list->len; i++) {
                free(list->items[i].table);
                free(list->items[i].key);
                free(list->items[i].record);
                free(list->items[i].reason);
        }
        free(list->items);
        *list = (struct quarantined_list){0};
}
