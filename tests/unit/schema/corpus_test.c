/* SPDX-License-Identifier: Apache-2.0 */
/* Replays what the fuzzer of manifests has found, and where it began. */
#include <glob.h>

#include "base/file.h"
#include "tests/fuzz/fuzz_manifest.c"
#include "tests/tap.h"

int main(void)
{
        glob_t found = {0};

        if (glob("tests/fuzz/corpus/manifest/*", 0, NULL, &found) != 0) {
                printf("1..0 # SKIP the corpus is not below this folder\n");
                return 0;
        }
        for (size_t i = 0; i < found.gl_pathc; i++) {
                AUTO_FREE char *text = NULL;
                size_t n = 0;

                ok(file_read(found.gl_pathv[i], 1 << 20, &text, &n, NULL) == 0 &&
                           LLVMFuzzerTestOneInput((const uint8_t *)text, n) == 0,
                   "%s", found.gl_pathv[i]);
        }
        globfree(&found);
        return tap_done();
}
