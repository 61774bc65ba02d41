/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the database: schema and its upgrades, and what to do with a file that is none. */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "orchestrator/store_db.h"

/* upgrades[n] makes version n + 1 of version n; version 0 is an empty file. Append only. */
static const char *const upgrades[] = {
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;"
        "INSERT INTO meta VALUES ('version', 0);"
        "CREATE TABLE stacks (name TEXT PRIMARY KEY, revision INTEGER NOT NULL,"
        " source TEXT NOT NULL, manifest TEXT NOT NULL, ports TEXT NOT NULL, wanted TEXT NOT NULL,"
        " created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL) STRICT;"
        "CREATE TABLE history (stack TEXT NOT NULL, revision INTEGER NOT NULL,"
        " manifest TEXT NOT NULL, created_ms INTEGER NOT NULL, UNIQUE (stack, revision)) STRICT;"
        "CREATE TABLE replicas (stack TEXT NOT NULL, service TEXT NOT NULL,"
        " replica INTEGER NOT NULL, failures INTEGER NOT NULL, restarts INTEGER NOT NULL,"
        " last_end_ms INTEGER NOT NULL, last_exit TEXT NOT NULL, last_exit_code INTEGER NOT NULL,"
        " last_spec_hash TEXT, completed INTEGER NOT NULL,"
        " UNIQUE (stack, service, replica)) STRICT;"
        "CREATE TABLE subnets (stack TEXT NOT NULL, network TEXT NOT NULL,"
        " subnet INTEGER NOT NULL UNIQUE, bits INTEGER NOT NULL, UNIQUE (stack, network)) STRICT;"
        "CREATE TABLE leases (stack TEXT NOT NULL, network TEXT NOT NULL, service TEXT NOT NULL,"
        " replica INTEGER NOT NULL, ip INTEGER NOT NULL,"
        " UNIQUE (stack, network, service, replica), UNIQUE (stack, network, ip)) STRICT;"
        "CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, time_ns INTEGER NOT NULL,"
        " stack TEXT NOT NULL, service TEXT NOT NULL, replica INTEGER NOT NULL,"
        " type TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL) STRICT;"
        "CREATE TABLE quarantine (id INTEGER PRIMARY KEY, tbl TEXT NOT NULL, key TEXT NOT NULL,"
        " record TEXT NOT NULL, reason TEXT NOT NULL, time_ms INTEGER NOT NULL) STRICT;",
        "ALTER TABLE replicas ADD COLUMN own_failures INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE replicas ADD COLUMN started_ms INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE replicas ADD COLUMN last_message TEXT;"
        "ALTER TABLE stacks ADD COLUMN wishes TEXT NOT NULL DEFAULT '{}';"
        "ALTER TABLE history ADD COLUMN note TEXT NOT NULL DEFAULT '';",
        "CREATE TABLE networks (name TEXT PRIMARY KEY, subnet TEXT, internal INTEGER NOT NULL,"
        " egress INTEGER NOT NULL, labels TEXT NOT NULL, maker TEXT NOT NULL,"
        " created_ms INTEGER NOT NULL) STRICT;",
};
#define STORE_VERSION ((int64_t)ARRAY_SIZE(upgrades))

/*
 * locking_mode before journal_mode: the lock is then held until close, and no -shm file is made.
 * The cache is small because everything is read once and then kept by the daemon.
 */
static const char pragmas[] = "PRAGMA locking_mode = EXCLUSIVE;"
                              "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA journal_size_limit = 4194304;"
                              "PRAGMA cache_size = -512;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA trusted_schema = OFF;";

void store_close(struct store *store)
{
        if (!store)
                return;
        store_rollback(store);
        for (size_t i = 0; i < STMT_COUNT; i++)
                (void)sqlite3_finalize(store->stmts[i]); /* repeats old errors */
        (void)sqlite3_close(store->db); /* no statement is left that could stop it */
        free(store->path);
        free(store);
}

static int store_exec(struct store *store, const char *sql, const char *what, struct err *err)
{
        int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

        return rc == SQLITE_OK ? 0 : store_failed(store, rc, what, err);
}

/* One value of a query that gives one row; text: of its first column, at most n bytes. */
static int store_ask(struct store *store, const char *sql, char *text, size_t n, int64_t *ret,
                     struct err *err)
{
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
        int r = 0;

        if (rc == SQLITE_OK)
                rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW) {
                *ret = row_int(stmt, 0);
                (void)snprintf(text, n, "%s", row_text(stmt, 0));
        } else if (rc == SQLITE_DONE) {
                r = err_set(err, EBADMSG, "state database %s: no version in it", store->path);
        } else {
                r = store_failed(store, rc, "read", err);
        }
        (void)sqlite3_finalize(stmt); /* repeats the error of the step */
        return r;
}

static int store_check(struct store *store, struct err *err)
{
        char text[256];
        int64_t n;
        int r = store_ask(store, "PRAGMA quick_check(1)", text, sizeof(text), &n, err);

        if (r < 0)
                return r;
        if (!streq(text, "ok"))
                return err_set(err, EBADMSG, "state database %s: damaged: %s", store->path, text);
        return 0;
}

