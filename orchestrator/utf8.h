/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of guests as text: what is not UTF-8 becomes U+FFFD, so that JSON can carry it. */
#ifndef ORCHESTRATOR_UTF8_H
#define ORCHESTRATOR_UTF8_H

#include <jansson.h>
#include <stddef.h>

/** Length of the valid UTF-8 sequence at the start of n bytes; 0 when there is none. */
size_t utf8_sequence(const char *bytes, size_t n);

/** A JSON string of n bytes, invalid ones replaced. NUL bytes stay. New reference. */
json_t *utf8_json(const char *bytes, size_t n);

#endif
