/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"
#include "vminit/config.h"

static struct config c;
static struct config_exec x;
static uint8_t buf[WIRE_FRAME_MAX];
static struct wire_writer w;

static void begin(void)
{
        wire_writer_init(&w, buf, sizeof(buf));
        wire_begin(&w, WIRE_CONFIG, 0);
}

/* Close the frame and hand its body to the decoder. */
static int add(struct fail *f)
{
        if (!wire_end(&w))
                return 1;
        return config_add(&c, buf + WIRE_HEADER, w.len - WIRE_HEADER - 1, f);
}

static void put_mount(uint64_t kind, const char *path, const char *name)
{
        size_t mark = wire_nest(&w, WIRE_C_MOUNT);
        wire_put_u64(&w, WIRE_I_KIND, kind);
        wire_put_str(&w, WIRE_I_PATH, path);
        if (name)
                wire_put_str(&w, WIRE_I_NAME, name);
        wire_nest_end(&w, mark);
}

static void put_minimum(void)
{
        static const uint8_t seed[32] = {1};
        wire_put_bytes(&w, WIRE_C_SEED, seed, sizeof(seed));
        wire_put_str(&w, WIRE_C_HOSTNAME, "web");
        wire_put_str(&w, WIRE_C_ARG, "sh");
}

static void test_good(void)
{
        struct fail f;
        config_reset(&c);
        begin();
        put_minimum();
        ok(c.caps == CONFIG_CAPS_DEFAULT && c.stop_signal == 15, "defaults are in place");
        put_mount(WIRE_MOUNT_TMPFS, "/a/b/c", NULL);
        put_mount(WIRE_MOUNT_DISK, "/a", "vol0");
        put_mount(WIRE_MOUNT_SHARE, "/a/b/", "sh0");
        size_t mark = wire_nest(&w, WIRE_C_FILE);
        wire_put_str(&w, WIRE_I_PATH, "/z");
        wire_put_u64(&w, WIRE_I_MODE, 0400);
        wire_nest_end(&w, mark);
        mark = wire_nest(&w, WIRE_C_INTERFACE);
        wire_put_str(&w, WIRE_I_MAC, "52:54:00:00:00:01");
        wire_put_str(&w, WIRE_I_ADDRESS, "10.0.0.2/24");
        wire_put_str(&w, WIRE_I_ADDRESS, "fd00::2/64");
        wire_nest_end(&w, mark);
        ok(add(&f) == 0, "a frame with everything");
        begin();
        wire_put_str(&w, WIRE_C_ARG, "-c");
        wire_put_str(&w, WIRE_C_ENV, "A=b");
        ok(add(&f) == 0, "and a second one");
        ok(config_finish(&c, &f) == 0, "make a configuration");
        ok(c.n_args == 2 && !strcmp(c.args[1], "-c") && !c.args[2], "lists go on across frames");
        is_str(c.mounts[0].path, "/a", "mounts are sorted, parents first");
        is_str(c.mounts[1].path, "/z", "equal depth keeps its order");
        is_str(c.mounts[2].path, "/a/b/", "a slash at the end has no depth");
        is_str(c.mounts[3].path, "/a/b/c", "children last");
        ok(c.mounts[1].kind == CONFIG_MOUNT_FILE && c.mounts[1].mode == 0400, "a file is a mount");
        ok(c.n_interfaces == 1 && c.interfaces[0].n_addresses == 2, "lists nest");
}

static void expect_bad(const char *what, const char *text)
{
        struct fail f = {0};
        int rc = add(&f);
        if (rc == 0)
                rc = config_finish(&c, &f);
        ok(rc < 0, "%s is refused", what);
        has_str(f.text, text, "and named");
        config_reset(&c);
        begin();
}

