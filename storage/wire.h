/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a layer is, as frames: its entries in their order, each regular file followed by its
 * content. The process that reads a layer says it to the one that makes the disk (layer_send.h),
 * and a disk's map keeps it (map.h), with RUN in place of DATA: the content lies in the disk.
 *
 *   header | ENTRY   struct wire_entry, its strings      DATA  block number, whole blocks of bytes
 *          | RUN     block number, count of blocks       END   blob digest, digest of the tar
 * inside | FAIL    errno, text
 *
 * Blocks are EXT4_BLOCK bytes of the file; what no DATA covers is zeros. Numbers are the machine's:
 * frames do not leave it. Who reads them believes nothing of what they say about themselves.
 */
#ifndef STORAGE_WIRE_H
#define STORAGE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "storage/tree.h"

#define WIRE_PAYLOAD_MAX (1u << 20) /* names and attributes of an entry; some blocks of content */
#define WIRE_XATTRS_MAX  128        /* of one entry */

enum wire_kind { WIRE_ENTRY = 1, WIRE_DATA, WIRE_RUN, WIRE_END, WIRE_FAIL };

struct wire_header {
        uint32_t kind, len;
        uint64_t consumed; /* bytes of the blob until here */
};

/* Blocks of the present file, from block on. len: of RUN; DATA brings them along. */
struct wire_run {
        uint32_t block, len;
};

struct wire_fail {
        int32_t code;
        char text[512];
};

struct wire_frame {
        struct wire_header header;
        const uint8_t *payload; /* until the next frame */
};

struct wire_out {
        int fd;
        uint8_t *buffer;
        size_t len;
        uint64_t written; /* bytes of all frames */
};

struct wire_in {
        int fd;
        uint64_t left; /* bytes that may be read; UINT64_MAX: to the end */
        uint8_t *buffer;
        size_t start, end;
};

/** fd is borrowed. Release gives memory back and flushes nothing. */
void wire_out_init(struct wire_out *out, int fd);
void wire_out_release(struct wire_out *out);
int wire_out_flush(struct wire_out *out, struct err *err);

/** One frame; its payload is head and then tail (NULL: empty). Large ones are not copied. */
int wire_out_put(struct wire_out *out, const struct wire_header *header, const void *head,
                 const void *tail, struct err *err);

/** A layer's entry. E2BIG: its strings and attributes are larger than a frame. */
int wire_out_entry(struct wire_out *out, const struct tree_entry *entry, bool regular,
                   uint64_t consumed, struct err *err);

/** fd is borrowed, read from its present position. */
void wire_in_init(struct wire_in *in, int fd, uint64_t left);
void wire_in_release(struct wire_in *in);

/** 1: no more frames. EPROTO: not a frame, or half of one. */
int wire_in_next(struct wire_in *in, struct wire_frame *ret, struct err *err);

/** An ENTRY's payload; xattrs: room for WIRE_XATTRS_MAX. Strings live as long as the payload. */
int wire_entry_parse(const struct wire_frame *frame, struct tree_entry *ret,
                     struct tree_xattr *xattrs, bool *ret_regular, struct err *err);

#endif
