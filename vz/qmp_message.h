/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of QMP as QEMU sends it, taken apart. QEMU speaks for a hostile guest, so its words are
 * hostile input too: lines are bounded, and whatever is not one of the four kinds is an error.
 */
#ifndef VZ_QMP_MESSAGE_H
#define VZ_QMP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

/* Longest line; the answers that berth asks for have a few KiB. */
#define QMP_LINE_MAX (256 << 10)

enum qmp_kind { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

struct qmp_message {
        enum qmp_kind kind;
        int64_t id;       /* RETURN, ERROR: of the command; -1: QEMU could not tell */
        const char *name; /* EVENT: its name; ERROR: its text; borrowed from json */
        json_t *data;     /* RETURN: the value; EVENT: the data or NULL; borrowed from json */
        json_t *json;     /* the whole line, owned */
};

/** Take a line (without its end) apart. EPROTO: err says what it is not. */
int qmp_message_parse(const char *line, size_t len, struct qmp_message *ret, struct err *err);

/** Free what qmp_message_parse() filled; safe on a zeroed one. */
void qmp_message_release(struct qmp_message *message);

#endif
