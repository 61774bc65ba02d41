/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "storage/blob.h"
#include "storage/layer.h"
#include "storage/load_internal.h"

#define STAGED "member" /* what is being written, until its digest is known */

const char *load_layer_type(int compression)
{
        switch ((enum layer_compression)compression) {
        case LAYER_GZIP:
                return OCI_TYPE_LAYER "+gzip";
        case LAYER_ZSTD:
                return OCI_TYPE_LAYER "+zstd";
        case LAYER_PLAIN:
                break;
        }
        return OCI_TYPE_LAYER;
}

/* "./a//b" -> "a/b"; NULL: absolute or with "..": such names are refused. */
static char *clean_name(const char *name)
{
        AUTO_FREE char *out = xcalloc(1, strlen(name) + 2);
        size_t used = 0;

        if (name[0] == '/')
                return NULL;
        while (*name) {
                size_t len = strcspn(name, "/");

                if (len == 2 && name[0] == '.' && name[1] == '.')
                        return NULL;
                if (len && !(len == 1 && name[0] == '.')) {
                        if (used)
                                out[used++] = '/';
                        memcpy(out + used, name, len);
                        used += len;
                }
                name += len;
                while (*name == '/')
                        name++;
        }
        return STEAL(out);
}

/* A link's target, from the folder of the link, as a name within the archive. NULL: outside. */
static char *link_name(const char *from, const char *target)
{
        AUTO_FREE char *out = xasprintf("%s", from);
        char *slash = strrchr(out, '/');

        if (target[0] == '/')
                return NULL;
        (slash ? slash : out)[0] = '\0';
        while (has_prefix(target, "../")) {
                if (!*out)
                        return NULL;
                slash = strrchr(out, '/');
                (slash ? slash : out)[0] = '\0';
                target += 3;
        }
        {
                AUTO_FREE char *joined = xasprintf("%s%s%s", out, *out ? "/" : "", target);

                return clean_name(joined);
        }
}

const struct load_member *load_find(const struct load *load, const char *name)
{
        for (int follow = 0; follow < 4; follow++) {
                const struct load_member *found = NULL;

                for (size_t i = load->members_len; !found && i > 0; i--)
                        if (streq(load->members[i - 1].name, name))
                                found = &load->members[i - 1];
                if (!found || !found->link)
                        return found;
                name = found->link;
        }
        return NULL;
}

