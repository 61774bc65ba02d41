/* SPDX-License-Identifier: Apache-2.0 */
/* Runs all scenarios from the root of the repository; names may be given to run only these. */
#include <glob.h>

#include "tests/scenario/run.h"
#include "tests/tap.h"

static void run_one(const char *path)
{
        struct err err = ERR_INIT;

        if (!ok(scenario_run(path, &err) == 0, "%s", path)) {
                printf("# ");
                for (const char *p = err.msg; *p; p++) {
                        putchar(*p);
                        if (*p == '\n')
                                printf("# ");
                }
                putchar('\n');
        }
}

int main(int argc, char **argv)
{
        glob_t found;

        if (argc > 1) {
                for (int i = 1; i < argc; i++)
                        run_one(argv[i]);
                return tap_done();
        }
        if (!ok(glob("tests/scenario/*.scn", 0, NULL, &found) == 0, "scenarios are there"))
                return tap_done();
        for (size_t i = 0; i < found.gl_pathc; i++)
                run_one(found.gl_pathv[i]);
        ok(found.gl_pathc >= 120, "%zu scenarios", found.gl_pathc);
        tap_note("scenarios of the reconciler: %zu", found.gl_pathc);
        globfree(&found);
        return tap_done();
}
