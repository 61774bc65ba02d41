/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of single values. */
#include "schema/kinds.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/value.h"
#include "schema/shapes.h"
#include "schema/suggest.h"

const char *reader_string(struct reader *r, const struct field *field, const struct node *node)
{
        if (node->kind == NODE_STRING)
                return node->text;
        reader_refuse_kind(r, field, node);
        return NULL;
}

const char *reader_scalar(struct reader *r, const struct field *field, const struct node *node)
{
        switch (node->kind) {
        case NODE_STRING:
        case NODE_FLOAT:
                return node->text;
        case NODE_INT:
                return arena_printf(r->arena, "%lld", (long long)node->integer);
        case NODE_BOOL:
                return node->boolean ? "true" : "false";
        case NODE_NULL:
        case NODE_SEQ:
        case NODE_MAP:
                break;
        }
        reader_refuse_kind(r, field, node);
        return NULL;
}

static void string_read(struct reader *r, const struct field *field, const struct node *node,
                        void *value)
{
        const char *text = reader_string(r, field, node);
        char **slot = value;

        if (!text)
                return;
        if (field->check)
                field->check(r, node, text);
        free(*slot);
        *slot = xstrdup(text);
}

static json_t *string_write(const struct field *field, const void *value)
{
        const char *const *slot = value;

        (void)field;
        return *slot ? json_string(*slot) : NULL;
}

const struct kind kind_string = {
        .schema = SHAPE_STRING, .form = "a string", .read = string_read, .write = string_write};

/* An address that no other card has: ours are made from IPv4 addresses, and bit 0 is for groups. */
static const char *mac_problem(const uint8_t *mac)
{
        static const uint8_t none[VALUE_MAC_BYTES],
                waiting[] = {0x02, 0x62, 0x65, 0x72, 0x74, 0x68};

        if (mac[0] & 1)
                return "is an address of groups; the first byte must be even";
        if (memcmp(mac, none, sizeof(none)) == 0)
                return "is the address of no card";
        if (((mac[0] == 0x02 || mac[0] == 0x06) && mac[1] == 0xbe) ||
            memcmp(mac, waiting, sizeof(waiting)) == 0)
                return "is of those that berth chooses itself (02:be, 06:be)";
        return NULL;
}

static void mac_read(struct reader *r, const struct field *field, const struct node *node,
                     void *value)
{
        const char *text = reader_string(r, field, node), *problem;
        uint8_t mac[VALUE_MAC_BYTES];
        char **slot = value, canonical[VALUE_MAC_MAX];
        struct err err = ERR_INIT;

        if (!text)
                return;
        if (value_mac(text, mac, &err) < 0) {
                reader_fault(r, DIAG_BAD_ADDRESS, &node->mark, "%s", err.msg);
                return;
        }
        problem = mac_problem(mac);
        if (problem)
                reader_fault(r, DIAG_BAD_ADDRESS, &node->mark,
                             "%s %s; write one like 02:42:ac:11:65:43", text, problem);
        value_mac_text(mac, canonical);
        free(*slot);
        *slot = xstrdup(canonical);
}

const struct kind kind_mac = {
        .schema = SHAPE_STRING, .form = "a string", .read = mac_read, .write = string_write};

bool reader_bool(struct reader *r, const struct field *field, const struct node *node, bool *ret)
{
        static const char *const yes[] = {"true", "yes", "y", "on"};
        static const char *const no[] = {"false", "no", "n", "off"};

        if (node->kind == NODE_BOOL) {
                *ret = node->boolean;
                return true;
        }
        for (size_t i = 0; node->kind == NODE_STRING && i < ARRAY_SIZE(yes); i++) {
                bool is_yes = strcasecmp(node->text, yes[i]) == 0;

                if (!is_yes && strcasecmp(node->text, no[i]) != 0)
                        continue;
                if (i > 0)
                        reader_warn(r, &node->mark, "'%s' is taken as %s; write that", node->text,
                                    is_yes ? yes[0] : no[0]);
                *ret = is_yes;
                return true;
        }
        reader_refuse_kind(r, field, node);
        return false;
}

static void bool_init(const struct field *field, void *value)
{
        *(bool *)value = field->unset;
}

static void bool_read(struct reader *r, const struct field *field, const struct node *node,
                      void *value)
{
        (void)reader_bool(r, field, node, value); /* an error is a finding */
}

static json_t *bool_write(const struct field *field, const void *value)
{
        bool b = *(const bool *)value;

        return b == (field->unset != 0) ? NULL : json_boolean(b);
}

const struct kind kind_bool = {.schema = SHAPE_BOOL,
                               .form = "true or false",
                               .init = bool_init,
                               .read = bool_read,
                               .write = bool_write};