static enum layer_compression magic_of(const uint8_t *p, size_t len)
{
        if (len >= 2 && p[0] == 0x1f && p[1] == 0x8b)
                return LAYER_GZIP;
        if (len >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
                return LAYER_ZSTD;
        return LAYER_PLAIN;
}

static int copy_member(struct layer *layer, int out, struct oci_descriptor *ret, struct err *err)
{
        AUTO(digest) struct digest *hash = digest_new();
        const void *data;
        int64_t offset, started = 0;
        size_t len;
        int r;

        ret->size = 0;
        while ((r = layer_data(layer, &data, &len, &offset, err)) == 0) {
                if (offset != ret->size)
                        return err_set(err, EINVAL, "a sparse member");
                if (offset == 0)
                        (void)snprintf(ret->media_type, sizeof(ret->media_type), "%s",
                                       load_layer_type((int)magic_of(data, len))); /* fits */
                digest_update(hash, data, len);
                r = fd_write_all(out, data, len, err);
                if (r < 0)
                        return r;
                ret->size += (int64_t)len;
                blob_start_writing(out, &started, ret->size);
        }
        if (r < 0)
                return r;
        digest_final_text(hash, ret->digest);
        return fsync(out) < 0 ? err_errno(err, errno, "sync") : 0;
}

static int stage(struct load *load, struct layer *layer, const struct tree_entry *entry,
                 struct load_member *member, struct err *err)
{
        AUTO_CLOSE int out = openat(load->staging, STAGED,
                                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        const char *claimed = member->name;
        struct oci_descriptor *blob = &member->blob;
        int r;

        if (out < 0)
                return err_errno(err, errno, "staging folder");
        r = copy_member(layer, out, blob, err);
        if (r == 0 && blob->size != entry->size)
                r = err_set(err, EINVAL, "truncated: %lld of %lld bytes", (long long)blob->size,
                            (long long)entry->size);
        if (r < 0)
                return err_wrap(err, "%.200s", claimed);
        if (has_prefix(claimed, "blobs/sha256/") &&
            !streq(claimed + strlen("blobs/sha256/"), blob->digest + strlen("sha256:")))
                return err_set(err, EINVAL,
                               "blob sha256:%.70s: its content is %s: damaged or "
                               "forged",
                               claimed + strlen("blobs/sha256/"), blob->digest);
        if (renameat(load->staging, STAGED, load->staging, blob->digest + strlen("sha256:")) < 0)
                return err_errno(err, errno, "staging folder");
        return 0;
}

static int read_member(struct load *load, struct layer *layer, const struct tree_entry *entry,
                       bool regular, struct err *err)
{
        const char *target = entry->hardlink ? entry->hardlink : entry->symlink;
        AUTO_FREE char *name = clean_name(entry->path), *link = NULL;
        struct load_member *member;

        if (!name)
                return err_set(err, EINVAL, "member '%.200s' points out of the archive",
                               entry->path);
        if (!regular && !target)
                return 0; /* folders, and what has no meaning here */
        if (!regular) {
                link = entry->hardlink ? clean_name(target) : link_name(name, target);
                if (!link)
                        return 0; /* never followed; who needs it finds it missing */
        }
        if (load->members_len == LOAD_MEMBERS_MAX)
                return err_set(err, E2BIG, "more than %d members", LOAD_MEMBERS_MAX);
        member = array_push(&load->members, &load->members_len);
        member->name = STEAL(name);
        member->link = STEAL(link);
        return regular ? stage(load, layer, entry, member, err) : 0;
}

static int read_members(struct load *load, int archive, struct err *err)
{
        AUTO(layer) struct layer *layer = NULL;
        struct tree_entry entry;
        int64_t total = 0;
        struct stat st;
        bool regular;
        int r;

        if (fstat(archive, &st) == 0 && S_ISREG(st.st_mode))
                total = st.st_size;
        r = layer_open(archive, LAYER_NO_HASH, load->limits, &layer, err);
        while (r == 0) {
                r = layer_next(layer, &entry, &regular, err);
                if (r == 0)
                        r = read_member(load, layer, &entry, regular, err);
                if (r == 0)
                        job_progress_report(load->progress, "reading the archive",
                                            layer_consumed(layer), total);
        }
        /* To the end: a pipe's writer must not be cut off, and a broken end must show. */
        return r < 0 ? r : layer_finish(layer, NULL, NULL, err);
}

int load_document(const struct load *load, const char *name, json_t **ret, struct err *err)
{
        const struct load_member *member = load_find(load, name);
        AUTO_FREE char *text = NULL;
        size_t len;
        int r;

        if (!member)
                return err_set(err, ENOENT, "%s is missing", name);
        r = blob_read(load->staging, member->blob.digest, &text, &len, err);
        return r < 0 ? err_wrap(err, "%s", name) : oci_parse(text, len, name, ret, err);
}

static int keep_blob(struct load *load, const struct oci_descriptor *descriptor, struct err *err)
{
        AUTO_CLOSE int fd = -1;
        int r = blob_open(load->staging, descriptor, &fd, err);

        if (r == 0) /* fails only without memory */
                (void)json_object_set_new(load->blobs, descriptor->digest, json_true());
        return r;
}

static int check_config(struct load *load, const struct oci_manifest *manifest, struct err *err)
{
        const char *what = manifest->config.digest, *arch;
        AUTO(image) struct image *image = xnew(struct image);
        AUTO_FREE char *text = NULL, (*diff_ids)[DIGEST_TEXT_MAX] = NULL;
        AUTO_JSON json_t *config = NULL;
        size_t len = 0;
        int r;

        r = blob_read(load->staging, what, &text, &len, err);
        if (r == 0)
                r = oci_parse(text, len, what, &config, err);
        if (r == 0)
                r = oci_config_diff_ids(config, what, manifest->layers_len, &diff_ids, err);
        if (r == 0)
                r = oci_config_fill(config, image, err);
        if (r < 0)
                return r;
        arch = image->architecture;
        if (arch && !streq(arch, oci_architecture()))
                return err_set(err, EINVAL, "the image is for %.30s, this machine is %s", arch,
                               oci_architecture());
        return 0;
}

int load_keep_manifest(struct load *load, const struct oci_descriptor *descriptor, struct err *err)
{
        AUTO(oci_manifest) struct oci_manifest *manifest = NULL;
        AUTO_FREE char *text = NULL;
        size_t len;
        int r;

        r = blob_read(load->staging, descriptor->digest, &text, &len, err);
        if (r == 0)
                r = oci_manifest_parse(text, len, descriptor->digest, &manifest, err);
        if (r == 0)
                r = image_limits_layers(load->limits, manifest->layers_len, descriptor->digest,
                                        err);
        if (r == 0)
                r = keep_blob(load, descriptor, err);
        if (r == 0)
                r = keep_blob(load, &manifest->config, err);
        for (size_t i = 0; r == 0 && i < manifest->layers_len; i++)
                r = keep_blob(load, &manifest->layers[i], err);
        assert(r < 0 || manifest);
        return r < 0 ? r : check_config(load, manifest, err);
}

int load_name(struct load *load, const char *ref, const struct oci_descriptor *descriptor,
              struct err *err)
{
        AUTO_FREE char *normal = NULL;
        int r = image_ref_normalise(ref, &normal, err);

        if (r < 0)
                return r;
        if (json_array_size(load->images) >= LOAD_IMAGES_MAX)
                return err_set(err, E2BIG, "more than %d images", LOAD_IMAGES_MAX);
        (void)json_array_append_new(load->images,
                                    json_pack("{s:s, s:o}", "ref", normal, "descriptor",
                                              oci_descriptor_json(descriptor))); /* OOM only */
        return 0;
}

json_t *load_result(struct load *load)
{
        json_t *blobs = json_array(), *value;
        const char *digest;

        json_object_foreach(load->blobs, digest, value)
                (void)json_array_append_new(blobs, json_string(digest)); /* OOM only */
        return json_pack("{s:o, s:O}", "blobs", blobs, "images", load->images);
}

int load_archive(int archive, int staging, const char *ref, const struct image_limits *limits,
                 struct job_progress *progress, json_t **ret, struct err *err)
{
        struct load load = {.staging = staging,
                            .ref = ref,
                            .limits = limits,
                            .progress = progress,
                            .blobs = json_object(),
                            .images = json_array()};
        int r = read_members(&load, archive, err);

        if (r == 0 && load_find(&load, "index.json"))
                r = load_oci(&load, err);
        else if (r == 0 && load_find(&load, "manifest.json"))
                r = load_docker(&load, err);
        else if (r == 0)
                r = err_set(err, EINVAL,
                            "neither an OCI layout (index.json) nor made by docker save "
                            "(manifest.json); a root file system is taken by 'berth image import'");
        if (r == 0)
                *ret = load_result(&load);
        for (size_t i = 0; i < load.members_len; i++) {
                free(load.members[i].name);
                free(load.members[i].link);
        }
        free(load.members);
        json_decref(load.blobs);
        json_decref(load.images);
        return r;
}
