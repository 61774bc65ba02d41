/* SPDX-License-Identifier: Apache-2.0 */
/* Where this instance's disk space is. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/daemon.h"
#include "orchestrator/image_uses.h"
#include "storage/image.h"
#include "storage/volume.h"

static void add(json_t *list, const char *name, const struct store_class *class)
{
        json_t *j = json_object();

        json_set_str(j, "class", name);
        json_set_int(j, "count", class->count);
        json_set_int(j, "bytes", class->bytes);
        json_set_int(j, "reclaimable_bytes", class->reclaimable_bytes);
        (void)json_array_append_new(list, j); /* OOM only */
}

static void add_file(struct store_class *class, const struct stat *st)
{
        class->count++;
        class->bytes += st->st_blocks * INT64_C(512);
}

/* The files of a folder and of those right in it: our own folders are no deeper. */
static void add_folder(struct store_class *class, int at, const char *path, bool deeper)
{
        int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        AUTO_DIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;
        struct stat st;

        while (dir && (entry = readdir(dir))) {
                if (entry->d_name[0] == '.' ||
                    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                if (S_ISREG(st.st_mode))
                        add_file(class, &st);
                else if (S_ISDIR(st.st_mode) && deeper)
                        add_folder(class, dirfd(dir), entry->d_name, false);
        }
}

static int add_images(const struct daemon *d, json_t *list, struct err *err)
{
        struct image_usage usage;
        size_t n;
        char **in_use = image_uses(d, &n);
        int r = image_store_usage(d->image_store, (const char *const *)in_use, n, &usage, err);

        image_uses_free(in_use, n);
        if (r < 0)
                return r;
        add(list, "layers", &usage.blobs);
        add(list, "disks", &usage.disks);
        add(list, "partial pulls", &usage.partial);
        return 0;
}

/* Of a folder that VMs share the size is not known: it is the host's, and may be large. */
static int add_volumes(const struct daemon *d, json_t *list, struct err *err)
{
        struct volume_info **volumes = NULL;
        struct store_class class = {0};
        size_t n = 0;
        int r = volume_list(d->volumes_dir, &volumes, &n, NULL, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                class.count++;
                class.bytes += volumes[i]->used_bytes;
                if (!volumes[i]->stack || !daemon_find(d, volumes[i]->stack))
                        class.reclaimable_bytes += volumes[i]->used_bytes;
                volume_info_free(volumes[i]);
        }
        free(volumes);
        add(list, "volumes", &class);
        return 0;
}

void handle_df(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        AUTO_FREE char *logs = file_join(d->roots.state, "logs");
        struct store_class scratch = {0}, log = {0}, state = {0};
        json_t *list = json_array();
        struct err err = ERR_INIT;

        image_uses_note(d); /* what was deleted a moment ago is free */
        if (add_images(d, list, &err) < 0 || add_volumes(d, list, &err) < 0) {
                json_decref(list);
                response_error(req, 0, &err, NULL);
                return;
        }
        add_folder(&scratch, AT_FDCWD, d->scratch_dir, true);
        add_folder(&log, AT_FDCWD, logs, true);
        add_folder(&state, AT_FDCWD, d->roots.state, false);
        add(list, "scratch disks", &scratch);
        add(list, "logs", &log);
        add(list, "state", &state);
        response_json(req, 200, list);
}
