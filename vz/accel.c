/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The self-test starts a real machine with KVM and no devices, and waits for vminit's hello. On a
 * host where KVM only seems to work QEMU aborts, or the guest hangs at full load: both end here,
 * once per boot of the host, and not in a user's service.
 */
#include "vz/accel.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "vz/guest.h"
#include "vz/process.h"
#include "vz/program.h"
#include "vz/vm_file.h"

#define KVM         "/dev/kvm"
#define CACHE_NAME  "accel.json"
#define CACHE_MAX   (16 << 10)
#define KEY_MAX     512
#define DEADLINE_S  5
#define TEST_MEMORY VM_MEMORY_MIN
#define FOLDER      "kvm-test."

/* A self-test's folder that is older belongs to a daemon that was killed during the test. */
#define LEFTOVER_S 60

struct decision {
        struct ev_loop *loop;
        bool must_kvm; /* "kvm" was wanted: no fallback */
        char *qemu, *kernel, *initrd, *cache_dir;
        char key[KEY_MAX];
        char *dir; /* of the self-test's VM */
        struct vm *vm;
        struct guest *guest;
        ev_timer timer; /* the deadline, or "tell from the loop" when there is no test */
        bool hello;
        int64_t began_ms;
        struct accel_verdict verdict;
        void (*cb)(void *ctx, const struct accel_verdict *verdict, const struct err *err);
        void *ctx;
};

static void destroy(void *p)
{
        struct decision *d = p;

        free(d->qemu);
        free(d->kernel);
        free(d->initrd);
        free(d->cache_dir);
        free(d->dir);
        free(d);
}

/* A verdict holds for one boot of the host, one QEMU and one kernel. */
static int make_key(struct decision *d, struct err *err)
{
        char boot_id[VM_BOOT_ID_MAX];
        struct stat qemu, kernel;
        int r = vm_file_boot_id(boot_id, err);

        if (r < 0)
                return r;
        if (stat(d->qemu, &qemu) < 0)
                return err_errno(err, errno, "%s", d->qemu);
        if (stat(d->kernel, &kernel) < 0)
                return err_errno(err, errno, "%s", d->kernel);
        (void)snprintf(d->key, sizeof(d->key), "%s %lld.%lld %lld.%lld", boot_id,
                       (long long)qemu.st_mtime, (long long)qemu.st_size,
                       (long long)kernel.st_mtime, (long long)kernel.st_size);
        return 0;
}

static bool read_cache(struct decision *d)
{
        AUTO_FREE char *path = file_join(d->cache_dir, CACHE_NAME);
        AUTO_FREE char *text = NULL;
        AUTO_JSON json_t *j = NULL;
        size_t len;

        if (file_read(path, CACHE_MAX, &text, &len, NULL) < 0 ||
            json_parse(text, len, CACHE_MAX, path, &j, NULL) < 0)
                return false;
        if (!streq(json_str(j, "key", ""), d->key))
                return false;
        d->verdict.accel = streq(json_str(j, "accel", ""), "kvm") ? ACCEL_KVM : ACCEL_TCG;
        d->verdict.took_ms = json_int(j, "took_ms", 0);
        d->verdict.cached = true;
        (void)snprintf(d->verdict.reason, sizeof(d->verdict.reason), "%s",
                       json_str(j, "reason", ""));
        return true;
}

static void write_cache(const struct decision *d)
{
        AUTO_FREE char *path = file_join(d->cache_dir, CACHE_NAME);
        AUTO_JSON json_t *j = json_object();
        AUTO_FREE char *text = NULL;

        json_set_str(j, "key", d->key);
        json_set_str(j, "accel", vm_accel_name(d->verdict.accel));
        json_set_str(j, "reason", d->verdict.reason);
        json_set_int(j, "took_ms", d->verdict.took_ms);
        text = json_pretty(j);
        (void)file_write_atomic(path, text, strlen(text), 0600, NULL); /* then it tests again */
}

static void tell(struct decision *d)
{
        struct err err = ERR_INIT;

        ev_timer_stop(d->loop, &d->timer);
        if (d->must_kvm && d->verdict.accel != ACCEL_KVM) {
                (void)err_set(&err, ENOTSUP, "%s", d->verdict.reason);
                d->cb(d->ctx, NULL, &err);
        } else {
                d->cb(d->ctx, &d->verdict, NULL);
        }
        loop_defer_free(d->loop, destroy, d);
}

__attribute__((format(printf, 3, 4))) static void judge(struct decision *d, enum vm_accel accel,
                                                        const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(d->verdict.reason, sizeof(d->verdict.reason), fmt, ap);
        va_end(ap);
        d->verdict.accel = accel;
}

static void on_told_later(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        tell(container_of(w, struct decision, timer));
}

static void tell_later(struct decision *d)
{
        ev_timer_init(&d->timer, on_told_later, 0.0, 0.0);
        ev_timer_start(d->loop, &d->timer);
}

/* The machine is gone: whatever was to be learned is known. */
static void on_test_end(struct vm *vm, enum vm_end end, const char *message, void *ctx)
{
        struct decision *d = ctx;

        (void)end;
        d->verdict.took_ms = clock_mono_ms() - d->began_ms;
        if (!d->hello && !*d->verdict.reason)
                judge(d, ACCEL_TCG, "kvm: the self-test guest ended before it was up: %.160s",
                      message);
        guest_free(STEAL(d->guest));
        vm_free(vm);
        d->vm = NULL;
        (void)file_remove_tree(d->dir, NULL); /* a leftover does no harm */
        write_cache(d);
        tell(d);
}

