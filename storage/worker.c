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

#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "storage/job.h"
#include "storage/load.h"
#include "storage/sandbox.h"
#include "storage/save.h"
#include "storage/unpack.h"

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

static int create(const char *name, int *ret_fd, struct err *err)
{
        *ret_fd = openat(WORKER_FD_STAGING, name,
                         O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        return *ret_fd < 0 ? err_errno(err, errno, "staging folder") : 0;
}

static int run_unpack(const json_t *request, struct job_progress *progress, json_t **ret,
                      struct err *err)
{
        AUTO_CLOSE int out = -1, map = -1;
        struct unpack_request unpack = {.blobs = WORKER_FD_INPUT,
                                        .disks = WORKER_FD_DISKS,
                                        .maps = WORKER_FD_MAPS,
                                        .partial = -1,
                                        .ready = -1,
                                        .others = json_object_get(request, "others"),
                                        .digest = json_str(request, "digest", ""),
                                        .progress = progress};
        int r = create("rootfs.ext4", &out, err);

        if (json_bool(request, "follow", false)) {
                unpack.partial = WORKER_FD_PARTIAL;
                unpack.ready = WORKER_FD_READY;
        }
        if (r == 0)
                r = create("rootfs.map", &map, err);
        if (r < 0)
                return r;
        unpack.out = out;
        unpack.map = map;
        r = unpack_image(&unpack, err);
        if (r == 0)
                *ret = json_pack("{s:s}", "digest", unpack.digest);
        return r;
}

static int run(const json_t *request, struct job_progress *progress, json_t **ret, struct err *err)
{
        const char *job = json_str(request, "job", ""), *ref = json_str(request, "ref", NULL);

        if (streq(job, "load"))
                return load_archive(WORKER_FD_INPUT, WORKER_FD_STAGING, ref, progress, ret, err);
        if (streq(job, "import"))
                return load_import(WORKER_FD_INPUT, WORKER_FD_STAGING, ref ? ref : "",
                                   json_object_get(request, "changes"), progress, ret, err);
        if (streq(job, "unpack"))
                return run_unpack(request, progress, ret, err);
        if (streq(job, "save"))
                return save_images(WORKER_FD_INPUT, WORKER_FD_STAGING,
                                   json_object_get(request, "images"), progress, ret, err);
        return err_set(err, EINVAL, "unknown job '%.50s'", job);
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

int storage_worker_main(int argc, char **argv)
{
        struct job_progress progress = {.fd = STDOUT_FILENO};
        AUTO_JSON json_t *request = NULL;
        json_t *result = NULL;
        struct err err = ERR_INIT;
        int r;

        (void)argc;
        (void)argv;
        (void)setlocale(LC_CTYPE, "C.UTF-8"); /* else names in pax headers would be refused */
        /* The request is the daemon's own. A registry job reads credentials before it lets go. */
        r = read_request(&request, &err);
        if (r == 0 && json_bool(request, "network", false)) {
                r = registry_worker_run(request, &result, &err);
        } else if (r == 0) {
                r = streq(json_str(request, "job", ""), "unpack") ? sandbox_enter_parent(&err)
                                                                  : sandbox_enter(&err);
                if (r == 0)
                        r = run(request, &progress, &result, &err);
        }
        if (r == 0) {
                answer(json_pack("{s:s, s:o}", "event", "done", "result", result));
        } else {
                make_printable(err.msg);
                answer(json_pack("{s:s, s:i, s:s}", "event", "error", "code", err.code, "message",
                                 err.msg));
        }
        return r == 0 ? 0 : 1;
}
