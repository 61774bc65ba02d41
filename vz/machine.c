/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/machine.h"

#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"

/* Where microvm puts its slots when ACPI is off (QEMU, hw/i386/microvm.c). */
#define SLOT_BASE   0xfeb00000u
#define SLOT_STRIDE 0x200u
#define SLOT_IRQ    5u

/* virtio-serial: console and guest channel. */
#define SLOT_CHANNEL 0

/* QEMU's APIC timer counts nanoseconds, under TCG and KVM alike. */
#define LAPIC_KHZ 1000000

/* virtio-blk and 9p identifiers have their size from the virtio specification. */
#define SERIAL_MAX 20
#define TAG_MAX    31

/* Translated code is kept in at most this much host memory (docs/templates.md has the figures). A
 * start needs 22 MiB; with less than that it is thrown away in the middle. */
#define TCG_CACHE_MIB 64

#define CPUS_MAX   64
#define MEMORY_MAX (INT64_C(1) << 40)
#define WORDS_MAX  (64 << 10)

struct words {
        char **argv;
        size_t len;
        unsigned slots; /* a bit for each one that has a device */
};

static void word(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void word(struct words *w, const char *fmt, ...)
{
        char **slot = array_push(&w->argv, &w->len);
        va_list ap;

        va_start(ap, fmt);
        *slot = xvasprintf(fmt, ap);
        va_end(ap);
}

/* A value inside one of QEMU's option lists: commas are doubled. The caller frees. */
static char *quoted(const char *value)
{
        struct strbuf sb = STRBUF_INIT(WORDS_MAX);

        for (; *value; value++)
                strbuf_adds(&sb, *value == ',' ? ",," : (const char[]){*value, 0});
        return strbuf_take(&sb);
}

static int check_name(const char *what, size_t i, const char *name, size_t max, struct err *err)
{
        size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789-_.")
                        : 0;

        if (n == 0 || name[n] || n > max)
                return err_set(err, EINVAL,
                               "%s %zu: '%s' must be 1 to %zu letters, digits, '-', '_' or '.'",
                               what, i, name ? name : "", max);
        return 0;
}

static int check_devices(const struct vm_spec *spec, struct err *err)
{
        size_t all = spec->disks_len + spec->nics_len + spec->shares_len;
        int r = 0;

        if (spec->disks_len > VM_DISKS_MAX || spec->nics_len > VM_NICS_MAX ||
            spec->shares_len > VM_SHARES_MAX)
                return err_set(err, EINVAL,
                               "%zu disks, %zu networks, %zu shared folders: "
                               "a machine takes at most %d, %d and %d",
                               spec->disks_len, spec->nics_len, spec->shares_len, VM_DISKS_MAX,
                               VM_NICS_MAX, VM_SHARES_MAX);
        if (all > MACHINE_DEVICES_MAX)
                return err_set(err, EINVAL,
                               "%zu disks, %zu networks and %zu shared folders are %zu devices: "
                               "a machine takes %d together",
                               spec->disks_len, spec->nics_len, spec->shares_len, all,
                               MACHINE_DEVICES_MAX);
        for (size_t i = 0; i < spec->disks_len && r == 0; i++)
                r = check_name("disk", i, spec->disks[i].serial, SERIAL_MAX, err);
        for (size_t i = 0; i < spec->shares_len && r == 0; i++) {
                r = check_name("share", i, spec->shares[i].tag, TAG_MAX, err);
                if (r == 0 && (!spec->shares[i].path || spec->shares[i].path[0] != '/'))
                        r = err_set(err, EINVAL, "share %s: '%s' is not an absolute path",
                                    spec->shares[i].tag,
                                    spec->shares[i].path ? spec->shares[i].path : "");
        }
        return r;
}

static int check(const struct vm_spec *spec, struct err *err)
{
        if (!spec->kernel || !spec->initrd)
                return err_set(err, EINVAL, "a machine needs a kernel and an initramfs");
        if (spec->memory_bytes < VM_MEMORY_MIN || spec->memory_bytes > MEMORY_MAX)
                return err_set(err, EINVAL, "memory: %lld bytes are not between %lld MiB and 1 TiB",
                               (long long)spec->memory_bytes, (long long)(VM_MEMORY_MIN >> 20));
        if (spec->cpus < 1 || spec->cpus > CPUS_MAX)
                return err_set(err, EINVAL, "cpus: %u is not between 1 and %d", spec->cpus,
                               CPUS_MAX);
        return check_devices(spec, err);
}

static void add_machine(struct words *w, const struct vm_spec *spec, enum machine_role role,
                        bool pit)
{
        AUTO_FREE char *id = quoted(spec->id ? spec->id : "vm");
        int64_t mib = (spec->memory_bytes + (2 << 20) - 1) / (2 << 20) * 2;

        word(w, "%s", spec->qemu ? spec->qemu : "qemu-system-x86_64");
        word(w, "-name");
        word(w, "guest=%s", id);
        word(w, "-nodefaults");
        word(w, "-no-user-config");
        word(w, "-nographic");
        word(w, "-no-reboot");
        word(w, "-sandbox");
        word(w, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
        word(w, "-machine");
        word(w,
             "microvm,acpi=off,auto-kernel-cmdline=off,x-option-roms=off,isa-serial=off,"
             "pit=%s,pic=%s,rtc=on,mem-merge=off,dump-guest-core=off%s",
             pit ? "on" : "off", pit ? "on" : "off", /* a PIT without a PIC hangs the boot */
             role == MACHINE_COLD ? "" : ",memory-backend=ram");
        word(w, "-accel");
        if (spec->accel == ACCEL_KVM)
                word(w, "kvm");
        else
                word(w, "tcg,tb-size=%d", TCG_CACHE_MIB);
        word(w, "-cpu");
        word(w, "%s", spec->accel == ACCEL_KVM ? "host" : "max");
        word(w, "-smp");
        word(w, "cpus=%u", spec->cpus);
        word(w, "-m");
        word(w, "size=%lldM", (long long)mib);
        if (role != MACHINE_COLD) {
                word(w, "-object");
                word(w, "memory-backend-file,id=ram,size=%lldM,mem-path=/proc/self/fd/%d,share=%s",
                     (long long)mib, MACHINE_FD_MEMORY, role == MACHINE_TEMPLATE ? "on" : "off");
        }
        word(w, "-global");
        word(w, "virtio-mmio.force-legacy=false");
}

static void add_channels(struct words *w)
{
        word(w, "-chardev");
        word(w, "socket,id=qmp,fd=%d,server=on,wait=off", MACHINE_FD_QMP);
        word(w, "-mon");
        word(w, "chardev=qmp,mode=control");
        word(w, "-add-fd");
        word(w, "fd=%d,set=%d", MACHINE_FD_CONSOLE, MACHINE_FD_CONSOLE);
        word(w, "-chardev");
        word(w, "file,id=console,path=/dev/fdset/%d,append=on", MACHINE_FD_CONSOLE);
        word(w, "-chardev");
        word(w, "socket,id=guest,fd=%d,server=on,wait=off", MACHINE_FD_GUEST);
        word(w, "-device");
        word(w, "virtio-serial-device,id=serial,bus=virtio-mmio-bus.%d,max_ports=2", SLOT_CHANNEL);
        word(w, "-device");
        word(w, "virtconsole,bus=serial.0,nr=0,chardev=console");
        word(w, "-device");
        word(w, "virtserialport,bus=serial.0,nr=1,chardev=guest,name=berth.ctl");
}

/* Locks are off: the image is shared by every VM that is started from it, and berth decides who
 * may write a volume. */
static void add_disk(struct words *w, size_t i, unsigned slot, const struct vm_disk *disk)
{
        int fd = MACHINE_FD_DISK + (int)i;

        word(w, "-add-fd");
        word(w, "fd=%d,set=%d", fd, fd);
        word(w, "-blockdev");
        word(w,
             "driver=raw,node-name=disk%zu,read-only=%s,%s%sfile.driver=file,"
             "file.filename=/dev/fdset/%d,file.locking=off",
             i, disk->read_only ? "on" : "off",
             disk->read_only ? "" : "discard=unmap,detect-zeroes=unmap,",
             disk->transient ? "cache.no-flush=on," : "", fd);
        word(w, "-device");
        word(w, "virtio-blk-device,id=blk%zu,bus=virtio-mmio-bus.%u,drive=disk%zu,serial=%s", i,
             slot, i, disk->serial);
}

static void add_nic(struct words *w, size_t i, unsigned slot, const struct vm_nic *nic)
{
        const uint8_t *m = nic->mac;

        word(w, "-netdev");
        word(w, "tap,id=net%zu,fd=%d,vhost=off", i, MACHINE_FD_TAP + (int)i);
        word(w, "-device");
        word(w,
             "virtio-net-device,bus=virtio-mmio-bus.%u,netdev=net%zu,"
             "mac=%02x:%02x:%02x:%02x:%02x:%02x",
             slot, i, m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void add_share(struct words *w, size_t i, unsigned slot, const struct vm_share *share)
{
        AUTO_FREE char *path = quoted(share->path);

        word(w, "-fsdev");
        word(w, "local,id=share%zu,path=%s,security_model=none,multidevs=remap%s", i, path,
             share->read_only ? ",readonly=on" : "");
        word(w, "-device");
        word(w, "virtio-9p-device,bus=virtio-mmio-bus.%u,fsdev=share%zu,mount_tag=%s", slot, i,
             share->tag);
}

/*
 * What the guest frees goes back to the host, only where the last slot is left over. A clone sees
 * its template's page where it gave one back: without page-poison a kernel that counts on what free
 * pages hold (init_on_free) does not report them.
 */
static void add_balloon(struct words *w)
{
        if (w->slots & 1u << MACHINE_SLOT_BALLOON)
                return;
        w->slots |= 1u << MACHINE_SLOT_BALLOON;
        word(w, "-device");
        word(w,
             "virtio-balloon-device,id=balloon,bus=virtio-mmio-bus.%d,free-page-reporting=on,"
             "page-poison=off",
             MACHINE_SLOT_BALLOON);
}

/*
 * The kernel's command line. A guest resets by triple fault (there is no ACPI and no keyboard
 * controller) and -no-reboot ends QEMU then. Under TCG the host knows the clock's rate better than
 * the guest could measure it, patching code is expensive, and there is no boundary to mitigate.
 */
static void add_kernel(struct words *w, const struct vm_spec *spec, enum machine_role role,
                       unsigned tsc_khz)
{
        AUTO_STRBUF struct strbuf line = STRBUF_INIT(2048); /* the kernel's own limit */
        /* A template's kernel must know the slots that its clones will use. */
        unsigned slots = role == MACHINE_TEMPLATE ? ~0u : w->slots;

        strbuf_adds(&line, "console=hvc0 loglevel=6 panic=-1 reboot=t swiotlb=noforce");
        strbuf_addf(&line, " lapic_timer_khz=%d", LAPIC_KHZ);
        if (spec->accel == ACCEL_TCG)
                strbuf_adds(&line, " tsc=reliable mitigations=off noreplace-smp no_timer_check");
        if (tsc_khz)
                strbuf_addf(&line, " tsc_early_khz=%u", tsc_khz);
        for (unsigned i = 0; i < MACHINE_SLOTS; i++)
                if (slots & 1u << i)
                        strbuf_addf(&line, " virtio_mmio.device=0x%x@0x%x:%u:%u", SLOT_STRIDE,
                                    SLOT_BASE + i * SLOT_STRIDE, SLOT_IRQ + i, i);
        word(w, "-kernel");
        word(w, "%s", spec->kernel);
        word(w, "-initrd");
        word(w, "%s", spec->initrd);
        word(w, "-append");
        word(w, "%s", strbuf_str(&line));
}

static void add_devices(struct words *w, const struct vm_spec *spec)
{
        struct wire_slots slots;

        if (!wire_slots_of(spec->disks_len, spec->nics_len, spec->shares_len, &slots))
                bug("more devices than were checked");
        w->slots = slots.mask | 1u << SLOT_CHANNEL;
        for (size_t i = 0; i < spec->disks_len; i++)
                add_disk(w, i, slots.disks[i], &spec->disks[i]);
        for (size_t i = 0; i < spec->nics_len; i++)
                add_nic(w, i, slots.interfaces[i], &spec->nics[i]);
        for (size_t i = 0; i < spec->shares_len; i++)
                add_share(w, i, slots.shares[i], &spec->shares[i]);
}

int machine_argv(const struct vm_spec *spec, enum machine_role role, bool balloon, unsigned tsc_khz,
                 char ***ret_argv, struct err *err)
{
        struct words w = {0};
        char **end;
        int r = check(spec, err);

        if (r < 0)
                return r;
        if (spec->accel == ACCEL_KVM)
                tsc_khz = 0;
        add_machine(&w, spec, role, spec->accel == ACCEL_TCG && !tsc_khz);
        add_channels(&w);
        add_devices(&w, spec);
        if (balloon)
                add_balloon(&w);
        if (role == MACHINE_CLONE) {
                word(&w, "-incoming");
                word(&w, "defer");
        } else {
                add_kernel(&w, spec, role, tsc_khz);
        }
        end = array_push(&w.argv, &w.len);
        *end = NULL;
        *ret_argv = w.argv;
        return 0;
}

void machine_argv_free(char **argv)
{
        for (size_t i = 0; argv && argv[i]; i++)
                free(argv[i]);
        free(argv);
}
