/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who uses what of a store that several daemons share: DIR/users/<hex of the owner's path>, written
 * by each daemon for itself. A daemon that does not run still has its stacks, and VMs that outlive
 * it: its file counts for as long as its folder of state is there.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "storage/store.h"

#define USERS_VERSION 1
#define USERS_MAX     (16u << 20)

int image_store_use(struct image_store *store, const char *owner, const char *const *digests,
                    size_t len, struct err *err)
{
        AUTO_FREE char *folder = file_join(store->dir, "users"), *path = NULL, *text = NULL;
        AUTO_JSON json_t *json = NULL;
        AUTO_CLOSE int lock = -1;
        char name[DIGEST_TEXT_MAX];
        json_t *list = json_array();
        int r;

        for (size_t i = 0; i < len; i++)
                (void)json_array_append_new(list, json_string(digests[i])); /* OOM only */
        json = json_pack("{s:i, s:s, s:o}", "version", USERS_VERSION, "owner", owner, "digests",
                         list);
        if (!json)
                return err_set(err, EINVAL, "%s: not valid UTF-8", owner);
        digest_text(owner, strlen(owner), name);
        path = file_join(folder, name + strlen("sha256:"));
        text = json_text(json);
        r = file_mkdir_p(folder, 0700, err);
        if (r == 0)
                r = store_lock(store, &lock, err);
        return r < 0 ? r : file_write_atomic(path, text, strlen(text), 0600, err);
}

static void read_user(const char *path, json_t *used)
{
        AUTO_JSON json_t *json = NULL;
        AUTO_FREE char *text = NULL;
        const json_t *digests;
        const char *owner;
        struct err ignored;
        size_t len;

        /* One that cannot be read is left for people to see; its digests are not known. */
        if (file_read(path, USERS_MAX, &text, &len, &ignored) < 0 ||
            json_parse(text, len, USERS_MAX, path, &json, &ignored) < 0)
                return;
        owner = json_str(json, "owner", "");
        if (access(owner, F_OK) < 0 && errno == ENOENT) {
                (void)unlink(path); /* nobody is left who could want it */
                return;
        }
        digests = json_object_get(json, "digests");
        for (size_t i = 0; i < json_array_size(digests); i++) {
                const char *digest = json_string_value(json_array_get(digests, i));

                if (digest && digest_valid(digest))
                        (void)json_object_set_new(used, digest, json_string(owner)); /* OOM only */
        }
}

json_t *store_users(const struct image_store *store)
{
        AUTO_FREE char *folder = file_join(store->dir, "users");
        AUTO_DIR DIR *dir = opendir(folder);
        json_t *used = json_object();
        struct dirent *entry;

        while (dir && (entry = readdir(dir)))
                if (entry->d_name[0] != '.') {
                        AUTO_FREE char *path = file_join(folder, entry->d_name);

                        read_user(path, used);
                }
        return used;
}
