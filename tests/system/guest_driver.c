/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "tests/tap.h"
#include "vz/guest.h"
#include "vz/vm.h"

/*
 * vminit in a real machine, driven through vz/guest.h. Started by guest.t with a folder that has
 * root.ext4, scratch.ext4, vol0.ext4 and a folder `share`; the machine's own folder is `vm` in it.
 *
 *   usage: guest_driver FOLDER KERNEL INITRAMFS
 */

#define TIMEOUT_S 30.0
#define BIG       (10u << 20)

struct session {
        int id;
        bool started, ended;
        struct guest_exit end;
        char text[512];
        struct strbuf out[2];
        const uint8_t *in;
        size_t in_len, in_sent;
};

static struct {
        struct ev_loop *loop;
        struct vm *vm;
        struct guest *guest;
        char socket[256];
        int hellos, configured, started, exited, ends, ooms, pongs, lost;
        bool gone, timed_out, hold_acks;
        enum vm_end how;
        struct guest_hello hello;
        struct guest_exit end;
        struct guest_stats stats;
        char text[512];
        struct strbuf out[3];
        uint64_t next[3];
        ev_timer timer;
} t;

static void on_hello(void *arg, const struct guest_hello *hello)
{
        (void)arg;
        t.hellos++;
        t.hello = *hello;
}

static void on_configured(void *arg, const char *text)
{
        (void)arg;
        t.configured++;
        (void)snprintf(t.text, sizeof(t.text), "%s", text ? text : "ok");
}

static void on_started(void *arg, uint64_t run, int pid)
{
        (void)arg;
        (void)run;
        t.started += pid > 0;
}

static void on_exited(void *arg, uint64_t run, const struct guest_exit *end)
{
        (void)arg;
        (void)run;
        t.exited++;
        t.end = *end;
        (void)snprintf(t.text, sizeof(t.text), "%s", end->text);
}

static void on_output(void *arg, enum guest_stream stream, uint64_t offset, const void *bytes,
                      size_t len)
{
        (void)arg;
        if (offset == t.next[stream]) {
                strbuf_add(&t.out[stream], bytes, len);
                t.next[stream] += len;
        }
        if (!t.hold_acks)
                guest_ack(t.guest, stream, t.next[stream]);
}

static void on_output_end(void *arg, enum guest_stream stream, uint64_t offset)
{
        (void)arg;
        t.ends += offset == t.next[stream];
}

static void on_oom(void *arg, uint64_t count)
{
        (void)arg;
        t.ooms += count > 0;
}

static void on_stats(void *arg, const struct guest_stats *stats)
{
        (void)arg;
        t.stats = *stats;
}

static void on_pong(void *arg)
{
        (void)arg;
        t.pongs++;
}

static void feed(struct session *s)
{
        s->in_sent += guest_exec_write(t.guest, s->id, s->in + s->in_sent, s->in_len - s->in_sent);
        if (s->in && s->in_sent == s->in_len)
                guest_exec_eof(t.guest, s->id);
}

static void on_exec_started(void *arg, void *exec)
{
        (void)arg;
        ((struct session *)exec)->started = true;
}

static void on_exec_output(void *arg, void *exec, enum guest_stream stream, const void *bytes,
                           size_t len)
{
        struct session *s = exec;
        (void)arg;
        strbuf_add(&s->out[stream - 1], bytes, len);
        guest_exec_credit(t.guest, s->id, stream, len);
}

static void on_exec_writable(void *arg, void *exec)
{
        (void)arg;
        if (exec)
                feed(exec);
}

static void on_exec_exited(void *arg, void *exec, const struct guest_exit *end)
{
        struct session *s = exec;
        (void)arg;
        s->ended = true;
        s->end = *end;
        (void)snprintf(s->text, sizeof(s->text), "%s", end->text);
}

static void on_lost(void *arg, const struct err *err)
{
        (void)arg;
        t.lost++;
        (void)snprintf(t.text, sizeof(t.text), "%s", err->msg);
}

static const struct guest_callbacks callbacks = {
        .on_hello = on_hello,
        .on_configured = on_configured,
        .on_started = on_started,
        .on_exited = on_exited,
        .on_output = on_output,
        .on_output_end = on_output_end,
        .on_oom = on_oom,
        .on_stats = on_stats,
        .on_pong = on_pong,
        .on_exec_started = on_exec_started,
        .on_exec_output = on_exec_output,
        .on_exec_writable = on_exec_writable,
        .on_exec_exited = on_exec_exited,
        .on_lost = on_lost,
};

