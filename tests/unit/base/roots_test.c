/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/roots.h"
#include "tests/tap.h"

static void clear_env(void)
{
        unsetenv("BERTH_ROOT");
        unsetenv("BERTH_IMAGES");
        unsetenv("BERTH_CACHE");
        unsetenv("XDG_STATE_HOME");
        unsetenv("XDG_RUNTIME_DIR");
        unsetenv("XDG_CACHE_HOME");
        setenv("HOME", "/home/u", 1);
}

static void test_moved(void)
{
        struct roots roots = {0};
        struct err err = ERR_INIT;

        clear_env();
        is_int(roots_init(&roots, "/x/y/", NULL, &err), 0, "a root is accepted");
        is_str(roots.root, "/x/y", "without its last slash");
        is_str(roots.state, "/x/y", "state is the root");
        is_str(roots.run, "/x/y/run", "run lies inside");
        is_str(roots.images, "/x/y/images", "images lie inside");
        is_str(roots.cache, "/home/u/.cache/berth", "the cache does not move");
        roots_release(&roots);

        setenv("BERTH_ROOT", "/env", 1);
        setenv("BERTH_IMAGES", "/shared/images", 1);
        setenv("BERTH_CACHE", "/cache", 1);
        is_int(roots_init(&roots, NULL, NULL, &err), 0, "the environment is read");
        is_str(roots.state, "/env", "BERTH_ROOT");
        is_str(roots.images, "/shared/images", "BERTH_IMAGES");
        is_str(roots.cache, "/cache", "BERTH_CACHE");
        roots_release(&roots);
        is_int(roots_init(&roots, "/arg", "/mine", &err), 0, "arguments are read");
        is_str(roots.state, "/arg", "--root wins over BERTH_ROOT");
        is_str(roots.images, "/mine", "--images wins over BERTH_IMAGES");
        roots_release(&roots);
}

static void test_relative(void)
{
        AUTO_FREE char *cwd = getcwd(NULL, 0);
        AUTO_FREE char *want = xasprintf("%s/r", cwd);
        struct roots roots = {0};

        clear_env();
        is_int(roots_init(&roots, "./r", NULL, NULL), 0, "a relative root is accepted");
        is_str(roots.state, want, "and counts from the present folder");
        roots_release(&roots);
        is_int(roots_init(&roots, ".", NULL, NULL), 0, "the present folder is accepted");
        is_str(roots.state, cwd, "as itself");
        roots_release(&roots);
}

static void test_defaults(void)
{
        struct roots roots = {0};

        clear_env();
        is_int(roots_init(&roots, NULL, NULL, NULL), 0, "defaults");
        ok(!roots.root, "no root was asked for");
        if (geteuid() == 0) {
                is_str(roots.state, "/var/lib/berth", "state of the system");
                is_str(roots.run, "/run/berth", "run folder of the system");
        } else {
                is_str(roots.state, "/home/u/.local/state/berth", "state of the user");
                is_str(roots.run, "/home/u/.local/state/berth/run", "run without XDG_RUNTIME_DIR");
        }
        roots_release(&roots);
}

static void test_too_long(void)
{
        struct roots roots = {0};
        struct err err = ERR_INIT;
        char path[200];

        clear_env();
        memset(path, 'a', sizeof(path));
        path[0] = '/';
        path[107 - strlen("/run/berth.sock")] = '\0';
        is_int(roots_init(&roots, path, NULL, &err), 0, "107 bytes of socket path fit");
        roots_release(&roots);
        path[strlen(path)] = 'a';
        path[108 - strlen("/run/berth.sock")] = '\0';
        is_int(roots_init(&roots, path, NULL, &err), -ENAMETOOLONG, "108 do not");
        has_str(err.msg, "107", "and the text tells the limit");
}

static void test_create(void)
{
        char dir[] = "/tmp/berth-roots-XXXXXX";
        AUTO_FREE char *root = NULL;
        struct roots roots = {0};
        struct stat st;

        clear_env();
        ok(mkdtemp(dir), "temporary folder");
        root = file_join(dir, "deep/root");
        is_int(roots_init(&roots, root, NULL, NULL), 0, "a missing folder is accepted");
        is_int(roots_create(&roots, NULL), 0, "it is created");
        ok(stat(roots.run, &st) == 0 && (st.st_mode & 07777) == 0700, "for its owner only");
        is_int(roots_create(&roots, NULL), 0, "twice is fine");
        roots_release(&roots);
        is_int(file_remove_tree(dir, NULL), 0, "removed");
}

int main(void)
{
        test_moved();
        test_relative();
        test_defaults();
        test_too_long();
        test_create();
        return tap_done();
}
