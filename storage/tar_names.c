/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   HEADER ──▶ MAP (blocks behind an old GNU sparse header) ──▶ SKIP (content) ──▶ HEADER
 *      └─ 'x' ──▶ PAX (records) ──▶ HEADER                 anything odd ──▶ LOST
 */
#include "storage/tar_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"

#define BLOCK       512
#define PAX_MAX     (1u << 20)
#define SIZE_AT     124
#define SIZE_LEN    12
#define SUM_AT      148
#define TYPE_AT     156
#define EXTENDED_AT 482 /* old GNU sparse: a map follows */
#define MAP_MORE_AT 504 /* in a block of that map: one more */
#define MEMBER_MAX  (INT64_C(1) << 62)

struct named {
        int64_t position;
        char *path, *link; /* NULL: as libarchive says */
};

struct tar_names {
        enum { HEADER, PAX, MAP, SKIP, LOST } state;

        int64_t position; /* of the next byte fed */
        int64_t member;   /* where the headers of the present member begin */
        bool begun;       /* a header of the member has been seen */
        int64_t skip;     /* bytes of content and padding to come */
        int64_t pax_left, pax_padding;
        uint8_t block[BLOCK];
        size_t block_len;
        struct strbuf pax;
        bool pax_seen;
        int64_t pax_size; /* its size record; -1: none */
        struct named next;
        struct named *queue, last;
        size_t queue_len;
};

static void named_clear(struct named *named)
{
        free(named->path);
        free(named->link);
        *named = (struct named){0};
}

struct tar_names *tar_names_new(void)
{
        struct tar_names *names = xnew(struct tar_names);

        names->pax.max = PAX_MAX;
        names->pax_size = -1;
        return names;
}

void tar_names_free(struct tar_names *names)
{
        if (!names)
                return;
        for (size_t i = 0; i < names->queue_len; i++)
                named_clear(&names->queue[i]);
        named_clear(&names->next);
        named_clear(&names->last);
        strbuf_release(&names->pax);
        free(names->queue);
        free(names);
}

/* Octal, or base 256 with the highest bit set; -1: neither, or absurd. */
static int64_t number(const uint8_t *field, size_t len)
{
        int64_t value = 0;
        size_t i = 0;

        if (field[0] & 0x80) {
                value = field[0] & 0x7f;
                for (i = 1; i < len; i++) {
                        if (value > MEMBER_MAX >> 9)
                                return -1;
                        value = value << 8 | field[i];
                }
                return value;
        }
        while (i < len && field[i] == ' ')
                i++;
        for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
                value = value << 3 | (field[i] - '0'); /* 12 digits fit */
        return value;
}

static bool sum_right(const uint8_t *block)
{
        int64_t sum = 0;

        for (size_t i = 0; i < BLOCK; i++)
                sum += i >= SUM_AT && i < SUM_AT + 8 ? ' ' : block[i];
        return number(block + SUM_AT, 8) == sum;
}

static bool is_ascii(const char *text, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)text[i] & 0x80)
                        return false;
        return true;
}

static void keep(char **into, const char *value, size_t len)
{
        free(*into);
        /* What is ASCII only, or ends early, is for libarchive alone to read. */
        *into = is_ascii(value, len) || memchr(value, '\0', len) ? NULL : xstrndup(value, len);
}

static void take_record(struct tar_names *names, const char *key, size_t key_len, const char *value,
                        size_t len)
{
        if (key_len == 4 && memcmp(key, "path", 4) == 0 && !names->next.path)
                keep(&names->next.path, value, len);
        else if (key_len == 15 && memcmp(key, "GNU.sparse.name", 15) == 0)
                keep(&names->next.path, value, len);
        else if (key_len == 8 && memcmp(key, "linkpath", 8) == 0)
                keep(&names->next.link, value, len);
        else if (key_len == 4 && memcmp(key, "size", 4) == 0 && len < 19)
                names->pax_size = strtoll(value, NULL, 10);
}

/* "LENGTH KEY=VALUE\n", again and again; the length is that of the whole record. */
static bool read_records(struct tar_names *names)
{
        const char *p = strbuf_str(&names->pax), *end = p + names->pax.len;

        while (p < end) {
                char *space;
                unsigned long len = strtoul(p, &space, 10);
                const char *equals;

                if (space == p || *space != ' ' || len > (size_t)(end - p) || len < 5 ||
                    space + 1 >= p + len || p[len - 1] != '\n')
                        return false;
                equals = memchr(space + 1, '=', (size_t)(p + len - (space + 1)));
                if (!equals)
                        return false;
                take_record(names, space + 1, (size_t)(equals - space - 1), equals + 1,
                            (size_t)(p + len - 1 - (equals + 1)));
                p += len;
        }
        return true;
}

