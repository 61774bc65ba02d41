/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that read archives and layers, or write them: without network. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "storage/limits.h"
#include "storage/load.h"
#include "storage/sandbox.h"
#include "storage/save.h"
#include "storage/unpack.h"
#include "storage/worker.h"

static int create(const char *name, int *ret_fd, struct err *err)
{
        *ret_fd = openat(WORKER_FD_STAGING, name,
                         O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        return *ret_fd < 0 ? err_errno(err, errno, "staging folder") : 0;
}

static int run_unpack(const json_t *request, const struct image_limits *limits,
                      struct job_progress *progress, json_t **ret, struct err *err)
{
        AUTO_CLOSE int out = -1, map = -1;
        struct unpack_request unpack = {.blobs = WORKER_FD_INPUT,
                                        .disks = WORKER_FD_DISKS,
                                        .maps = WORKER_FD_MAPS,
                                        .partial = -1,
                                        .ready = -1,
                                        .others = json_object_get(request, "others"),
                                        .digest = json_str(request, "digest", ""),
                                        .limits = limits,
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

static int run(const json_t *request, const struct image_limits *limits,
               struct job_progress *progress, json_t **ret, struct err *err)
{
        const char *job = json_str(request, "job", ""), *ref = json_str(request, "ref", NULL);
        const struct import_request import = {.ref = ref ? ref : "",
                                              .changes = json_object_get(request, "changes"),
                                              .limits = limits};

        if (streq(job, "load"))
                return load_archive(WORKER_FD_INPUT, WORKER_FD_STAGING, ref, limits, progress, ret,
                                    err);
        if (streq(job, "import"))
                return load_import(WORKER_FD_INPUT, WORKER_FD_STAGING, &import, progress, ret, err);
        if (streq(job, "unpack"))
                return run_unpack(request, limits, progress, ret, err);
        if (streq(job, "save"))
                return save_images(WORKER_FD_INPUT, WORKER_FD_STAGING,
                                   json_object_get(request, "images"), progress, ret, err);
        return err_set(err, EINVAL, "unknown job '%.50s'", job);
}

int archive_worker_run(const json_t *request, json_t **ret, struct err *err)
{
        struct job_progress progress = {.fd = STDOUT_FILENO};
        struct image_limits limits;
        int r = image_limits_load(&limits, err);

        if (r == 0)
                r = streq(json_str(request, "job", ""), "unpack") ? sandbox_enter_parent(err)
                                                                  : sandbox_enter(err);
        return r < 0 ? r : run(request, &limits, &progress, ret, err);
}
