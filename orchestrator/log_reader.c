/* SPDX-License-Identifier: Apache-2.0 */
/* Merging the logs of several replicas by time. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/log_source.h"

struct log_reader {
        struct logs *logs;
        struct log_reader *prev, *next;
        char *stack, *service;
        unsigned replica;
        struct log_filter filter;
        int64_t tail;
        bool follow;
        void (*on_ready)(void *ctx);
        void *ctx;
        ev_timer waker; /* 0 s; active: on_ready is due */
        struct log_source *sources;
        size_t sources_len;
};

struct log_reader *log_reader_after(const struct log_reader *reader)
{
        return reader->next;
}

static void on_reader_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct log_reader *reader = container_of(w, struct log_reader, waker);

        (void)loop;
        (void)revents;
        reader->on_ready(reader->ctx);
}

static void reader_ready(struct log_reader *reader)
{
        if (reader->on_ready && !ev_is_active(&reader->waker))
                ev_timer_start(reader->logs->loop, &reader->waker);
}

void log_reader_wake(struct log_reader *reader, const struct log *log)
{
        if (!reader->follow)
                return;
        for (size_t i = 0; i < reader->sources_len; i++)
                if (reader->sources[i].log == log) {
                        reader->sources[i].idle = false;
                        reader_ready(reader);
                }
}

/* See LOG_LANE. */
static unsigned replica_shown(unsigned number)
{
        return number > LOG_LANE ? number - LOG_LANE : number;
}

static int add_source(struct log_reader *reader, const char *service, unsigned replica,
                      int64_t tail, struct err *err)
{
        struct log_source source, *slot;
        int r;

        if (reader->sources_len == LOG_SOURCES_MAX)
                return err_set(err, E2BIG,
                               "logs of %s: more than %d replicas; name a service or a replica",
                               reader->stack, LOG_SOURCES_MAX);
        r = log_source_open(&source, log_ref(reader->logs, reader->stack, service, replica),
                            &reader->filter, tail, err);
        if (r < 0) {
                log_source_close(&source);
                return r;
        }
        slot = array_push(&reader->sources, &reader->sources_len);
        *slot = source;
        return 0;
}

void log_reader_discover(struct log_reader *reader, struct log *log)
{
        if (!reader->follow || !streq(reader->stack, log->stack) ||
            (reader->service && !streq(reader->service, log->service)) ||
            (reader->replica && reader->replica != replica_shown(log->replica)))
                return;
        for (size_t i = 0; i < reader->sources_len; i++)
                if (reader->sources[i].log == log)
                        return;
        (void)add_source(reader, log->service, log->replica, -1, NULL); /* the others go on */
}

/* "12.log" -> 12; 0: not the newest file of a replica. */
static unsigned replica_of(const char *name)
{
        const char *dot = strchr(name, '.');
        AUTO_FREE char *number = NULL;
        int64_t n;

        if (!dot || strcmp(dot, ".log") != 0)
                return 0;
        number = xstrndup(name, (size_t)(dot - name));
        return value_int(number, 1, UINT32_MAX, &n, NULL) < 0 ? 0 : (unsigned)n;
}

static int scan_service(struct log_reader *reader, const char *service, struct err *err)
{
        AUTO_FREE char *path = xasprintf("%s/%s/%s", reader->logs->dir, reader->stack, service);
        AUTO_DIR DIR *dir = opendir(path);
        struct dirent *entry;
        int r = 0;

        while (r == 0 && dir && (entry = readdir(dir))) {
                unsigned replica = replica_of(entry->d_name);

                if (replica && (!reader->replica || reader->replica == replica_shown(replica)))
                        r = add_source(reader, service, replica, reader->tail, err);
        }
        return r;
}

static int scan_stack(struct log_reader *reader, struct err *err)
{
        AUTO_FREE char *path = xasprintf("%s/%s", reader->logs->dir, reader->stack);
        AUTO_DIR DIR *dir = opendir(path);
        struct dirent *entry;
        int r = 0;

        while (r == 0 && dir && (entry = readdir(dir)))
                if (value_name_valid(entry->d_name))
                        r = scan_service(reader, entry->d_name, err);
        return r;
}

int log_reader_new(struct logs *logs, const struct log_reader_spec *spec,
                   struct log_reader **ret_reader, struct err *err)
{
        struct log_reader *reader;
        int r;

        if (!value_name_valid(spec->stack) || (spec->service && !value_name_valid(spec->service)))
                return err_set(err, EINVAL, "logs: '%.80s' or '%.80s' is not a name", spec->stack,
                               spec->service ? spec->service : "");
        reader = xnew(struct log_reader);
        reader->logs = logs;
        reader->stack = xstrdup(spec->stack);
        reader->service = xstrdup(spec->service);
        reader->replica = spec->replica;
        reader->filter = (struct log_filter){spec->no_stdout, spec->no_stderr, spec->since_ns};
        reader->tail = spec->tail;
        reader->follow = spec->follow;
        reader->on_ready = spec->on_ready;
        reader->ctx = spec->ctx;
        ev_timer_init(&reader->waker, on_reader_wake, 0.0, 0.0);
        reader->next = logs->readers;
        if (reader->next)
                reader->next->prev = reader;
        logs->readers = reader;
        r = spec->service ? scan_service(reader, spec->service, err) : scan_stack(reader, err);
        if (r < 0)
                log_reader_free(reader);
        else
                *ret_reader = reader;
        return r;
}

void log_reader_free(struct log_reader *reader)
{
        if (!reader)
                return;
        ev_timer_stop(reader->logs->loop, &reader->waker);
        if (reader->prev)
                reader->prev->next = reader->next;
        else
                reader->logs->readers = reader->next;
        if (reader->next)
                reader->next->prev = reader->prev;
        for (size_t i = 0; i < reader->sources_len; i++)
                log_source_close(&reader->sources[i]);
        free(reader->sources);
        free(reader->stack);
        free(reader->service);
        free(reader);
}

/* The source whose next record is the oldest; NULL: none has one. */
static int oldest_source(struct log_reader *reader, struct log_source **ret, struct err *err)
{
        struct log_source *oldest = NULL;

        for (size_t i = 0; i < reader->sources_len; i++) {
                struct log_source *source = &reader->sources[i];
                int r = log_source_fill(source, &reader->filter, err);

                if (r < 0)
                        return r;
                if (r == 0 && (!oldest || source->record.time_ns < oldest->record.time_ns))
                        oldest = source;
        }
        *ret = oldest;
        return 0;
}

int log_reader_next(struct log_reader *reader, struct log_line *ret_line, struct err *err)
{
        struct log_source *source;
        int r = oldest_source(reader, &source, err);

        if (r < 0)
                return r;
        if (!source)
                return reader->follow ? LOG_NONE : LOG_END;
        ret_line->time_ns = source->record.time_ns;
        ret_line->stack = source->log->stack;
        ret_line->service = source->log->service;
        ret_line->replica = replica_shown(source->log->replica);
        ret_line->stream = source->record.kind == LOG_KIND_STDOUT ? LOG_STDOUT : LOG_STDERR;
        ret_line->partial = source->record.partial;
        ret_line->text = source->record.text;
        ret_line->len = source->record.len;
        log_source_advance(source);
        return 0;
}