static void test_bad(void)
{
        config_reset(&c);
        begin();
        wire_put_str(&w, WIRE_C_HOSTNAME, "web");
        expect_bad("a configuration without seed", "seed");
        wire_put_bytes(&w, WIRE_C_SEED, "short", 5);
        expect_bad("a seed of 5 bytes", "5 bytes");
        put_minimum();
        wire_put_u64(&w, 999, 1);
        expect_bad("an unknown item", "999");
        put_minimum();
        wire_put_str(&w, WIRE_C_FLAGS, "abc");
        expect_bad("a string for a number", "flags");
        put_minimum();
        wire_put_bytes(&w, WIRE_C_USER, "a\0b", 3);
        expect_bad("a NUL in a string", "user");
        put_minimum();
        put_mount(WIRE_MOUNT_DISK, "relative", "vol0");
        expect_bad("a relative path", "path");
        put_minimum();
        put_mount(WIRE_MOUNT_DISK, "/a", NULL);
        expect_bad("a disk mount without disk", "name");
        put_minimum();
        put_mount(WIRE_MOUNT_DEVICE, "/dev/fuse", NULL);
        expect_bad("a device without its name", "name");
        put_minimum();
        put_mount(WIRE_MOUNT_DEVICE, "dev/fuse", "fuse");
        expect_bad("a device at a relative path", "path");
        put_minimum();
        put_mount(55, "/a", "x");
        expect_bad("an unknown kind of mount", "kind");
        put_minimum();
        put_mount(CONFIG_MOUNT_FILE, "/a", "x");
        for (int i = 0; i <= CONFIG_RLIMIT_MAX; i++)
                wire_nest_end(&w, wire_nest(&w, WIRE_C_RLIMIT));
        expect_bad("one limit too many", "rlimits");
        put_minimum();
        wire_put_bytes(&w, WIRE_C_DISK, "123", 3);
        expect_bad("a nested item that is none", "malformed");
}

static void test_text_is_bounded(void)
{
        struct fail f = {0};
        static char big[100000];
        int rc = 0;
        memset(big, 'a', sizeof(big) - 1);
        config_reset(&c);
        for (int i = 0; i < 10 && rc == 0; i++) {
                begin();
                wire_put_str(&w, WIRE_C_ENV, big);
                rc = add(&f);
        }
        ok(rc < 0 && c.text_len <= CONFIG_TEXT_MAX, "strings fill their memory and no more");
        has_str(f.text, "env has", "and the one that does not fit is named");
}

static void test_exec(void)
{
        struct fail f = {0};
        wire_writer_init(&w, buf, sizeof(buf));
        wire_begin(&w, WIRE_EXEC, 3);
        wire_put_str(&w, WIRE_E_ARG, "ls");
        wire_put_str(&w, WIRE_E_ENV, "X=1");
        wire_put_u64(&w, WIRE_E_ROWS, 40);
        ok(wire_end(&w) && config_exec(&x, buf + WIRE_HEADER, w.len - WIRE_HEADER - 1, &f) == 0,
           "an exec");
        ok(!strcmp(x.args[0], "ls") && !x.args[1] && x.rows == 40 && !x.tty, "is what it says");
        ok(config_exec(&x, buf, 0, &f) < 0, "one without command is not");
        has_str(f.text, "no command", "and says so");
}

/* Every truncation and many corruptions of a good body: refused or taken, never out of bounds. */
static void test_noise(void)
{
        struct fail f;
        unsigned state = 1;
        begin();
        put_minimum();
        put_mount(WIRE_MOUNT_DISK, "/a", "vol0");
        (void)wire_end(&w);
        static uint8_t body[1000];
        size_t len = w.len - WIRE_HEADER - 1;
        int finished = 0;
        for (int round = 0; round < 20000; round++) {
                memcpy(body, buf + WIRE_HEADER, len);
                for (int i = 0; i < 3; i++) {
                        state = state * 1103515245u + 12345u;
                        body[(state >> 8) % len] = (uint8_t)(state >> 24);
                }
                config_reset(&c);
                if (config_add(&c, body, round < (int)len ? (size_t)round : len, &f) == 0)
                        finished += config_finish(&c, &f) == 0;
        }
        ok(finished > 0 && finished < 20000, "some of the noise is a configuration (%d)", finished);
}

int main(void)
{
        test_good();
        test_bad();
        test_text_is_bounded();
        test_exec();
        test_noise();
        return tap_done();
}
