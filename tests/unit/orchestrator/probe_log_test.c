/* SPDX-License-Identifier: Apache-2.0 */
/* The last tests of a service's health: bounds, order, JSON and back. */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/probe_log.h"
#include "tests/tap.h"

static void add(struct probe_log *log, int code, const char *output, size_t len)
{
        struct probe_result result = {.start_ns = INT64_C(1767225600000000000),
                                      .end_ns = INT64_C(1767225600250000000),
                                      .code = code,
                                      .output_len = len,
                                      .message = code ? xasprintf("exited %d", code) : NULL};

        result.output = xcalloc(len + 1, 1);
        memcpy(result.output, output, len);
        probe_log_add(log, &result);
        ok(!result.output && !result.message, "what is added is taken");
}

static void test_bounds(void)
{
        struct probe_log log = {0};
        AUTO_FREE char *big = xcalloc(PROBE_OUTPUT_MAX + 10, 1);

        memset(big, 'x', PROBE_OUTPUT_MAX + 10);
        for (int i = 0; i < PROBE_LOG_MAX + 2; i++)
                add(&log, i, "no", 2);
        is_int((long long)log.len, PROBE_LOG_MAX, "no more than these are kept");
        is_int(log.items[0].code, 2, "the oldest are gone");
        is_int(log.items[PROBE_LOG_MAX - 1].code, PROBE_LOG_MAX + 1, "the newest is the last");
        add(&log, 0, big, PROBE_OUTPUT_MAX + 10);
        is_int((long long)log.items[PROBE_LOG_MAX - 1].output_len, PROBE_OUTPUT_MAX, "cut");
        ok(log.items[PROBE_LOG_MAX - 1].truncated, "and told so");
        probe_log_clear(&log);
        is_int((long long)log.len, 0, "forgotten");
        probe_log_clear(&log);
}

static void test_json(void)
{
        struct probe_log log = {0}, again = {0};
        AUTO_JSON json_t *json = NULL, *back = NULL, *last = NULL;
        AUTO_FREE char *text = NULL;

        add(&log, 0, "fine\n", 5);
        add(&log, 2, "a\xff", 2);
        ok(!probe_log_last_json(&again), "an empty one has no last");
        json = probe_log_to_json(&log);
        last = probe_log_last_json(&log);
        ok(json_equal(last, json_array_get(json, 1)), "the last one alone");
        text = json_text(json);
        is_str(text,
               "[{\"end\":\"2026-01-01T00:00:00.250000000Z\",\"exit_code\":0,\"output\":"
               "\"fine\\n\","
               "\"start\":\"2026-01-01T00:00:00.000000000Z\"},"
               "{\"end\":\"2026-01-01T00:00:00.250000000Z\",\"exit_code\":2,\"message\":\"exited "
               "2\",\"output\":\"a\xef\xbf\xbd\",\"start\":\"2026-01-01T00:00:00.000000000Z\"}]",
               "both, the oldest first, and no byte that JSON cannot carry");
        probe_log_from_json(&again, json);
        back = probe_log_to_json(&again);
        ok(json_equal(json, back), "a state file gives it back");
        probe_log_clear(&log);
        probe_log_clear(&again);
}

/* State files are hostile. */
static void test_nonsense(void)
{
        static const char *const texts[] = {
                "{}",
                "7",
                "[7, null, []]",
                "[{\"start\": 1}]",
                "[{\"start\": \"x\", \"end\": \"y\"}]",
        };
        struct probe_log log = {0};
        AUTO_JSON json_t *many = json_array();

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                AUTO_JSON json_t *json = json_loads(texts[i], 0, NULL);

                probe_log_from_json(&log, json);
                is_int((long long)log.len, 0, "%s", texts[i]);
        }
        probe_log_from_json(&log, NULL);
        is_int((long long)log.len, 0, "none at all");
        for (int i = 0; i < 100; i++)
                json_array_append_new(
                        many, json_pack("{s:s, s:s, s:i, s:[]}", "start", "2026-01-01T00:00:00Z",
                                        "end", "2026-01-01T00:00:01Z", "exit_code", i, "output"));
        probe_log_from_json(&log, many);
        is_int((long long)log.len, PROBE_LOG_MAX, "too many");
        is_int(log.items[0].code, 95, "the last of them are kept");
        probe_log_clear(&log);
}

int main(void)
{
        test_bounds();
        test_json();
        test_nonsense();
        return tap_done();
}
