/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "tests/tap.h"
#include "vz/guest.h"
#include "vz/pool.h"
#include "vz/template.h"
#include "vz/usage.h"
#include "vz/vm.h"

/*
 * Templates and clones with real machines, through vz/template.h and vz/vm.h. Started by template.t
 * with a folder that has root.ext4 and qemu wrappers that spoil things.
 *
 *   usage: template_driver FOLDER KERNEL INITRAMFS PRELOAD CLONES [QEMU]
 *
 * BERTH_BENCH in the environment: a line "# bench ..." with times in µs for each VM.
 */

#define TIMEOUT_S 60.0
#define PARALLEL  (getenv("BERTH_BENCH") ? 1 : 4)
#define MEMORY    (INT64_C(128) << 20)

static struct {
        struct ev_loop *loop;
        struct templates *templates;
        struct pool *pool;
        const char *folder, *kernel, *initrd, *preload, *qemu, *script;
        int changes;
        bool timed_out;
        ev_timer timer;
        unsigned serial;
} t;

/* One VM and what its service said. */
struct one {
        struct vm *vm;
        struct guest *guest;
        char *dir;
        struct strbuf out;
        char birth_reason[200];
        bool started, exited, gone, failed, greeted;
        enum vm_birth birth;
        ev_timer retry;
        int64_t spawned, up, hello, configured, started_ns, wall_ms;
};

static void on_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)w;
        (void)revents;
        t.timed_out = true;
}

static void begin_wait(void)
{
        t.timed_out = false;
        ev_timer_init(&t.timer, on_timeout, TIMEOUT_S, 0);
        ev_timer_start(t.loop, &t.timer);
}

/* Run the loop until the condition holds; false when it takes too long. */
#define wait_for(condition)                          \
        __extension__({                              \
                begin_wait();                        \
                while (!(condition) && !t.timed_out) \
                        ev_run(t.loop, EVRUN_ONCE);  \
                ev_timer_stop(t.loop, &t.timer);     \
                !t.timed_out;                        \
        })

static void on_change(void *ctx)
{
        (void)ctx;
        t.changes++;
}

/* ---- the guest of one VM ---- */

/* Of each VM; only its own host would tell two cards with one address apart, and there is none. */
static const uint8_t mac[6] = {0x02, 0xbe, 10, 88, 0, 5};

static const char script[] = "head -c 32 /dev/urandom | hexdump -v -e '1/1 \"%02x\"'; echo\n"
                             "cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id\n"
                             "date +%s; hostname; cat /sys/class/net/eth0/address\n"
                             "[ -e /mark ] && echo old || echo new; : >/mark\n";

/* It uses memory, says so, and frees it. */
static const char hog[] = "head -c 50000000 /dev/urandom >/dev/shm/f; echo full\n"
                          "busybox sleep 2; busybox rm /dev/shm/f; busybox sleep 1000\n";

static void configure(struct one *o)
{
        static const struct guest_disk disks[] = {{WIRE_DISK_IMAGE, WIRE_SERIAL_IMAGE},
                                                  {WIRE_DISK_SCRATCH, WIRE_SERIAL_SCRATCH}};
        static const struct guest_interface interface = {
                .mac = "02:be:0a:58:00:05", .addresses = {"10.88.0.5/24"}, .mtu = 1500};
        const char *const argv[] = {"sh", "-c", t.script};
        char hostname[32];
        struct guest_config c = {.hostname = hostname,
                                 .disks = disks,
                                 .n_disks = 2,
                                 .interfaces = &interface,
                                 .n_interfaces = 1,
                                 .argv = argv,
                                 .n_argv = 3};
        struct err err = ERR_INIT;

        (void)snprintf(hostname, sizeof(hostname), "%s", strrchr(o->dir, '/') + 1);
        random_bytes(c.seed, sizeof(c.seed));
        c.clock_ns = (uint64_t)clock_wall_ns();
        if (guest_configure(o->guest, &c, &err) < 0 || guest_run(o->guest, &err) < 0) {
                printf("# %s\n", err.msg);
                o->failed = true;
        }
}

static void on_hello(void *arg, const struct guest_hello *hello)
{
        struct one *o = arg;

        o->hello = clock_mono_ns();
        o->failed = hello->state != WIRE_S_NEW;
        o->greeted = true;
        if (vm_is_up(o->vm)) {
                vm_confirm(o->vm);
                configure(o);
        }
}

