/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start, watch, adopt and end VMs whose QEMU is this program itself: called with QEMU's arguments
 * it serves the two sockets it was given, and does what the guest channel tells it with one letter.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "tests/tap.h"
#include "vz/machine.h"
#include "vz/vm.h"
#include "vz/vm_file.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define RETURN   "{\"return\": {}, \"id\": 1}\r\n"
#define SHUTDOWN "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}, \"timestamp\": {}}\r\n"
#define PANIC    "Kernel panic - not syncing: test\n"

/* ---- the QEMU side ---- */

static void say(int fd, const char *text)
{
        (void)fd_write_all(fd, text, strlen(text), NULL); /* the test notices what is missing */
}

static void fake_order(char order, int qmp)
{
        if (order == 'r') {
                say(qmp, SHUTDOWN);
                exit(0);
        }
        if (order == 'p') {
                say(MACHINE_FD_CONSOLE, PANIC);
                exit(0);
        }
        if (order == 'a')
                abort();
        if (order == 'q') /* hang up QMP, live on */
                (void)close(qmp);
        if (order == 'n')
                say(qmp, "nonsense\n");
        if (order == 'c')
                for (int i = 0; i < 3 << 10; i++)
                        say(MACHINE_FD_CONSOLE,
                            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n");
}

static int fake_accept(int listener)
{
        struct pollfd p = {.fd = listener, .events = POLLIN};

        (void)poll(&p, 1, -1); /* the socket is non-blocking */
        return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

static int fake_qemu(const char *name)
{
        struct pollfd p[4] = {{.fd = MACHINE_FD_QMP, .events = POLLIN},
                              {.fd = MACHINE_FD_GUEST, .events = POLLIN},
                              {.fd = -1, .events = POLLIN},
                              {.fd = -1, .events = POLLIN}};
        char buf[512];

        if (strstr(name, "guest=dies")) {
                say(2, "qemu-system-x86_64: no such machine\n");
                return 1;
        }
        (void)listen(MACHINE_FD_QMP, 8); /* as QEMU does: makes us the peer */
        for (;;) {
                (void)poll(p, 4, -1);
                if (p[0].revents && p[2].fd < 0) {
                        p[2].fd = fake_accept(MACHINE_FD_QMP);
                        say(p[2].fd, GREETING);
                }
                if (p[1].revents && p[3].fd < 0)
                        p[3].fd = fake_accept(MACHINE_FD_GUEST);
                if (p[2].fd >= 0 && p[2].revents) {
                        ssize_t n = read(p[2].fd, buf, sizeof(buf));

                        if (n <= 0) {
                                (void)close(p[2].fd);
                                p[2].fd = -1;
                        } else if (memmem(buf, (size_t)n, "qmp_capabilities", 16)) {
                                say(p[2].fd, RETURN);
                        }
                }
                if (p[3].fd >= 0 && p[3].revents) {
                        ssize_t n = read(p[3].fd, buf, 1);

                        if (n == 1) {
                                fake_order(buf[0], p[2].fd);
                                if (buf[0] == 'q')
                                        p[2].fd = -1;
                        } else {
                                (void)close(p[3].fd);
                                p[3].fd = -1;
                        }
                }
        }
}

/* ---- the test's side ---- */

struct seen {
        struct ev_loop *loop;
        int ups, ends;
        enum vm_end how;
        char message[256];
};

static const char *self;
static char *dir;

static void on_up(struct vm *vm, void *ctx)
{
        struct seen *s = ctx;

        (void)vm;
        s->ups++;
        ev_break(s->loop, EVBREAK_ONE);
}

static void on_end(struct vm *vm, enum vm_end how, const char *message, void *ctx)
{
        struct seen *s = ctx;

        s->ends++;
        s->how = how;
        (void)snprintf(s->message, sizeof(s->message), "%s", message);
        vm_free(vm);
        ev_break(s->loop, EVBREAK_ONE);
}

static struct vm *start(struct seen *s, const char *id)
{
        const struct vm_events events = {on_up, on_end, s};
        const struct vm_spec spec = {.id = id,
                                     .dir = dir,
                                     .qemu = self,
                                     .kernel = "/k",
                                     .initrd = "/i",
                                     .memory_bytes = VM_MEMORY_MIN,
                                     .cpus = 1};
        struct err err = ERR_INIT;
        struct vm *vm = NULL;

        if (!ok(vm_start(s->loop, &spec, &events, &vm, &err) == 0, "%s: started (%s)", id, err.msg))
                exit(tap_done());
        return vm;
}

static struct vm *adopt(struct seen *s)
{
        const struct vm_events events = {on_up, on_end, s};
        struct err err = ERR_INIT;
        struct vm *vm = NULL;

        if (!ok(vm_adopt(s->loop, dir, &events, &vm, &err) == 0, "adopted (%s)", err.msg))
                exit(tap_done());
        return vm;
}

static void order(char c)
{
        AUTO_FREE char *path = file_join(dir, "guest.sock");
        AUTO_CLOSE int fd = -1;

        (void)fd_connect_unix(path, &fd, NULL);
        (void)fd_write_all(fd, &c, 1, NULL);
}

static void run(struct seen *s)
{
        ev_run(s->loop, 0);
}

static void settle(struct seen *s)
{
        for (int i = 0; i < 3; i++) /* deferred frees */
                ev_run(s->loop, EVRUN_NOWAIT);
}

static void test_ends(struct ev_loop *loop)
{
        static const struct {
                char order;
                enum vm_end how;
                const char *part;
        } cases[] = {{'r', VM_END_POWEROFF, "powered off"},
                     {'p', VM_END_PANIC, "not syncing: test"},
                     {'a', VM_END_KILLED, "signal 6"}};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct seen s = {.loop = loop};
                struct vm *vm = start(&s, "ok");

                run(&s);
                is_int(s.ups, 1, "up");
                ok(vm_up_ns(vm) >= vm_spawned_ns(vm) && vm_spawned_ns(vm) > 0, "in this order");
                ok(vm_pid(vm) > 0 && vm_accel(vm) == ACCEL_TCG, "pid and accelerator");
                is_str(vm_dir(vm), dir, "folder");
                order(cases[i].order);
                run(&s);
                is_int(s.ends, 1, "one end");
                is_int(s.how, cases[i].how, "how");
                has_str(s.message, cases[i].part, "why");
                settle(&s);
        }
}

static void test_kill_and_failure(struct ev_loop *loop)
{
        struct seen killed = {.loop = loop}, died = {.loop = loop};
        struct vm *vm = start(&killed, "ok");

        run(&killed);
        vm_kill(vm);
        vm_kill(vm);
        run(&killed);
        is_int(killed.ends, 1, "killed: one end");
        is_int(killed.how, VM_END_KILLED, "how");
        has_str(killed.message, "on request", "why");
        (void)start(&died, "dies");
        run(&died);
        is_int(died.ups, 0, "dies: never up");
        is_int(died.how, VM_END_KILLED, "how");
        has_str(died.message, "status 1; last console line: qemu-system-x86_64: no such machine",
                "its own words");
        settle(&died);
}

static void test_qmp_loss(struct ev_loop *loop)
{
        const char *orders = "qn";

        for (; *orders; orders++) {
                struct seen s = {.loop = loop};
                struct vm *vm = start(&s, "ok");

                run(&s);
                order(*orders);
                settle(&s);
                is_int(s.ends, 0, "the VM lives without QMP (%c)", *orders);
                vm_kill(vm);
                run(&s);
                is_int(s.ends, 1, "and ends");
                settle(&s);
        }
}

static void forget_pid(void)
{
        struct vm_file file;

        (void)vm_file_read(dir, &file, NULL);
        file.pid = 0;
        file.start_time = 0;
        (void)vm_file_write(dir, &file, NULL);
}

static void test_adoption(struct ev_loop *loop)
{
        struct seen s = {.loop = loop};
        struct err err = ERR_INIT;
        struct vm_file file;
        struct vm *vm = start(&s, "ok");
        pid_t pid = vm_pid(vm);
        int status;

        run(&s);
        vm_free(vm);
        settle(&s);
        is_int(kill(pid, 0), 0, "QEMU outlives vm_free");
        vm = adopt(&s);
        is_int(vm_pid(vm), pid, "the same process");
        run(&s);
        is_int(s.ups, 2, "QMP answers again");
        vm_free(vm);
        settle(&s);
        forget_pid();
        vm = adopt(&s);
        is_int(vm_pid(vm), pid, "found by its socket");
        is_int(vm_file_read(dir, &file, NULL), 0, "described");
        is_int(file.pid, pid, "and written down");
        run(&s);
        order('p');
        run(&s);
        is_int(s.how, VM_END_PANIC, "an adopted VM tells its panic");
        settle(&s);
        (void)waitpid(pid, &status, 0); /* ours, though it was adopted */
        is_int(vm_adopt(loop, dir, &(struct vm_events){.ctx = NULL}, &vm, &err), -ESRCH, "gone");
        has_str(err.msg, "not syncing: test", "and its reason is not lost");
        file.start_time++;
        file.pid = getpid();
        (void)vm_file_write(dir, &file, NULL);
        is_int(vm_adopt(loop, dir, &(struct vm_events){.ctx = NULL}, &vm, &err), -ESRCH,
               "a pid that was used again is not adopted");
        memcpy(file.boot_id, "x", 2);
        (void)vm_file_write(dir, &file, NULL);
        is_int(vm_adopt(loop, dir, &(struct vm_events){.ctx = NULL}, &vm, &err), -ESRCH,
               "nor after a restart of the host");
        has_str(err.msg, "restarted", "says so");
}

static void test_console_bound(struct ev_loop *loop)
{
        AUTO_FREE char *path = file_join(dir, "console.log");
        AUTO_FREE char *text = NULL;
        struct seen s = {.loop = loop};
        struct vm *vm = start(&s, "ok");
        size_t len = 0;

        run(&s);
        order('c'); /* 1.2 MB */
        for (int i = 0; i < 100 && !(text && strstr(text, "[berth: ")); i++) {
                free(text);
                text = NULL;
                ev_run(loop, EVRUN_ONCE);
                (void)file_read(path, 4 << 20, &text, &len, NULL);
        }
        ok(text && strstr(text, "[berth: "), "an endless console is cut");
        vm_kill(vm);
        run(&s);
        settle(&s);
}

static void test_bad_files(void)
{
        static const char *const bad[] = {
                "",
                "[]",
                "{}",
                "{\"version\": 2}",
                "{\"version\": 1, \"boot_id\": \"x\", \"accel\": \"hvf\", \"pid\": 1, "
                "\"start_time\": 1, \"memory_bytes\": 1, \"cpus\": 1, \"spawned_ns\": 1}",
                "{\"version\": 1, \"boot_id\": \"x\", \"accel\": \"tcg\", \"pid\": -1, "
                "\"start_time\": 1, \"memory_bytes\": 1, \"cpus\": 1, \"spawned_ns\": 1}",
                "{\"version\": 1, \"boot_id\": \"0123456789012345678901234567890123456789\", "
                "\"accel\": \"tcg\", \"pid\": 1, "
                "\"start_time\": 1, \"memory_bytes\": 1, \"cpus\": 1, \"spawned_ns\": 1}",
        };
        AUTO_FREE char *path = file_join(dir, "vm.json");

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct err err = ERR_INIT;
                struct vm_file file;

                (void)file_write_atomic(path, bad[i], strlen(bad[i]), 0600, NULL);
                ok(vm_file_read(dir, &file, &err) < 0, "bad description %zu: %s", i, err.msg);
                has_str(err.msg, "vm.json", "names the file");
        }
}

int main(int argc, char **argv)
{
        char temp[] = "/tmp/berth-vm-test.XXXXXX";
        struct ev_loop *loop;

        if (argc > 2 && streq(argv[1], "-name"))
                return fake_qemu(argv[2]);
        self = argv[0];
        dir = mkdtemp(temp);
        loop = ev_loop_new(0);
        test_ends(loop);
        test_kill_and_failure(loop);
        test_qmp_loss(loop);
        test_adoption(loop);
        test_console_bound(loop);
        test_bad_files();
        ev_loop_destroy(loop);
        (void)file_remove_tree(dir, NULL);
        return tap_done();
}
