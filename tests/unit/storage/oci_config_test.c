/* SPDX-License-Identifier: Apache-2.0 */
/* What an image says about itself, taken as an attacker would say it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "storage/oci.h"
#include "tests/tap.h"

static struct image *fill(const char *text, struct err *err)
{
        AUTO(image) struct image *image = xnew(struct image);
        AUTO_JSON json_t *json = NULL;

        *err = (struct err)ERR_INIT;
        if (oci_parse(text, strlen(text), "config", &json, err) < 0 ||
            oci_config_fill(json, image, err) < 0)
                return NULL;
        return STEAL(image);
}

/* A config whose text has `times` of `piece` between what stands before and after. */
static char *repeat(const char *before, const char *piece, size_t times, const char *after)
{
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(8u << 20);

        strbuf_adds(&text, before);
        for (size_t i = 0; i < times; i++)
                strbuf_adds(&text, piece);
        strbuf_adds(&text, after);
        return strbuf_take(&text);
}

/* What is refused, and what the message must name. */
static const struct {
        const char *text, *says;
} refused[] = {
        {"[]", NULL}, /* like {}: nothing in it */
        {"{\"config\": [1, 2]}", "config: must be an object"},
        {"{\"config\": \"x\"}", "config: must be an object"},
        {"{\"os\": 5}", "os: must be a string"},
        {"{\"architecture\": {}}", "architecture: must be a string"},
        {"{\"created\": 1}", "created: must be a string"},
        {"{\"config\": {\"User\": 1000}}", "User: must be a string"},
        {"{\"config\": {\"User\": false}}", "User: must be a string"},
        {"{\"config\": {\"WorkingDir\": [\"/\"]}}", "WorkingDir: must be a string"},
        {"{\"config\": {\"StopSignal\": 9}}", "StopSignal: must be a string"},
        {"{\"config\": {\"Env\": {\"A\": \"B\"}}}", "Env: must be a list of strings"},
        {"{\"config\": {\"Env\": [\"A=1\", 5]}}", "Env: must be a list of strings"},
        {"{\"config\": {\"Env\": [\"A=1\", null]}}", "Env: must be a list of strings"},
        {"{\"config\": {\"Cmd\": \"sh\"}}", "Cmd: must be a list of strings"},
        {"{\"config\": {\"Entrypoint\": 1}}", "Entrypoint: must be a list of strings"},
        {"{\"config\": {\"Healthcheck\": [1]}}", "Healthcheck: must be an object"},
        {"{\"config\": {\"Healthcheck\": {\"Test\": \"true\"}}}", "Test: must be a list"},
        {"{\"config\": {\"Healthcheck\": {\"Interval\": 1e300}}}", "Interval: must be an integer"},
        {"{\"config\": {\"Healthcheck\": {\"Timeout\": \"1s\"}}}", "Timeout: must be an integer"},
        {"{\"config\": {\"Healthcheck\": {\"Retries\": 1.5}}}", "Retries: must be an integer"},
        {"{\"config\": {\"Env\": [\"A=\\u0000\"]}}", "\\u0000"},
        {"{\"config\": {\"User\": \"a\", \"User\": \"b\"}}", "duplicate"},
        {"{\"config\": {\"Healthcheck\": {\"Interval\": 99999999999999999999}}}", "too big"},
};

static void test_types(void)
{
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                AUTO(image) struct image *image = fill(refused[i].text, &err);

                if (!refused[i].says)
                        ok(image != NULL, "taken: %s", refused[i].text);
                else
                        ok(!image && strstr(err.msg, refused[i].says), "refused: %s",
                           refused[i].text);
                if (!image && refused[i].says && !strstr(err.msg, refused[i].says))
                        tap_note("%s", err.msg);
        }
}

static void test_nothing(void)
{
        static const char nulls[] =
                "{\"os\": null, \"config\": {\"User\": null, \"Env\": null, \"Cmd\": null,"
                " \"Healthcheck\": null, \"Volumes\": null, \"Labels\": [1]}}";
        struct err err;
        AUTO(image) struct image *empty = fill("{\"config\": null}", &err);
        AUTO(image) struct image *null = fill(nulls, &err);

        ok(empty && !empty->user && empty->cmd_len == 0, "no config at all");
        ok(null && !null->user && null->env_len == 0 && null->healthcheck.test_len == 0,
           "null is as if it were not there; who runs nothing of labels does not mind them");
}