/* A machine of the pool greets before it has its disks. */
static void on_up(struct vm *vm, void *ctx)
{
        struct one *o = ctx;

        o->up = clock_mono_ns();
        if (!o->greeted)
                return;
        vm_confirm(vm);
        configure(o);
}

static void on_configured(void *arg, const char *text)
{
        struct one *o = arg;

        o->configured = clock_mono_ns();
        if (text) {
                printf("# not configured: %s\n", text);
                o->failed = true;
        }
}

static void on_started(void *arg, uint64_t run, int pid)
{
        struct one *o = arg;

        (void)run;
        (void)pid;
        o->started = true;
        o->started_ns = clock_mono_ns();
        o->wall_ms = clock_wall_ms();
}

static void on_output(void *arg, enum guest_stream stream, uint64_t offset, const void *bytes,
                      size_t len)
{
        struct one *o = arg;

        strbuf_add(&o->out, bytes, len);
        guest_ack(o->guest, stream, offset + len);
}

static void on_exited(void *arg, uint64_t run, const struct guest_exit *end)
{
        struct one *o = arg;

        (void)run;
        (void)end;
        o->exited = true;
        o->birth = vm_birth(o->vm);
        (void)snprintf(o->birth_reason, sizeof(o->birth_reason), "%s", vm_birth_reason(o->vm));
        vm_kill(o->vm);
}

static const struct guest_callbacks callbacks;

static void connect_guest(struct one *o)
{
        AUTO_FREE char *socket = file_join(o->dir, "guest.sock");
        struct err err = ERR_INIT;

        if (guest_connect(t.loop, socket, 0, 0, &callbacks, o, &o->guest, &err) == 0)
                return;
        printf("# %s\n", err.msg);
        ev_timer_start(t.loop, &o->retry);
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct one *o = w->data;

        (void)loop;
        (void)revents;
        if (!o->exited && !o->gone)
                connect_guest(o);
}

/* The clone failed: its successor serves the same path. */
static void on_lost(void *arg, const struct err *err)
{
        struct one *o = arg;

        (void)err;
        guest_free(STEAL(o->guest));
        ev_timer_start(t.loop, &o->retry);
}

static const struct guest_callbacks callbacks = {.on_hello = on_hello,
                                                 .on_configured = on_configured,
                                                 .on_started = on_started,
                                                 .on_output = on_output,
                                                 .on_exited = on_exited,
                                                 .on_lost = on_lost};

static void on_end(struct vm *vm, enum vm_end end, const char *message, void *ctx)
{
        struct one *o = ctx;

        (void)end;
        if (!o->exited)
                printf("# the VM ended: %s\n", message);
        o->gone = true;
        vm_free(vm);
        o->vm = NULL;
}

static int open_tap(const char *name, int *ret)
{
        struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
        int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

        (void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
        if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0) {
                perror("# tap");
                return -errno;
        }
        *ret = fd;
        return 0;
}

static int make_scratch(const char *dir)
{
        AUTO_FREE char *from = file_join(t.folder, "empty.ext4");
        AUTO_FREE char *to = file_join(dir, "scratch");
        AUTO_FREE char *bytes = NULL;
        size_t len = 0;

        if (file_read(from, 64 << 20, &bytes, &len, NULL) < 0 ||
            file_write_atomic(to, bytes, len, 0600, NULL) < 0)
                return -1;
        return open(to, O_RDWR | O_CLOEXEC);
}

/* member: NULL, or a machine with its tap. */
static struct one *one_start(struct pool_member *member, int tap)
{
        AUTO_FREE char *image = file_join(t.folder, "root.ext4");
        AUTO_CLOSE int fd = open(image, O_RDONLY | O_CLOEXEC);
        AUTO_CLOSE int scratch = -1;
        AUTO_CLOSE int nic = tap;
        struct one *o = xnew(struct one);
        struct vm_events events = {.on_up = on_up, .on_end = on_end, .ctx = o};
        struct vm_spec spec = {.id = "clone",
                               .qemu = t.qemu,
                               .kernel = t.kernel,
                               .initrd = t.initrd,
                               .memory_bytes = MEMORY,
                               .cpus = 1,
                               .templates = t.templates,
                               .member = member};
        struct err err = ERR_INIT;

