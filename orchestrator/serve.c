/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berthd as a process: its programs, lock, API socket, signals, accelerator and templates around
 * the parts of daemon.c, which know nothing of these.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/daemon.h"

/* How long clients may take to read their last answer. */
#define GOODBYE_MS 1000
/* How long a berthd that was killed may take to be gone. */
#define DYING_MS 2000
/* How long processes that were killed may take to be gone. */
#define LAST_ENDS_S 2.0

/* What every clone's QEMU loads first: vz/preload/clone_memory.c. */
#define PRELOAD "clone-memory.so"

static void on_server_done(void *arg)
{
        struct daemon *d = arg;

        ev_break(d->loop, EVBREAK_ALL);
}

void daemon_end(struct daemon *d)
{
        server_shutdown(api_socket_server(d->api), GOODBYE_MS, on_server_done, d);
}

void daemon_shutdown(struct daemon *d, bool stop_vms)
{
        if (!stop_vms) {
                daemon_end(d);
                return;
        }
        log_info("daemon", "", "stopping all VMs");
        d->draining = true;
        daemon_dirty(d);
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
        struct daemon *d = w->data;

        (void)loop;
        (void)revents;
        daemon_shutdown(d, d->remove_root);
}

/*
 * `berth ci` is gone, by whatever: so is everything that was made for it. The byte 'k' instead of
 * the end means that it gives the instance up to its user (--keep).
 */
static void on_owner_gone(struct ev_loop *loop, ev_io *w, int revents)
{
        struct daemon *d = container_of(w, struct daemon, owner);
        char byte = 0;

        (void)revents;
        ev_io_stop(loop, w);
        if (read(w->fd, &byte, 1) == 1 && byte == 'k') {
                d->remove_root = false;
                return;
        }
        daemon_shutdown(d, true);
}

static void on_template_change(void *ctx)
{
        daemon_dirty(ctx);
}

/* Without templates everything works, only slower. */
static void open_templates(struct daemon *d)
{
        AUTO_FREE char *dir = file_join(d->roots.run, "tpl");
        const struct templates_env env = {.loop = d->loop,
                                          .kernel = d->kernel,
                                          .initrd = d->initrd,
                                          .preload = d->preload,
                                          .dir = dir,
                                          .accel = d->accel.accel,
                                          .on_change = on_template_change,
                                          .ctx = d};
        struct err err = ERR_INIT;

        if (*d->preload_reason)
                log_warn("template", "", "%s", d->preload_reason);
        if (templates_new(&env, &d->templates, &err) < 0)
                log_warn("template", "", "every VM boots: %s", err.msg);
        d->env.templates = d->templates;
}

/*
 * A machine of the pool costs memory and saves the start of a QEMU and cold code. With KVM code is
 * never cold, and what is left is little: there it must be asked for.
 */
static void open_pool(struct daemon *d)
{
        const int size = d->pool_size >= 0 ? d->pool_size : d->accel.accel == ACCEL_TCG ? 2 : 0;
        const struct warm_env env = {.loop = d->loop,
                                     .templates = d->templates,
                                     .networks = d->networks,
                                     .run_dir = d->roots.run,
                                     .netd = d->netd,
                                     .kernel = d->kernel,
                                     .initrd = d->initrd,
                                     .accel = d->accel.accel,
                                     .size = (unsigned)size,
                                     .on_change = on_template_change,
                                     .ctx = d};
        struct err err = ERR_INIT;

        if (size == 0)
                (void)snprintf(d->pool_reason, sizeof(d->pool_reason), "%s",
                               d->pool_size == 0 ? "off" : "off: it does not pay with kvm");
        else if (warm_new(&env, &d->warm, &err) < 0)
                (void)snprintf(d->pool_reason, sizeof(d->pool_reason), "off: %.150s", err.msg);
        else
                d->env.pool = warm_pool(d->warm);
        if (*d->pool_reason)
                log_info("pool", "", "%s", d->pool_reason);
}

