/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision without a real KVM: QEMU is a script that fails, so what is tested is the way from a
 * wish to a verdict, its cache, and that no self-test leaves anything behind.
 */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "tests/tap.h"
#include "vz/accel.h"

#define QEMU_THAT_FAILS "#!/bin/sh\necho qemu: no kvm today >&2\nexit 1\n"

struct seen {
        struct ev_loop *loop;
        int calls;
        struct accel_verdict verdict;
        struct err err;
};

static char *dir, *qemu;

static void on_decided(void *ctx, const struct accel_verdict *verdict, const struct err *err)
{
        struct seen *s = ctx;

        s->calls++;
        if (verdict)
                s->verdict = *verdict;
        if (err)
                s->err = *err;
}

static struct seen decide(struct ev_loop *loop, const char *wanted)
{
        struct accel_request request = {
                .wanted = wanted, .qemu = qemu, .kernel = qemu, .initrd = qemu, .cache_dir = dir};
        struct seen s = {.loop = loop};
        struct err err = ERR_INIT;

        is_int(accel_decide(loop, &request, on_decided, &s, &err), 0, "%s: accepted %s", wanted,
               err.msg);
        is_int(s.calls, 0, "not told before it returns");
        for (int i = 0; i < 200 && !s.calls; i++)
                ev_run(loop, EVRUN_ONCE);
        is_int(s.calls, 1, "told");
        for (int i = 0; i < 3; i++)
                ev_run(loop, EVRUN_NOWAIT);
        return s;
}

static int count_leftovers(void)
{
        AUTO_DIR DIR *list = opendir(dir);
        const struct dirent *e;
        int n = 0;

        while (list && (e = readdir(list)) != NULL)
                n += has_prefix(e->d_name, "kvm-test.");
        return n;
}

static void test_refusals(struct ev_loop *loop)
{
        struct accel_request request = {
                .wanted = "hvf", .qemu = qemu, .kernel = "/k", .initrd = "/i", .cache_dir = dir};
        struct err err = ERR_INIT;

        is_int(accel_decide(loop, &request, on_decided, NULL, &err), -EINVAL, "unknown name");
        has_str(err.msg, "none of auto, kvm, tcg", "says what there is");
        request.wanted = "auto";
        request.qemu = "qemu-that-nobody-has";
        is_int(accel_decide(loop, &request, on_decided, NULL, &err), -ENOENT, "no QEMU");
        has_str(err.msg, "apt-get install", "says the way out");
        for (int i = 0; i < 3; i++)
                ev_run(loop, EVRUN_NOWAIT);
}

static void test_kvm(struct ev_loop *loop)
{
        struct seen s;

        if (access("/dev/kvm", R_OK | W_OK) < 0) {
                s = decide(loop, "auto");
                is_int(s.verdict.accel, ACCEL_TCG, "auto without /dev/kvm is tcg");
                has_str(s.verdict.reason, "/dev/kvm", "and says why");
                return;
        }
        s = decide(loop, "auto");
        is_int(s.verdict.accel, ACCEL_TCG, "auto, and QEMU fails: tcg");
        has_str(s.verdict.reason, "qemu: no kvm today", "with QEMU's own words");
        ok(!s.verdict.cached, "tested");
        is_int(count_leftovers(), 0, "nothing is left of the test");
        s = decide(loop, "auto");
        ok(s.verdict.cached, "the second time from the cache");
        has_str(s.verdict.reason, "qemu: no kvm today", "with the same reason");
        s = decide(loop, "kvm");
        is_int(s.err.code, ENOTSUP, "kvm wanted: an error");
        has_str(s.err.msg, "qemu: no kvm today", "with the reason");
        (void)file_write_atomic(qemu, QEMU_THAT_FAILS "\n", sizeof(QEMU_THAT_FAILS), 0755, NULL);
        s = decide(loop, "auto");
        ok(!s.verdict.cached, "another QEMU is tested again");
}

int main(void)
{
        char temp[] = "/tmp/berth-accel-test.XXXXXX";
        struct ev_loop *loop = ev_loop_new(0);
        struct seen s;

        dir = mkdtemp(temp);
        qemu = file_join(dir, "qemu");
        (void)file_write_atomic(qemu, QEMU_THAT_FAILS, sizeof(QEMU_THAT_FAILS) - 1, 0755, NULL);
        test_refusals(loop);
        s = decide(loop, "tcg");
        is_int(s.verdict.accel, ACCEL_TCG, "tcg is tcg");
        test_kvm(loop);
        ev_loop_destroy(loop);
        (void)file_remove_tree(dir, NULL);
        free(qemu);
        return tap_done();
}