        ev_timer_init(&o->retry, on_retry, 0.2, 0.0);
        o->retry.data = o;
        o->out = (struct strbuf)STRBUF_INIT(4096);
        o->dir = xasprintf("%s/vm%u", t.folder, ++t.serial);
        spec.dir = o->dir;
        scratch = make_scratch(t.folder);
        if (nic < 0)
                (void)open_tap("", &nic);
        spec.disks[0] = (struct vm_disk){fd, true, WIRE_SERIAL_IMAGE, false};
        spec.disks[1] = (struct vm_disk){scratch, false, WIRE_SERIAL_SCRATCH, true};
        spec.disks_len = 2;
        spec.nics[0].tap_fd = nic;
        memcpy(spec.nics[0].mac, mac, sizeof(mac));
        spec.nics_len = 1;
        o->spawned = clock_mono_ns();
        if (file_mkdir_p(o->dir, 0700, &err) < 0 ||
            vm_start(t.loop, &spec, &events, &o->vm, &err) < 0) {
                printf("# %s\n", err.msg);
                o->failed = o->gone = true;
                return o;
        }
        connect_guest(o);
        return o;
}

static void one_free(struct one *o)
{
        guest_free(STEAL(o->guest));
        ev_timer_stop(t.loop, &o->retry);
        if (o->vm)
                vm_kill(o->vm);
        vm_free(o->vm);
        (void)file_remove_tree(o->dir, NULL); /* template.t removes the folder */
        strbuf_release(&o->out);
        free(o->dir);
        free(o);
}

static void tell_times(const struct one *o)
{
        if (getenv("BERTH_BENCH"))
                printf("# bench %s up %lld hello %lld configured %lld started %lld\n",
                       vm_birth_name(o->birth), (long long)(o->up - o->spawned) / 1000,
                       (long long)(o->hello - o->spawned) / 1000,
                       (long long)(o->configured - o->spawned) / 1000,
                       (long long)(o->started_ns - o->spawned) / 1000);
}

/* ---- tests ---- */

static enum template_state want(void)
{
        struct template_info info = {.state = TEMPLATE_NONE};

        t.changes = 0;
        if (templates_want(t.templates, MEMORY, 1, NULL) == TEMPLATE_BUILDING)
                (void)wait_for(t.changes);
        (void)templates_at(t.templates, 0, &info); /* wanting it again would build it again */
        return info.state;
}

static int open_templates(void)
{
        AUTO_FREE char *dir = file_join(t.folder, "tpl");
        const struct templates_env env = {.loop = t.loop,
                                          .qemu = t.qemu,
                                          .kernel = t.kernel,
                                          .initrd = t.initrd,
                                          .preload = t.preload,
                                          .dir = dir,
                                          .on_change = on_change};
        struct err err = ERR_INIT;
        int r = templates_new(&env, &t.templates, &err);

        if (r < 0)
                printf("# %s\n", err.msg);
        return r;
}

