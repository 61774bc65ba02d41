/* SPDX-License-Identifier: Apache-2.0 */
/* Logs: nothing doubled or lost over restarts and rotations, bounded lines, merged readers. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/logs.h"
#include "tests/tap.h"

static char dir[] = "/tmp/berth-logs-XXXXXX";
static struct ev_loop *loop;
static int ready;

static void on_ready(void *ctx)
{
        (void)ctx;
        ready++;
}

/* Run what is due now. */
static void turn(void)
{
        ev_run(loop, EVRUN_NOWAIT);
        ev_run(loop, EVRUN_NOWAIT);
}

static struct log_writer *writer(struct logs *logs, const char *service, unsigned replica,
                                 const char *vm)
{
        struct log_writer *w = NULL;
        struct err err = ERR_INIT;

        if (log_writer_open(logs, "shop", service, replica, vm, &w, &err) < 0)
                ok(0, "writer: %s", err.msg);
        return w;
}

static int put(struct log_writer *w, enum log_stream stream, uint64_t offset, const char *text)
{
        struct err err = ERR_INIT;
        int r = log_writer_append(w, stream, offset, text, strlen(text), &err);

        if (r < 0)
                printf("# %s\n", err.msg);
        return r;
}

static struct log_reader *reader(struct logs *logs, const struct log_reader_spec *spec)
{
        struct log_reader *r = NULL;
        struct err err = ERR_INIT;

        if (log_reader_new(logs, spec, &r, &err) < 0)
                ok(0, "reader: %s", err.msg);
        return r;
}

/* All lines there are now as "service/replica stream[+] text|", and the outcome at the end. */
static char *all(struct log_reader *r)
{
        struct strbuf sb = STRBUF_INIT(64 << 20);
        struct err err = ERR_INIT;
        struct log_line line;
        int rc;

        while ((rc = log_reader_next(r, &line, &err)) == 0) {
                strbuf_addf(&sb, "%s/%u %s%s ", line.service, line.replica,
                            log_stream_name(line.stream), line.partial ? "+" : "");
                strbuf_add(&sb, line.text, line.len);
                strbuf_addc(&sb, '|');
        }
        strbuf_adds(&sb, rc == LOG_NONE ? "NONE" : rc == LOG_END ? "END" : err.msg);
        return strbuf_take(&sb);
}

static void expect(struct logs *logs, const struct log_reader_spec *spec, const char *text,
                   const char *name)
{
        AUTO(log_reader) struct log_reader *r = reader(logs, spec);
        AUTO_FREE char *have = all(r);

        is_str(have, text, "%s", name);
}

/* Line n of a known output: 9 bytes. */
static int known_line(char *ret, uint64_t n)
{
        return snprintf(ret, 10, "%08llu\n", (unsigned long long)n % 100000000);
}

static const struct log_reader_spec everything = {.stack = "shop", .tail = -1};

static void test_resume(void)
{
        struct logs *logs = logs_new(loop, dir, 0, 0);
        struct log_writer *w = writer(logs, "web", 1, "vm1");
        struct err err = ERR_INIT;
        struct log_writer *second = NULL;

        is_int(log_writer_offset(w, LOG_STDOUT), 0, "a new VM begins at 0");
        put(w, LOG_STDOUT, 0, "one\ntwo\nthr");
        put(w, LOG_STDERR, 0, "bad\n");
        is_int(log_writer_offset(w, LOG_STDOUT), 8, "whole lines are acknowledged");
        is_int(log_writer_offset(w, LOG_STDERR), 4, "each stream by itself");
        is_int(log_writer_open(logs, "shop", "web", 1, "vm2", &second, &err), -EBUSY,
               "one writer at a time");
        log_writer_close(w);

        w = writer(logs, "web", 1, "vm1");
        is_int(log_writer_offset(w, LOG_STDOUT), 8, "goes on behind the last line");
        is_int(log_writer_offset(w, LOG_STDERR), 4, "also stderr");
        put(w, LOG_STDOUT, 4, "two\nthree\n");
        put(w, LOG_STDOUT, 0, "one\n");
        is_int(log_writer_offset(w, LOG_STDOUT), 14, "doubled bytes are skipped");
        put(w, LOG_STDOUT, 14, "last");
        is_int(log_writer_flush(w, LOG_STDOUT, &err), 0, "flush");
        is_int(log_writer_offset(w, LOG_STDOUT), 18, "a line without newline counts once flushed");
        log_writer_close(w);

        w = writer(logs, "web", 1, "vm2");
        is_int(log_writer_offset(w, LOG_STDOUT), 0, "another VM begins at 0 again");
        put(w, LOG_STDOUT, 0, "again\n");
        put(w, LOG_STDOUT, 106, "after the gap\n");
        is_int(log_writer_offset(w, LOG_STDOUT), 120, "a gap is passed over");
        log_writer_close(w);
        expect(logs, &everything,
               "web/1 stdout one|web/1 stdout two|web/1 stderr bad|web/1 stdout three|"
               "web/1 stdout last|web/1 stdout again|web/1 stderr 100 bytes of stdout were lost|"
               "web/1 stdout after the gap|END",
               "nothing is doubled or lost, and a gap is told");
        is_int(log_writer_open(logs, "..", "web", 1, "v", &w, &err), -EINVAL, "names are checked");
        is_int(logs_remove(logs, "../x", NULL, 0, &err), -EINVAL, "also when removing");
        is_int(logs_remove(logs, "shop", NULL, 0, &err), 0, "remove");
        expect(logs, &everything, "END", "nothing is left");
        logs_free(logs);
}

