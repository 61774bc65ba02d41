/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tap.h"
#include "vminit/user.h"

static char dir[] = "/tmp/berth-user-XXXXXX";
static char passwd[64], group[64];

static void put(const char *path, const char *text, size_t len)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ok(fd >= 0 && write(fd, text, len) == (ssize_t)len, "write %s", path);
        close(fd);
}

static int resolve(const char *spec, struct user *u, struct fail *f)
{
        return user_resolve(spec, NULL, 0, passwd, group, u, f);
}

static void expect(const char *spec, unsigned uid, unsigned gid, size_t groups, const char *home)
{
        struct user u;
        struct fail f;
        ok(resolve(spec, &u, &f) == 0, "user '%s' exists", spec ? spec : "(none)");
        ok(u.uid == uid && u.gid == gid && u.n_groups == groups, "as %u:%u with %zu groups", uid,
           gid, groups);
        is_int(u.groups[groups - 1], gid, "the last of which is its own");
        is_str(u.home, home, "with its home");
}

static void test_ordinary(void)
{
        struct user u;
        struct fail f;
        expect(NULL, 0, 0, 1, "/root");
        expect("", 0, 0, 1, "/root");
        expect("bob", 1000, 1001, 3, "/home/bob");
        expect("1000", 1000, 1001, 3, "/home/bob");
        expect("bob:web", 1000, 33, 1, "/home/bob");
        expect("bob:7", 1000, 7, 1, "/home/bob");
        expect("4242", 4242, 0, 1, "/");
        expect("4242:4243", 4242, 4243, 1, "/");
        expect("last", 7, 8, 1, "/");
        ok(resolve("nobody", &u, &f) < 0, "an unknown name fails");
        has_str(f.text, "user \"nobody\" is not in the image's /etc/passwd",
                "and says where it is missing");
        ok(resolve("bob:nogroup", &u, &f) < 0, "an unknown group too");
        ok(resolve("4294967295", &u, &f) < 0, "-1 is not a user");
        ok(resolve("-1", &u, &f) < 0, "neither this way");
        ok(resolve("bob:99999999999", &u, &f) < 0, "nor a group beyond 32 bits");
        const char *const more[] = {"web", "12", "audio"};
        ok(user_resolve("bob:web", more, 3, passwd, group, &u, &f) == 0 && u.n_groups == 3,
           "more groups");
        const char *const bad[] = {"nix"};
        ok(user_resolve("bob", bad, 1, passwd, group, &u, &f) < 0,
           "an unknown additional group fails");
}

static void test_odd_files(void)
{
        struct user u;
        struct fail f;
        static char text[20000];
        memset(text, 'x', 9000);
        memcpy(text + 9000, "\nbob:x:5:6::/b:\n", 17);
        put(passwd, text, 9016);
        ok(resolve("bob", &u, &f) == 0 && u.uid == 5, "a line of 9000 bytes is passed over");
        memset(text, 'y', sizeof(text));
        put(passwd, text, sizeof(text));
        ok(resolve("bob", &u, &f) < 0, "a file without lines has no users");
        put(passwd, "bob:x:0x5:6:::\nbob:x::6:\nbob\n::::\nbob:x:1", 42);
        ok(resolve("bob", &u, &f) < 0, "malformed entries are no entries");
        put(passwd, "bob:x:5:6::relative:", 20);
        ok(resolve("bob", &u, &f) == 0 && strcmp(u.home, "/") == 0, "a relative home is none");
        put(passwd, "bob\0:x:5:6::/b:\n", 16);
        ok(resolve("bob", &u, &f) < 0, "a NUL ends a line's use, not ours");
        unlink(passwd);
        ok(resolve("0", &u, &f) == 0 && u.uid == 0, "without a passwd file numbers still work");
        ok(mkfifo(passwd, 0600) == 0 && resolve("5", &u, &f) == 0, "a FIFO does not block us");
}

int main(void)
{
        static const char users[] = "root:x:0:0:root:/root:/bin/sh\n# comment\n\n"
                                    "bob:x:1000:1001:Bob:/home/bob:/bin/sh\nlast:x:7:8";
        static const char groups[] =
                "root:x:0:\nweb:x:33:alice\naudio:x:63:alice,bob\nvideo:x:64:bob,alice\n"
                "bobs:x:65:bobby,xbob\nshort:x:66";
        if (!mkdtemp(dir))
                return 1;
        (void)snprintf(passwd, sizeof(passwd), "%s/passwd", dir);
        (void)snprintf(group, sizeof(group), "%s/group", dir);
        put(passwd, users, sizeof(users) - 1);
        put(group, groups, sizeof(groups) - 1);
        test_ordinary();
        test_odd_files();
        unlink(passwd);
        unlink(group);
        rmdir(dir);
        return tap_done();
}