/* One list or text that is just too long, and one that just is not. */
static void test_bounds(void)
{
        static const struct {
                const char *before, *piece, *after, *says;
                size_t most;
        } bounds[] = {
                {"{\"config\": {\"Env\": [\"A=1\"", ",\"A=1\"", "]}}", "Env: more than 1000 items",
                 OCI_LIST_MAX - 1},
                {"{\"config\": {\"Cmd\": [\"", "c", "\"]}}", "Cmd: longer than 65536 bytes",
                 OCI_TEXT_MAX},
                {"{\"config\": {\"User\": \"", "u", "\"}}", "User: longer than 4095 bytes",
                 OCI_WORD_MAX},
                {"{\"config\": {\"WorkingDir\": \"/", "../", "\"}}", "WorkingDir: longer than 4095",
                 (OCI_WORD_MAX - 1) / 3},
                {"{\"config\": {\"StopSignal\": \"", "S", "\"}}", "StopSignal: longer than 4095",
                 OCI_WORD_MAX},
                {"{\"a\": [1", ",1", "]}", "more than 131072 values", OCI_VALUES_MAX - 3},
                {"{\"a\": ", "[", "]}", "nested deeper", 0},
        };
        struct err err;

        for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
                bool deep = bounds[i].most == 0;
                AUTO_FREE char *good =
                        repeat(bounds[i].before, bounds[i].piece, bounds[i].most, bounds[i].after);
                AUTO_FREE char *bad = repeat(bounds[i].before, bounds[i].piece,
                                             deep ? 5000 : bounds[i].most + 1, bounds[i].after);
                AUTO(image) struct image *most = deep ? NULL : fill(good, &err);
                AUTO(image) struct image *more = NULL;

                ok(deep || most, "%s: the most is taken", bounds[i].says);
                more = fill(bad, &err);
                ok(!more && strstr(err.msg, bounds[i].says), "%s: one more is refused",
                   bounds[i].says);
        }
}

/* 4 MiB of "[]," were 200 MB in the daemon, each time somebody looked at the image. */
static void test_values(void)
{
        AUTO_FREE char *lists = repeat("{\"history\": [[]", ",[]", 1390000, "]}");
        AUTO_FREE char *text = repeat("{\"author\": \"", "[,\\\"{:", 100000, "\"}");
        AUTO_JSON json_t *json = NULL;
        struct err err = ERR_INIT;

        is_int(oci_parse(lists, strlen(lists), "config", &json, &err), -E2BIG,
               "millions of empty lists");
        is_int(oci_parse(text, strlen(text), "config", &json, &err), 0,
               "what looks like them within a string is none");
}

static void test_durations(void)
{
        static const char below[] =
                "{\"config\": {\"Healthcheck\": {\"Interval\": -5, \"Timeout\": "
                "-9223372036854775808, \"StartPeriod\": 0, \"Retries\": -1}}}";
        static const char tiny[] =
                "{\"config\": {\"Healthcheck\": {\"Interval\": 1, \"Timeout\": 1,"
                " \"StartPeriod\": 1, \"StartInterval\": 1}}}";
        static const char huge[] =
                "{\"config\": {\"Healthcheck\": {\"Interval\": 9223372036854775807, \"Retries\": "
                "9223372036854775807}}}";
        struct err err;
        AUTO(image) struct image *image = fill(below, &err);
        AUTO(image) struct image *small = fill(tiny, &err);
        AUTO(image) struct image *large = fill(huge, &err);

        ok(image && image->healthcheck.interval_ms == 0 && image->healthcheck.timeout_ms == 0 &&
                   image->healthcheck.retries == 0,
           "below zero is the default");
        ok(small && small->healthcheck.interval_ms == OCI_PROBE_MIN_MS &&
                   small->healthcheck.start_interval_ms == OCI_PROBE_MIN_MS &&
                   small->healthcheck.timeout_ms == 1 && small->healthcheck.start_period_ms == 1,
           "a nanosecond does not keep the daemon busy");
        ok(large && large->healthcheck.interval_ms == INT64_MAX / 1000000 &&
                   large->healthcheck.retries == 0,
           "three hundred years are not an overflow");
}

/* Decided: sha256 is what registries have; whoever has another is told so. */
static void test_algorithms(void)
{
        AUTO_FREE char *hex = repeat("", "0123456789abcdef", 8, "");
        AUTO_FREE char *layer = xasprintf(
                "{\"schemaVersion\": 2, \"config\": {\"digest\": \"sha256:%.64s\", \"size\": 2},"
                " \"layers\": [{\"digest\": \"sha512:%s\", \"size\": 1}]}",
                hex, hex);
        AUTO_FREE char *diff = xasprintf(
                "{\"rootfs\": {\"type\": \"layers\", \"diff_ids\": [\"sha512:%s\"]}}", hex);
        AUTO_FREE char(*ids)[DIGEST_TEXT_MAX] = NULL;
        AUTO(oci_manifest) struct oci_manifest *manifest = NULL;
        AUTO_JSON json_t *json = NULL;
        struct err err = ERR_INIT;

        ok(oci_manifest_parse(layer, strlen(layer), "m", &manifest, &err) == -EINVAL &&
                   strstr(err.msg, "sha512:") && strstr(err.msg, "others are not supported"),
           "a layer with a digest of sha512");
        ok(oci_parse(diff, strlen(diff), "c", &json, &err) == 0 &&
                   oci_config_diff_ids(json, "c", 1, &ids, &err) == -EINVAL &&
                   strstr(err.msg, "others are not supported"),
           "a diff_id of sha512");
}

int main(void)
{
        test_algorithms();
        test_types();
        test_nothing();
        test_bounds();
        test_values();
        test_durations();
        return tap_done();
}