static void test_torn(void)
{
        struct logs *logs = logs_new(loop, dir, 0, 0);
        struct log_writer *w = writer(logs, "web", 1, "vm1");
        AUTO_FREE char *path = xasprintf("%s/shop/web/1.log", dir);
        struct log_reader_spec follow = {
                .stack = "shop", .tail = -1, .follow = true, .on_ready = on_ready};
        struct log_reader *r;
        char *have;
        int fd;

        put(w, LOG_STDOUT, 0, "one\n");
        log_writer_close(w);
        fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        ok(write(fd, "2026-01-01T00:00:00.000000000Z stdout 99 half a li", 50) == 50, "torn");
        close(fd);
        r = reader(logs, &follow);
        have = all(r);
        is_str(have, "web/1 stdout one|NONE", "a torn line is not read");
        free(have);
        w = writer(logs, "web", 1, "vm1");
        is_int(log_writer_offset(w, LOG_STDOUT), 4, "nor counted");
        put(w, LOG_STDOUT, 4, "two\n");
        have = all(r);
        is_str(have, "web/1 stdout two|NONE", "a reader that saw it reads the right line");
        free(have);
        log_reader_free(r);
        log_writer_close(w);
        fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        ok(write(fd, "rubbish\n\n2026 x\n", 16) == 16, "rubbish");
        close(fd);
        w = writer(logs, "web", 1, "vm1");
        is_int(log_writer_offset(w, LOG_STDOUT), 8, "rubbish does not count");
        log_writer_close(w);
        expect(logs, &everything, "web/1 stdout one|web/1 stdout two|END", "rubbish is skipped");
        logs_remove(logs, "shop", NULL, 0, NULL);
        logs_free(logs);
}

static void test_lines(void)
{
        struct logs *logs = logs_new(loop, dir, 0, 0);
        struct log_writer *w = writer(logs, "web", 1, "vm1");
        AUTO_FREE char *text = xcalloc(LOG_LINE_MAX * 2 + 100, 1);
        struct log_reader *r = reader(logs, &everything);
        struct err err = ERR_INIT;
        struct log_line line;
        json_t *json;

        memset(text, 'x', LOG_LINE_MAX * 2 + 50);
        is_int(put(w, LOG_STDOUT, 0, text), 0, "a long line");
        is_int(log_writer_offset(w, LOG_STDOUT), LOG_LINE_MAX * 2, "is split where it must be");
        put(w, LOG_STDOUT, LOG_LINE_MAX * 2 + 50, "\n");
        text[LOG_LINE_MAX] = '\n';
        text[LOG_LINE_MAX + 1] = '\0';
        put(w, LOG_STDERR, 0, text);
        log_reader_next(r, &line, &err);
        ok(line.partial && line.len == LOG_LINE_MAX, "part 1");
        log_reader_next(r, &line, &err);
        ok(line.partial && line.len == LOG_LINE_MAX, "part 2");
        log_reader_next(r, &line, &err);
        ok(!line.partial && line.len == 50, "part 3");
        log_reader_next(r, &line, &err);
        ok(!line.partial && line.len == LOG_LINE_MAX, "the longest line that is not split");
        log_writer_append(w, LOG_STDERR, LOG_LINE_MAX + 1, "a\0b\xff\r\n\n", 7, &err);
        log_reader_free(r);
        r = reader(logs, &(struct log_reader_spec){.stack = "shop", .tail = 2});
        log_reader_next(r, &line, &err);
        ok(line.len == 5 && memcmp(line.text, "a\0b\xff\r", 5) == 0, "bytes survive");
        json = log_line_to_json(&line);
        is_int(json_string_length(json_object_get(json, "text")), 7, "JSON has a replacement");
        is_str(json_str(json, "stream", ""), "stderr", "stream");
        is_int(json_int(json, "replica", 0), 1, "replica");
        json_decref(json);
        log_reader_next(r, &line, &err);
        ok(line.len == 0, "an empty line");
        log_reader_free(r);
        log_writer_close(w);
        logs_remove(logs, "shop", NULL, 0, NULL);
        logs_free(logs);
}

