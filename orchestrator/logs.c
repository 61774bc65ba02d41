/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/logs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/log_file.h"
#include "orchestrator/utf8.h"

struct logs *logs_new(struct ev_loop *loop, const char *dir, int64_t file_bytes, unsigned files)
{
        struct logs *logs = xnew(struct logs);

        logs->loop = loop;
        logs->dir = xstrdup(dir);
        logs->file_bytes = file_bytes ? file_bytes : LOG_FILE_BYTES;
        logs->files = files ? files : LOG_FILES;
        return logs;
}

void logs_free(struct logs *logs)
{
        if (!logs)
                return;
        assert(!logs->logs);
        assert(!logs->readers);
        free(logs->dir);
        free(logs);
}

/* -------------------------------------------------------------------------------- one log each */

struct log *log_ref(struct logs *logs, const char *stack, const char *service, unsigned replica)
{
        struct log *log;

        for (log = logs->logs; log; log = log->next)
                if (log->replica == replica && streq(log->service, service) &&
                    streq(log->stack, stack)) {
                        log->refs++;
                        return log;
                }
        log = xnew(struct log);
        log->logs = logs;
        log->refs = 1;
        log->stack = xstrdup(stack);
        log->service = xstrdup(service);
        log->replica = replica;
        log->path = xasprintf("%s/%s/%s/%u.log", logs->dir, stack, service, replica);
        log->generation = logs->files; /* the oldest file's is at least 1 */
        log->next = logs->logs;
        if (log->next)
                log->next->prev = log;
        logs->logs = log;
        return log;
}

void log_unref(struct log *log)
{
        if (!log || --log->refs > 0)
                return;
        if (log->prev)
                log->prev->next = log->next;
        else
                log->logs->logs = log->next;
        if (log->next)
                log->next->prev = log->prev;
        free(log->stack);
        free(log->service);
        free(log->path);
        free(log);
}

char *log_path(const struct log *log, unsigned k)
{
        return k ? xasprintf("%s.%u", log->path, k) : xstrdup(log->path);
}

void log_written(struct log *log)
{
        struct log_reader *reader = log->logs->readers;

        for (; reader; reader = log_reader_after(reader))
                log_reader_wake(reader, log);
}

static bool log_matches(const struct log *log, const char *stack, const char *service,
                        unsigned replica)
{
        return streq(log->stack, stack) && (!service || streq(log->service, service)) &&
               (replica == 0 || log->replica == replica);
}

static int remove_files(const struct logs *logs, const char *stack, const char *service,
                        unsigned replica, struct err *err)
{
        for (unsigned k = 0; k < logs->files; k++) {
                AUTO_FREE char *base =
                        xasprintf("%s/%s/%s/%u.log", logs->dir, stack, service, replica);
                AUTO_FREE char *path = k ? xasprintf("%s.%u", base, k) : xstrdup(base);
                int r = file_remove_tree(path, err);

                if (r < 0)
                        return r;
        }
        return 0;
}

int logs_remove(struct logs *logs, const char *stack, const char *service, unsigned replica,
                struct err *err)
{
        AUTO_FREE char *dir = NULL;

        if (!value_name_valid(stack) || (service && !value_name_valid(service)))
                return err_set(err, EINVAL, "logs: '%.80s' or '%.80s' is not a name", stack,
                               service ? service : "");
        for (struct log *log = logs->logs; log; log = log->next)
                if (log_matches(log, stack, service, replica)) {
                        assert(!log->writer);
                        log->generation += logs->files + 1; /* readers go on with what comes new */
                }
        if (service && replica)
                return remove_files(logs, stack, service, replica, err);
        dir = service ? xasprintf("%s/%s/%s", logs->dir, stack, service)
                      : xasprintf("%s/%s", logs->dir, stack);
        return file_remove_tree(dir, err);
}

/* --------------------------------------------------------------------------------------- lines */

