/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/auto.h"
#include "base/mem.h"
#include "orchestrator/cli/args.h"
#include "orchestrator/cli/cli.h"
#include "tests/tap.h"

static const struct option_def options[] = {
        {'f', "file", "FILE", ""}, {'d', "detach", NULL, ""},  {'i', "interactive", NULL, ""},
        {'t', "tty", NULL, ""},    {0, "timeout", "TIME", ""}, {0, NULL, NULL, NULL},
};

static const struct command plain = {
        .name = "plain", .usage = "[A]", .options = options, .operands_max = 1};
static const struct command two = {.name = "exec",
                                   .usage = "TARGET -- CMD",
                                   .options = options,
                                   .operands_min = 2,
                                   .operands_max = 2,
                                   .rest = true};

#define PARSE(command, ret, err, ...) \
        args_parse((command), (const char *const[]){__VA_ARGS__, NULL}, (ret), (err))

static void test_options(void)
{
        struct args args = {0};
        struct err err = ERR_INIT;
        AUTO_FREE const char **files = NULL;
        size_t n;

        is_int(PARSE(&plain, &args, &err, "-fa", "-f", "b", "--file=c", "--file", "-d", "-d", "x"),
               0, "all ways to give a value");
        files = args_values(&args, "file", &n);
        is_int(n, 4, "are four values");
        is_str(files[0], "a", "attached");
        is_str(files[1], "b", "apart");
        is_str(files[2], "c", "with =");
        is_str(files[3], "-d", "a value may look like an option");
        is_str(args_value(&args, "file"), "-d", "the last one counts where one is wanted");
        ok(args_flag(&args, "detach"), "a flag is set");
        ok(!args_flag(&args, "tty"), "another is not");
        is_str(args_value(&args, "timeout"), NULL, "an option that is not there has no value");
        is_str(args_operand(&args, 0), "x", "an operand behind options");
        is_str(args_operand(&args, 1), NULL, "there is no second");
        args_release(&args);
}

static void test_refused(void)
{
        struct args args = {0};
        struct err err = ERR_INIT;

        is_int(PARSE(&plain, &args, &err, "--tiemout", "3"), -EINVAL, "an unknown option");
        has_str(err.msg, "did you mean --timeout", "with a suggestion");
        is_int(PARSE(&plain, &args, &err, "-x"), -EINVAL, "an unknown letter");
        is_int(PARSE(&plain, &args, &err, "-f"), -EINVAL, "a missing value");
        has_str(err.msg, "FILE", "told by its placeholder");
        is_int(PARSE(&plain, &args, &err, "--detach=1"), -EINVAL, "a value for a flag");
        is_int(PARSE(&plain, &args, &err, "a", "b"), -EINVAL, "an operand too many");
        has_str(err.msg, "'b'", "is named");
        is_int(PARSE(&two, &args, &err, "a"), -EINVAL, "an operand too few");
        is_int(PARSE(&two, &args, &err, "-h"), 0, "unless help is asked for");
        ok(args.help, "which is noted");
        args_release(&args);
}

static void test_rest(void)
{
        struct args args = {0};

        is_int(PARSE(&two, &args, NULL, "-it", "web", "ls", "-f", "--tty"), 0, "a command line");
        is_int(args.operands_len, 4, "keeps its own options");
        is_str(args_operand(&args, 3), "--tty", "to the last");
        is_str(args_value(&args, "file"), NULL, "they are not ours");
        ok(args_flag(&args, "interactive") && args_flag(&args, "tty"), "letters in one word");
        args_release(&args);
        is_int(PARSE(&two, &args, NULL, "web", "-i", "--", "-x"), 0, "options behind the target");
        ok(args_flag(&args, "interactive"), "are ours");
        is_str(args_operand(&args, 1), "-x", "up to --");
        args_release(&args);
        is_int(PARSE(&plain, &args, NULL, "-"), 0, "a lone dash");
        is_str(args_operand(&args, 0), "-", "is an operand");
        args_release(&args);
}

static void test_suggest(void)
{
        static const char *const names[] = {"apply", "delete", "diff", "image ls"};

        is_str(cli_suggest("aply", names, 4), "apply", "a missing letter");
        is_str(cli_suggest("dleete", names, 4), "delete", "swapped letters");
        is_str(cli_suggest("image lst", names, 4), "image ls", "two words");
        is_str(cli_suggest("frobnicate", names, 4), NULL, "nothing near");
        is_str(cli_suggest("", names, 4), NULL, "nothing at all");
}

int main(void)
{
        test_options();
        test_refused();
        test_rest();
        test_suggest();
        return tap_done();
}
