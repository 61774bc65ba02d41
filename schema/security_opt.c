/* SPDX-License-Identifier: Apache-2.0 */
/* security_opt: of Docker's options, what means something within a VM. */
#include <string.h>

#include "base/mem.h"
#include "schema/entries.h"
#include "schema/kinds.h"
#include "schema/service_kinds.h"

#define NO_NEW_PRIVS "no-new-privileges"

/* "no-new-privileges", with ":true", "=true" or their like. */
static void read_option(struct reader *r, const struct field *field, const struct node *item,
                        void *value)
{
        const char *text = reader_string(r, field, item), *rest;
        bool *no_new_privs = value;

        if (!text)
                return;
        if (!has_prefix(text, NO_NEW_PRIVS)) {
                reader_fault(r, DIAG_IGNORED_KEY, &item->mark,
                             "%.60s: ignored: a VM is the boundary; seccomp, AppArmor and SELinux "
                             "are not set",
                             text);
                return;
        }
        rest = text + strlen(NO_NEW_PRIVS);
        if (!*rest || streq(rest, ":true") || streq(rest, "=true"))
                *no_new_privs = true;
        else if (streq(rest, ":false") || streq(rest, "=false"))
                *no_new_privs = false;
        else
                reader_fault(r, DIAG_BAD_CHOICE, &item->mark,
                             "'%.60s' is no option; write " NO_NEW_PRIVS ":true", text);
}

static void security_opt_read(struct reader *r, const struct field *field, const struct node *node,
                              void *value)
{
        entries_read(r, field, node, read_option, value);
}

static json_t *security_opt_write(const struct field *field, const void *value)
{
        const bool *no_new_privs = value;

        (void)field;
        return *no_new_privs ? json_pack("[s]", NO_NEW_PRIVS ":true") : NULL;
}

const struct kind kind_security_opt = {
        .schema = "{'type':['array','null'],'items':{'type':'string'}}",
        .form = "a list of strings",
        .merge = MERGE_SET,
        .read = security_opt_read,
        .write = security_opt_write};
