/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/auto.h"
#include "base/mem.h"

/* Blocks that terminals show two columns wide (East Asian wide, emoji); enough for alignment. */
static const struct {
        uint32_t first, last;
} wide[] = {
        {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},
        {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},
        {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
        {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
};

/* One character of UTF-8 and its bytes; a malformed byte is one character. */
static size_t next_char(const char *s, uint32_t *ret)
{
        const unsigned char *u = (const unsigned char *)s;
        size_t n = u[0] < 0x80 ? 1 : (u[0] >> 5) == 6 ? 2 : (u[0] >> 4) == 14 ? 3 : 4;
        uint32_t c = n == 1 ? u[0] : u[0] & (0xffu >> (n + 1));

        if (u[0] >= 0xf8 || (u[0] >> 6) == 2)
                n = 1;
        for (size_t i = 1; i < n; i++) {
                if ((u[i] >> 6) != 2) {
                        *ret = u[0];
                        return 1;
                }
                c = c << 6 | (u[i] & 0x3f);
        }
        *ret = c;
        return n;
}

static size_t char_width(uint32_t c)
{
        if (c >= 0x300 && c <= 0x36f)
                return 0; /* combining accents */
        for (size_t i = 0; i < ARRAY_SIZE(wide); i++)
                if (c >= wide[i].first && c <= wide[i].last)
                        return 2;
        return 1;
}

size_t text_width(const char *text)
{
        size_t width = 0;
        uint32_t c;

        while (*text) {
                text += next_char(text, &c);
                width += char_width(c);
        }
        return width;
}

size_t text_fit(const char *text, size_t columns)
{
        const char *start = text;
        uint32_t c;

        while (*text) {
                size_t n = next_char(text, &c), w = char_width(c);

                if (w > columns)
                        break;
                columns -= w;
                text += n;
        }
        return (size_t)(text - start);
}

char *text_safe(const char *text)
{
        char *copy = xstrdup(text), *to = copy;
        uint32_t c;

        while (*text) {
                size_t n = next_char(text, &c);

                if (c < 0x20 || (c >= 0x7f && c <= 0x9f)) {
                        *to++ = '?';
                } else {
                        memcpy(to, text, n);
                        to += n;
                }
                text += n;
        }
        *to = '\0';
        return copy;
}

void terminal_size(int fd, unsigned *ret_columns, unsigned *ret_rows)
{
        struct winsize size = {0};

        *ret_columns = 80;
        *ret_rows = 24;
        if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row) {
                *ret_columns = size.ws_col;
                *ret_rows = size.ws_row;
        }
}

void table_init(struct table *table, const char *const *headings)
{
        *table = (struct table){0};
        while (headings[table->columns])
                table->columns++;
        assert(table->columns <= TABLE_COLUMNS_MAX);
        for (size_t i = 0; i < table->columns; i++)
                table_add(table, headings[i]);
}

void table_release(struct table *table)
{
        for (size_t i = 0; i < table->cells_len; i++)
                free(table->cells[i]);
        free(table->cells);
        *table = (struct table){0};
}

void table_add(struct table *table, const char *text)
{
        *array_push(&table->cells, &table->cells_len) = text_safe(text && *text ? text : "-");
}

void table_addf(struct table *table, const char *fmt, ...)
{
        AUTO_FREE char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        table_add(table, text);
}

static void print_row(const struct table *table, size_t row, const size_t *widths, FILE *out,
                      unsigned limit)
{
        size_t used = 0;

        for (size_t i = 0; i < table->columns; i++) {
                const char *cell = table->cells[row * table->columns + i];
                bool last = i + 1 == table->columns;
                size_t room = limit > used ? limit - used : 0;
                size_t bytes = limit ? text_fit(cell, room) : strlen(cell);

                (void)fprintf(out, "%.*s", (int)bytes, cell); /* the caller flushes and checks */
                used += widths[i] + 2;
                if (limit && used >= limit)
                        break;
                if (!last)
                        (void)fprintf(out, "%*s", (int)(widths[i] - text_width(cell) + 2), "");
        }
        (void)fputc('\n', out);
}

void table_print(const struct table *table, FILE *out, unsigned width)
{
        size_t widths[TABLE_COLUMNS_MAX] = {0}, rows = table->cells_len / table->columns;

        assert(table->cells_len % table->columns == 0);
        for (size_t i = 0; i < table->cells_len; i++) {
                size_t w = text_width(table->cells[i]);

                if (w > widths[i % table->columns])
                        widths[i % table->columns] = w;
        }
        for (size_t row = 0; row < rows; row++)
                print_row(table, row, widths, out, width);
}
