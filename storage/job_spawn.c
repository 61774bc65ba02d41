/* SPDX-License-Identifier: Apache-2.0 */
/* The worker of a job: what it is asked, which descriptors it gets. */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "storage/job_internal.h"
#include "storage/worker.h"

bool job_needs_network(enum storage_job_kind kind)
{
        return kind == JOB_PULL || kind == JOB_PUSH || kind == JOB_LOGIN;
}

bool job_makes_nothing(enum storage_job_kind kind)
{
        return kind == JOB_PUSH || kind == JOB_LOGIN || kind == JOB_SAVE;
}

/* Whether a job reads the store's blobs; others read an archive. */
static bool reads_blobs(enum storage_job_kind kind)
{
        return kind != JOB_LOAD && kind != JOB_IMPORT;
}

static int make_request(const struct storage_job *job, const struct storage_job_request *request,
                        bool follow, int *ret_fd, struct err *err)
{
        static const char *const names[] = {
                [JOB_LOAD] = "load", [JOB_IMPORT] = "import", [JOB_UNPACK] = "unpack",
                [JOB_PULL] = "pull", [JOB_PUSH] = "push",     [JOB_LOGIN] = "login",
                [JOB_SAVE] = "save",
        };
        AUTO_JSON json_t *json = json_object();
        AUTO_FREE char *text = NULL;
        AUTO_CLOSE int fd = memfd_create("request", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return err_errno(err, errno, "request");
        json_set_str(json, "job", names[request->kind]);
        json_set_str(json, "ref", request->ref);
        json_set_str(json, "digest", request->digest);
        json_set_str(json, "auth_file", request->auth_file);
        json_set_str(json, "known", job->known);
        json_set_str(json, "platform", request->platform);
        json_set_bool(json, "follow", follow);
        json_set_bool(json, "network", job_needs_network(request->kind));
        if (job->images)
                (void)json_object_update(json, job->images); /* OOM only */
        if (request->kind == JOB_UNPACK)
                (void)json_object_set_new(json, "others",
                                          store_mapped_disks(&job->store)); /* OOM only */
        if (request->kind == JOB_LOGIN)
                (void)json_object_set_new(json, "login",
                                          json_pack("{s:s, s:s}", "username", request->username,
                                                    "password", request->password)); /* OOM only */
        if (request->changes)
                (void)json_object_set_new(json, "changes",
                                          json_deep_copy(request->changes)); /* OOM only */
        text = json_text(json);
        r = fd_write_all(fd, text, strlen(text), err);
        if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = err_errno(err, errno, "request");
        if (r < 0)
                return r;
        *ret_fd = steal_fd(&fd);
        return 0;
}

static int open_folder(const struct image_store *store, const char *name, int *ret_fd,
                       struct err *err)
{
        AUTO_FREE char *path = file_join(store->dir, name);

        *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret_fd < 0 ? err_errno(err, errno, "%s", path) : 0;
}

/* Folders of the store that the worker sees. */
struct folders {
        int blobs, disks, maps, partial;
};

static void folders_close(struct folders *folders)
{
        const int fds[] = {folders->blobs, folders->disks, folders->maps, folders->partial};

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (fds[i] >= 0)
                        (void)close(fds[i]); /* folders: nothing is written through them */
}

static int folders_open(const struct storage_job *job, bool follow, struct folders *ret,
                        struct err *err)
{
        bool unpack = job->kind == JOB_UNPACK;
        int r = 0;

        if (reads_blobs(job->kind))
                r = open_folder(&job->store, "blobs/sha256", &ret->blobs, err);
        if (r == 0 && unpack)
                r = open_folder(&job->store, "rootfs", &ret->disks, err);
        if (r == 0 && unpack)
                r = open_folder(&job->store, "maps", &ret->maps, err);
        if (r == 0 && follow)
                r = open_folder(&job->store, "partial", &ret->partial, err);
        return r;
}

/* The program for the job: two that are installed side by side, so that each is small. */
static char *program_of(const struct storage_job *job)
{
        const char *slash = strrchr(job->worker, '/');

        if (!job_needs_network(job->kind) || !slash || !streq(slash + 1, "berth-storage"))
                return xstrdup(job->worker);
        return xasprintf("%.*s/berth-registry", (int)(slash - job->worker), job->worker);
}

static int start(struct storage_job *job, const struct storage_job_request *request, int ask,
                 int output, int ready, int *ret_pidfd, struct err *err)
{
        AUTO_FREE char *program = program_of(job);
        const char *argv[] = {program, WORKER_OPTION, NULL};
        struct folders folders = {-1, -1, -1, -1};
        struct spawn_fd fds[9];
        struct spawn spec = {.argv = argv, .fds = fds};
        int r = folders_open(job, ready >= 0, &folders, err);

        if (r == 0) {
                const struct spawn_fd all[] = {
                        {ask, STDIN_FILENO},
                        {output, STDOUT_FILENO},
                        {STDERR_FILENO, STDERR_FILENO},
                        {folders.blobs >= 0 ? folders.blobs : request->archive_fd, WORKER_FD_INPUT},
                        {request->kind == JOB_SAVE ? request->output_fd : job->staging,
                         WORKER_FD_STAGING},
                        {folders.disks, WORKER_FD_DISKS},
                        {folders.maps, WORKER_FD_MAPS},
                        {folders.partial, WORKER_FD_PARTIAL},
                        {ready, WORKER_FD_READY},
                };

                static_assert(ARRAY_SIZE(all) == ARRAY_SIZE(fds), "room for all of them");
                for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                        if (all[i].ours >= 0)
                                fds[spec.fd_count++] = all[i];
                r = spawn_start(&spec, &job->pid, ret_pidfd, err);
        }
        folders_close(&folders);
        return r;
}

int job_spawn(struct storage_job *job, const struct storage_job_request *request, int ready,
              int *ret_pidfd, int *ret_output, struct err *err)
{
        AUTO_CLOSE int ask = -1, out_r = -1, out_w = -1;
        int pipefd[2];
        int r = make_request(job, request, ready >= 0, &ask, err);

        if (r < 0)
                return r;
        if (pipe2(pipefd, O_CLOEXEC) < 0)
                return err_errno(err, errno, "pipe");
        out_r = pipefd[0];
        out_w = pipefd[1];
        r = fd_set_nonblock(out_r, err);
        if (r == 0)
                r = start(job, request, ask, out_w, ready, ret_pidfd, err);
        if (r == 0)
                *ret_output = steal_fd(&out_r);
        return r;
}