static void begin_content(struct tar_names *names, int64_t size)
{
        names->skip = (size + BLOCK - 1) / BLOCK * BLOCK;
        names->state = names->skip ? SKIP : HEADER;
}

/* The header of the member itself: what was said before belongs to it. */
static void end_member(struct tar_names *names, char type, int64_t size)
{
        if (names->next.path || names->next.link) {
                names->next.position = names->member;
                *array_push(&names->queue, &names->queue_len) = names->next;
                names->next = (struct named){0};
        }
        if (names->pax_size >= 0)
                size = names->pax_size;
        if ((type >= '2' && type <= '6') || (type == '1' && !names->pax_seen))
                size = 0; /* libarchive sees no content there either */
        names->pax_size = -1;
        names->pax_seen = names->begun = false;
        begin_content(names, size);
        if (type == 'S' && names->block[EXTENDED_AT])
                names->state = MAP; /* then the content */
}

static void read_header(struct tar_names *names)
{
        int64_t size = number(names->block + SIZE_AT, SIZE_LEN);
        char type = (char)names->block[TYPE_AT];

        if (!sum_right(names->block) || size < 0 || size > MEMBER_MAX) {
                names->state = LOST; /* two blocks of zeros, the end, are that too */
                return;
        }
        if (!names->begun)
                names->member = names->position - BLOCK;
        names->begun = true;
        if (type == 'x' || type == 'X') {
                if (size > PAX_MAX) {
                        names->state = LOST;
                        return;
                }
                strbuf_reset(&names->pax);
                names->pax_seen = true;
                names->pax_left = size;
                names->pax_padding = (BLOCK - size % BLOCK) % BLOCK;
                names->state = size ? PAX : HEADER;
        } else if (type == 'g' || type == 'L' || type == 'K' || type == 'V') {
                begin_content(names, size);
        } else {
                end_member(names, type, size);
        }
}

static size_t feed_block(struct tar_names *names, const char *data, size_t n)
{
        size_t part = BLOCK - names->block_len;

        if (part > n)
                part = n;
        memcpy(names->block + names->block_len, data, part);
        names->block_len += part;
        names->position += (int64_t)part;
        if (names->block_len < BLOCK)
                return part;
        names->block_len = 0;
        if (names->state == HEADER)
                read_header(names);
        else if (!names->block[MAP_MORE_AT])
                names->state = names->skip ? SKIP : HEADER;
        return part;
}

static size_t feed_pax(struct tar_names *names, const char *data, size_t n)
{
        size_t part = (int64_t)n > names->pax_left ? (size_t)names->pax_left : n;

        strbuf_add(&names->pax, data, part);
        names->position += (int64_t)part;
        names->pax_left -= (int64_t)part;
        if (names->pax_left == 0) {
                names->skip = names->pax_padding;
                names->state = !read_records(names) ? LOST : names->skip ? SKIP : HEADER;
        }
        return part;
}

static size_t feed_skip(struct tar_names *names, size_t n)
{
        size_t part = (int64_t)n > names->skip ? (size_t)names->skip : n;

        names->position += (int64_t)part;
        names->skip -= (int64_t)part;
        if (names->skip == 0)
                names->state = HEADER;
        return part;
}

void tar_names_feed(struct tar_names *names, const void *data, size_t n)
{
        const char *p = data, *end = p + n;

        while (p < end && names->state != LOST) {
                size_t left = (size_t)(end - p);

                if (names->state == SKIP)
                        p += feed_skip(names, left);
                else if (names->state == PAX)
                        p += feed_pax(names, p, left);
                else
                        p += feed_block(names, p, left);
        }
}

void tar_names_get(struct tar_names *names, int64_t position, const char **ret_path,
                   const char **ret_link)
{
        size_t passed = 0;

        while (passed < names->queue_len && names->queue[passed].position < position)
                named_clear(&names->queue[passed++]);
        named_clear(&names->last);
        if (passed < names->queue_len && names->queue[passed].position == position)
                names->last = names->queue[passed++];
        names->queue_len -= passed;
        if (names->queue_len)
                memmove(names->queue, names->queue + passed,
                        names->queue_len * sizeof(*names->queue));
        if (names->last.path)
                *ret_path = names->last.path;
        if (names->last.link)
                *ret_link = names->last.link;
}
