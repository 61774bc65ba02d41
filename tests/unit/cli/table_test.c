/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/auto.h"
#include "orchestrator/cli/table.h"
#include "tests/tap.h"

static char *print(const char *const *cells, size_t n, unsigned width)
{
        static const char *const headings[] = {"NAME", "STATE", "IMAGE", NULL};
        struct table table;
        char *text = NULL;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        table_init(&table, headings);
        for (size_t i = 0; i < n; i++)
                table_add(&table, cells[i]);
        table_print(&table, f, width);
        table_release(&table);
        fclose(f);
        return text;
}

static void test_alignment(void)
{
        static const char *const cells[] = {"a", "running", "x", "longer", "", NULL};
        AUTO_FREE char *text = print(cells, 6, 0);

        is_str(text,
               "NAME    STATE    IMAGE\n"
               "a       running  x\n"
               "longer  -        -\n",
               "columns are aligned, empty cells are dashes, no space at the end");
}

static void test_width(void)
{
        static const char *const cells[] = {"日本", "ö", "some long image name"};
        AUTO_FREE char *whole = print(cells, 3, 0);
        AUTO_FREE char *cut = print(cells, 3, 20);

        has_str(whole, "日本  ö      some", "wide characters count two, accents one");
        has_str(cut, "some lo\n", "a terminal's width cuts the last column");
}

static void test_safe(void)
{
        AUTO_FREE char *text = text_safe("a\033[31mb\nc\xc2\x9b"
                                         "d\xc3\xa4\x80");

        is_str(text, "a?[31mb?c?d\xc3\xa4?", "control characters are defused, text is not");
}

static void test_fit(void)
{
        is_int(text_width("e\xcc\x81"), 1, "a combining accent takes no column");
        is_int(text_fit("日本", 3), 3, "half a wide character does not fit");
        is_int(text_fit("abc", 10), 3, "a short text fits whole");
        is_int(text_width("\xe6\x97"), 2, "a broken character counts by its bytes");
}

int main(void)
{
        test_alignment();
        test_width();
        test_safe();
        test_fit();
        return tap_done();
}
