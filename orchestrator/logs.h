/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service output on disk: one log for each replica, over all its VMs.
 *
 *   DIR/STACK/SERVICE/N.log, N.log.1 (older), N.log.2 (oldest)
 *   TIME STREAM OFFSET TEXT\n
 *
 * OFFSET is how many bytes of that stream of that VM the log holds up to this line's end, newline
 * included if there was one. A daemon that starts again reads the last lines and asks the guest to
 * go on from there (log_writer_offset), so nothing is doubled or lost. STREAM is stdout or stderr,
 * with a "+" when the line is longer than LOG_LINE_MAX and goes on in the next one of that stream.
 * Streams `start` and `mark` are notes to ourselves: TEXT is "VMID STDOUT STDERR", the offsets at
 * that point; every file begins with one and repeats it, so that resuming reads only the file's
 * tail. `lost` tells in words that output could not be had or written. TEXT is the bytes as they
 * came, without the newline; readers make valid UTF-8 of them.
 *
 * Written means handed to the kernel: it survives kill -9 of the daemon. A power cut takes the VM
 * and its unacknowledged output with it anyway.
 *
 * Readers pull lines and are woken when a writer of this process has written more.
 */
#ifndef ORCHESTRATOR_LOGS_H
#define ORCHESTRATOR_LOGS_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"

#define LOG_LINE_MAX   16384u     /* bytes of text in one line; longer ones are split */
#define LOG_FILE_BYTES (10 << 20) /* default size at which a file is rotated */
#define LOG_FILES      3          /* default number of files of a replica */
/*
 * While a replica has two VMs (start-first), the second one's output goes into a log of its own,
 * with this added to its number; readers show both as the replica's.
 */
#define LOG_LANE           1000
#define LOG_SOURCES_MAX    512        /* replicas one reader can merge: a descriptor each */
#define LOG_BOOT_BYTES_MAX (1u << 20) /* of a console log; the end is what is read */

enum log_stream { LOG_STDOUT, LOG_STDERR, LOG_BOOT };

/** "stdout", "stderr", "boot". */
const char *log_stream_name(enum log_stream stream);

struct logs;
struct log_writer;
struct log_reader;

/** dir: the folder of all logs (made when first needed). file_bytes, files: 0 for the defaults. */
struct logs *logs_new(struct ev_loop *loop, const char *dir, int64_t file_bytes, unsigned files);

/** Writers and readers must be closed before. NULL is fine. */
void logs_free(struct logs *logs);
AUTO_TYPE(logs)

/**
 * Remove the logs of a stack, or of one service (service not NULL), or of one replica (replica not
 * 0). Their writers must be closed. Open readers read to the end of what they have.
 */
int logs_remove(struct logs *logs, const char *stack, const char *service, unsigned replica,
                struct err *err);

/* -------------------------------------------------------------------------------------- writing */

/**
 * Open the log of a replica for the output of VM vm_id, at the offsets where the log stands when it
 * has output of that VM already, else at 0. A line torn by a crash is cut off (its bytes come
 * again). One writer a replica at a time. EINVAL: a name that is none.
 */
int log_writer_open(struct logs *logs, const char *stack, const char *service, unsigned replica,
                    const char *vm_id, struct log_writer **ret_writer, struct err *err);

/**
 * Take output: len bytes that begin at offset of the stream (as guest's on_output tells it). Bytes
 * the writer has already are skipped; a gap is noted as lost. Whole lines are in the file when this
 * returns; the rest waits in memory (at most LOG_LINE_MAX). <0: the disk refused; the bytes count
 * as taken and lost, a note follows when writing works again, so a full disk stops no service.
 */
int log_writer_append(struct log_writer *writer, enum log_stream stream, uint64_t offset,
                      const void *bytes, size_t len, struct err *err);

/** Bytes of the stream that are in the file: acknowledge these to the guest. */
uint64_t log_writer_offset(const struct log_writer *writer, enum log_stream stream);

/** The stream is at its end: write out a last line without newline. */
int log_writer_flush(struct log_writer *writer, enum log_stream stream, struct err *err);

/** Close without flushing: what waits in memory was not acknowledged and comes again. NULL: fine.
 */
void log_writer_close(struct log_writer *writer);
AUTO_DEFINE(log_writer, struct log_writer, log_writer_close)

/* -------------------------------------------------------------------------------------- reading */

struct log_reader_spec {
        const char *stack;           /* required */
        const char *service;         /* NULL: all of the stack */
        unsigned replica;            /* 0: all */
        bool no_stdout, no_stderr;   /* leave a stream out */
        int64_t since_ns;            /* wall clock; 0: from the oldest */
        int64_t tail;                /* of each replica at most the last so many lines; -1: all */
        bool follow;                 /* go on with new lines, and with new replicas that match */
        void (*on_ready)(void *ctx); /* follow: there is more; called from the loop */
        void *ctx;
};

struct log_line {
        int64_t time_ns;
        const char *stack, *service;
        unsigned replica;
        enum log_stream stream;
        bool partial;     /* the text goes on in the next line of this stream */
        const char *text; /* len bytes, not terminated; any bytes but newline */
        size_t len;
};

/**
 * Open a reader over all replicas that match; none at all is not an error. E2BIG: more than
 * LOG_SOURCES_MAX.
 */
int log_reader_new(struct logs *logs, const struct log_reader_spec *spec,
                   struct log_reader **ret_reader, struct err *err);

/** NULL is fine; also from inside on_ready. */
void log_reader_free(struct log_reader *reader);
AUTO_TYPE(log_reader)

#define LOG_NONE 1
#define LOG_END  2

/**
 * The next line, by time over all replicas; borrowed until the next call on this reader. LOG_NONE:
 * nothing now, on_ready will tell. LOG_END: that was all (never with follow).
 */
int log_reader_next(struct log_reader *reader, struct log_line *ret_line, struct err *err);

/** LOGLINE of api/wire.h, with "partial": true where it is so. New reference. */
json_t *log_line_to_json(const struct log_line *line);

/**
 * Lines of a VM's console log (what kernel and vminit printed) as LOGLINEs of stream boot: at most
 * the last `tail` (-1: all) of the last LOG_BOOT_BYTES_MAX bytes. line: its fields stack, service,
 * replica are used, and time_ns is when the VM started: a kernel time stamp is added to it.
 * emit: called for each line, in order. ENOENT: no such file.
 */
int log_boot_read(const char *path, const struct log_line *line, int64_t tail,
                  void (*emit)(void *ctx, const struct log_line *line), void *ctx, struct err *err);

#endif
