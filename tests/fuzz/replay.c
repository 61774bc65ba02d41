/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main() of a harness without libFuzzer: gives it each file of tests/fuzz/corpus/NAME once, and
 * the empty input. A finding ends the program, as it does under the fuzzer.
 */
#include <glob.h>
#include <stdint.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "tests/tap.h"

#define INPUT_MAX (4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *path)
{
        AUTO_FREE char *bytes = NULL;
        struct err err = ERR_INIT;
        size_t len = 0;
        int r = file_read(path, INPUT_MAX, &bytes, &len, &err);

        printf("# %s\n", path); /* the last one of these is the culprit of a crash */
        fflush(stdout);
        if (!ok(r == 0, "%s can be read", path))
                printf("# %s\n", err.msg);
        else
                ok(LLVMFuzzerTestOneInput((const uint8_t *)bytes, len) == 0, "%s", path);
}

int main(int argc, char **argv)
{
        const char *slash = strrchr(argv[0], '/');
        AUTO_FREE char *pattern = xasprintf("tests/fuzz/corpus/%s/*", slash ? slash + 1 : argv[0]);
        glob_t found = {0};

        ok(LLVMFuzzerTestOneInput((const uint8_t *)"", 0) == 0, "the empty input");
        if (argc > 1) {
                for (int i = 1; i < argc; i++)
                        replay(argv[i]);
        } else {
                ok(glob(pattern, 0, NULL, &found) == 0, "%s has files", pattern);
                for (size_t i = 0; i < found.gl_pathc; i++)
                        replay(found.gl_pathv[i]);
        }
        globfree(&found);
        return tap_done();
}