static void not_read(struct reader *r, const struct field *field, const struct node *node,
                     void *value)
{
        bool is_yes;

        if (reader_bool(r, field, node, &is_yes))
                *(bool *)value = !is_yes;
}

static json_t *not_write(const struct field *field, const void *value)
{
        (void)field;
        return *(const bool *)value ? json_false() : NULL;
}

const struct kind kind_not = {
        .schema = SHAPE_BOOL, .form = "true or false", .read = not_read, .write = not_write};

bool reader_int(struct reader *r, const struct field *field, const struct node *node, int64_t min,
                int64_t max, int64_t *ret)
{
        struct err err = ERR_INIT;
        int64_t n = 0;

        if (node->kind == NODE_INT) {
                n = node->integer;
        } else if (node->kind != NODE_STRING) {
                reader_refuse_kind(r, field, node);
                return false;
        } else if (value_int(node->text, INT64_MIN, INT64_MAX, &n, &err) < 0) {
                reader_fault(r, DIAG_BAD_NUMBER, &node->mark, "%s", err.msg);
                return false;
        }
        if (n < min || n > max) {
                reader_fault(r, DIAG_BAD_NUMBER, &node->mark, "%lld is %s %lld", (long long)n,
                             n < min ? "below" : "above", (long long)(n < min ? min : max));
                return false;
        }
        *ret = n;
        return true;
}

static bool read_bounded(struct reader *r, const struct field *field, const struct node *node,
                         int64_t limit, int64_t *ret)
{
        bool bounds = field->max != 0;

        return reader_int(r, field, node, bounds ? field->min : -limit,
                          bounds && field->max < limit ? field->max : limit, ret);
}

static void int_init(const struct field *field, void *value)
{
        *(int64_t *)value = field->unset;
}

static void int_read(struct reader *r, const struct field *field, const struct node *node,
                     void *value)
{
        (void)read_bounded(r, field, node, INT64_MAX, value); /* an error is a finding */
}

static json_t *int_write(const struct field *field, const void *value)
{
        int64_t n = *(const int64_t *)value;

        return n == field->unset ? NULL : json_integer(n);
}

const struct kind kind_int = {.schema = SHAPE_INT,
                              .form = "a whole number",
                              .init = int_init,
                              .read = int_read,
                              .write = int_write};

static void int32_init(const struct field *field, void *value)
{
        *(int *)value = (int)field->unset;
}

static void int32_read(struct reader *r, const struct field *field, const struct node *node,
                       void *value)
{
        int64_t n = 0;

        if (read_bounded(r, field, node, INT32_MAX, &n))
                *(int *)value = (int)n;
}

static json_t *int32_write(const struct field *field, const void *value)
{
        int n = *(const int *)value;

        return n == field->unset ? NULL : json_integer(n);
}

const struct kind kind_int32 = {.schema = SHAPE_INT,
                                .form = "a whole number",
                                .init = int32_init,
                                .read = int32_read,
                                .write = int32_write};

static void unsigned_init(const struct field *field, void *value)
{
        *(unsigned *)value = (unsigned)field->unset;
}

static void unsigned_read(struct reader *r, const struct field *field, const struct node *node,
                          void *value)
{
        int64_t n = 0;

        if (read_bounded(r, field, node, INT32_MAX, &n))
                *(unsigned *)value = (unsigned)n;
}

static json_t *unsigned_write(const struct field *field, const void *value)
{
        unsigned n = *(const unsigned *)value;

        return n == (unsigned)field->unset ? NULL : json_integer(n);
}

const struct kind kind_unsigned = {.schema = SHAPE_INT,
                                   .form = "a whole number",
                                   .init = unsigned_init,
                                   .read = unsigned_read,
                                   .write = unsigned_write};

static void float_read(struct reader *r, const struct field *field, const struct node *node,
                       void *value)
{
        struct node number = *node;

        if (node->kind == NODE_STRING)
                node_resolve(&number);
        if (number.kind == NODE_INT)
                number.real = (double)number.integer;
        else if (number.kind != NODE_FLOAT && node->kind == NODE_STRING) {
                reader_fault(r, DIAG_BAD_NUMBER, &node->mark,
                             "'%.40s' is not a number; write it like 1 or 0.5", node->text);
                return;
        } else if (number.kind != NODE_FLOAT) {
                reader_refuse_kind(r, field, node);
                return;
        }
        if (!(number.real >= (double)field->min && number.real <= (double)field->max))
                reader_fault(r, DIAG_BAD_NUMBER, &node->mark, "%.40s is not within %lld..%lld",
                             node->text, (long long)field->min, (long long)field->max);
        else
                *(double *)value = number.real;
}

static json_t *float_write(const struct field *field, const void *value)
{
        double d = *(const double *)value;

        (void)field;
        return d > 0 ? json_real(d) : NULL;
}

