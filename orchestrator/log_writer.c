/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a replica's log; see logs.h for the format and for what is promised to the guest. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/log_file.h"

/* Lines are joined up to this many bytes into one write(). */
#define BATCH_BYTES (128 << 10)
/* VM ids are ours and short. */
#define VM_ID_MAX 64

struct stream {
        uint64_t taken;        /* offset of the next byte we want from the guest */
        uint64_t batched;      /* offset behind the last line in the batch */
        uint64_t written;      /* offset behind the last line in the file */
        uint64_t lost;         /* bytes that are noted as lost with the next write */
        struct strbuf pending; /* the line so far: taken - pending.len is where it begins */
};

struct log_writer {
        struct log *log;
        int fd;
        int64_t size;
        int64_t marked; /* size when the last start or mark was written */
        char vm_id[VM_ID_MAX + 1];
        struct stream streams[2];
        struct strbuf batch;
        bool torn;      /* half a line stands at the end and could not be cut off */
        int lost_errno; /* why bytes were lost; 0: the guest did not have them any more */
};

/* -------------------------------------------------------------------------------------- resume */

struct resume {
        char vm_id[VM_ID_MAX + 1];
        uint64_t offsets[2];
        bool have[2];
        bool found; /* the mark that says whose output it is */
};

/* Lines come last first: the first of a stream counts, and a mark fills in what is missing. */
static void resume_line(struct resume *resume, const char *line, size_t n)
{
        struct log_record record;
        uint64_t marked[2];

        if (!log_record_parse(line, n, &record))
                return;
        if (log_mark_parse(&record, resume->vm_id, sizeof(resume->vm_id), &marked[0], &marked[1])) {
                resume->found = true;
                for (size_t i = 0; i < ARRAY_SIZE(marked); i++)
                        if (!resume->have[i])
                                resume->offsets[i] = marked[i];
        } else if (record.kind == LOG_KIND_STDOUT || record.kind == LOG_KIND_STDERR) {
                resume->offsets[record.kind == LOG_KIND_STDERR] = record.offset;
                resume->have[record.kind == LOG_KIND_STDERR] = true;
        }
}

/* Whether a line is worth parsing: the word behind the time (of fixed length) says so. */
static bool resume_wants(const struct resume *resume, const char *line, size_t n)
{
        const char *word = line + CLOCK_TEXT_MAX;

        if (n < CLOCK_TEXT_MAX + sizeof("stdout"))
                return false;
        if (has_prefix(word, "stdout"))
                return !resume->have[0];
        if (has_prefix(word, "stderr"))
                return !resume->have[1];
        return has_prefix(word, "start ") || has_prefix(word, "mark ");
}

/*
 * Read the end of a file: where its streams stand, and *ret_whole, the size without a torn last
 * line. The buffer begins with a newline, true or added, so that every line stands behind one; the
 * part of a line that it may begin with parses as nothing.
 */
static int resume_scan(int fd, int64_t size, struct resume *resume, int64_t *ret_whole,
                       struct err *err)
{
        size_t max = LOG_MARK_BYTES + BATCH_BYTES + 2 * LOG_LINE_BYTES;
        size_t n = (size_t)size < max ? (size_t)size : max;
        AUTO_FREE char *buf = xcalloc(n + 2, 1);
        const char *end, *start;

        if (pread(fd, buf + 1, n, size - (int64_t)n) != (ssize_t)n)
                return err_errno(err, errno ? errno : EIO, "read the end of the log");
        buf[0] = '\n';
        end = memrchr(buf, '\n', n + 1);
        *ret_whole = size - (int64_t)(buf + n - end);
        while (end > buf && !resume->found) {
                start = memrchr(buf, '\n', (size_t)(end - buf));
                if (resume_wants(resume, start + 1, (size_t)(end - start) - 1))
                        resume_line(resume, start + 1, (size_t)(end - start) - 1);
                end = start;
        }
        return 0;
}

/* A crash between the two steps of a rotation leaves an empty or no N.log: ask the one before. */
static void resume_older(const struct log *log, struct resume *resume)
{
        AUTO_FREE char *path = log_path(log, 1);
        AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        int64_t whole;

        if (fd >= 0 && fstat(fd, &st) == 0)
                (void)resume_scan(fd, st.st_size, resume, &whole, NULL); /* then from 0 */
}

/* --------------------------------------------------------------------------------------- files */

