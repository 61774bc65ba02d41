/* SPDX-License-Identifier: Apache-2.0 */
#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "schema/dotenv.h"
#include "tests/tap.h"

static const char *const environment[] = {"HOST=host", NULL};

/* expected: "KEY=VALUE;" of what was set, in order. */
static const struct {
        const char *name, *text, *expected;
        size_t errors;
} cases[] = {
        {"empty", "", "", 0},
        {"one", "A=1", "A=1;", 0},
        {"some with comments", "# c\n\nA=1\n  B=2  \n#x=y\n", "A=1;B=2;", 0},
        {"CRLF and a BOM",
         "\xef\xbb\xbf"
         "A=1\r\nB='x'\r\nC=\r\n",
         "A=1;B=x;C=;", 0},
        {"export and colon", "export A=1\nB: 2\nC : 3\n", "A=1;B=2;C=3;", 0},
        {"key alone", "HOST\nGONE\n", "HOST=host;", 0},
        {"inline comments", "A=1 # c\nB=1#c\nC=#c\nD='x' # c\n", "A=1;B=1#c;C=#c;D=x;", 0},
        {"single quotes", "A='$HOST \\n \"x\" it\\'s'\n", "A=$HOST \\n \"x\" it's;", 0},
        {"double quotes", "A=\"$HOST \\n\\t\\\"\\$HOST\\\\ \\q\"\n", "A=host \n\t\"$HOST\\ \\q;",
         0},
        {"several lines", "A='x\ny'\nB=\"p\nq\"\nC=1\n", "A=x\ny;B=p\nq;C=1;", 0},
        {"variables", "A=1\nB=${A}-$HOST-${GONE:-d}\n", "A=1;B=1-host-d;", 0},
        {"odd keys", "a.b-c[0]=1\n1A=2\n", "a.b-c[0]=1;", 0},
        {"values with =", "A=b=c\n", "A=b=c;", 0},
        {"errors go on", "A B\n=x\nC='open\nD=1\n", "", 3},
        {"bad variables", "A=${\nB=2\n", "B=2;", 1},
};

static void test_cases(void)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO_STRBUF struct strbuf got = STRBUF_INIT(1024);
                struct env env = {.environ = environment};
                struct diags diags = {0};
                int r = dotenv_read("f.env", "", cases[i].text, false, &env, &diags);

                for (size_t k = 0; k < env.vars.len; k++)
                        strbuf_addf(&got, "%s=%s;", env.vars.items[k].key, env.vars.items[k].value);
                is_str(strbuf_str(&got), cases[i].expected, "%s", cases[i].name);
                is_int(diags.errors, cases[i].errors, "%s: errors", cases[i].name);
                is_int(r, cases[i].errors ? -EINVAL : 0, "%s: result", cases[i].name);
                diags_release(&diags);
                env_release(&env);
        }
}

static void test_raw(void)
{
        struct env env = {0};
        struct diags diags = {0};

        is_int(dotenv_read("f.env", "", "A='$x' # y\nB=\n", true, &env, &diags), 0, "raw");
        is_str(env.vars.items[0].value, "'$x' # y", "values are as they stand there");
        diags_release(&diags);
        env_release(&env);
}

static void test_places(void)
{
        struct env env = {0};
        struct diags diags = {0};

        (void)dotenv_read("f.env", "services.a.env_file", "A=1\nB='x\n\ny'\nC D\nE=$F\n", false,
                          &env, &diags);
        is_int(diags.len, 2, "two findings");
        is_int(diags.items[0].place.line, 5, "behind a value of three lines");
        is_str(diags.items[0].place.file, "f.env", "with the file");
        is_int(diags.items[1].severity, DIAG_WARNING, "an unset variable is a warning");
        is_str(diags.items[1].message, "variable F is not set; an empty text is used", "with name");
        diags_release(&diags);
        env_release(&env);
}

int main(void)
{
        test_cases();
        test_raw();
        test_places();
        return tap_done();
}
