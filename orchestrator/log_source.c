/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/log_source.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* Holds the longest line, so a full buffer without a newline is rubbish. */
#define SOURCE_BYTES (32 << 10)
static_assert(SOURCE_BYTES > LOG_LINE_BYTES, "a line fits");
/* Read at a time when looking for the last lines. */
#define TAIL_BLOCK (64 << 10)

static bool passes(const struct log_filter *filter, const struct log_record *record)
{
        if (record->kind == LOG_KIND_START || record->kind == LOG_KIND_MARK)
                return false;
        if (record->time_ns < filter->since_ns)
                return false;
        return record->kind == LOG_KIND_STDOUT ? !filter->no_stdout : !filter->no_stderr;
}

/* ---------------------------------------------------------------------------------------- tail */

/* Where in block (n bytes that begin with a whole line) the lines are that pass; offsets. */
static size_t passing_lines(const char *block, size_t n, const struct log_filter *filter,
                            size_t **ret_starts)
{
        size_t *starts = NULL, len = 0, at = 0;

        while (at < n) {
                const char *end = memchr(block + at, '\n', n - at);
                size_t size = end ? (size_t)(end - block) - at : n - at;
                struct log_record record;

                if (end && log_record_parse(block + at, size, &record) && passes(filter, &record)) {
                        size_t *slot = array_push(&starts, &len);

                        *slot = at;
                }
                at += size + 1;
        }
        *ret_starts = starts;
        return len;
}

/*
 * Find the last lines of a file from its end: *left is how many are still wanted, and goes to 0
 * when *ret_at is where the first of them begins.
 */
static int tail_file(int fd, off_t size, const struct log_filter *filter, int64_t *left,
                     off_t *ret_at, struct err *err)
{
        AUTO_FREE char *block = xcalloc(TAIL_BLOCK, 1);
        off_t end = size;

        while (end > 0 && *left > 0) {
                off_t from = end > TAIL_BLOCK ? end - TAIL_BLOCK : 0;
                size_t n = (size_t)(end - from), skip = 0, found;
                AUTO_FREE size_t *starts = NULL;
                const char *newline;

                if (pread(fd, block, n, from) != (ssize_t)n)
                        return err_errno(err, errno ? errno : EIO, "read the end of a log");
                newline = from > 0 ? memchr(block, '\n', n) : NULL;
                if (newline && (size_t)(newline - block) + 1 < n)
                        skip = (size_t)(newline - block) + 1;
                found = passing_lines(block + skip, n - skip, filter, &starts);
                if ((int64_t)found >= *left) {
                        *ret_at = from + (off_t)(skip + starts[found - (size_t)*left]);
                        *left = 0;
                        return 0;
                }
                *left -= (int64_t)found;
                end = from + (off_t)skip;
        }
        *ret_at = 0;
        return 0;
}

/* --------------------------------------------------------------------------------------- files */

/* The file of a generation; -1 when it is not there (any more). */
static int open_generation(const struct log *log, uint64_t generation)
{
        AUTO_FREE char *path = NULL;

        if (generation > log->generation || log->generation - generation >= log->logs->files)
                return -1;
        path = log_path(log, (unsigned)(log->generation - generation));
        return open(path, O_RDONLY | O_CLOEXEC);
}

static void source_use(struct log_source *source, int fd, uint64_t generation, off_t at)
{
        if (source->fd >= 0)
                (void)close(source->fd); /* only read */
        source->fd = fd;
        source->generation = generation;
        source->at = at;
        source->len = source->used = 0;
}

/* The next newer file that exists, if any. */
static bool source_next_file(struct log_source *source)
{
        uint64_t oldest = source->log->generation - source->log->logs->files + 1;
        uint64_t g = source->generation + 1 > oldest ? source->generation + 1 : oldest;

        for (; g <= source->log->generation; g++) {
                int fd = open_generation(source->log, g);

                if (fd >= 0) {
                        source_use(source, fd, g, 0);
                        return true;
                }
        }
        return false;
}

int log_source_open(struct log_source *source, struct log *log, const struct log_filter *filter,
                    int64_t tail, struct err *err)
{
        *source = (struct log_source){.log = log, .fd = -1};
        for (unsigned k = 0; k < log->logs->files && tail != 0; k++) {
                AUTO_CLOSE int fd = open_generation(log, log->generation - k);
                struct stat st;
                off_t at = 0;
                int r = 0;

                if (fd < 0)
                        continue;
                if (fstat(fd, &st) < 0)
                        return err_errno(err, errno, "log %s", log->path);
                if (st.st_mtim.tv_sec + 1 < filter->since_ns / 1000000000)
                        break; /* this file and older ones were last written before */
                if (tail > 0)
                        r = tail_file(fd, st.st_size, filter, &tail, &at, err);
                if (r < 0)
                        return r;
                source_use(source, steal_fd(&fd), log->generation - k, at);
        }
        if (source->fd < 0) {
                struct stat st;
                int fd = open_generation(log, log->generation);

                source_use(source, fd, log->generation - (fd < 0),
                           fd >= 0 && fstat(fd, &st) == 0 ? st.st_size : 0);
        }
        return 0;
}

void log_source_close(struct log_source *source)
{
        if (!source->log)
                return;
        if (source->fd >= 0)
                (void)close(source->fd); /* only read */
        free(source->buf);
        log_unref(source->log);
        *source = (struct log_source){.fd = -1};
}

/* ------------------------------------------------------------------------------------- records */

/* More bytes behind those in the buffer. >0: some. 0: the end of the file. */
static ssize_t source_read(struct log_source *source, struct err *err)
{
        ssize_t n;

        if (!source->buf)
                source->buf = xcalloc(SOURCE_BYTES, 1);
        if (source->used > 0) {
                memmove(source->buf, source->buf + source->used, source->len - source->used);
                source->at += (off_t)source->used;
                source->len -= source->used;
                source->used = 0;
        }
        if (source->len == SOURCE_BYTES) { /* no line of ours is that long */
                source->at += (off_t)source->len;
                source->len = 0;
        }
        do
                n = pread(source->fd, source->buf + source->len, SOURCE_BYTES - source->len,
                          source->at + (off_t)source->len);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return err_errno(err, errno, "read log %s", source->log->path);
        source->len += (size_t)n;
        return n;
}

/* Bytes behind the last newline are forgotten: their writer may cut and write them again. */
static void source_at_end(struct log_source *source)
{
        source->at += (off_t)source->used;
        source->len = source->used = 0;
        free(STEAL(source->buf));
        source->idle = true;
}

/* The next record in the buffer that passes. */
static bool source_parse(struct log_source *source, const struct log_filter *filter)
{
        while (source->used < source->len) {
                char *line = source->buf + source->used;
                char *end = memchr(line, '\n', source->len - source->used);

                if (!end)
                        return false;
                source->used += (size_t)(end - line) + 1;
                if (log_record_parse(line, (size_t)(end - line), &source->record) &&
                    passes(filter, &source->record))
                        return true;
        }
        return false;
}

int log_source_fill(struct log_source *source, const struct log_filter *filter, struct err *err)
{
        while (!source->have && !source->idle) {
                ssize_t n = 0;

                if (source_parse(source, filter)) {
                        source->have = true;
                        break;
                }
                if (source->fd >= 0)
                        n = source_read(source, err);
                if (n < 0)
                        return (int)n;
                if (n == 0 && !source_next_file(source))
                        source_at_end(source);
        }
        return source->have ? 0 : LOG_NONE;
}

void log_source_advance(struct log_source *source)
{
        source->have = false;
}
