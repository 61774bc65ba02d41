/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of logs: the files of one replica and the lines in them, shared by logs.c (which knows all
 * of them), log_writer.c and log_reader.c. logs.h draws the format.
 *
 * A log's generation numbers its newest file, N.log; N.log.k has generation - k. It grows with each
 * rotation, so that a reader in the middle of a file that was renamed knows which one comes next.
 */
#ifndef ORCHESTRATOR_LOG_FILE_H
#define ORCHESTRATOR_LOG_FILE_H

#include "base/strbuf.h"
#include "orchestrator/logs.h"

/* "TIME STREAM OFFSET " around the text, with room to spare. */
#define LOG_LINE_BYTES (LOG_LINE_MAX + 128)
/* A mark comes at least this often, so this much and a line of the end is enough to resume from. */
#define LOG_MARK_BYTES (256 << 10)

struct log {
        struct logs *logs;
        struct log *prev, *next;
        unsigned refs;
        char *stack, *service;
        unsigned replica;
        char *path;          /* of N.log */
        uint64_t generation; /* of N.log */
        struct log_writer *writer;
};

struct logs {
        struct ev_loop *loop;
        char *dir;
        int64_t file_bytes;
        unsigned files;
        struct log *logs;
        struct log_reader *readers;
};

enum log_kind { LOG_KIND_STDOUT, LOG_KIND_STDERR, LOG_KIND_START, LOG_KIND_MARK, LOG_KIND_LOST };

/* One parsed line; text points into what was parsed. */
struct log_record {
        int64_t time_ns;
        enum log_kind kind;
        bool partial;
        uint64_t offset;
        const char *text;
        size_t len;
};

/** The log of a replica, with a reference more. */
struct log *log_ref(struct logs *logs, const char *stack, const char *service, unsigned replica);
void log_unref(struct log *log);

/** Path of the k-th oldest file; k 0 is N.log itself. On the heap. */
char *log_path(const struct log *log, unsigned k);

/** Parse n bytes without the newline. false: not a line of ours. */
bool log_record_parse(const char *line, size_t n, struct log_record *ret);

/** Append a whole line to sb. */
void log_record_add(struct strbuf *sb, const struct log_record *record);

/** TEXT of start and mark: "VMID STDOUT STDERR". vm_id: at most n - 1 bytes of it. */
bool log_mark_parse(const struct log_record *record, char *vm_id, size_t n, uint64_t *ret_stdout,
                    uint64_t *ret_stderr);

/** More is in the file: wake the readers that follow it. */
void log_written(struct log *log);

/* log_reader.c, called by logs.c */

/** The log grew; tell this reader if it reads it. */
void log_reader_wake(struct log_reader *reader, const struct log *log);

/** A writer was opened: a following reader that it matches takes it up. */
void log_reader_discover(struct log_reader *reader, struct log *log);

/** Next reader in the list of logs->readers. */
struct log_reader *log_reader_after(const struct log_reader *reader);

#endif