static int store_version(struct store *store, int64_t *ret, struct err *err)
{
        char text[32];
        int64_t tables = 0, meta = 0;
        int r = store_ask(store, "SELECT count(*) FROM sqlite_master", text, sizeof(text), &tables,
                          err);

        if (r < 0)
                return r;
        if (tables == 0) {
                *ret = 0;
                return 0;
        }
        r = store_ask(store, "SELECT count(*) FROM sqlite_master WHERE name = 'meta'", text,
                      sizeof(text), &meta, err);
        if (r < 0)
                return r;
        if (meta == 0)
                return err_set(err, EBADMSG, "state database %s: not made by berth", store->path);
        return store_ask(store, "SELECT value FROM meta WHERE key = 'version'", text, sizeof(text),
                         ret, err);
}

static int store_upgrade(struct store *store, struct err *err)
{
        char set_version[80];
        int64_t version = 0;
        int r = store_version(store, &version, err);

        if (r < 0 || version == STORE_VERSION)
                return r;
        if (version > STORE_VERSION)
                return err_set(err, EPROTO,
                               "state database %s: written by a newer berth (version %lld, this one"
                               " knows %lld): use that berth again, or another --root",
                               store->path, (long long)version, (long long)STORE_VERSION);
        if (version < 0)
                return err_set(err, EBADMSG, "state database %s: bad version", store->path);
        r = store_exec(store, "BEGIN IMMEDIATE", "upgrade", err);
        for (; r == 0 && version < STORE_VERSION; version++)
                r = store_exec(store, upgrades[version], "upgrade", err);
        (void)snprintf(set_version, sizeof(set_version),
                       "UPDATE meta SET value = %lld WHERE key = 'version'; COMMIT",
                       (long long)STORE_VERSION);
        if (r == 0)
                r = store_exec(store, set_version, "upgrade", err);
        return r; /* closing takes an unfinished upgrade back */
}

static int store_try(const char *path, struct store **ret, struct err *err)
{
        AUTO(store) struct store *store = xnew(struct store);
        int rc, r;

        store->path = xstrdup(path);
        rc = sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE, NULL);
        if (rc != SQLITE_OK)
                return store_failed(store, rc, "open", err);
        (void)sqlite3_extended_result_codes(store->db, 1); /* fails only without memory */
        r = store_exec(store, pragmas, "open", err);
        if (r == 0)
                r = store_check(store, err);
        if (r == 0)
                r = store_upgrade(store, err);
        if (r == 0)
                r = store_prepare(store, err);
        if (r == -EBUSY)
                return err_set(err, EBUSY, "state database %s: in use by another process", path);
        if (r < 0)
                return r;
        *ret = STEAL(store);
        return 0;
}

/* SQLite would create it with the umask's mode; secrets live in it. */
static int make_file(const char *path, bool *ret_created, struct err *err)
{
        AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        *ret_created = fd >= 0;
        if (fd < 0 && errno != EEXIST)
                return err_errno(err, errno, "create state database %s", path);
        return 0;
}

static int move_aside(const char *path, char **ret_moved_to, struct err *err)
{
        static const char *const suffixes[] = {"-wal", "-shm", ""};
        AUTO_FREE char *to = NULL;
        char time[CLOCK_TEXT_MAX];

        clock_text(clock_wall_ns(), time);
        to = xasprintf("%s.broken-%s", path, time);
        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
                AUTO_FREE char *from_name = xasprintf("%s%s", path, suffixes[i]);
                AUTO_FREE char *to_name = xasprintf("%s%s", to, suffixes[i]);

                if (rename(from_name, to_name) < 0 && errno != ENOENT)
                        return err_errno(err, errno, "move %s aside to %s", from_name, to_name);
        }
        *ret_moved_to = STEAL(to);
        return 0;
}

/* A store in place of one that cannot be read. why: how it could not. */
static int store_replace(const char *path, const struct err *why, struct store **ret,
                         struct store_report *report, struct err *err)
{
        bool created;
        int r = move_aside(path, &report->moved_to, err);

        if (r < 0)
                return r;
        report->reason = xstrdup(why->msg);
        r = make_file(path, &created, err);
        return r < 0 ? r : store_try(path, ret, err);
}

int store_open(const char *path, store_quarantine_fn *on_quarantine, void *ctx,
               struct store **ret_store, struct store_report *ret_report, struct err *err)
{
        struct store_report report = {0};
        struct store *store = NULL;
        struct err why = ERR_INIT;
        int r = make_file(path, &report.created, err);

        if (r < 0)
                return r;
        r = store_try(path, &store, &why);
        if (r == -EBADMSG)
                r = store_replace(path, &why, &store, &report, err);
        else if (r < 0 && err)
                *err = why;
        if (r < 0) {
                store_report_release(&report);
                return r;
        }
        assert(store);
        store->on_quarantine = on_quarantine;
        store->ctx = ctx;
        *ret_store = store;
        *ret_report = report;
        return 0;
}

void store_report_release(struct store_report *report)
{
        free(report->moved_to);
        free(report->reason);
        *report = (struct store_report){0};
}
