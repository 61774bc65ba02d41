/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/auto.h"
#include "base/mem.h"
#include "schema/interpolate.h"
#include "tests/tap.h"

static const char *const environment[] = {"A=a", "B=b", "E=", "N_1=n", NULL};

/* expected NULL: an error; "=": nothing to replace. unset: names that are told, in order. */
static const struct {
        const char *text, *expected, *unset;
} cases[] = {
        {"plain", "=", ""},
        {"$A", "a", ""},
        {"${A}", "a", ""},
        {"x$A-${B}y", "xa-by", ""},
        {"$N_1x", "", "N_1x"},
        {"${N_1}x", "nx", ""},
        {"$GONE", "", "GONE"},
        {"${E}", "", ""},
        {"${GONE:-d}", "d", ""},
        {"${GONE-d}", "d", ""},
        {"${E:-d}", "d", ""},
        {"${E-d}", "", ""},
        {"${A:-d}", "a", ""},
        {"${A:+r}", "r", ""},
        {"${E:+r}", "", ""},
        {"${E+r}", "r", ""},
        {"${GONE+r}", "", ""},
        {"${A:?m}", "a", ""},
        {"${E:?m}", NULL, ""},
        {"${E?m}", "", ""},
        {"${GONE?m}", NULL, ""},
        {"${GONE:-${B}}", "b", ""},
        {"${GONE:-${GONE:-${A}$B}}", "ab", ""},
        {"${A:-${GONE}}", "a", ""},
        {"${A:-${GONE:?never}}", "a", ""},
        {"${GONE:-$OTHER}", "", "OTHER"},
        {"${GONE:-/a:-b}", "/a:-b", ""},
        {"${GONE-:2283:2283}", ":2283:2283", ""},
        {"${GONE:-}", "", ""},
        {"$$", "$", ""},
        {"$$A", "$A", ""},
        {"$$$A", "$a", ""},
        {"$${A}", "${A}", ""},
        {"${GONE:-$${x}}", "${x}", ""},
        {"^x$", "^x$", ""},
        {"a $ b", "a $ b", ""},
        {"$(id)", "$(id)", ""},
        {"$1", "$1", ""},
        {"$}", "$}", ""},
        {"${", NULL, ""},
        {"${}", NULL, ""},
        {"${ A}", NULL, ""},
        {"${A!}", NULL, ""},
        {"${A/a/b}", NULL, ""},
        {"${A", NULL, ""},
        {"${GONE:-${A}", NULL, ""},
        {"${A:}", NULL, ""},
        {"${1}", NULL, ""},
};

static void on_unset(void *arg, const char *name)
{
        char *names = arg;
        size_t n = strlen(names);

        (void)snprintf(names + n, 64 - n, "%s%s", n ? "," : "", name);
}

static void test_grammar(void)
{
        const struct env env = {.environ = environment};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char unset[64] = "";
                const struct interpolation in = {.env = &env, .on_unset = on_unset, .arg = unset};
                AUTO_FREE char *value = NULL;
                struct err err = ERR_INIT;
                int r = interpolate(&in, cases[i].text, &value, &err);

                if (!cases[i].expected)
                        ok(r == -EINVAL && !value && err.msg[0], "%s is refused", cases[i].text);
                else if (streq(cases[i].expected, "="))
                        is_int(r, 1, "%s has nothing to replace", cases[i].text);
                else
                        is_str(value, cases[i].expected, "%s", cases[i].text);
                is_str(unset, cases[i].unset, "%s: unset variables", cases[i].text);
        }
}

static void test_texts(void)
{
        const struct env env = {.environ = environment};
        const struct interpolation in = {.env = &env};
        struct err err = ERR_INIT;
        char *value = NULL;

        (void)interpolate(&in, "${GONE:?ask $A for it}", &value, &err);
        is_str(err.msg,
               "required variable GONE is missing a value: ask a for it; set it in the environment "
               "or in .env",
               "the message is interpolated");
        (void)interpolate(&in, "${GONE?}", &value, &err);
        is_str(err.msg,
               "required variable GONE is missing a value; set it in the environment or in .env",
               "and may be missing");
}

static void test_bounds(void)
{
        struct env env = {.environ = environment};
        const struct interpolation in = {.env = &env};
        AUTO_FREE char *big = xcalloc(1, 1024 * 1024 + 1);
        char nested[40 * 6 + 1] = "";
        char *value = NULL;

        memset(big, 'x', 1024 * 1024);
        env_set(&env, "BIG", big);
        is_int(interpolate(&in, "$BIG$BIG$BIG$BIG$BIG", &value, NULL), -EINVAL, "a long result");
        for (int i = 0; i < 40; i++)
                memcpy(nested + strlen(nested), "${Z:-", 5);
        memset(nested + strlen(nested), '}', 40);
        is_int(interpolate(&in, nested, &value, NULL), -EINVAL, "deep nesting");
        env_release(&env);
}

static void test_env(void)
{
        struct env top = {.environ = environment};
        struct env env = {.parent = &top};

        env_set(&env, "A", "mine");
        env_set(&env, "C", "1");
        env_set(&env, "C", "2");
        is_str(env_get(&env, "A"), "a", "the parent goes above");
        is_str(env_get(&env, "C"), "2", "the last one counts");
        is_str(env_get(&env, "E"), "", "empty is set");
        ok(!env_get(&env, "N"), "a prefix is not the name");
        env_release(&env);
}

int main(void)
{
        test_grammar();
        test_texts();
        test_bounds();
        test_env();
        return tap_done();
}
