/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/explain.h"
#include "tests/tap.h"

static void test_found(const char *key, const char *first_line)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(EXPLAIN_MAX);

        is_int(explain(key, &out, NULL), 0, "%s is explained", key ? key : "the top level");
        has_str(strbuf_str(&out), first_line, "as %s", first_line);
        ok(out.len && out.data[out.len - 1] == '\n' && !strbuf_failed(&out), "whole");
}

static void test_unknown(const char *key, const char *hint)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(EXPLAIN_MAX);
        struct err err = ERR_INIT;

        is_int(explain(key, &out, &err), -ENOENT, "%s is unknown", key);
        has_str(err.msg, hint, "with a hint");
}

int main(void)
{
        test_found(NULL, "services");
        test_found("services", "keys of each:");
        test_found("services.healthcheck.interval", "services.*.healthcheck.interval\n");
        test_found("services.*.healthcheck.interval", "services.*.healthcheck.interval\n");
        test_found("services.web.healthcheck.interval", "services.*.healthcheck.interval\n");
        test_found("interval", "services.*.healthcheck.interval\n");
        test_found("name", "name\n");
        test_unknown("intervall", "'interval'");
        test_unknown("services.web.web.image", "'berth explain'");
        test_unknown("a.b", "'berth explain'");
        test_unknown("", "''");
        return tap_done();
}