/* Services that an earlier daemon started may start again: as fast as if we had. */
static void expect_starts(const struct daemon *d)
{
        for (size_t i = 0; i < d->desired_len; i++) {
                const struct stack *stack = d->desired[i]->stack;

                for (size_t k = 0; k < stack->services_len; k++)
                        if (d->desired[i]->wanted == STACK_UP && stack->services[k].replicas)
                                instance_expect(&d->env, stack, &stack->services[k]);
        }
}

static void on_accel_decided(void *ctx, const struct accel_verdict *verdict, const struct err *err)
{
        struct daemon *d = ctx;

        if (err) {
                log_error("accel", "", "%s", err->msg);
                ev_break(d->loop, EVBREAK_ALL);
                d->exit_code = 78; /* the host is not able */
                return;
        }
        d->accel = *verdict;
        d->accel_known = true;
        d->env.accel = verdict->accel;
        log_info("accel", "", "%s", verdict->reason);
        if (d->want_templates)
                open_templates(d);
        if (d->templates)
                open_pool(d);
        expect_starts(d);
        daemon_dirty(d);
}

/*
 * A file of berth: beside the program as it was built, in ../lib/berth as it was installed
 * (wherever that folder was moved), else where `make install` puts it. The text for the error is
 * the last.
 */
static char *find_part(const char *self, const char *beside, const char *name)
{
        const char *const places[] = {beside, "../lib/berth/"};
        const char *slash = strrchr(self, '/');

        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                AUTO_FREE char *path = xasprintf("%.*s/%s%s", (int)(slash ? slash - self : 0), self,
                                                 places[i], name);

                if (access(path, R_OK) == 0)
                        return STEAL(path);
        }
        return xasprintf("%s/%s", BERTH_LIBDIR, name);
}

/* Without it all works, only that a clone keeps the memory which its service has freed. */
static void find_preload(struct daemon *d, const char *self)
{
        AUTO_FREE char *path = find_part(self, "../lib/berth/", PRELOAD);

        /* The dynamic linker's list has no way to write these two. */
        if (access(path, R_OK) == 0 && !strpbrk(path, ": "))
                d->preload = STEAL(path);
        else
                (void)snprintf(d->preload_reason, sizeof(d->preload_reason),
                               "clones keep the memory that services free: %.120s %s", path,
                               access(path, R_OK) < 0 ? "is missing" : "has a blank or colon");
}

static int find_programs(struct daemon *d, struct err *err)
{
        char self[4096];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        if (n < 0)
                return err_errno(err, errno, "/proc/self/exe");
        self[n] = '\0';
        d->kernel = find_part(self, "../guest/", "vmlinux");
        d->initrd = find_part(self, "../guest/", "initramfs");
        find_preload(d, self);
        d->netd = find_part(self, "", "berth-netd");
        d->storage = find_part(self, "", "berth-storage");
        if (access(d->kernel, R_OK) < 0)
                return err_errno(err, errno, "guest kernel %s (run `make` or `make install`)",
                                 d->kernel);
        return 0;
}

/* The lock holds its owner's pid. One that was killed still has it for a moment. */
static void await_owner(int fd)
{
        AUTO_CLOSE int pidfd = -1;
        struct pollfd p = {.events = POLLIN};
        char text[16] = "";
        int64_t pid;

        if (pread(fd, text, sizeof(text) - 1, 0) <= 0 ||
            value_int(text, 1, INT32_MAX, &pid, NULL) < 0 ||
            fd_pidfd_open((pid_t)pid, &pidfd, NULL) < 0)
                return;
        p.fd = pidfd;
        (void)poll(&p, 1, DYING_MS); /* whoever holds the lock then is alive */
}