static void on_machine_end(struct vm *vm, enum vm_end end, const char *message, void *ctx)
{
        (void)vm;
        (void)message;
        (void)ctx;
        t.gone = true;
        t.how = end;
}

static void on_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)w;
        (void)revents;
        t.timed_out = true;
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

static void begin_wait(void)
{
        t.timed_out = false;
        ev_timer_init(&t.timer, on_timeout, TIMEOUT_S, 0);
        ev_timer_start(t.loop, &t.timer);
}

/* ---- exec ---- */

static struct session *open_session(const struct guest_exec *exec, const void *in, size_t in_len)
{
        struct err err = ERR_INIT;
        struct session *s = xnew(struct session);
        s->out[0] = s->out[1] = (struct strbuf)STRBUF_INIT(BIG * 2);
        s->in = in;
        s->in_len = in_len;
        s->id = guest_exec_open(t.guest, exec, s, &err);
        if (s->id < 0)
                printf("# %s\n", err.msg);
        else if (in)
                feed(s);
        return s;
}

static void free_session(struct session *s)
{
        strbuf_release(&s->out[0]);
        strbuf_release(&s->out[1]);
        free(s);
}

/* Run a shell line to its end. */
static struct session *run(const char *line, const char *user)
{
        const char *argv[] = {"sh", "-c", line};
        struct guest_exec exec = {.argv = argv, .n_argv = 3, .user = user, .no_stdin = true};
        struct session *s = open_session(&exec, NULL, 0);
        ok(wait_for(s->ended), "exec: %.60s", line);
        return s;
}

static void expect_out(const char *line, const char *user, const char *out)
{
        struct session *s = run(line, user);
        is_str(strbuf_str(&s->out[0]), out, "... as expected");
        free_session(s);
}

static void expect_failure(const char *program, int code, const char *text)
{
        struct guest_exec exec = {.argv = &program, .n_argv = 1, .no_stdin = true};
        struct session *s = open_session(&exec, NULL, 0);
        ok(wait_for(s->ended) && s->end.start_failed && !s->started, "%s does not start", program);
        is_int(s->end.code, code, "with code %d", code);
        has_str(s->text, text, "and a reason");
        free_session(s);
}

static void test_exec(void)
{
        expect_out("id -u; id -G; pwd; echo $HOME $GREETING", NULL,
                   "1000\n1000 63\n/home/bob/work\n/home/bob hello\n");
        expect_out("id -u; id -g; grep CapEff /proc/self/status", "root",
                   "0\n0\nCapEff:\t00000000a80425fb\n");
        expect_out("cat /proc/1/comm; cat /proc/self/cgroup; set -- /proc/[0-9]*; echo $#", NULL,
                   "sh\n0::/\n3\n"); /* the service, a keeper, sh */
        expect_out("cat /run/secrets/key; (echo x > /run/secrets/key) 2>/dev/null || echo ro",
                   "root", "very secret\nro\n");
        expect_out("cat /var/data/first; stat -c %u /var/data/first", NULL,
                   "from the image\n1000\n");
        expect_out("cat /mnt/share/hello /etc/one", NULL, "from the host\nfrom the host\n");
        expect_out("hostname; grep -c svc /etc/hosts; cat /etc/resolv.conf", NULL,
                   "svc\n1\nsearch test\nnameserver 10.1.2.3\n");
        expect_out("ulimit -n; cat /proc/sys/net/core/somaxconn /sys/fs/cgroup/pids.max", NULL,
                   "1234\n999\n60\n");
        expect_out("touch /new && echo wrote; touch /cache/x && echo cached", "root",
                   "wrote\ncached\n");
        expect_failure("nonesuch", 127, "executable file not found in $PATH");
        expect_failure("/no/such", 127, "no such file");
        expect_failure("/etc/passwd", 126, "ermission denied");
        struct session *s = run("echo out; echo err >&2; exit 9", NULL);
        ok(s->end.code == 9 && !s->end.start_failed, "an exit code comes back");
        ok(!strcmp(strbuf_str(&s->out[0]), "out\n") && !strcmp(strbuf_str(&s->out[1]), "err\n"),
           "streams are apart");
        free_session(s);
        s = run("sleep 1000 & echo in the background", NULL);
        ok(s->end.code == 0, "a background process does not keep the session");
        free_session(s);
}