/* Numbered lines over many rotations: a follower sees each once, a late reader the last files. */
static void test_rotation(void)
{
        struct logs *logs = logs_new(loop, dir, 4096, 3);
        struct log_writer *w = writer(logs, "web", 1, "vm1");
        struct log_reader_spec follow = {
                .stack = "shop", .tail = -1, .follow = true, .on_ready = on_ready};
        struct log_reader *r = reader(logs, &follow);
        AUTO_FREE char *last = xasprintf("%s/shop/web/1.log.2", dir);
        AUTO_FREE char *past = xasprintf("%s/shop/web/1.log.3", dir);
        uint64_t offset = 0;
        struct err err = ERR_INIT;
        struct log_line line;
        int seen = 0, wrong = 0, first = -1;
        struct stat st;

        for (int i = 0; i < 1000; i++) {
                char text[32];

                (void)snprintf(text, sizeof(text), "line %d\n", i);
                put(w, LOG_STDOUT, offset, text);
                offset += strlen(text);
                if (i % 100 == 50) { /* a daemon that starts again now and then */
                        log_writer_close(w);
                        w = writer(logs, "web", 1, "vm1");
                        wrong += log_writer_offset(w, LOG_STDOUT) != offset;
                }
                if (i % 37 == 0)
                        while (log_reader_next(r, &line, &err) == 0)
                                wrong += line.len < 6 || atol(line.text + 5) != seen++;
        }
        while (log_reader_next(r, &line, &err) == 0)
                wrong += line.len < 6 || atol(line.text + 5) != seen++;
        is_int(seen, 1000, "a follower sees every line");
        is_int(wrong, 0, "in order, and writers resume where they were");
        ok(stat(last, &st) == 0 && st.st_size <= 4096, "the oldest file is bounded");
        ok(stat(past, &st) < 0, "and there are no more");
        log_reader_free(r);
        r = reader(logs, &everything);
        seen = 0;
        while (log_reader_next(r, &line, &err) == 0) {
                long n = atol(line.text + 5);

                first = first < 0 ? (int)n : first;
                wrong += n != first + seen++;
        }
        ok(first > 700 && first + seen == 1000 && wrong == 0, "a late one the last %d", seen);
        log_reader_free(r);
        r = reader(logs, &(struct log_reader_spec){.stack = "shop", .tail = 70});
        for (seen = 0; log_reader_next(r, &line, &err) == 0; seen++)
                wrong += atol(line.text + 5) != 930 + seen;
        ok(seen == 70 && wrong == 0, "tail goes over files");
        log_reader_free(r);
        expect(logs, &(struct log_reader_spec){.stack = "shop", .tail = 1},
               "web/1 stdout line 999|END", "tail 1");
        expect(logs, &(struct log_reader_spec){.stack = "shop", .tail = 0}, "END", "tail 0");
        log_writer_close(w);

        /* A crash in the middle of a rotation: the newest file is not there yet. */
        {
                AUTO_FREE char *path = xasprintf("%s/shop/web/1.log", dir);
                AUTO_FREE char *one = xasprintf("%s/shop/web/1.log.1", dir);

                rename(one, last);
                rename(path, one);
                w = writer(logs, "web", 1, "vm1");
                is_int(log_writer_offset(w, LOG_STDOUT), offset, "resumes from the file before");
                log_writer_close(w);
        }
        logs_remove(logs, "shop", "web", 1, NULL);
        expect(logs, &everything, "END", "one replica's files are removed");
        logs_remove(logs, "shop", NULL, 0, NULL);
        logs_free(logs);
}

/*
 * A writer that is killed at any moment, and the next one that asks the "guest" (an endless known
 * output) to go on from what it finds: in the end each line stands there once, in order.
 */