static void on_test_late(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct decision *d = container_of(w, struct decision, timer);

        (void)loop;
        (void)revents;
        judge(d, ACCEL_TCG,
              "kvm: " KVM " is there, but the self-test guest did not start within %d s",
              DEADLINE_S);
        vm_kill(d->vm);
}

static void on_test_hello(void *arg, const struct guest_hello *hello)
{
        struct decision *d = arg;

        (void)hello;
        d->hello = true;
        judge(d, ACCEL_KVM, "kvm: the self-test guest was up after %lld ms",
              (long long)(clock_mono_ms() - d->began_ms));
        ev_timer_stop(d->loop, &d->timer);
        vm_kill(d->vm);
}

/* QEMU's end or the deadline says more. */
static void on_test_lost(void *arg, const struct err *err)
{
        (void)arg;
        (void)err;
}

static const struct guest_callbacks test_guest = {.on_hello = on_test_hello,
                                                  .on_lost = on_test_lost};

static void remove_leftover(const char *dir)
{
        struct vm_process process;
        struct stat st;

        if (stat(dir, &st) < 0 || time(NULL) - st.st_mtime < LEFTOVER_S)
                return;
        if (process_find(dir, &process, NULL) == 0) {
                (void)fd_pidfd_signal(process.pidfd, SIGKILL, NULL); /* gone is as good */
                (void)close(process.pidfd); /* a pidfd has nothing to flush */
        }
        (void)file_remove_tree(dir, NULL); /* the next test tries again */
}

static void remove_leftovers(const char *cache_dir)
{
        AUTO_DIR DIR *list = opendir(cache_dir);
        const struct dirent *e;

        while (list && (e = readdir(list)) != NULL)
                if (has_prefix(e->d_name, FOLDER)) {
                        AUTO_FREE char *dir = file_join(cache_dir, e->d_name);

                        remove_leftover(dir);
                }
}

static int start_test(struct decision *d, struct err *err)
{
        const struct vm_events events = {.on_end = on_test_end, .ctx = d};
        struct vm_spec spec = {.id = "kvm-test",
                               .qemu = d->qemu,
                               .kernel = d->kernel,
                               .initrd = d->initrd,
                               .accel = ACCEL_KVM,
                               .memory_bytes = TEST_MEMORY,
                               .cpus = 1};
        AUTO_FREE char *dir = file_join(d->cache_dir, FOLDER "XXXXXX");
        AUTO_FREE char *socket = NULL;
        int r;

        remove_leftovers(d->cache_dir);
        if (!mkdtemp(dir))
                return err_errno(err, errno, "%s", dir);
        spec.dir = d->dir = STEAL(dir);
        r = vm_start(d->loop, &spec, &events, &d->vm, err);
        if (r < 0) {
                (void)file_remove_tree(d->dir, NULL); /* err tells the first failure */
                return r;
        }
        socket = file_join(d->dir, "guest.sock");
        ev_timer_init(&d->timer, on_test_late, DEADLINE_S, 0.0);
        ev_timer_start(d->loop, &d->timer);
        /* A failure here ends at the deadline: the socket was made a moment ago. */
        (void)guest_connect(d->loop, socket, 0, 0, &test_guest, d, &d->guest, NULL);
        return 0;
}

/* Decide, or start what will. The callback comes from the loop in either case. */
static int begin(struct decision *d, const char *wanted, struct err *err)
{
        struct err why = ERR_INIT;
        int r;

        if (streq(wanted, "tcg")) {
                judge(d, ACCEL_TCG, "tcg: asked for");
                tell_later(d);
                return 0;
        }
        if (access(KVM, R_OK | W_OK) < 0) {
                judge(d, ACCEL_TCG,
                      errno == ENOENT ? "kvm: %s: %s (no hardware virtualization)"
                                      : "kvm: %s: %s (join the group kvm)",
                      KVM, strerror(errno));
                tell_later(d);
                return 0;
        }
        r = make_key(d, err);
        if (r < 0)
                return r;
        if (read_cache(d)) {
                tell_later(d);
                return 0;
        }
        d->began_ms = clock_mono_ms();
        if (start_test(d, &why) < 0) {
                judge(d, ACCEL_TCG, "kvm: the self-test could not be started: %.180s", why.msg);
                tell_later(d);
        }
        return 0;
}

int accel_decide(struct ev_loop *loop, const struct accel_request *request,
                 void (*cb)(void *ctx, const struct accel_verdict *verdict, const struct err *err),
                 void *ctx, struct err *err)
{
        const char *qemu = request->qemu ? request->qemu : PROGRAM_QEMU;
        struct decision *d;
        int r;

        if (!streq(request->wanted, "auto") && !streq(request->wanted, "kvm") &&
            !streq(request->wanted, "tcg"))
                return err_set(err, EINVAL, "accelerator '%s' is none of auto, kvm, tcg",
                               request->wanted);
        d = xnew(struct decision);
        d->loop = loop;
        d->must_kvm = streq(request->wanted, "kvm");
        d->qemu = program_find(qemu);
        d->kernel = xstrdup(request->kernel);
        d->initrd = xstrdup(request->initrd);
        d->cache_dir = xstrdup(request->cache_dir);
        d->cb = cb;
        d->ctx = ctx;
        r = d->qemu ? begin(d, request->wanted, err)
                    : err_set(err, ENOENT, "%s: not found: apt-get install qemu-system-x86", qemu);
        if (r < 0)
                destroy(d);
        return r;
}
