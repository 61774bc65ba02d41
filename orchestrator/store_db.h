/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the store, shared by store*.c: the database, its statements, and the way a bad record
 * is set aside. Every statement is prepared once, at open; its text stands in the table of store.c.
 */
#ifndef ORCHESTRATOR_STORE_DB_H
#define ORCHESTRATOR_STORE_DB_H

#include <sqlite3.h>

#include "orchestrator/store.h"

enum stmt {
        STMT_BEGIN,
        STMT_COMMIT,
        STMT_ROLLBACK,
        STMT_STACK_PUT,
        STMT_STACK_WANTED,
        STMT_STACK_WISHES,
        STMT_STACK_LIST,
        STMT_STACK_DELETE,
        STMT_STACK_DROP,
        STMT_HISTORY_PUT,
        STMT_HISTORY_PRUNE,
        STMT_HISTORY_LIST,
        STMT_HISTORY_DELETE,
        STMT_HISTORY_DROP,
        STMT_REPLICA_PUT,
        STMT_REPLICA_LIST,
        STMT_REPLICA_DELETE,
        STMT_REPLICA_DELETE_STACK,
        STMT_REPLICA_DROP,
        STMT_NETWORK_PUT,
        STMT_NETWORK_LIST,
        STMT_NETWORK_DELETE,
        STMT_NETWORK_DROP,
        STMT_SUBNET_PUT,
        STMT_SUBNET_LIST,
        STMT_SUBNET_DELETE,
        STMT_SUBNET_DELETE_STACK,
        STMT_SUBNET_DROP,
        STMT_LEASE_PUT,
        STMT_LEASE_LIST,
        STMT_LEASE_DELETE,
        STMT_LEASE_DELETE_NETWORK,
        STMT_LEASE_DELETE_STACK,
        STMT_LEASE_DROP,
        STMT_EVENT_PUT,
        STMT_EVENT_PRUNE,
        STMT_EVENT_LIST,
        STMT_EVENT_TAIL,
        STMT_QUARANTINE_PUT,
        STMT_QUARANTINE_LIST,
        STMT_COUNT,
};

struct store {
        sqlite3 *db;
        sqlite3_stmt *stmts[STMT_COUNT];
        char *path;
        bool batch; /* between store_begin() and store_commit() */
        store_quarantine_fn *on_quarantine;
        void *ctx;
};

/** Compile all statements. */
int store_prepare(struct store *store, struct err *err);

/** err from what SQLite says; what: "write stack shop". */
int store_failed(struct store *store, int rc, const char *what, struct err *err);

/**
 * Bind and return a statement, ready to be stepped. format: a letter a parameter, s: const char *
 * (NULL is NULL), i: int64_t. Reset it with sqlite3_reset() when done.
 */
sqlite3_stmt *store_bind(struct store *store, enum stmt id, const char *format, ...);

/** Bind and run a statement without rows. what: for errors. */
#define store_run(store, id, what, err, ...) \
        store_run_stmt((store), store_bind((store), (id), __VA_ARGS__), (what), (err))
int store_run_stmt(struct store *store, sqlite3_stmt *stmt, const char *what, struct err *err);

/** Begin and end a transaction unless a batch is open already. r: what the body returned. */
int store_tx_begin(struct store *store, struct err *err);
int store_tx_end(struct store *store, int r, struct err *err);

/**
 * Reading a table row by row. parse: fill a slot of the result from the row, or return a reason
 * (static text) why the record makes no sense; key: writes its plain-text key. The rowid is the
 * last column of the statement. Bad rows are moved to quarantine after the reading.
 */
struct row_reader {
        enum stmt list, drop;
        const char *table;
        const char *(*parse)(sqlite3_stmt *row, void *result);
        unsigned key_columns; /* the first so many columns are the key */
};

/**
 * Read all rows of reader->list (bound: its parameters are set already) by its parse(), into
 * result.
 */
int store_read(struct store *store, const struct row_reader *reader, sqlite3_stmt *bound,
               void *result, struct err *err);

/** Column i as text ("" for NULL), borrowed until the next step; as a number. */
const char *row_text(sqlite3_stmt *row, int i);
int64_t row_int(sqlite3_stmt *row, int i);

#endif