/* All bytes of the memory files that this process holds, and their seals. */
static void digest_templates(char ret[DIGEST_TEXT_MAX], int *ret_files)
{
        AUTO(digest) struct digest *d = digest_new();
        static char chunk[1 << 20];

        *ret_files = 0;
        for (int fd = 3; fd < 256; fd++) {
                char path[32], target[128];
                ssize_t n;
                off_t at = 0;

                (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
                n = readlink(path, target, sizeof(target) - 1);
                if (n < 0 || (target[n] = '\0', !strstr(target, "memfd:berth-")))
                        continue;
                (*ret_files)++;
                while ((n = pread(fd, chunk, sizeof(chunk), at)) > 0) {
                        digest_update(d, chunk, (size_t)n);
                        at += n;
                }
                if (pwrite(fd, "x", 1, 0) >= 0 || ftruncate(fd, 0) == 0)
                        digest_update(d, "not sealed", 10);
        }
        digest_final_text(d, ret);
}

/* The words of a clone that no other may have: line `n` of its output. */
static char *line_of(const char *text, int n)
{
        while (n-- > 0 && (text = strchr(text, '\n')) != NULL)
                text++;
        return text ? xstrndup(text, strcspn(text, "\n")) : xstrdup("");
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t count_different(char **words, size_t n)
{
        size_t different = n > 0;

        qsort(words, n, sizeof(*words), compare);
        for (size_t i = 1; i < n; i++)
                different += strcmp(words[i - 1], words[i]) != 0;
        return different;
}

struct tally {
        char **words[3]; /* random bytes, uuids, boot ids */
        enum vm_birth birth;
        size_t n, born, in_time, named, carded, fresh;
};

static void tally_one(struct tally *tally, const struct one *o)
{
        AUTO_FREE char *when = line_of(strbuf_str(&o->out), 3);
        AUTO_FREE char *name = line_of(strbuf_str(&o->out), 4);
        int64_t off = strtoll(when, NULL, 10) - o->wall_ms / 1000;

        for (int i = 0; i < 3; i++) {
                size_t len = tally->n;

                *array_push(&tally->words[i], &len) = line_of(strbuf_str(&o->out), i);
        }
        {
                AUTO_FREE char *card = line_of(strbuf_str(&o->out), 5);
                AUTO_FREE char *mark = line_of(strbuf_str(&o->out), 6);

                tally->carded += streq(card, "02:be:0a:58:00:05");
                tally->fresh += streq(mark, "new");
        }
        tally->n++;
        tally->born += o->birth == tally->birth;
        tally->in_time += off >= -2 && off <= 2;
        tally->named += streq(name, strrchr(o->dir, '/') + 1);
        tell_times(o);
}

/* The next machine that waits; NULL when none comes. */
static struct pool_member *reserve(int ret_taps[POOL_NICS])
{
        struct pool_member *member = NULL;

        t.changes = 0;
        while (!(member = pool_reserve(t.pool, MEMORY, 1, ret_taps))) {
                pool_refill(t.pool);
                if (!wait_for(t.changes))
                        return NULL;
                t.changes = 0;
        }
        return member;
}

static struct one *start_as(enum vm_birth birth)
{
        int taps[POOL_NICS] = {-1, -1};
        struct pool_member *member = birth == VM_POOL ? reserve(taps) : NULL;

        if (taps[1] >= 0)
                (void)close(taps[1]);
        return one_start(member, taps[0]);
}

static void run_all(struct tally *tally, size_t wanted)
{
        struct one *running[4];
        size_t begun = 0;

        while (tally->n < wanted && begun < wanted) {
                size_t n = 0;

                for (; n < PARALLEL && begun < wanted; begun++)
                        running[n++] = start_as(tally->birth);
                for (size_t i = 0; i < n; i++) {
                        if (!wait_for(running[i]->gone))
                                printf("# VM %zu hangs\n", begun - n + i);
                        tally_one(tally, running[i]);
                        one_free(running[i]);
                }
        }
}

static void test_independence(enum vm_birth birth, size_t wanted)
{
        static const char *const names[] = {"first 32 bytes of /dev/urandom", "kernel uuids",
                                            "boot ids"};
        struct tally tally = {.birth = birth};
        int64_t began = clock_mono_ms();

        run_all(&tally, wanted);
        printf("# %zu in %lld ms\n", tally.n, (long long)(clock_mono_ms() - began));
        is_int(tally.born, wanted, "%zu VMs are born by %s", wanted, vm_birth_name(birth));
        is_int(tally.in_time, wanted, "their clocks are right");
        is_int(tally.named, wanted, "they have names of their own");
        is_int(tally.carded, wanted, "their cards have the right address");
        is_int(tally.fresh, wanted, "their disks are new");
        for (int i = 0; i < 3; i++) {
                is_int(count_different(tally.words[i], tally.n), wanted, "%s: all different",
                       names[i]);
                ok(tally.n && strlen(tally.words[i][0]) >= 36, "and there (%s)",
                   tally.n ? tally.words[i][0] : "");
                for (size_t k = 0; k < tally.n; k++)
                        free(tally.words[i][k]);
                free(tally.words[i]);
        }
}

static int on_tap_wanted(void *ctx, const char *name, struct pool_member *member, struct err *err)
{
        int fd = -1;

        (void)ctx;
        if (open_tap(name, &fd) < 0)
                return err_set(err, EIO, "no tap");
        pool_give_tap(member, fd, NULL);
        return 0;
}

static void open_pool(unsigned size)
{
        AUTO_FREE char *dir = file_join(t.folder, "pool");
        AUTO_FREE char *disk = file_join(t.folder, "empty.ext4");
        AUTO_FREE char *volume = file_join(t.folder, "volume.ext4");
        const struct pool_env env = {.loop = t.loop,
                                     .templates = t.templates,
                                     .kernel = t.kernel,
                                     .initrd = t.initrd,
                                     .dir = dir,
                                     .disk = disk,
                                     .volume = volume,
                                     .size = size,
                                     .open_tap = on_tap_wanted,
                                     .on_change = on_change};
        struct err err = ERR_INIT;

        ok(pool_new(&env, &t.pool, &err) == 0, "a pool (%s)", err.msg);
        pool_want(t.pool, MEMORY, 1);
}

/* Their times beside each other. */
static void bench(size_t runs)
{
        struct tally tally = {.n = 0};

        for (size_t i = 0; i < runs; i++)
                for (int birth = VM_POOL; birth >= VM_BOOT; birth--) {
                        struct templates *templates = t.templates;
                        struct one *o;

                        if (birth == VM_BOOT)
                                t.templates = NULL;
                        o = start_as((enum vm_birth)birth);
                        (void)wait_for(o->gone);
                        t.templates = templates;
                        tally_one(&tally, o);
                        one_free(o);
                }
}

static int64_t private_mib(const struct one *o)
{
        struct vm_usage usage = {0};

        (void)vm_usage(vm_pid(o->vm), &usage, NULL); /* one that is gone uses nothing */
        return usage.private_bytes >> 20;
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)w;
        (void)revents;
}

static int64_t template_mib(void)
{
        struct template_info info = {0};

        (void)templates_at(t.templates, 0, &info); /* there is one */
        return info.resident_bytes >> 20;
}

/* How many of them hold 40 MiB less than they did; most: what they held so far. */
static size_t gave_back(struct one *const o[], int64_t most[], size_t n)
{
        size_t count = 0;

        for (size_t i = 0; i < n; i++) {
                int64_t mib = private_mib(o[i]);

                most[i] = mib > most[i] ? mib : most[i];
                count += mib < most[i] - 40;
        }
        return count;
}

/* What clones write and free is given up by them, and the template neither changes nor grows. */
static void test_memory_back(void)
{
        int64_t before = template_mib(), most[2] = {0};
        struct one *o[2];
        ev_timer tick; /* memory is no event */
        bool back;

        t.script = hog;
        for (size_t i = 0; i < ARRAY_SIZE(o); i++)
                o[i] = one_start(NULL, -1);
        ev_timer_init(&tick, on_tick, 0.2, 0.2);
        ev_timer_start(t.loop, &tick);
        back = wait_for(o[0]->gone || o[1]->gone || gave_back(o, most, 2) == 2);
        ok(back && !o[0]->gone && !o[1]->gone,
           "of the %lld and %lld MiB of two clones 40 come back", (long long)most[0],
           (long long)most[1]);
        for (size_t i = 0; i < ARRAY_SIZE(o); i++) {
                has_str(strbuf_str(&o[i]->out), "full", "clone %zu has used memory", i);
                printf("# %lld MiB are left\n", (long long)private_mib(o[i]));
        }
        ev_timer_stop(t.loop, &tick);
        ok(template_mib() <= before + 1, "the template takes %lld MiB, %lld before",
           (long long)template_mib(), (long long)before);
        for (size_t i = 0; i < ARRAY_SIZE(o); i++) {
                ok(vm_birth(o[i]->vm) == VM_CLONE, "which is a clone");
                one_free(o[i]);
        }
        t.script = script;
}

static void test_clones(size_t wanted)
{
        char before[DIGEST_TEXT_MAX], after[DIGEST_TEXT_MAX];
        struct template_info info;
        int files = 0;

        is_int(open_templates(), 0, "a store");
        is_int(want(), TEMPLATE_READY, "a template is built");
        ok(templates_at(t.templates, 0, &info) && info.memory_bytes == MEMORY, "and shown");
        printf("# built in %lld ms, %lld KiB\n", (long long)info.build_ms,
               (long long)info.resident_bytes >> 10);
        digest_templates(before, &files);
        is_int(files, 2, "it is two memory files");
        test_independence(VM_CLONE, wanted);
        digest_templates(after, &files);
        is_str(after, before, "its bytes are what they were");
        test_memory_back();
        digest_templates(after, &files);
        is_str(after, before, "they are after clones gave memory back, too");
        test_independence(VM_CLONE, 4);
        (void)templates_at(t.templates, 0, &info);
        is_int(info.clones, wanted + 6, "it counted its clones");
        printf("# %lld KiB at the end\n", (long long)info.resident_bytes >> 10);
}

/* Everything about one more VM, with the reason why it is not a clone. */
static void expect_boot(const char *what, const char *reason)
{
        struct one *o = one_start(NULL, -1);

        ok(wait_for(o->gone) && o->exited && !o->failed, "%s: the service ran", what);
        ok(o->birth == VM_BOOT, "%s: in a VM that booted", what);
        has_str(o->birth_reason, reason, "%s: and it is said why", what);
        tell_times(o);
        one_free(o);
}

/* What it is made of changed: not used any more, and built anew when it is wanted. */
static void test_key(void)
{
        const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
        struct one *o;

        is_int(utimensat(AT_FDCWD, t.initrd, times, 0), 0, "the initramfs is another one");
        expect_boot("stale template", "changed since it was built");
        is_int(want(), TEMPLATE_READY, "a new template");
        o = one_start(NULL, -1);
        ok(wait_for(o->gone) && o->birth == VM_CLONE, "a clone of it");
        one_free(o);
}

/* qemu is a wrapper that spoils something; state: what comes of the template. */
static void test_spoiled(const char *wrapper, enum template_state state, const char *reason)
{
        AUTO_FREE char *path = file_join(t.folder, wrapper);
        unsigned builds = 0;

        templates_free(STEAL(t.templates));
        t.qemu = path;
        (void)open_templates();
        is_int(want(), state, "%s: the template is %s", wrapper, template_state_name(state));
        expect_boot(wrapper, reason);
        for (int i = 0; i < 8; i++) {
                t.changes = 0;
                if (templates_want(t.templates, MEMORY, 1, NULL) != TEMPLATE_BUILDING)
                        continue;
                builds++;
                (void)wait_for(t.changes);
                if (state == TEMPLATE_READY) /* each new one fails its first clone */
                        templates_distrust(t.templates, MEMORY, 1, "test");
        }
        ok(builds <= 3, "%s: it is not tried for ever (%u times more)", wrapper, builds);
        t.qemu = NULL;
}

static void test_pool(size_t runs)
{
        open_pool(2);
        test_independence(VM_POOL, runs);
        pool_free(STEAL(t.pool));
}

/* The memory file itself cannot be as large as it should be. */
static void test_no_file(void)
{
        struct rlimit old, low;

        (void)signal(SIGXFSZ, SIG_IGN);
        templates_free(STEAL(t.templates));
        (void)open_templates();
        is_int(getrlimit(RLIMIT_FSIZE, &old), 0, "the limit of file sizes");
        low = (struct rlimit){.rlim_cur = MEMORY / 2, .rlim_max = old.rlim_max};
        is_int(setrlimit(RLIMIT_FSIZE, &low), 0, "is below that of a template");
        is_int(want(), TEMPLATE_FAILED, "no memory file: no template");
        is_int(setrlimit(RLIMIT_FSIZE, &old), 0, "the limit is gone");
        is_int(want(), TEMPLATE_READY, "it is tried again, and built");
}

int main(int argc, char **argv)
{
        size_t runs;

        if (argc < 6) {
                (void)fprintf(stderr, "usage: template_driver FOLDER KERNEL INITRAMFS PRELOAD "
                                      "CLONES [QEMU]\n");
                return 2;
        }
        (void)signal(SIGPIPE, SIG_IGN);
        t.loop = ev_default_loop(0);
        t.folder = argv[1];
        t.kernel = argv[2];
        t.initrd = argv[3];
        t.preload = argv[4];
        t.script = script;
        t.qemu = argv[6];
        runs = (size_t)strtoul(argv[5], NULL, 10);
        if (unshare(CLONE_NEWNET) < 0) { /* for taps */
                perror("network namespace");
                return 1;
        }
        if (getenv("BERTH_BENCH")) {
                (void)open_templates();
                (void)want();
                open_pool(1);
                bench(runs);
                pool_free(t.pool);
        } else {
                test_clones(runs);
                test_pool(runs / 4);
                test_key();
                test_spoiled("qemu-no-save", TEMPLATE_FAILED, "no template: ");
                test_spoiled("qemu-dies-at-save", TEMPLATE_FAILED, "no template: ");
                test_spoiled("qemu-no-restore", TEMPLATE_READY, "the clone failed: ");
                test_spoiled("qemu-bad-state", TEMPLATE_READY, "the clone failed: ");
                test_spoiled("qemu-build-no-memory", TEMPLATE_FAILED, "no template: ");
                test_spoiled("qemu-clone-no-memory", TEMPLATE_READY, "the clone failed: ");
                test_no_file();
        }
        templates_free(t.templates);
        return tap_done();
}
