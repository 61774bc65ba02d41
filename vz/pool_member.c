/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/pool_member.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "vz/guest.h"
#include "vz/spec.h"
#include "vz/template.h"
#include "vz/vm_impl.h"

/* From the tap to the end of the rehearsal: half a second on a machine with nothing else to do, and
 * what is busy comes first. */
#define MAKE_MS 300000

/* The second makes a start 7 ms shorter (51 to 44 without other load), a third nothing. */
#define REHEARSALS 2

/* A tap's name is at most 15 bytes, and none of a network's own. */
#define TAP_NAME_MAX 16

struct placeholder_tap {
        char name[TAP_NAME_MAX];
        int fd; /* -1: not there yet, or the reserver's */
};

struct pool_member {
        struct ev_loop *loop;
        struct vm_spec *spec;
        char *disk, *volume;
        struct placeholder_tap taps[POOL_NICS];
        size_t taps_len; /* that came */
        struct vm *vm;
        struct guest *guest;
        ev_timer deadline;
        unsigned rehearsals;
        bool awaits_tap, waits, reserved, freed;
        int (*open_tap)(void *ctx, const char *name, struct pool_member *member, struct err *err);
        void (*on_change)(void *ctx, struct pool_member *member, const char *failure);
        void *ctx;
};

static void failed(struct pool_member *m, const char *fmt, const char *why)
{
        AUTO_FREE char *text = xasprintf("%s%s", fmt, why);

        if (!m->reserved && !m->freed)
                m->on_change(m->ctx, m, text);
}

static void on_vm_end(struct vm *vm, enum vm_end end, const char *message, void *ctx)
{
        struct pool_member *m = ctx;

        (void)end;
        vm_free(vm);
        m->vm = NULL;
        m->waits = false;
        failed(m, "a waiting machine ended: ", message);
}

static void rehearse(struct pool_member *m)
{
        struct err err = ERR_INIT;

        if (guest_rehearse(m->guest, &err) < 0)
                failed(m, "rehearsal: ", err.msg);
}

static void on_hello(void *arg, const struct guest_hello *hello)
{
        (void)hello;
        rehearse(arg);
}

static void on_rehearsed(void *arg, const char *text)
{
        struct pool_member *m = arg;

        if (!text && ++m->rehearsals < REHEARSALS) {
                rehearse(m);
                return;
        }
        ev_timer_stop(m->loop, &m->deadline);
        guest_free(STEAL(m->guest)); /* the service's own host says hello anew */
        if (text) {
                failed(m, "rehearsal: ", text);
                return;
        }
        m->waits = true;
        m->on_change(m->ctx, m, NULL);
}

/* QEMU's end says more, or the deadline. */
static void on_lost(void *arg, const struct err *err)
{
        struct pool_member *m = arg;

        (void)err;
        guest_free(STEAL(m->guest));
}

static const struct guest_callbacks guest_callbacks = {
        .on_hello = on_hello, .on_rehearsed = on_rehearsed, .on_lost = on_lost};

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        failed(w->data, "a waiting machine was not made in time", "");
}

/* A file system to write to, with holes as the original has them. */
static int copy_disk(const char *path, int *ret, struct err *err)
{
        AUTO_CLOSE int from = open(path, O_RDONLY | O_CLOEXEC);
        AUTO_CLOSE int fd = memfd_create("berth-placeholder", MFD_CLOEXEC);
        static char chunk[64 << 10];
        struct stat st;
        off_t at = 0;

        if (from < 0)
                return err_errno(err, errno, "%s", path);
        if (fd < 0 || fstat(from, &st) < 0 || ftruncate(fd, st.st_size) < 0)
                return err_errno(err, errno, "make a placeholder disk");
        while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
                ssize_t n = pread(from, chunk, sizeof(chunk), at);

                if (n <= 0 || pwrite(fd, chunk, (size_t)n, at) != n)
                        return err_errno(err, n ? errno : EIO, "copy a placeholder disk");
                at += n;
        }
        *ret = steal_fd(&fd);
        return 0;
}

static int launch(struct pool_member *m, struct vm_spec *spec, struct err *err)
{
        const struct vm_events events = {.on_end = on_vm_end, .ctx = m};
        struct process_mode mode;
        struct leash leash = LEASH_NONE;
        const char *why = "";
        int r;

        if (templates_clone(spec->templates, spec, &mode, &why) > 0)
                return err_set(err, EAGAIN, "%s", why);
        r = leash_make(&leash, err);
        mode.leash = &leash;
        if (r == 0)
                r = vm_start_as(m->loop, spec, &mode, &events, &m->vm, err);
        (void)close(mode.memory_fd); /* QEMU has its own copies */
        (void)close(mode.state_fd);
        if (r == 0)
                m->vm->leash = leash;
        else
                leash_pull(&leash);
        return r;
}

