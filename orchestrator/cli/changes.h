/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of `berth diff`: what an apply would do and why, field by field, from the changes array
 * of the API. The wording is a contract: golden files in tests/cli hold it.
 */
#ifndef ORCHESTRATOR_CLI_CHANGES_H
#define ORCHESTRATOR_CLI_CHANGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"
#include "schema/places.h"

/* Longest text of a diff; more is cut with a note. */
#define CHANGES_TEXT_MAX (16u << 20)

struct changes_head {
        const char *stack;
        int64_t revision;   /* the present one; 0: the stack is new */
        const char *source; /* of the manifest; NULL: not shown */
        size_t services;    /* in the manifest */
        size_t volumes;
        bool colour;
};

/**
 * Put {file, line, column} into each change and each field with a new value: where that stands in
 * the manifest. What is removed, or stands nowhere, gets none.
 */
void changes_locate(json_t *changes, const struct places *places);

/** Whether there is anything to do. */
bool changes_any(const json_t *changes);

/** "1 to create, 2 to replace"; "nothing to do" when empty. On the heap. */
char *changes_summary(const json_t *changes);

/** The whole text. changes: hostile in its details (names and values may hold control bytes). */
void changes_text(const struct changes_head *head, const json_t *changes, struct strbuf *out);

#endif