static void test_kill(void)
{
        struct logs *logs = logs_new(loop, dir, 64 << 20, 2);
        struct log_reader *r;
        struct log_line line;
        struct err err = ERR_INIT;
        uint64_t reached = 0;
        long seen = 0, wrong = 0;

        for (int round = 0; round < 8; round++) {
                int fds[2], status;
                char c;
                pid_t pid;

                if (pipe(fds) < 0)
                        return;
                pid = fork();
                if (pid == 0) { /* the output is "n\n" in 8 digits, for n from 0 on */
                        struct log_writer *w = writer(logs, "web", 1, "vm1");
                        uint64_t at = log_writer_offset(w, LOG_STDOUT);

                        for (;;) {
                                char text[9 * 700 + 10];
                                size_t n = 0;

                                for (uint64_t i = at / 9; n < 9 * 700; i++)
                                        n += (size_t)known_line(text + n, i);
                                if (log_writer_append(w, LOG_STDOUT, at - at % 9, text, n - 4,
                                                      &err) < 0)
                                        _exit(1);
                                at = log_writer_offset(w, LOG_STDOUT);
                                if (write(fds[1], "", 1) < 0)
                                        _exit(1);
                        }
                }
                close(fds[1]);
                for (int i = 0; i < 30 + round * 7 && read(fds[0], &c, 1) == 1; i++)
                        ;
                kill(pid, SIGKILL);
                close(fds[0]);
                waitpid(pid, &status, 0);
                ok(WIFSIGNALED(status), "killed in the middle of its work");
        }
        {
                struct log_writer *w = writer(logs, "web", 1, "vm1");

                reached = log_writer_offset(w, LOG_STDOUT);
                log_writer_close(w);
        }
        r = reader(logs, &everything);
        for (; log_reader_next(r, &line, &err) == 0; seen++)
                wrong += line.len != 8 || atol(line.text) != seen;
        ok(seen > 8 * 30 * 600 && wrong == 0, "%ld lines, each once and in order", seen);
        is_int(reached, seen * 9, "and that is where it goes on");
        log_reader_free(r);
        logs_remove(logs, "shop", NULL, 0, NULL);
        logs_free(logs);
}

/* A file of megabytes: resuming reads its end only, by the marks. */
static void test_marks(void)
{
        struct logs *logs = logs_new(loop, dir, 0, 0);
        struct log_writer *w = writer(logs, "web", 1, "vm1");
        AUTO_FREE char *text = xcalloc(60001, 1);
        uint64_t offset = 0;

        put(w, LOG_STDERR, 0, "once\n");
        for (int i = 0; i < 60000; i++)
                text[i] = i % 100 == 99 ? '\n' : 'y';
        for (int i = 0; i < 100; i++, offset += 60000)
                put(w, LOG_STDOUT, offset, text);
        log_writer_close(w);
        w = writer(logs, "web", 1, "vm1");
        is_int(log_writer_offset(w, LOG_STDERR), 5, "a stream long silent resumes right");
        is_int(log_writer_offset(w, LOG_STDOUT), offset, "and the busy one");
        log_writer_close(w);
        logs_remove(logs, "shop", NULL, 0, NULL);
        logs_free(logs);
}