const struct kind kind_float = {.schema = "{'type':['number','string','null']}",
                                .form = "a number",
                                .read = float_read,
                                .write = float_write};

static void bytes_read(struct reader *r, const struct field *field, const struct node *node,
                       void *value)
{
        const char *text = reader_scalar(r, field, node);
        bool bare = text && strspn(text, "0123456789") == strlen(text);
        struct err err = ERR_INIT;
        int64_t n = 0;

        if (!text)
                return;
        if (field->min < 0 && streq(text, "-1"))
                n = -1;
        else if (value_bytes(text, &n, &err) < 0) {
                reader_fault(r, DIAG_BAD_SIZE, &node->mark, "%s", err.msg);
                return;
        }
        if (n < field->min && n != -1)
                reader_fault(r, DIAG_BAD_SIZE, &node->mark,
                             "%s%s is below the minimum of %lld MiB%s", text, bare ? " bytes" : "",
                             (long long)(field->min >> 20),
                             bare ? "; write a unit, such as 64m or 1.5g" : "");
        else if (field->max && n > field->max)
                reader_fault(r, DIAG_BAD_SIZE, &node->mark, "%s is above the maximum of %lld MiB",
                             text, (long long)(field->max >> 20));
        else
                *(int64_t *)value = n;
}

const struct kind kind_bytes = {.schema = "{'type':['number','string','null']}",
                                .form = "a size such as 64m or 1.5g",
                                .init = int_init,
                                .read = bytes_read,
                                .write = int_write};

static void duration_read(struct reader *r, const struct field *field, const struct node *node,
                          void *value)
{
        struct err err = ERR_INIT;
        int64_t ms = 0;

        if (node->kind != NODE_STRING && node->kind != NODE_INT)
                reader_refuse_kind(r, field, node);
        else if (value_duration_ms(node->text, &ms, &err) < 0)
                reader_fault(r, DIAG_BAD_DURATION, &node->mark, "%s", err.msg);
        else
                *(int64_t *)value = ms;
}

static json_t *duration_write(const struct field *field, const void *value)
{
        int64_t ms = *(const int64_t *)value;
        char text[VALUE_DURATION_MAX];

        if (ms == field->unset)
                return NULL;
        value_duration_text(ms, text);
        return json_string(text);
}

const struct kind kind_duration = {.schema = "{'type':['string','integer','null']}",
                                   .form = "a duration such as 30s or 1m30s",
                                   .init = int_init,
                                   .read = duration_read,
                                   .write = duration_write};

/* Octal as people write it: 0440 and 0o440 are numbers of that value, "0440" is text. */
static void mode_read(struct reader *r, const struct field *field, const struct node *node,
                      void *value)
{
        struct node number = *node;
        char octal[16];

        if (node->kind == NODE_STRING) {
                (void)snprintf(octal, sizeof(octal), "0%s", node->text); /* a cut one is refused */
                number.text = octal;
                node_resolve(&number);
        }
        if (number.kind != NODE_INT || number.integer < 0 || number.integer > 07777)
                reader_fault(r, DIAG_BAD_NUMBER, &node->mark,
                             "'%.40s' is not a file mode; write it like \"0440\"", node->text);
        else
                *(int *)value = (int)number.integer;
        (void)field;
}

static json_t *mode_write(const struct field *field, const void *value)
{
        int mode = *(const int *)value;
        char text[16];

        if (mode == field->unset)
                return NULL;
        (void)snprintf(text, sizeof(text), "%04o", (unsigned)mode); /* fits */
        return json_string(text);
}

const struct kind kind_mode = {.schema = "{'type':['string','integer','null']}",
                               .form = "a file mode such as \"0440\"",
                               .init = int32_init,
                               .read = mode_read,
                               .write = mode_write};

static void choice_read(struct reader *r, const struct field *field, const struct node *node,
                        void *value)
{
        const char *text = reader_string(r, field, node);
        const char *const *words = field->arg;
        char all[256] = "";
        size_t used = 0;

        if (!text)
                return;
        for (int i = 0; words[i]; i++) {
                if (!words[i][0])
                        continue; /* "not given" has no word */
                if (streq(words[i], text)) {
                        *(int *)value = i;
                        return;
                }
                used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", used ? ", " : "",
                                         words[i]);
                if (used >= sizeof(all))
                        break;
        }
        reader_fault(r, DIAG_BAD_CHOICE, &node->mark, "'%.60s' is not one of %s", text, all);
}

static json_t *choice_write(const struct field *field, const void *value)
{
        const char *const *words = field->arg;
        int i = *(const int *)value;

        return i == field->unset ? NULL : json_string(words[i]);
}

const struct kind kind_choice = {
        .form = "a string", .init = int32_init, .read = choice_read, .write = choice_write};
