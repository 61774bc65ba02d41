/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define OUT_BUFFER (128u << 10)
#define IN_BUFFER  (WIRE_PAYLOAD_MAX + sizeof(struct wire_header))

/* Fixed part of an ENTRY; then path, hardlink, symlink, each with its NUL, then attributes. */
struct wire_entry {
        int64_t uid, gid, mtime_s, size, major, minor;
        uint32_t mode, mtime_ns;
        uint32_t path, hardlink, symlink; /* bytes with the NUL; 0: NULL */
        uint32_t xattrs, regular, reserved;
};

/* Then name with its NUL, and value. */
struct wire_xattr {
        uint32_t name, value;
};

void wire_out_init(struct wire_out *out, int fd)
{
        *out = (struct wire_out){.fd = fd, .buffer = xcalloc(1, OUT_BUFFER)};
}

void wire_out_release(struct wire_out *out)
{
        free(out->buffer);
        out->buffer = NULL;
}

int wire_out_flush(struct wire_out *out, struct err *err)
{
        size_t n = out->len;

        out->len = 0;
        return n ? fd_write_all(out->fd, out->buffer, n, err) : 0;
}

static void append(struct wire_out *out, const void *data, size_t n)
{
        if (n)
                memcpy(out->buffer + out->len, data, n);
        out->len += n;
}

int wire_out_put(struct wire_out *out, const struct wire_header *header, const void *head,
                 const void *tail, struct err *err)
{
        size_t head_len = header->kind == WIRE_DATA ? sizeof(struct wire_run) : header->len;
        size_t tail_len = header->len - head_len;
        int r = 0;

        assert(header->len <= WIRE_PAYLOAD_MAX);
        out->written += sizeof(*header) + header->len;
        if (out->len + sizeof(*header) + header->len > OUT_BUFFER)
                r = wire_out_flush(out, err);
        if (r < 0)
                return r;
        append(out, header, sizeof(*header));
        if (sizeof(*header) + header->len <= OUT_BUFFER) {
                append(out, head, head_len);
                append(out, tail, tail_len);
                return 0;
        }
        if (head_len <= sizeof(struct wire_run)) {
                append(out, head, head_len);
                head_len = 0;
        }
        r = wire_out_flush(out, err);
        if (r == 0 && head_len)
                r = fd_write_all(out->fd, head, head_len, err);
        return r == 0 && tail_len ? fd_write_all(out->fd, tail, tail_len, err) : r;
}

static uint32_t text_len(const char *text)
{
        size_t len = text ? strlen(text) + 1 : 0;

        return len < WIRE_PAYLOAD_MAX ? (uint32_t)len : WIRE_PAYLOAD_MAX;
}

static uint64_t entry_len(const struct tree_entry *entry, const struct wire_entry *fixed)
{
        uint64_t len = sizeof(*fixed) + (uint64_t)fixed->path + fixed->hardlink + fixed->symlink;

        for (size_t i = 0; i < entry->xattrs_len; i++)
                len += sizeof(struct wire_xattr) + text_len(entry->xattrs[i].name) +
                       entry->xattrs[i].len;
        return len;
}

static uint8_t *add_bytes(uint8_t *p, const void *data, size_t n)
{
        if (n)
                memcpy(p, data, n);
        return p + n;
}

int wire_out_entry(struct wire_out *out, const struct tree_entry *entry, bool regular,
                   uint64_t consumed, struct err *err)
{
        const struct wire_entry fixed = {.uid = entry->uid,
                                         .gid = entry->gid,
                                         .mtime_s = entry->mtime_s,
                                         .size = entry->size,
                                         .major = entry->major,
                                         .minor = entry->minor,
                                         .mode = entry->mode,
                                         .mtime_ns = entry->mtime_ns,
                                         .path = text_len(entry->path),
                                         .hardlink = text_len(entry->hardlink),
                                         .symlink = text_len(entry->symlink),
                                         .xattrs = (uint32_t)entry->xattrs_len,
                                         .regular = regular};
        uint64_t len = entry_len(entry, &fixed);
        AUTO_FREE uint8_t *payload = NULL;
        struct wire_header header = {.kind = WIRE_ENTRY, .consumed = consumed};
        uint8_t *p;

        if (len > WIRE_PAYLOAD_MAX)
                return err_set(err, E2BIG, "%.200s: name and attributes larger than %u bytes",
                               entry->path, WIRE_PAYLOAD_MAX);
        p = payload = xcalloc(1, len);
        header.len = (uint32_t)len;
        p = add_bytes(p, &fixed, sizeof(fixed));
        p = add_bytes(p, entry->path, fixed.path);
        p = add_bytes(p, entry->hardlink, fixed.hardlink);
        p = add_bytes(p, entry->symlink, fixed.symlink);
        for (size_t i = 0; i < entry->xattrs_len; i++) {
                const struct tree_xattr *x = &entry->xattrs[i];
                const struct wire_xattr lens = {text_len(x->name), (uint32_t)x->len};

                p = add_bytes(p, &lens, sizeof(lens));
                p = add_bytes(p, x->name, lens.name);
                p = add_bytes(p, x->value, x->len);
        }
        return wire_out_put(out, &header, payload, NULL, err);
}

