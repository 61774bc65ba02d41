/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's side of a job: it reads one request, enters the sandbox, does it, answers, ends.
 *
 *   0  request, one JSON line      1  progress and the result, JSON lines
 *   3  the archive, or the folder of blobs      4  the staging folder, writable
 *   To make a disk: 5 the folder of disks, 6 that of their maps; while a pull still brings its
 *   layers: 7 the folder of parts, 8 the digests of those that are whole, a line each
 */
#include "storage/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"

#define REQUEST_MAX (1u << 20)

static int read_request(json_t **ret, struct err *err)
{
        AUTO_FREE char *text = xcalloc(1, REQUEST_MAX + 1);
        size_t len = 0;
        ssize_t n;

        while ((n = read(STDIN_FILENO, text + len, REQUEST_MAX - len)) != 0) {
                if (n < 0 && errno != EINTR)
                        return err_errno(err, errno, "read the request");
                if (n > 0)
                        len += (size_t)n;
                if (len == REQUEST_MAX)
                        return err_set(err, E2BIG, "a request larger than %u bytes", REQUEST_MAX);
        }
        return json_parse(text, len, REQUEST_MAX, "request", ret, err);
}

/* Names of members may hold anything: what is said must be text, and harmless on a terminal. */
static void make_printable(char *text)
{
        AUTO_JSON json_t *utf8 = json_string(text);

        for (char *p = text; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f || (!utf8 && (*p & 0x80)))
                        *p = '?';
}

static void answer(json_t *message)
{
        AUTO_FREE char *text = json_text(message);
        AUTO_FREE char *line = xasprintf("%s\n", text);
        struct err ignored;

        /* When nobody reads it the daemon is gone; the exit status is all that is left. */
        (void)fd_write_all(STDOUT_FILENO, line, strlen(line), &ignored);
        json_decref(message);
}

int worker_main(worker_run *run)
{
        AUTO_JSON json_t *request = NULL;
        json_t *result = NULL;
        struct err err = ERR_INIT;
        int r;

        (void)setlocale(LC_CTYPE, "C.UTF-8"); /* else names in pax headers would be refused */
        r = read_request(&request, &err);
        if (r == 0)
                r = run(request, &result, &err);
        if (r == 0) {
                answer(json_pack("{s:s, s:o}", "event", "done", "result", result));
        } else {
                make_printable(err.msg);
                answer(json_pack("{s:s, s:i, s:s}", "event", "error", "code", err.code, "message",
                                 err.msg));
        }
        return r == 0 ? 0 : 1;
}