static void test_stdin(void)
{
        static const char *const argv[] = {"cat"};
        struct guest_exec exec = {.argv = argv, .n_argv = 1};
        AUTO_FREE uint8_t *bytes = xcalloc(BIG, 1);
        uint32_t state = 1;
        for (size_t i = 0; i < BIG; i++) {
                state = state * 1664525u + 1013904223u;
                bytes[i] = (uint8_t)(state >> 24);
        }
        for (size_t i = 5000; i < BIG - 100; i += 123456)
                memcpy(bytes + i, wire_attach_magic, WIRE_MAGIC_LEN);
        int64_t began = clock_mono_ms();
        struct session *s = open_session(&exec, bytes, BIG);
        ok(wait_for(s->ended) && s->end.code == 0, "10 MiB go through cat");
        ok(s->out[0].len == BIG && !memcmp(s->out[0].data, bytes, BIG), "unchanged");
        printf("# in %lld ms\n", (long long)(clock_mono_ms() - began));
        free_session(s);
}

static void test_terminal(void)
{
        static const char *const argv[] = {
                "sh", "-c",
                "trap 'echo got INT; exit 3' INT; stty size; tty; while :; do read x; done"};
        struct guest_exec exec = {.argv = argv, .n_argv = 3, .tty = true, .rows = 40, .cols = 132};
        struct session *s = open_session(&exec, NULL, 0);
        ok(wait_for(strstr(strbuf_str(&s->out[0]), "/dev/pts/0")), "a terminal");
        has_str(strbuf_str(&s->out[0]), "40 132", "has the size it was given");
        is_int(guest_exec_write(t.guest, s->id, "\003", 1), 1, "^C is a byte");
        ok(wait_for(s->ended) && s->end.code == 3, "and interrupts");
        has_str(strbuf_str(&s->out[0]), "got INT", "the program, not the session");
        free_session(s);
}

static void test_many(void)
{
        struct session *all[WIRE_EXEC_MAX];
        char line[64];
        int right = 0;
        for (int i = 0; i < WIRE_EXEC_MAX; i++) {
                (void)snprintf(line, sizeof(line), "echo %d; exit %d", i, i);
                const char *argv[] = {"sh", "-c", line};
                struct guest_exec exec = {.argv = argv, .n_argv = 3, .no_stdin = true};
                all[i] = open_session(&exec, NULL, 0);
        }
        for (int i = 0; i < WIRE_EXEC_MAX; i++) {
                (void)snprintf(line, sizeof(line), "%d\n", i);
                right += wait_for(all[i]->ended) && all[i]->end.code == i &&
                         !strcmp(strbuf_str(&all[i]->out[0]), line);
                free_session(all[i]);
        }
        is_int(right, WIRE_EXEC_MAX, "%d sessions at once", WIRE_EXEC_MAX);
}

/* ---- the service ---- */

static int configure(struct err *err)
{
        static const struct guest_disk disks[] = {{WIRE_DISK_IMAGE, "root"},
                                                  {WIRE_DISK_SCRATCH, "scratch"},
                                                  {WIRE_DISK_VOLUME, "vol0"}};
        static const char *const shares[] = {"share0"};
        static const struct guest_mount mounts[] = {
                {.kind = WIRE_MOUNT_SHARE,
                 .path = "/etc/one",
                 .name = "share0",
                 .subpath = "hello"},
                {.kind = WIRE_MOUNT_SHARE, .path = "/mnt/share", .name = "share0"},
                {.kind = WIRE_MOUNT_DISK,
                 .path = "/var/data",
                 .name = "vol0",
                 .subpath = "data",
                 .flags = WIRE_M_SEED},
                {.kind = WIRE_MOUNT_TMPFS, .path = "/cache", .size = 1 << 20},
        };
        static const struct guest_file files[] = {
                {"/run/secrets/key", 0444, 0, 0, "very secret\n", 12}};
        static const struct guest_rlimit limits[] = {{7, 1234, 1234}}; /* RLIMIT_NOFILE */
        static const char *const nameservers[] = {"10.1.2.3"}, *const search[] = {"test"};
        static const char *const sysctls[] = {"net.core.somaxconn=999"};
        static const char *const env[] = {"GREETING=hello"};
        static const char *const argv[] = {
                "sh", "-c",
                "trap 'echo bye; exit 5' TERM\n"
                "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done\n"
                "while :; do sleep 0.1; done"};
        struct guest_config c = {
                .hostname = "svc",
                .disks = disks,
                .n_disks = 3,
                .shares = shares,
                .n_shares = 1,
                .mounts = mounts,
                .n_mounts = ARRAY_SIZE(mounts),
                .files = files,
                .n_files = 1,
                .rlimits = limits,
                .n_rlimits = 1,
                .nameservers = nameservers,
                .n_nameservers = 1,
                .search = search,
                .n_search = 1,
                .sysctls = sysctls,
                .n_sysctls = 1,
                .env = env,
                .n_env = 1,
                .argv = argv,
                .n_argv = 3,
                .user = "bob",
                .workdir = "/home/bob/work",
                .memory_max = 48 << 20,
                .pids_max = 60,
        };
        memset(c.seed, 42, sizeof(c.seed));
        return guest_configure(t.guest, &c, err);
}