void wire_in_init(struct wire_in *in, int fd, uint64_t left)
{
        *in = (struct wire_in){.fd = fd, .left = left, .buffer = xcalloc(1, IN_BUFFER)};
}

void wire_in_release(struct wire_in *in)
{
        free(in->buffer);
        in->buffer = NULL;
}

/* 1: the end came before want bytes were there. */
static int fill(struct wire_in *in, size_t want, struct err *err)
{
        assert(want <= IN_BUFFER);
        if (in->start && in->start + want > IN_BUFFER) {
                memmove(in->buffer, in->buffer + in->start, in->end - in->start);
                in->end -= in->start;
                in->start = 0;
        }
        while (in->end - in->start < want) {
                size_t room = IN_BUFFER - in->end;
                ssize_t n = read(in->fd, in->buffer + in->end, room < in->left ? room : in->left);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, errno, "read");
                if (n == 0)
                        return 1;
                in->end += (size_t)n;
                if (in->left != UINT64_MAX)
                        in->left -= (uint64_t)n;
        }
        return 0;
}

int wire_in_next(struct wire_in *in, struct wire_frame *ret, struct err *err)
{
        int r;

        if (in->start == in->end)
                in->start = in->end = 0;
        r = fill(in, sizeof(ret->header), err);
        if (r > 0 && in->start == in->end)
                return 1;
        if (r == 0) {
                memcpy(&ret->header, in->buffer + in->start, sizeof(ret->header));
                in->start += sizeof(ret->header);
                if (ret->header.len > WIRE_PAYLOAD_MAX)
                        return err_set(err, EPROTO, "a frame of %u bytes", ret->header.len);
                r = fill(in, ret->header.len, err);
        }
        if (r != 0)
                return r < 0 ? r : err_set(err, EPROTO, "half a frame");
        ret->payload = in->buffer + in->start;
        in->start += ret->header.len;
        return 0;
}

/* n bytes of what is left; NULL: there are not so many. */
static const void *take(const uint8_t **p, size_t *left, size_t n)
{
        const void *at = *p;

        if (n > *left)
                return NULL;
        *p += n;
        *left -= n;
        return at;
}

static bool take_text(const uint8_t **p, size_t *left, uint32_t n, const char **ret)
{
        const char *text = n ? take(p, left, n) : NULL;

        *ret = text;
        return n == 0 || (text && memchr(text, '\0', n) == text + n - 1);
}

static bool take_xattr(const uint8_t **p, size_t *left, struct tree_xattr *ret)
{
        const struct wire_xattr *at = take(p, left, sizeof(*at));
        struct wire_xattr lens;
        const char *name;
        const void *value;

        if (!at)
                return false;
        memcpy(&lens, at, sizeof(lens));
        if (!take_text(p, left, lens.name, &name) || !name)
                return false;
        value = take(p, left, lens.value);
        ret->name = (char *)(uintptr_t)name; /* both are only read */
        ret->value = (void *)(uintptr_t)value;
        ret->len = lens.value;
        return value != NULL;
}

int wire_entry_parse(const struct wire_frame *frame, struct tree_entry *ret,
                     struct tree_xattr *xattrs, bool *ret_regular, struct err *err)
{
        const uint8_t *p = frame->payload;
        size_t left = frame->header.len;
        const void *at = take(&p, &left, sizeof(struct wire_entry));
        struct wire_entry fixed;
        bool fits;

        if (!at)
                return err_set(err, EPROTO, "a malformed entry");
        memcpy(&fixed, at, sizeof(fixed));
        *ret = (struct tree_entry){.mode = fixed.mode,
                                   .uid = fixed.uid,
                                   .gid = fixed.gid,
                                   .mtime_s = fixed.mtime_s,
                                   .mtime_ns = fixed.mtime_ns,
                                   .size = fixed.size,
                                   .major = fixed.major,
                                   .minor = fixed.minor,
                                   .xattrs = xattrs,
                                   .xattrs_len = fixed.xattrs};
        *ret_regular = fixed.regular != 0;
        fits = take_text(&p, &left, fixed.path, &ret->path) && ret->path &&
               take_text(&p, &left, fixed.hardlink, &ret->hardlink) &&
               take_text(&p, &left, fixed.symlink, &ret->symlink) &&
               fixed.xattrs <= WIRE_XATTRS_MAX;
        for (uint32_t i = 0; fits && i < fixed.xattrs; i++)
                fits = take_xattr(&p, &left, &xattrs[i]);
        return fits && left == 0 ? 0 : err_set(err, EPROTO, "a malformed entry");
}