static void test_merge_and_follow(void)
{
        struct logs *logs = logs_new(loop, dir, 0, 0);
        struct log_writer *web1 = writer(logs, "web", 1, "a");
        struct log_writer *web2 = writer(logs, "web", 2, "b");
        struct log_writer *db = writer(logs, "db", 1, "c");
        struct log_reader_spec follow = {
                .stack = "shop", .tail = -1, .follow = true, .on_ready = on_ready};
        struct log_reader_spec web = {.stack = "shop", .service = "web", .tail = -1};
        struct log_reader *r = reader(logs, &follow);
        struct log_writer *late;
        char *have;

        put(web1, LOG_STDOUT, 0, "1\n");
        put(db, LOG_STDERR, 0, "2\n");
        put(web2, LOG_STDOUT, 0, "3\n");
        put(web1, LOG_STDERR, 0, "4\n");
        ready = 0;
        turn();
        is_int(ready, 1, "woken once for several lines");
        have = all(r);
        is_str(have, "web/1 stdout 1|db/1 stderr 2|web/2 stdout 3|web/1 stderr 4|NONE", "by time");
        free(have);
        turn();
        is_int(ready, 1, "not woken without reason");
        late = writer(logs, "late", 1, "d");
        put(late, LOG_STDOUT, 0, "5\n");
        turn();
        is_int(ready, 2, "woken by a new replica");
        have = all(r);
        is_str(have, "late/1 stdout 5|NONE", "its lines come too");
        free(have);
        log_writer_close(late);
        logs_remove(logs, "shop", "late", 0, NULL);
        late = writer(logs, "late", 1, "e");
        put(late, LOG_STDOUT, 0, "6\n");
        have = all(r);
        is_str(have, "late/1 stdout 6|NONE", "also after its log was removed");
        free(have);
        expect(logs, &web, "web/1 stdout 1|web/2 stdout 3|web/1 stderr 4|END", "one service");
        web.replica = 1;
        expect(logs, &web, "web/1 stdout 1|web/1 stderr 4|END", "one replica");
        web.no_stderr = true;
        expect(logs, &web, "web/1 stdout 1|END", "one stream");
        web.no_stderr = false;
        web.since_ns = clock_wall_ns() + 10000000000;
        expect(logs, &web, "END", "since later");
        web.since_ns = clock_wall_ns() - 10000000000;
        expect(logs, &web, "web/1 stdout 1|web/1 stderr 4|END", "since before");
        log_reader_free(r);
        log_writer_close(web1);
        log_writer_close(web2);
        log_writer_close(db);
        log_writer_close(late);
        logs_remove(logs, "shop", NULL, 0, NULL);
        logs_free(logs);
}

/* A disk that refuses (here: a limit of file size): the guest goes on, and the reader is told. */
static void test_full(void)
{
        struct logs *logs = logs_new(loop, dir, 0, 0);
        struct log_writer *w = writer(logs, "web", 1, "vm1");
        struct rlimit old, small = {150, RLIM_INFINITY};

        getrlimit(RLIMIT_FSIZE, &old);
        small.rlim_max = old.rlim_max;
        signal(SIGXFSZ, SIG_IGN);
        put(w, LOG_STDOUT, 0, "before\n");
        setrlimit(RLIMIT_FSIZE, &small);
        ok(put(w, LOG_STDOUT, 7, "this one does not fit any more in the file\n") < 0, "refused");
        is_int(log_writer_offset(w, LOG_STDOUT), 50, "it counts as taken");
        setrlimit(RLIMIT_FSIZE, &old);
        is_int(put(w, LOG_STDOUT, 50, "after\n"), 0, "goes on");
        log_writer_close(w);
        expect(logs, &everything,
               "web/1 stdout before|web/1 stderr 43 bytes of stdout were lost: File too large|"
               "web/1 stdout after|END",
               "the loss is told");
        logs_remove(logs, "shop", NULL, 0, NULL);
        logs_free(logs);
}

static void emit(void *ctx, const struct log_line *line)
{
        strbuf_addf(ctx, "%lld %.*s|", (long long)line->time_ns, (int)line->len, line->text);
}

static void test_boot(void)
{
        AUTO_FREE char *path = file_join(dir, "console.log");
        static const char text[] = "[    0.000001] Linux\r\n[   12.500000] up\nvminit: hello\npart";
        AUTO_STRBUF struct strbuf sb = STRBUF_INIT(1000);
        struct log_line line = {.time_ns = 1000, .stack = "shop", .service = "web", .replica = 1};
        struct err err = ERR_INIT;

        file_write_atomic(path, text, strlen(text), 0600, &err);
        is_int(log_boot_read(path, &line, -1, emit, &sb, &err), 0, "boot log");
        is_str(strbuf_str(&sb),
               "2000 [    0.000001] Linux|12500001000 [   12.500000] up|12500001000 vminit: "
               "hello|12500001000 part|",
               "kernel time counts");
        strbuf_reset(&sb);
        log_boot_read(path, &line, 2, emit, &sb, &err);
        is_str(strbuf_str(&sb), "12500001000 vminit: hello|12500001000 part|", "tail");
        is_int(log_boot_read("/nonexistent", &line, 2, emit, &sb, &err), -ENOENT, "no file");
}

int main(void)
{
        struct err err = ERR_INIT;

        if (!mkdtemp(dir))
                return 1;
        loop = ev_loop_new(EVFLAG_AUTO);
        test_resume();
        test_torn();
        test_lines();
        test_rotation();
        test_marks();
        test_kill();
        test_merge_and_follow();
        test_full();
        test_boot();
        ev_loop_destroy(loop);
        file_remove_tree(dir, &err);
        return tap_done();
}