static void attach(void)
{
        struct err err = ERR_INIT;
        t.hellos = 0;
        if (guest_connect(t.loop, t.socket, t.next[1], t.next[2], &callbacks, NULL, &t.guest, &err))
                printf("# %s\n", err.msg);
        ok(wait_for(t.hellos), "the guest says hello");
}

/* What a daemon that is killed and comes back sees. */
static void test_reattach(void)
{
        static const char *const argv[] = {"sleep", "1000"};
        struct guest_exec exec = {.argv = argv, .n_argv = 2};
        char boot_id[40];
        (void)snprintf(boot_id, sizeof(boot_id), "%s", guest_boot_id(t.guest));
        struct session *s = open_session(&exec, NULL, 0);
        ok(wait_for(s->started), "a session of the old host");
        guest_free(t.guest);
        for (int i = 0; i < 5; i++) {
                attach();
                guest_free(t.guest);
        }
        attach();
        free_session(s);
        is_int((int64_t)strlen(boot_id), 36, "a boot id came with the configuration");
        is_str(t.hello.boot_id, boot_id, "the same guest");
        ok(t.hello.state == WIRE_S_RUNNING && t.hello.run == 1 && t.hello.pid > 0,
           "with its service running");
        t.hold_acks = false;
        guest_ack(t.guest, GUEST_STDOUT, t.next[1]);
        ok(wait_for(strstr(strbuf_str(&t.out[1]) + t.out[1].len - (t.out[1].len > 11 ? 11 : 0),
                           "line 19999\n")),
           "its output goes on");
        int wrong = 0;
        const char *at = strbuf_str(&t.out[1]);
        for (int i = 0; i < 20000; i++) {
                char line[32];
                int n = snprintf(line, sizeof(line), "line %d\n", i);
                wrong += strncmp(at, line, (size_t)n) != 0;
                at += n;
        }
        is_int(wrong, 0, "20000 lines without a gap");
        /* A killed session's process is gone when the kernel has seen to it; the next ps sees it or
         * waits. */
        expect_out("ps | grep -c '[s]leep 1000' | tail -1", NULL,
                   "1\n"); /* the background one of test_exec */
}

static void test_end(void)
{
        struct err err = ERR_INIT;
        (void)guest_stop(t.guest, 0, 5000, &err);
        ok(wait_for(t.exited == 1 && t.ends == 2), "a stop is heard");
        ok(t.end.code == 5 && !t.end.signal, "and answered by the program");
        ok(has_str(strbuf_str(&t.out[1]) + t.out[1].len - 4, "bye\n", "after its last words"),
           "in order");
        struct session *s = run("true", NULL);
        ok(s->end.start_failed && s->end.code == 126, "no exec without a service");
        free_session(s);
        (void)guest_run(t.guest, &err);
        ok(wait_for(t.started == 2), "it starts again");
        (void)guest_signal(t.guest, 9, &err);
        ok(wait_for(t.exited == 2) && t.end.signal == 9 && t.end.code == 137, "and is killed");
        int64_t began = clock_mono_ms();
        (void)guest_poweroff(t.guest, &err);
        ok(wait_for(t.gone) && t.how == VM_END_POWEROFF, "power off");
        printf("# in %lld ms\n", (long long)(clock_mono_ms() - began));
        ok(wait_for(t.lost), "the channel ends with it");
}

