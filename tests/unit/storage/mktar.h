/* SPDX-License-Identifier: Apache-2.0 */
/* Tars, layers and image archives made byte by byte, so that tests can make them wrong. */
#ifndef TESTS_UNIT_STORAGE_MKTAR_H
#define TESTS_UNIT_STORAGE_MKTAR_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strbuf.h"

#define MKTAR_INIT STRBUF_INIT(64u << 20)

/* One ustar member; type '0' file, '1' hard link, '2' symlink, '3' chr, '5' dir, '6' fifo. */
static void mktar_add(struct strbuf *tar, const char *name, char type, unsigned mode,
                      const char *link, const void *data, size_t len)
{
        char h[512] = {0};
        unsigned sum = 0;

        memcpy(h, name, strlen(name) < 100 ? strlen(name) : 100);
        (void)snprintf(h + 100, 8, "%07o", mode);
        (void)snprintf(h + 108, 8, "%07o", 0);
        (void)snprintf(h + 116, 8, "%07o", 0);
        (void)snprintf(h + 124, 12, "%011o", (unsigned)len);
        (void)snprintf(h + 136, 12, "%011o", 1000000000);
        memset(h + 148, ' ', 8);
        h[156] = type;
        memcpy(h + 157, link, strlen(link) < 100 ? strlen(link) : 100);
        memcpy(h + 257,
               "ustar\0"
               "00",
               8);
        for (size_t i = 0; i < sizeof(h); i++)
                sum += (unsigned char)h[i];
        (void)snprintf(h + 148, 8, "%06o", sum);
        strbuf_add(tar, h, sizeof(h));
        strbuf_add(tar, data, len);
        memset(h, 0, sizeof(h));
        if (len % 512)
                strbuf_add(tar, h, 512 - len % 512);
}

__attribute__((unused)) static void mktar_file(struct strbuf *tar, const char *name,
                                               const char *text)
{
        mktar_add(tar, name, '0', 0644, "", text, strlen(text));
}

__attribute__((unused)) static void mktar_end(struct strbuf *tar)
{
        static const char zeros[1024];

        strbuf_add(tar, zeros, sizeof(zeros));
}

/* What an OCI layout tar of one image is made of; change a field to break it. */
struct mkimage {
        struct strbuf *layers;
        size_t layers_len;
        const char *name;    /* of the index entry; NULL: none */
        const char *diff_id; /* of every layer; NULL: the right one */
        long size_off;       /* added to the layers' sizes in the manifest */
        int damage_layer;    /* that gets one byte changed; -1: none */
        int leave_out;       /* layer whose blob is missing; -1: none */
};

static void mkimage_blob(struct strbuf *tar, const char *digest, const void *data, size_t len)
{
        AUTO_FREE char *name = xasprintf("blobs/sha256/%s", digest + strlen("sha256:"));

        mktar_add(tar, name, '0', 0644, "", data, len);
}

__attribute__((unused)) static void mkimage_layout(const struct mkimage *m, struct strbuf *tar)
{
        AUTO_STRBUF struct strbuf ids = STRBUF_INIT(65536), layers = STRBUF_INIT(65536);
        AUTO_FREE char *config = NULL, *manifest = NULL, *index = NULL;
        char digest[DIGEST_TEXT_MAX], config_digest[DIGEST_TEXT_MAX];

        for (size_t i = 0; i < m->layers_len; i++) {
                const struct strbuf *layer = &m->layers[i];
                AUTO_FREE char *data = xmemdup(strbuf_str(layer), layer->len + 1);

                digest_text(data, layer->len, digest);
                strbuf_addf(&ids, "%s\"%s\"", i ? "," : "", m->diff_id ? m->diff_id : digest);
                strbuf_addf(&layers,
                            "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
                            "\"digest\":\"%s\",\"size\":%ld}",
                            i ? "," : "", digest, (long)layer->len + m->size_off);
                if (m->damage_layer == (int)i)
                        data[layer->len / 2] ^= 1;
                if (m->leave_out != (int)i)
                        mkimage_blob(tar, digest, data, layer->len);
        }
        config = xasprintf("{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"x\"]},"
                           "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
#ifdef __aarch64__
                           "arm64",
#else
                           "amd64",
#endif
                           strbuf_str(&ids));
        digest_text(config, strlen(config), config_digest);
        mkimage_blob(tar, config_digest, config, strlen(config));
        manifest = xasprintf("{\"schemaVersion\":2,\"config\":{\"mediaType\":"
                             "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
                             "\"size\":%zu},\"layers\":[%s]}",
                             config_digest, strlen(config), strbuf_str(&layers));
        digest_text(manifest, strlen(manifest), digest);
        mkimage_blob(tar, digest, manifest, strlen(manifest));
        index = xasprintf("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
                          "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\","
                          "\"size\":%zu%s%s%s}]}",
                          digest, strlen(manifest),
                          m->name ? ",\"annotations\":{\"org.opencontainers.image.ref.name\":\""
                                  : "",
                          m->name ? m->name : "", m->name ? "\"}" : "");
        mktar_file(tar, "index.json", index);
        mktar_file(tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        mktar_end(tar);
}

/* Write to dir/name; the path is the caller's. */
__attribute__((unused)) static char *mktar_write(const struct strbuf *tar, const char *dir,
                                                 const char *name)
{
        AUTO_FREE char *path = file_join(dir, name);
        struct err err = ERR_INIT;

        if (file_write_atomic(path, strbuf_str(tar), tar->len, 0644, &err) < 0)
                bug(err.msg);
        return STEAL(path);
}

#endif