/* One daemon a root. */
static int take_lock(struct daemon *d, struct err *err)
{
        AUTO_FREE char *path = roots_run_path(&d->roots, "berthd.lock");
        AUTO_FREE char *pid = xasprintf("%d", (int)getpid());

        d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (d->lock_fd < 0)
                return err_errno(err, errno, "%s", path);
        if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
                await_owner(d->lock_fd);
                if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0)
                        return err_set(err, EBUSY, "another berthd serves %s", d->roots.run);
        }
        if (ftruncate(d->lock_fd, 0) < 0)
                return err_errno(err, errno, "%s", path);
        return fd_write_all(d->lock_fd, pid, strlen(pid), err);
}

static int serve(struct daemon *d, struct err *err)
{
        AUTO_FREE char *path = roots_run_path(&d->roots, API_SOCKET_NAME);

        return api_socket_open(d->loop, path, api_routes, api_routes_len, d, &d->api, err);
}

static void watch_end(struct daemon *d, const struct daemon_options *options)
{
        ev_signal_init(&d->sigterm, on_signal, SIGTERM);
        ev_signal_init(&d->sigint, on_signal, SIGINT);
        d->sigterm.data = d->sigint.data = d;
        ev_signal_start(d->loop, &d->sigterm);
        ev_signal_start(d->loop, &d->sigint);
        if (options->owner_fd >= 0) {
                d->remove_root = true;
                ev_io_init(&d->owner, on_owner_gone, options->owner_fd, EV_READ);
                ev_io_start(d->loop, &d->owner);
        }
}

static int open_all(struct daemon *d, const struct daemon_options *options, struct err *err)
{
        int r;

        if ((r = roots_init(&d->roots, options->root, options->images, err)) < 0 ||
            (r = find_programs(d, err)) < 0 || (r = daemon_make_folders(d, err)) < 0 ||
            (r = take_lock(d, err)) < 0 || (r = daemon_open(d, err)) < 0)
                return r;
        daemon_after_boot(d, options->boot_by_policy);
        r = serve(d, err);
        if (r == 0) {
                const struct accel_request request = {.wanted = options->accel,
                                                      .kernel = d->kernel,
                                                      .initrd = d->initrd,
                                                      .cache_dir = d->roots.cache};

                r = accel_decide(d->loop, &request, on_accel_decided, d, err);
        }
        return r;
}

static void on_too_long(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)w;
        (void)revents;
        ev_break(loop, EVBREAK_ALL);
}

/* Wait for processes that were killed, so that nothing of ours is left when we are gone. */
static void await_ends(struct daemon *d)
{
        ev_timer limit;

        ev_signal_stop(d->loop, &d->sigterm);
        ev_signal_stop(d->loop, &d->sigint);
        ev_io_stop(d->loop, &d->owner);
        ev_timer_init(&limit, on_too_long, LAST_ENDS_S, 0.0);
        ev_timer_start(d->loop, &limit);
        ev_unref(d->loop); /* alone it keeps nobody waiting */
        (void)ev_run(d->loop, 0);
}

int daemon_run(const struct daemon_options *options)
{
        struct daemon daemon;
        struct daemon *d = &daemon;
        struct err err = ERR_INIT;

        daemon_init(d, ev_default_loop(0));
        random_bytes(&d->seed, sizeof(d->seed));
        d->want_templates = !options->no_templates;
        d->pool_size = options->pool;
        d->overcommit = options->overcommit;
        watch_end(d, options);
        if (open_all(d, options, &err) < 0) {
                log_error("daemon", "", "%s", err.msg);
                d->exit_code = 1;
        } else {
                log_info("daemon", "", "berthd %s serves %s/%s", BERTH_VERSION, d->roots.run,
                         API_SOCKET_NAME);
                if (options->ready_fd >= 0)
                        (void)!write(options->ready_fd, "r", 1); /* whoever waited may be gone */
                if (options->ready_fd >= 0)
                        (void)close(options->ready_fd); /* one byte was all */
                ev_run(d->loop, 0);
        }
        api_socket_free(d->api);
        daemon_close(d);
        await_ends(d);
        ev_loop_destroy(d->loop);
        return d->exit_code;
}
