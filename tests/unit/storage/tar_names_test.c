/* SPDX-License-Identifier: Apache-2.0 */
/* Names of pax headers as bytes, however the stream is cut. */
#include <string.h>

#include "base/mem.h"
#include "storage/tar_names.h"
#include "tests/tap.h"

#define BLOCK      512
#define DECOMPOSED "u\xcc\x88"
#define INVALID    "\xff\xfe"

static char archive[32 * BLOCK];
static size_t archive_len;

static int64_t header(char type, size_t size)
{
        char *block = archive + archive_len;
        unsigned sum = 0;

        memcpy(block, "name", 4);
        (void)snprintf(block + 124, 12, "%011o", (unsigned)size & 07777777);
        memset(block + 148, ' ', 8);
        block[156] = type;
        for (size_t i = 0; i < BLOCK; i++)
                sum += (unsigned char)block[i];
        (void)snprintf(block + 148, 8, "%06o", sum);
        archive_len += BLOCK;
        return (int64_t)archive_len - BLOCK;
}

static void content(const char *text, size_t len)
{
        memcpy(archive + archive_len, text, len);
        archive_len += (len + BLOCK - 1) / BLOCK * BLOCK;
}

/* The records of one pax header; returns where it begins. */
static int64_t pax(const char *records)
{
        int64_t at = header('x', strlen(records));

        content(records, strlen(records));
        return at;
}

static void begin(void)
{
        memset(archive, 0, sizeof(archive));
        archive_len = 0;
}

/* What it says about the members at these places, fed in parts of that size. */
static const char *path_at(struct tar_names *names, int64_t at, const char **ret_link)
{
        const char *path = "", *link = "";

        tar_names_get(names, at, &path, &link);
        *ret_link = link;
        return path;
}

static void test_parts(size_t part, const int64_t at[4])
{
        AUTO(tar_names) struct tar_names *names = tar_names_new();
        const char *link;

        for (size_t i = 0; i < archive_len; i += part)
                tar_names_feed(names, archive + i, part < archive_len - i ? part : archive_len - i);
        ok(streq(path_at(names, at[0], &link), DECOMPOSED), "parts of %zu: a path", part);
        ok(streq(path_at(names, at[1], &link), ""), "ASCII is libarchive's");
        ok(streq(path_at(names, at[2], &link), "x/" DECOMPOSED) && streq(link, "y/" DECOMPOSED),
           "a path and a target, behind content whose size a record says");
        ok(streq(path_at(names, at[3], &link), INVALID), "bytes that are not UTF-8");
        ok(streq(path_at(names, at[3], &link), ""), "once each");
}

static void test_following(void)
{
        int64_t at[4];

        begin();
        at[0] = pax("12 path=" DECOMPOSED "\n");
        (void)header('0', 3);
        content("abc", 3);
        at[1] = pax("10 path=a\n13 size=1025\n");
        (void)header('0', 7);
        archive_len += 3 * BLOCK;
        at[2] = pax("14 path=x/" DECOMPOSED "\n18 linkpath=y/" DECOMPOSED "\n");
        (void)header('2', 100); /* a link has no content, whatever it says */
        at[3] = header('L', 5); /* a GNU name before; it belongs to the same member */
        content("other", 5);
        (void)pax("11 path=" INVALID "\n");
        (void)header('0', 0);
        archive_len += 2 * BLOCK; /* the end */
        test_parts(1, at);
        test_parts(511, at);
        test_parts(513, at);
        test_parts(sizeof(archive), at);
}

static void test_odd(const char *records, const char *name)
{
        AUTO(tar_names) struct tar_names *names = tar_names_new();
        const char *link;

        begin();
        (void)pax(records);
        (void)header('0', 0);
        tar_names_feed(names, archive, archive_len);
        ok(streq(path_at(names, 0, &link), ""), "%s", name);
}

int main(void)
{
        test_following();
        test_odd("99 path=" DECOMPOSED "\n", "a record longer than its header");
        test_odd("4 a=" DECOMPOSED "\n", "one that is too short");
        test_odd("path=" DECOMPOSED "\n", "one without a length");
        test_odd("18446744073709551615 path=" DECOMPOSED "\n", "an absurd length");
        test_odd("12 path " DECOMPOSED "\n", "one without =");
        return tap_done();
}
