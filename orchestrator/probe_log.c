/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/probe_log.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/utf8.h"

/* Longest message that is read back; the daemon's own are far shorter. */
#define MESSAGE_MAX 1024

static void result_release(struct probe_result *result)
{
        free(result->output);
        free(result->message);
        *result = (struct probe_result){0};
}

void probe_log_add(struct probe_log *log, struct probe_result *result)
{
        if (log->len == PROBE_LOG_MAX) {
                result_release(&log->items[0]);
                log->len--;
                memmove(&log->items[0], &log->items[1], log->len * sizeof(log->items[0]));
        }
        if (result->output_len > PROBE_OUTPUT_MAX) {
                result->output_len = PROBE_OUTPUT_MAX;
                result->output[PROBE_OUTPUT_MAX] = '\0';
                result->truncated = true;
        }
        log->items[log->len++] = *result;
        *result = (struct probe_result){0};
}

void probe_log_clear(struct probe_log *log)
{
        for (size_t i = 0; i < log->len; i++)
                result_release(&log->items[i]);
        log->len = 0;
}

static json_t *result_json(const struct probe_result *result)
{
        json_t *json = json_object();
        char start[CLOCK_TEXT_MAX], end[CLOCK_TEXT_MAX];

        clock_text(result->start_ns, start);
        clock_text(result->end_ns, end);
        json_set_str(json, "start", start);
        json_set_str(json, "end", end);
        json_set_int(json, "exit_code", result->code);
        json_object_set_new(json, "output",
                            utf8_json(result->output ? result->output : "", result->output_len));
        if (result->truncated)
                json_set_bool(json, "truncated", true);
        json_set_str(json, "message", result->message);
        return json;
}

json_t *probe_log_to_json(const struct probe_log *log)
{
        json_t *array = json_array();

        for (size_t i = 0; i < log->len; i++)
                json_array_append_new(array, result_json(&log->items[i]));
        return array;
}

json_t *probe_log_last_json(const struct probe_log *log)
{
        return log->len ? result_json(&log->items[log->len - 1]) : NULL;
}

void probe_log_from_json(struct probe_log *log, const json_t *json)
{
        const json_t *item;
        size_t i;

        json_array_foreach(json, i, item) {
                const json_t *output = json_object_get(item, "output");
                const char *message = json_str(item, "message", NULL);
                struct probe_result result = {.code = (int)json_int(item, "exit_code", -1),
                                              .truncated = json_bool(item, "truncated", false)};

                if (clock_parse(json_str(item, "start", ""), &result.start_ns) < 0 ||
                    clock_parse(json_str(item, "end", ""), &result.end_ns) < 0)
                        continue;
                result.output_len = json_string_length(output);
                result.output = xcalloc(result.output_len + 1, 1);
                if (result.output_len)
                        memcpy(result.output, json_string_value(output), result.output_len);
                result.message = message ? xstrndup(message, MESSAGE_MAX) : NULL;
                probe_log_add(log, &result);
        }
}