static void test_start(void)
{
        struct err err = ERR_INIT;
        attach();
        ok(t.hello.state == WIRE_S_NEW && !*t.hello.boot_id,
           "and waits for its configuration, without a boot id");
        ok(guest_run(t.guest, &err) == 0, "to run without one is ignored");
        t.hold_acks = true;
        is_int(configure(&err), 0, "configure %s", err.msg);
        is_int(guest_run(t.guest, &err), 0, "run");
        ok(wait_for(t.configured), "it is configured");
        is_str(t.text, "ok", "well");
        ok(wait_for(t.started), "the service starts");
        for (size_t i = 0; i < t.hello.n_phases; i++)
                printf("# %s %.1f ms\n", t.hello.phases[i].name,
                       (double)t.hello.phases[i].guest_ns / 1e6);
        (void)guest_ping(t.guest, &err);
        (void)guest_stats(t.guest, &err);
        ok(wait_for(t.pongs && t.stats.pids), "statistics");
        ok(t.stats.pids >= 1 && t.stats.memory_bytes > 0 && t.stats.guest_memory_bytes > 0,
           "have figures");
        ok(wait_for(t.next[1] == 64 << 10), "unacknowledged output stops at 64 KiB");
}

static void test_limits(void)
{
        struct err err = ERR_INIT;
        struct session *s = run(
                "x=$(dd if=/dev/zero bs=1M count=100 2>/dev/null | tr '\\0' a); echo no", "root");
        ok(s->end.signal == 9 && wait_for(t.ooms), "more memory than allowed ends the process");
        free_session(s);
        t.stats.init_rss_bytes = 0;
        (void)guest_stats(t.guest, &err);
        ok(wait_for(t.stats.init_rss_bytes), "after all of that");
        ok(t.stats.init_rss_bytes < 1 << 20, "vminit takes less than 1 MiB");
        printf("# resident %llu KiB\n", (unsigned long long)t.stats.init_rss_bytes >> 10);
}

static int start_machine(const char *folder, const char *kernel, const char *initrd,
                         struct err *err)
{
        static const char *const names[] = {"root", "scratch", "vol0"};
        static const struct vm_events events = {.on_end = on_machine_end};
        char dir[200], path[256], share[256];
        (void)snprintf(dir, sizeof(dir), "%s/vm", folder);
        (void)snprintf(share, sizeof(share), "%s/share", folder);
        (void)snprintf(t.socket, sizeof(t.socket), "%s/guest.sock", dir);
        (void)mkdir(dir, 0700);
        struct vm_spec spec = {
                .id = "guest-test",
                .dir = dir,
                .kernel = kernel,
                .initrd = initrd,
                .accel = ACCEL_TCG,
                .memory_bytes = 128 << 20,
                .cpus = 1,
                .disks_len = 3,
                .shares = {{"share0", share, false}},
                .shares_len = 1,
        };
        for (int i = 0; i < 3; i++) {
                (void)snprintf(path, sizeof(path), "%s/%s.ext4", folder, names[i]);
                spec.disks[i] = (struct vm_disk){open(path, (i ? O_RDWR : O_RDONLY) | O_CLOEXEC),
                                                 i == 0, names[i], i == 1};
        }
        return vm_start(t.loop, &spec, &events, &t.vm, err);
}

int main(int argc, char **argv)
{
        struct err err = ERR_INIT;
        if (argc != 4)
                return 2;
        t.loop = ev_default_loop(0);
        for (int i = 0; i < 3; i++)
                t.out[i] = (struct strbuf)STRBUF_INIT(4 << 20);
        is_int(start_machine(argv[1], argv[2], argv[3], &err), 0, "a machine starts %s", err.msg);
        test_start();
        test_exec();
        test_stdin();
        test_terminal();
        test_many();
        test_limits();
        test_reattach();
        test_end();
        guest_free(t.guest);
        if (t.vm && !t.gone) {
                vm_kill(t.vm);
                (void)wait_for(t.gone);
        }
        vm_free(t.vm);
        ev_run(t.loop, EVRUN_NOWAIT);
        return tap_done();
}
