/* SPDX-License-Identifier: Apache-2.0 */
/* What a child sees that its parent does not: mounts of its own. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "tests/tap.h"

static char *run(const char *script, const struct spawn_bind *binds, size_t n, struct err *err)
{
        const char *argv[] = {"sh", "-c", script, NULL};
        const struct spawn spec = {.argv = argv, .binds = binds, .bind_count = n};
        char *out = NULL;

        return spawn_run(&spec, 4096, &out, err) < 0 ? NULL : out;
}

static void test_binds(const char *dir)
{
        AUTO_FREE char *root = file_join(dir, "root"), *source = file_join(dir, "source");
        AUTO_FREE char *folder = file_join(root, "0"), *one = file_join(root, "1");
        AUTO_FREE char *file = file_join(source, "f"), *made = file_join(source, "made");
        const struct spawn_bind binds[] = {
                {root, root, true}, {source, folder, false}, {file, one, true}};
        AUTO_FREE char *script =
                xasprintf("cd %s && cat 0/f 1 && echo new >0/made && ! echo x 2>/dev/null >1 && "
                          "! echo x 2>/dev/null >more && ls",
                          root);
        AUTO_FREE char *out = NULL, *seen = NULL, *late = NULL;
        struct err err = ERR_INIT;
        struct stat st;

        if (file_mkdir_p(folder, 0755, &err) < 0 || file_mkdir_p(source, 0755, &err) < 0 ||
            file_write_atomic(file, "text\n", 5, 0644, &err) < 0 ||
            file_write_atomic(one, "", 0, 0644, &err) < 0) {
                ok(false, "prepare: %s", err.msg);
                return;
        }
        out = run(script, binds, ARRAY_SIZE(binds), &err);
        if (!out && strstr(err.msg, "cannot have mounts")) {
                ok(true, "binds # SKIP no mounts for this user on this machine");
                return;
        }
        is_str(out, "text\ntext\n0\n1\n", "a folder and a file in a folder that cannot be written");
        is_int(file_read(made, 16, &seen, NULL, &err), 0, "what the child made is in the source");
        ok(stat(one, &st) == 0 && st.st_size == 0, "the place itself stays as it was");
        late = file_join(folder, "f");
        ok(stat(late, &st) < 0, "nothing is mounted for others");
}

static void test_failure(const char *dir)
{
        AUTO_FREE char *missing = file_join(dir, "missing");
        const struct spawn_bind bind = {missing, dir, false};
        struct err err = ERR_INIT;
        AUTO_FREE char *out = run("true", &bind, 1, &err);
        AUTO_FREE char *hint = xasprintf("bind mount %s: ", missing);

        ok(!out, "a source that is not there");
        if (!strstr(err.msg, "cannot have mounts"))
                has_str(err.msg, hint, "is named");
}

int main(void)
{
        char dir[] = "/tmp/spawn_test.XXXXXX";
        struct err err = ERR_INIT;

        if (!mkdtemp(dir))
                return 1;
        test_binds(dir);
        test_failure(dir);
        is_int(file_remove_tree(dir, &err), 0, "nothing is left");
        return tap_done();
}