static const struct {
        const char *word;
        enum log_kind kind;
        bool partial;
} kinds[] = {
        {"stdout", LOG_KIND_STDOUT, false}, {"stderr", LOG_KIND_STDERR, false},
        {"stdout+", LOG_KIND_STDOUT, true}, {"stderr+", LOG_KIND_STDERR, true},
        {"start", LOG_KIND_START, false},   {"mark", LOG_KIND_MARK, false},
        {"lost", LOG_KIND_LOST, false},
};

/* A space-terminated word of less than max bytes; moves *line behind the space. */
static bool take_word(const char **line, size_t *n, char *word, size_t max)
{
        const char *space = memchr(*line, ' ', *n < max ? *n : max);
        size_t len;

        if (!space)
                return false;
        len = (size_t)(space - *line);
        memcpy(word, *line, len);
        word[len] = '\0';
        *line += len + 1;
        *n -= len + 1;
        return true;
}

static bool parse_u64(const char *text, uint64_t *ret)
{
        char *end;

        if (text[0] < '0' || text[0] > '9')
                return false;
        errno = 0;
        *ret = strtoull(text, &end, 10);
        return *end == '\0' && errno == 0;
}

bool log_record_parse(const char *line, size_t n, struct log_record *ret)
{
        char word[CLOCK_TEXT_MAX + 8];

        if (!take_word(&line, &n, word, CLOCK_TEXT_MAX) || clock_parse(word, &ret->time_ns) < 0)
                return false;
        if (!take_word(&line, &n, word, sizeof(word)))
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                if (strcmp(kinds[i].word, word) != 0)
                        continue;
                ret->kind = kinds[i].kind;
                ret->partial = kinds[i].partial;
                if (!take_word(&line, &n, word, sizeof(word)) || !parse_u64(word, &ret->offset))
                        return false;
                ret->text = line;
                ret->len = n;
                return true;
        }
        return false;
}

void log_record_add(struct strbuf *sb, const struct log_record *record)
{
        char time[CLOCK_TEXT_MAX];

        clock_text(record->time_ns, time);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (kinds[i].kind == record->kind && kinds[i].partial == record->partial)
                        strbuf_addf(sb, "%s %s %" PRIu64 " ", time, kinds[i].word, record->offset);
        strbuf_add(sb, record->text, record->len);
        strbuf_addc(sb, '\n');
}

bool log_mark_parse(const struct log_record *record, char *vm_id, size_t n, uint64_t *ret_stdout,
                    uint64_t *ret_stderr)
{
        const char *text = record->text;
        size_t len = record->len;
        char number[24];

        if (record->kind != LOG_KIND_START && record->kind != LOG_KIND_MARK)
                return false;
        if (!take_word(&text, &len, vm_id, n) || !take_word(&text, &len, number, sizeof(number)) ||
            !parse_u64(number, ret_stdout) || len >= sizeof(number))
                return false;
        memcpy(number, text, len);
        number[len] = '\0';
        return parse_u64(number, ret_stderr);
}

/* ---------------------------------------------------------------------------------------- JSON */

const char *log_stream_name(enum log_stream stream)
{
        switch (stream) {
        case LOG_STDOUT:
                return "stdout";
        case LOG_STDERR:
                return "stderr";
        case LOG_BOOT:
                return "boot";
        }
        bug("no such log stream");
}

json_t *log_line_to_json(const struct log_line *line)
{
        json_t *json = json_object();
        char time[CLOCK_TEXT_MAX];

        clock_text(line->time_ns, time);
        json_set_str(json, "time", time);
        json_set_str(json, "stack", line->stack);
        json_set_str(json, "service", line->service);
        json_set_int(json, "replica", line->replica);
        json_set_str(json, "stream", log_stream_name(line->stream));
        json_object_set_new(json, "text", utf8_json(line->text, line->len));
        if (line->partial)
                json_set_bool(json, "partial", true);
        return json;
}