/* Everything that a service has, but nobody's. */
static int start(struct pool_member *m, struct err *err)
{
        static const uint8_t macs[POOL_NICS][6] = {
                {0x02, 0x62, 0x65, 0x72, 0x74, 0x68}, /* WIRE_PLACEHOLDER_MAC_1 */
                {0x02, 0x62, 0x65, 0x72, 0x74, 0x69}, /* WIRE_PLACEHOLDER_MAC_2 */
        };
        AUTO_CLOSE int root = open(m->disk, O_RDONLY | O_CLOEXEC);
        AUTO_CLOSE int scratch = -1;
        AUTO_CLOSE int volume = -1;
        AUTO_FREE char *socket = file_join(m->spec->dir, "guest.sock");
        struct vm_spec spec = *m->spec;
        int r;

        if (root < 0)
                return err_errno(err, errno, "%s", m->disk);
        r = copy_disk(m->disk, &scratch, err);
        if (r == 0)
                r = copy_disk(m->volume, &volume, err);
        if (r == 0)
                r = file_mkdir_p(spec.dir, 0700, err);
        if (r < 0)
                return r;
        spec.disks[0] = (struct vm_disk){root, true, WIRE_SERIAL_IMAGE, false};
        spec.disks[1] = (struct vm_disk){scratch, false, WIRE_SERIAL_SCRATCH, true};
        spec.disks[2] = (struct vm_disk){volume, false, WIRE_SERIAL_VOLUME, false};
        spec.disks_len = POOL_DISKS;
        for (size_t i = 0; i < POOL_NICS; i++) {
                spec.nics[i].tap_fd = m->taps[i].fd;
                memcpy(spec.nics[i].mac, macs[i], sizeof(macs[i]));
        }
        spec.nics_len = POOL_NICS;
        r = launch(m, &spec, err);
        if (r == 0)
                r = guest_connect(m->loop, socket, 0, 0, &guest_callbacks, m, &m->guest, err);
        return r;
}

void pool_member_start(struct pool_member *m)
{
        struct err err = ERR_INIT;

        m->awaits_tap = true;
        if (m->open_tap(m->ctx, m->taps[m->taps_len].name, m, &err) < 0)
                pool_give_tap(m, -1, &err);
}

void pool_give_tap(struct pool_member *m, int fd, const struct err *why)
{
        struct err err = ERR_INIT;

        m->awaits_tap = false;
        m->taps[m->taps_len].fd = fd;
        if (m->freed) {
                m->freed = false;
                pool_member_free(m);
                return;
        }
        if (fd < 0) {
                failed(m, "tap: ", why->msg);
                return;
        }
        if (++m->taps_len < POOL_NICS) {
                pool_member_start(m);
                return;
        }
        ev_timer_start(m->loop, &m->deadline);
        if (start(m, &err) < 0)
                failed(m, "", err.msg);
}

struct pool_member *pool_member_new(struct ev_loop *loop, const struct pool_member_spec *spec)
{
        struct pool_member *m = xnew(struct pool_member);

        m->loop = loop;
        (void)spec_copy(&spec->vm, &m->spec, NULL); /* without descriptors it cannot fail */
        m->disk = xstrdup(spec->disk);
        m->volume = xstrdup(spec->volume);
        for (size_t i = 0; i < POOL_NICS; i++) {
                struct placeholder_tap *tap = &m->taps[i];

                (void)snprintf(tap->name, sizeof(tap->name), "p%x.%x%c",
                               (unsigned)getpid() & 0xffffff, spec->number & 0xffffff,
                               (char)('a' + i));
                tap->fd = -1;
        }
        m->open_tap = spec->open_tap;
        m->on_change = spec->on_change;
        m->ctx = spec->ctx;
        ev_timer_init(&m->deadline, on_deadline, MAKE_MS / 1e3, 0.0);
        m->deadline.data = m;
        return m;
}

bool pool_member_waits(const struct pool_member *m)
{
        return m->waits;
}

const char *pool_member_tap_name(const struct pool_member *m, size_t nic)
{
        return m->taps[nic].name;
}

void pool_member_reserve(struct pool_member *m, int ret_taps[POOL_NICS])
{
        for (size_t i = 0; i < POOL_NICS; i++)
                ret_taps[i] = steal_fd(&m->taps[i].fd);
        m->reserved = true;
}

static void destroy(void *p)
{
        struct pool_member *m = p;

        spec_free(m->spec);
        free(m->disk);
        free(m->volume);
        free(m);
}

void pool_member_free(struct pool_member *m)
{
        if (!m || m->freed)
                return;
        m->freed = true;
        ev_timer_stop(m->loop, &m->deadline);
        guest_free(STEAL(m->guest));
        if (m->vm)
                vm_discard(STEAL(m->vm));
        for (size_t i = 0; i < POOL_NICS; i++)
                if (m->taps[i].fd >= 0)
                        (void)close(steal_fd(&m->taps[i].fd)); /* a tap has no data to lose */
        if (!m->awaits_tap)
                loop_defer_free(m->loop, destroy, m);
}

struct vm *pool_member_take(struct pool_member *m)
{
        struct vm *vm = STEAL(m->vm);

        pool_member_free(m);
        return vm;
}
