/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading one replica's log from some point to its end, over rotations: what log_reader.c merges.
 * A source holds one descriptor; its buffer lives only while there is something to read.
 */
#ifndef ORCHESTRATOR_LOG_SOURCE_H
#define ORCHESTRATOR_LOG_SOURCE_H

#include <sys/types.h>

#include "orchestrator/log_file.h"

struct log_filter {
        bool no_stdout, no_stderr;
        int64_t since_ns;
};

struct log_source {
        struct log *log;     /* a reference is held */
        int fd;              /* of the file of `generation`; -1: none yet */
        uint64_t generation; /* 0: none yet */
        off_t at;            /* where the buffer's content begins in the file */
        char *buf;
        size_t len, used; /* of buf; used: behind the present record */
        bool have;        /* record is the next one to be given out */
        bool idle;        /* nothing more until log_written() */
        struct log_record record;
};

/** Begin at the oldest file, or so that at most `tail` records that pass the filter are left. */
int log_source_open(struct log_source *source, struct log *log, const struct log_filter *filter,
                    int64_t tail, struct err *err);

/** Stop reading, close the files. A zeroed one is fine. */
void log_source_close(struct log_source *source);

/**
 * Have the next record that passes the filter in source->record, unless it is there already.
 * 0: there. LOG_NONE: the log has no more now.
 */
int log_source_fill(struct log_source *source, const struct log_filter *filter, struct err *err);

/** The present record was given out. It stays readable until the next fill. */
void log_source_advance(struct log_source *source);

#endif