static int open_file(struct log_writer *w, struct err *err)
{
        struct stat st;

        w->fd = open(w->log->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (w->fd < 0 || fstat(w->fd, &st) < 0)
                return err_errno(err, errno, "open log %s", w->log->path);
        w->size = st.st_size;
        return 0;
}

/* All or nothing: what was written of a batch that does not fit is taken back. */
static int write_whole(struct log_writer *w, const char *data, size_t n, struct err *err)
{
        size_t done = 0;

        while (done < n) {
                ssize_t part = write(w->fd, data + done, n - done);
                int code = errno;

                if (part < 0 && code == EINTR)
                        continue;
                if (part < 0) {
                        w->torn = done > 0 && ftruncate(w->fd, w->size) < 0;
                        return err_errno(err, code, "write log %s", w->log->path);
                }
                done += (size_t)part;
        }
        w->size += (int64_t)n;
        w->torn = false;
        return 0;
}

static int write_mark(struct log_writer *w, enum log_kind kind, struct err *err)
{
        AUTO_STRBUF struct strbuf sb = STRBUF_INIT(LOG_LINE_BYTES);
        AUTO_FREE char *text = xasprintf("%s %" PRIu64 " %" PRIu64, w->vm_id, w->streams[0].written,
                                         w->streams[1].written);
        struct log_record record = {
                .time_ns = clock_wall_ns(), .kind = kind, .text = text, .len = strlen(text)};
        int r;

        log_record_add(&sb, &record);
        r = write_whole(w, sb.data, sb.len, err);
        if (r == 0)
                w->marked = w->size;
        return r;
}

static int rotate(struct log_writer *w, struct err *err)
{
        for (unsigned k = w->log->logs->files - 1; k > 0; k--) {
                AUTO_FREE char *from = log_path(w->log, k - 1);
                AUTO_FREE char *to = log_path(w->log, k);

                if (rename(from, to) < 0 && errno != ENOENT)
                        return err_errno(err, errno, "rotate log %s", from);
        }
        if (w->log->logs->files == 1 && unlink(w->log->path) < 0)
                return err_errno(err, errno, "rotate log %s", w->log->path);
        (void)close(w->fd); /* all writes were checked */
        w->fd = -1;
        w->log->generation++;
        return open_file(w, err);
}

/* --------------------------------------------------------------------------------------- batch */

static void add_lost(struct log_writer *w, enum log_stream stream)
{
        struct stream *s = &w->streams[stream];
        AUTO_FREE char *text = NULL;
        struct log_record record = {.time_ns = clock_wall_ns(), .kind = LOG_KIND_LOST};

        if (s->lost == 0)
                return;
        text = xasprintf("%" PRIu64 " bytes of %s were lost%s%s", s->lost, log_stream_name(stream),
                         w->lost_errno ? ": " : "", w->lost_errno ? strerror(w->lost_errno) : "");
        record.text = text;
        record.len = strlen(text);
        log_record_add(&w->batch, &record);
        s->lost = 0;
}

static int batch_write(struct log_writer *w, struct err *err)
{
        int r = 0;

        if (w->fd < 0)
                r = open_file(w, err);
        if (r == 0 && w->size > 0 && w->size + (int64_t)w->batch.len > w->log->logs->file_bytes)
                r = rotate(w, err);
        if (r == 0 && w->size == 0)
                r = write_mark(w, LOG_KIND_START, err);
        if (r == 0 && w->torn)
                r = write_whole(w, "\n", 1, err);
        if (r == 0)
                r = write_whole(w, w->batch.data, w->batch.len, err);
        return r;
}

/* Lines of a batch that could not be written are lost, and so is a note about lost ones. */
static int batch_commit(struct log_writer *w, struct err *err)
{
        int r;

        if (w->batch.len == 0)
                return 0;
        r = batch_write(w, err);
        for (size_t i = 0; i < ARRAY_SIZE(w->streams); i++) {
                struct stream *s = &w->streams[i];

                if (r < 0)
                        s->lost += s->batched - s->written;
                s->written = s->batched;
        }
        strbuf_reset(&w->batch);
        if (r < 0) {
                w->lost_errno = -r;
                return r;
        }
        if (w->size - w->marked > LOG_MARK_BYTES)
                r = write_mark(w, LOG_KIND_MARK, err);
        log_written(w->log);
        return r;
}

/* The pending text becomes a line that ends at offset. */
static int add_line(struct log_writer *w, enum log_stream stream, bool partial, uint64_t offset,
                    struct err *err)
{
        struct stream *s = &w->streams[stream];
        struct log_record record = {
                .time_ns = clock_wall_ns(),
                .kind = stream == LOG_STDOUT ? LOG_KIND_STDOUT : LOG_KIND_STDERR,
                .partial = partial,
                .offset = offset,
                .text = strbuf_str(&s->pending),
                .len = s->pending.len,
        };

        add_lost(w, stream);
        log_record_add(&w->batch, &record);
        strbuf_reset(&s->pending);
        s->batched = offset;
        return w->batch.len > BATCH_BYTES ? batch_commit(w, err) : 0;
}

/* -------------------------------------------------------------------------------------- public */

/* What the guest dropped meanwhile; the line that was begun ends here. */
static int note_gap(struct log_writer *w, enum log_stream stream, uint64_t offset, struct err *err)
{
        struct stream *s = &w->streams[stream];
        int r = log_writer_flush(w, stream, err);

        s->lost += offset - s->taken;
        w->lost_errno = 0;
        s->taken = s->batched = s->written = offset;
        return r;
}

int log_writer_append(struct log_writer *w, enum log_stream stream, uint64_t offset,
                      const void *bytes, size_t len, struct err *err)
{
        struct stream *s = &w->streams[stream];
        const char *at = bytes;
        int r = 0, first = 0;

        assert(stream == LOG_STDOUT || stream == LOG_STDERR);
        if (offset > s->taken)
                first = note_gap(w, stream, offset, err);
        if (offset < s->taken) {
                uint64_t known = s->taken - offset;

                if (known >= len)
                        return 0;
                at += known;
                len -= known;
        }
        while (len > 0) {
                size_t room = LOG_LINE_MAX - s->pending.len;
                const char *newline = memchr(at, '\n', len < room + 1 ? len : room + 1);
                size_t n = newline ? (size_t)(newline - at) : len < room ? len : room;

                strbuf_add(&s->pending, at, n);
                n += newline != NULL;
                s->taken += n;
                at += n;
                len -= n;
                if (newline || (len > 0 && s->pending.len == LOG_LINE_MAX))
                        r = add_line(w, stream, !newline, s->taken, err);
                if (r < 0 && first == 0)
                        first = r;
        }
        r = batch_commit(w, err);
        return first < 0 ? first : r;
}

uint64_t log_writer_offset(const struct log_writer *w, enum log_stream stream)
{
        assert(stream == LOG_STDOUT || stream == LOG_STDERR);
        return w->streams[stream].written;
}

int log_writer_flush(struct log_writer *w, enum log_stream stream, struct err *err)
{
        struct stream *s = &w->streams[stream];
        int r = 0;

        if (s->pending.len > 0)
                r = add_line(w, stream, false, s->taken, err);
        else
                add_lost(w, stream);
        return r < 0 ? r : batch_commit(w, err);
}

static int writer_start(struct log_writer *w, struct err *err)
{
        AUTO_FREE char *dir = xstrdup(w->log->path);
        struct resume resume = {0};
        int64_t whole = 0;
        bool same;
        int r;

        *strrchr(dir, '/') = '\0';
        r = file_mkdir_p(dir, 0700, err);
        if (r == 0)
                r = open_file(w, err);
        if (r == 0)
                r = resume_scan(w->fd, w->size, &resume, &whole, err);
        if (r < 0)
                return r;
        if (whole < w->size && ftruncate(w->fd, whole) < 0)
                return err_errno(err, errno, "cut the torn line off log %s", w->log->path);
        w->size = whole;
        if (whole == 0)
                resume_older(w->log, &resume);
        same = resume.found && streq(resume.vm_id, w->vm_id);
        for (size_t i = 0; i < ARRAY_SIZE(w->streams); i++) {
                struct stream *s = &w->streams[i];

                s->taken = s->batched = s->written = same ? resume.offsets[i] : 0;
                s->pending.max = LOG_LINE_MAX;
        }
        return write_mark(w, same && whole > 0 ? LOG_KIND_MARK : LOG_KIND_START, err);
}

int log_writer_open(struct logs *logs, const char *stack, const char *service, unsigned replica,
                    const char *vm_id, struct log_writer **ret_writer, struct err *err)
{
        struct log_writer *w;
        int r;

        if (!value_name_valid(stack) || !value_name_valid(service) || replica == 0)
                return err_set(err, EINVAL, "log: %.80s/%.80s/%u is not a replica", stack, service,
                               replica);
        if (!*vm_id || strlen(vm_id) > VM_ID_MAX || strpbrk(vm_id, " \n"))
                return err_set(err, EINVAL, "log of %s/%s/%u: '%.80s' is not a VM's id", stack,
                               service, replica, vm_id);
        w = xnew(struct log_writer);
        w->fd = -1;
        w->log = log_ref(logs, stack, service, replica);
        w->batch.max = SIZE_MAX / 2; /* committed at BATCH_BYTES */
        (void)snprintf(w->vm_id, sizeof(w->vm_id), "%s", vm_id);
        if (w->log->writer)
                r = err_set(err, EBUSY, "log of %s/%s/%u: the last VM still writes it", stack,
                            service, replica);
        else
                r = writer_start(w, err);
        if (r < 0) {
                log_writer_close(w);
                return r;
        }
        w->log->writer = w;
        for (struct log_reader *reader = logs->readers; reader; reader = log_reader_after(reader))
                log_reader_discover(reader, w->log);
        *ret_writer = w;
        return 0;
}

void log_writer_close(struct log_writer *w)
{
        if (!w)
                return;
        if (w->log->writer == w)
                w->log->writer = NULL;
        if (w->fd >= 0)
                (void)close(w->fd); /* all writes were checked */
        for (size_t i = 0; i < ARRAY_SIZE(w->streams); i++)
                strbuf_release(&w->streams[i].pending);
        strbuf_release(&w->batch);
        log_unref(w->log);
        free(w);
}
