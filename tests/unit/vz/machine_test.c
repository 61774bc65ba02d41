/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden files: tests/unit/vz/golden/NAME.argv, one word a line. BERTH_GOLDEN=write makes them
 * anew.
 */
#include "base/file.h"
#include "base/strbuf.h"
#include "tests/tap.h"
#include "vz/machine.h"

#define GOLDEN "tests/unit/vz/golden/"

static const struct vm_spec small = {.id = "hello/web/1",
                                     .dir = "/run/berth/vm/1",
                                     .kernel = "/k/vmlinux",
                                     .initrd = "/k/initramfs",
                                     .memory_bytes = INT64_C(128) << 20,
                                     .cpus = 1};

static struct vm_spec full(void)
{
        struct vm_spec s = small;

        s.qemu = "/opt/qemu,new/bin/qemu";
        s.id = "shop,eu/db/2";
        s.memory_bytes = (INT64_C(300) << 20) + 1;
        s.cpus = 4;
        s.disks[0] = (struct vm_disk){7, true, "root", false};
        s.disks[1] = (struct vm_disk){8, false, "scratch", true};
        s.disks[2] = (struct vm_disk){9, false, "vol0", false};
        s.disks_len = 3;
        s.nics[0] = (struct vm_nic){11, {0x02, 0xbe, 0x00, 0x0a, 0xff, 0x01}};
        s.nics[1] = (struct vm_nic){12, {0x02, 0xbe, 0x00, 0x0a, 0xff, 0x02}};
        s.nics_len = 2;
        s.shares[0] = (struct vm_share){"bind0", "/srv/a,b", true};
        s.shares[1] = (struct vm_share){"bind1", "/srv/c", false};
        s.shares_len = 2;
        return s;
}

static void golden(const char *name, const struct vm_spec *spec, enum machine_role role,
                   bool balloon, unsigned tsc_khz)
{
        AUTO_STRBUF struct strbuf got = STRBUF_INIT(64 << 10);
        AUTO_FREE char *path = NULL, *want = NULL;
        struct err err = ERR_INIT;
        char **argv = NULL;

        if (!ok(machine_argv(spec, role, balloon, tsc_khz, &argv, &err) == 0, "%s: an argv (%s)",
                name, err.msg))
                return;
        for (size_t i = 0; argv[i]; i++)
                strbuf_addf(&got, "%s\n", argv[i]);
        machine_argv_free(argv);
        path = file_join(GOLDEN, name);
        if (getenv("BERTH_GOLDEN"))
                (void)file_write_atomic(path, got.data, got.len, 0644, NULL);
        (void)file_read(path, 64 << 10, &want, NULL, NULL);
        is_str(strbuf_str(&got), want, "%s: as in the golden file", name);
}

static void refused(const struct vm_spec *spec, const char *part)
{
        struct err err = ERR_INIT;
        char **argv = NULL;

        is_int(machine_argv(spec, MACHINE_COLD, true, 0, &argv, &err), -EINVAL, "refused: %s",
               part);
        has_str(err.msg, part, "says so");
        ok(!argv, "no argv");
        machine_argv_free(argv);
}

static void test_refusals(void)
{
        struct vm_spec s = full();

        s.disks[3] = s.disks[4] = s.disks[2];
        s.disks_len = 5;
        refused(&s, "5 disks, 2 networks and 2 shared folders are 9 devices: a machine takes 7");
        s.disks_len = VM_DISKS_MAX + 1;
        refused(&s, "at most 6, 4 and 4");
        s = full();
        s.disks[1].serial = "a-name-of-21-letters-";
        refused(&s, "disk 1: 'a-name-of-21-letters-' must be 1 to 20");
        s = full();
        s.disks[1].serial = "x,drive=y";
        refused(&s, "disk 1: 'x,drive=y'");
        s = full();
        s.shares[0].path = "srv";
        refused(&s, "share bind0: 'srv' is not an absolute path");
        s = small;
        s.memory_bytes = VM_MEMORY_MIN - 1;
        refused(&s, "not between 64 MiB and 1 TiB");
        s = small;
        s.cpus = 65;
        refused(&s, "cpus: 65");
        s = small;
        s.kernel = NULL;
        refused(&s, "needs a kernel");
}

int main(void)
{
        struct vm_spec s = full();

        golden("small-tcg.argv", &small, MACHINE_COLD, true, 2596128);
        golden("full-tcg-pit.argv", &s, MACHINE_COLD, true, 0);
        s.accel = ACCEL_KVM;
        golden("full-kvm.argv", &s, MACHINE_COLD, true, 2596128);
        golden("template-tcg.argv", &small, MACHINE_TEMPLATE, false, 2596128);
        s.accel = ACCEL_TCG;
        golden("clone-full-tcg.argv", &s, MACHINE_CLONE, true, 2596128);
        golden("clone-tcg.argv", &small, MACHINE_CLONE, true, 2596128);
        golden("clone-tcg-keeps.argv", &small, MACHINE_CLONE, false, 2596128);
        test_refusals();
        return tap_done();
}
