/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/folder.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"

void folder_init(struct folder *folder, const char *path)
{
        *folder = (struct folder){.path = xstrdup(path)};
}

static void file_release(struct folder_file *file)
{
        free(file->path);
        free(file->stack);
}

void folder_release(struct folder *folder)
{
        for (size_t i = 0; i < folder->files_len; i++)
                file_release(&folder->files[i]);
        free(folder->files);
        free(folder->path);
        *folder = (struct folder){0};
}

static bool ends_with(const char *s, const char *end)
{
        size_t n = strlen(s), m = strlen(end);

        return n > m && streq(s + n - m, end);
}

bool folder_is_manifest(const char *name)
{
        return name[0] != '.' && name[0] != '_' && name[0] != '#' &&
               (ends_with(name, ".yaml") || ends_with(name, ".yml"));
}

static struct folder_file *find(struct folder *folder, const char *path)
{
        for (size_t i = 0; i < folder->files_len; i++)
                if (streq(folder->files[i].path, path))
                        return &folder->files[i];
        return NULL;
}

static int select_manifest(const struct dirent *entry)
{
        return folder_is_manifest(entry->d_name) && entry->d_type != DT_DIR;
}

static void mark_present(struct folder *folder, const char *path)
{
        struct folder_file *file = find(folder, path);

        if (!file) {
                if (folder->files_len >= FOLDER_FILES_MAX)
                        return;
                file = array_push(&folder->files, &folder->files_len);
                file->path = xstrdup(path);
        }
        file->present = true;
}

int folder_scan(struct folder *folder, int64_t now_ms, struct err *err)
{
        struct dirent **entries = NULL;
        int n = scandir(folder->path, &entries, select_manifest, alphasort);

        if (n < 0)
                return err_errno(err, errno, "%s", folder->path);
        for (size_t i = 0; i < folder->files_len; i++) {
                if (folder->files[i].present)
                        folder->files[i].gone_ms = now_ms;
                folder->files[i].present = false;
        }
        for (int i = 0; i < n; i++) {
                AUTO_FREE char *path = file_join(folder->path, entries[i]->d_name);

                mark_present(folder, path);
                free(entries[i]);
        }
        free(entries);
        return 0;
}

bool folder_changed(struct folder_file *file)
{
        AUTO_FREE char *content = NULL;
        char digest[DIGEST_TEXT_MAX];
        size_t len = 0;

        /* An unreadable file counts as one of another content: loading it tells why. */
        if (file_read(file->path, FOLDER_FILE_BYTES_MAX, &content, &len, NULL) < 0)
                (void)snprintf(digest, sizeof(digest), "unreadable"); /* fits */
        else if (len == 0)
                return false; /* somebody is about to write it */
        else
                digest_text(content, len, digest);
        if (streq(digest, file->digest))
                return false;
        memcpy(file->digest, digest, sizeof(digest));
        return true;
}

struct folder_file *folder_owner(struct folder *folder, const char *stack,
                                 const struct folder_file *except)
{
        for (size_t i = 0; i < folder->files_len; i++) {
                struct folder_file *file = &folder->files[i];

                if (file != except && file->present && streq(file->stack, stack))
                        return file;
        }
        return NULL;
}

void folder_take(struct folder *folder, struct folder_file *file, const char *stack)
{
        char *name = xstrdup(stack); /* may be that of one of the files */

        for (size_t i = 0; i < folder->files_len; i++)
                if (streq(folder->files[i].stack, name)) {
                        free(folder->files[i].stack);
                        folder->files[i].stack = NULL;
                }
        free(file->stack);
        file->stack = name;
}

struct folder_file *folder_lost(struct folder *folder, int64_t now_ms)
{
        for (size_t i = 0; i < folder->files_len; i++) {
                struct folder_file *file = &folder->files[i];

                if (!file->present && now_ms - file->gone_ms >= FOLDER_GRACE_MS)
                        return file;
        }
        return NULL;
}

int folder_wait_ms(const struct folder *folder, int64_t now_ms)
{
        int64_t least = -1;

        for (size_t i = 0; i < folder->files_len; i++) {
                const struct folder_file *file = &folder->files[i];
                int64_t left = file->gone_ms + FOLDER_GRACE_MS - now_ms;

                if (!file->present && (least < 0 || left < least))
                        least = left < 0 ? 0 : left;
        }
        return (int)least;
}

void folder_forget(struct folder *folder, struct folder_file *file)
{
        size_t at = (size_t)(file - folder->files);

        file_release(file);
        memmove(file, file + 1, (folder->files_len - at - 1) * sizeof(*file));
        folder->files_len--;
}
