/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's side of a job. Before it looks at a byte from outside it gives up what it does not
 * need: root, the network, the right to gain privileges or to start programs.
 *
 *   0  request, one JSON line      1  progress and the result, JSON lines
 *   3  the archive, or the folder of blobs      4  the staging folder, writable
 */
#include "storage/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "storage/job.h"
#include "storage/load.h"
#include "storage/unpack.h"

#define REQUEST_MAX (1u << 20)
#define CPU_SECONDS 3600
#define MEMORY_MAX  (UINT64_C(3) << 30) /* a tree of TREE_NODES_MAX names stays below 1 GiB */
#define FILE_MAX    (UINT64_C(4) << 40) /* apparent size of a sparse disk */

#if defined(__SANITIZE_ADDRESS__)
#        define SANITIZED 1
#elif defined(__has_feature)
#        if __has_feature(address_sanitizer)
#                define SANITIZED 1
#        endif
#endif
#ifndef SANITIZED
#        define SANITIZED 0
#endif

static int limit(int resource, uint64_t value, const char *what, struct err *err)
{
        const struct rlimit rl = {.rlim_cur = value, .rlim_max = value};

        return setrlimit((__rlimit_resource_t)resource, &rl) < 0
                       ? err_errno(err, errno, "limit %s", what)
                       : 0;
}

static int set_limits(struct err *err)
{
        int r = limit(RLIMIT_CORE, 0, "core", err);

        if (r == 0)
                r = limit(RLIMIT_CPU, CPU_SECONDS, "cpu", err);
        if (r == 0)
                r = limit(RLIMIT_FSIZE, FILE_MAX, "file size", err);
        if (r == 0 && !SANITIZED) /* the sanitizer's shadow alone has terabytes */
                r = limit(RLIMIT_AS, MEMORY_MAX, "memory", err);
        return r;
}

static int drop_root(struct err *err)
{
        if (geteuid() != 0)
                return 0;
        if (unshare(CLONE_NEWNET | CLONE_NEWIPC) < 0)
                return err_errno(err, errno, "leave the network");
        if (setgroups(0, NULL) < 0 || setresgid(WORKER_GID, WORKER_GID, WORKER_GID) < 0 ||
            setresuid(WORKER_UID, WORKER_UID, WORKER_UID) < 0)
                return err_errno(err, errno, "become nobody");
        return 0;
}

static int confine(struct err *err)
{
        int r = drop_root(err);

        if (r == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || chdir("/") < 0))
                r = err_errno(err, errno, "give up privileges");
        /* The daemon's death must not leave a worker behind that nobody waits for. */
        if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                r = err_errno(err, errno, "die with the parent");
        return r < 0 ? r : set_limits(err);
}

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

static int run_unpack(const char *digest, struct job_progress *progress, json_t **ret,
                      struct err *err)
{
        AUTO_CLOSE int out = openat(WORKER_FD_STAGING, "rootfs.ext4",
                                    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r;

        if (out < 0)
                return err_errno(err, errno, "staging folder");
        r = unpack_image(WORKER_FD_INPUT, digest, out, progress, err);
        if (r == 0)
                *ret = json_pack("{s:s}", "digest", digest);
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
                return run_unpack(json_str(request, "digest", ""), progress, ret, err);
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
        r = confine(&err);
        if (r == 0)
                r = read_request(&request, &err);
        if (r == 0)
                r = run(request, &progress, &result, &err);
        if (r == 0) {
                answer(json_pack("{s:s, s:o}", "event", "done", "result", result));
        } else {
                make_printable(err.msg);
                answer(json_pack("{s:s, s:i, s:s}", "event", "error", "code", err.code, "message",
                                 err.msg));
        }
        return r == 0 ? 0 : 1;
}
