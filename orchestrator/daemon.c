/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/daemon.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/api/wire.h"
#include "reconciler/replica.h"
#include "storage/image.h"

/* How long clients may take to read their last answer. */
#define GOODBYE_MS 1000

static struct daemon *daemon_of(struct instance_env *env)
{
        return container_of(env, struct daemon, env);
}

int64_t daemon_now_ms(const struct daemon *d)
{
        return clock_mono_ms() + d->clock_offset_ms;
}

void daemon_dirty(struct daemon *d)
{
        if (!d->accel_known || ev_is_active(&d->turn))
                return;
        ev_timer_set(&d->turn, 0.0, 0.0);
        ev_timer_start(d->loop, &d->turn);
}

static void on_turn_due(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        daemon_turn(container_of(w, struct daemon, turn));
}

static void on_wake_due(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        daemon_dirty(container_of(w, struct daemon, wake));
}

/* ----------------------------------------------------------------------- what instances tell us */

static void on_instance_change(struct instance_env *env, struct instance *instance)
{
        (void)instance;
        daemon_dirty(daemon_of(env));
}

static void on_instance_started(struct instance_env *env, struct instance *in)
{
        struct daemon *d = daemon_of(env);
        struct replica_fact *fact = daemon_replica(d, in->stack, in->service, in->replica);

        replica_on_started(fact, daemon_now_ms(d));
        daemon_save_replica(d, fact);
}

/* Whether a younger VM has taken the replica over: then the end of this one says nothing. */
static bool is_superseded(const struct daemon *d, const struct instance *in)
{
        for (size_t i = 0; i < d->instances_len; i++) {
                const struct instance *other = d->instances[i];

                if (other != in && other->replica == in->replica &&
                    streq(other->stack, in->stack) && streq(other->service, in->service) &&
                    other->state != VM_EXITED && other->state != VM_FAILED &&
                    other->times.decided > in->times.decided)
                        return true;
        }
        return false;
}

static void on_instance_ended(struct instance_env *env, struct instance *in)
{
        struct daemon *d = daemon_of(env);
        struct replica_fact *fact;

        if (is_superseded(d, in))
                return;
        fact = daemon_replica(d, in->stack, in->service, in->replica);
        replica_on_ended(fact, in->exit_reason, in->exit_code, in->spec_hash, daemon_now_ms(d));
        replica_set_message(fact, in->message);
        daemon_save_replica(d, fact);
}

static void free_instance(void *p)
{
        instance_free(p);
}

static void on_instance_gone(struct instance_env *env, struct instance *in)
{
        struct daemon *d = daemon_of(env);

        for (size_t i = 0; i < d->instances_len; i++)
                if (d->instances[i] == in) {
                        memmove(&d->instances[i], &d->instances[i + 1],
                                (d->instances_len - i - 1) * sizeof(*d->instances));
                        d->instances_len--;
                        break;
                }
        instance_emit(in, "removed", "", "VM %s is gone", in->id);
        loop_defer_free(d->loop, free_instance, in);
        daemon_dirty(d);
}

static int64_t instance_now_ms(struct instance_env *env)
{
        return daemon_now_ms(daemon_of(env));
}

/* ------------------------------------------------------------------------ what networks tell us */

static int64_t network_now_ms(void *ctx)
{
        return daemon_now_ms(ctx);
}

static void on_network_change(void *ctx)
{
        daemon_dirty(ctx);
}

/* A VM whose tap belongs to a network that is gone will never have another: replace it. */
static void fail_on_lost_networks(struct daemon *d)
{
        for (size_t i = 0; i < d->instances_len; i++) {
                struct instance *in = d->instances[i];

                for (size_t k = 0; k < in->nics_len; k++) {
                        const struct network_entry *n =
                                networks_find(d->networks, in->stack, in->nics[k].network);

                        if (n && !n->up && n->failed_ms) {
                                instance_fail(in, EXIT_VMM, "its network was lost");
                                break;
                        }
                }
        }
}

static void on_network_event(void *ctx, const char *stack, const char *type, const char *message)
{
        struct daemon *d = ctx;

        event_emit(d->events, stack, NULL, 0, type, "", "%s", message);
        if (streq(type, "network-lost"))
                fail_on_lost_networks(d);
}

/* -------------------------------------------------------------------------------- start and end */

static void on_server_done(void *arg)
{
        struct daemon *d = arg;

        ev_break(d->loop, EVBREAK_ALL);
}

void daemon_end(struct daemon *d)
{
        server_shutdown(d->server, GOODBYE_MS, on_server_done, d);
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
                                          .dir = dir,
                                          .accel = d->accel.accel,
                                          .on_change = on_template_change,
                                          .ctx = d};
        struct err err = ERR_INIT;

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
        daemon_dirty(d);
}

static void on_quarantine(void *ctx, const char *table, const char *key, const char *reason)
{
        (void)ctx;
        log_error("store", key, "unreadable record of %s set aside: %s", table, reason);
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

static int find_programs(struct daemon *d, struct err *err)
{
        char self[4096];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        if (n < 0)
                return err_errno(err, errno, "/proc/self/exe");
        self[n] = '\0';
        d->kernel = find_part(self, "../guest/", "vmlinux");
        d->initrd = find_part(self, "../guest/", "initramfs");
        d->netd = find_part(self, "", "berth-netd");
        d->storage = find_part(self, "", "berth-storage");
        if (access(d->kernel, R_OK) < 0)
                return err_errno(err, errno, "guest kernel %s (run `make` or `make install`)",
                                 d->kernel);
        return 0;
}

static int make_folders(struct daemon *d, struct err *err)
{
        AUTO_FREE char *vms = file_join(d->roots.run, "vm");
        AUTO_FREE char *nets = file_join(d->roots.run, "net");

        d->scratch_dir = file_join(d->roots.state, "scratch");
        d->volumes_dir = file_join(d->roots.state, "volumes");
        if (roots_create(&d->roots, err) < 0 || file_mkdir_p(vms, 0700, err) < 0 ||
            file_mkdir_p(nets, 0700, err) < 0 || file_mkdir_p(d->scratch_dir, 0700, err) < 0 ||
            file_mkdir_p(d->volumes_dir, 0700, err) < 0 ||
            file_mkdir_p(d->roots.cache, 0700, err) < 0)
                return -err->code;
        return 0;
}

/* One daemon a root. */
static int take_lock(struct daemon *d, struct err *err)
{
        AUTO_FREE char *path = roots_run_path(&d->roots, "berthd.lock");

        d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (d->lock_fd < 0)
                return err_errno(err, errno, "%s", path);
        if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return err_set(err, EBUSY, "another berthd serves %s", d->roots.run);
        return 0;
}

static void on_images_change(void *ctx, const char *ref)
{
        daemon_images_changed(ctx, ref);
}

static int open_state(struct daemon *d, struct err *err)
{
        AUTO_FREE char *db = file_join(d->roots.state, "state.db");
        AUTO_FREE char *logs = file_join(d->roots.state, "logs");
        struct store_report report = {0};
        int r;

        r = store_open(db, on_quarantine, d, &d->store, &report, err);
        if (r == 0 && report.moved_to)
                log_error("store", "", "state.db could not be read (%s); it was moved to %s",
                          report.reason, report.moved_to);
        store_report_release(&report);
        if (r < 0)
                return r;
        d->events = events_new(d->loop, d->store);
        d->logs = logs_new(d->loop, logs, 0, 0);
        r = image_store_open(d->roots.images, &d->image_store, err);
        if (r < 0)
                return r;
        d->images = images_new(d->loop, d->image_store, d->events, d->storage);
        images_on_change(d->images, on_images_change, d);
        return daemon_load(d, err);
}

static void adopt_vms(struct daemon *d)
{
        AUTO_FREE char *base = file_join(d->roots.run, "vm");
        AUTO_DIR DIR *dir = opendir(base);
        const struct dirent *de;

        while (dir && (de = readdir(dir))) {
                AUTO_FREE char *path = file_join(base, de->d_name);
                struct instance *in = NULL;
                struct err err = ERR_INIT;

                if (de->d_name[0] == '.')
                        continue;
                if (instance_adopt(&d->env, path, &in, &err) < 0)
                        log_warn("vm", de->d_name, "not adopted: %s", err.msg);
                else
                        *array_push(&d->instances, &d->instances_len) = in;
        }
        if (d->instances_len)
                log_info("daemon", "", "%zu VMs adopted", d->instances_len);
}

/* Private disks of VMs that no longer exist (the host was rebooted). */
static void sweep_scratch(struct daemon *d)
{
        AUTO_DIR DIR *dir = opendir(d->scratch_dir);
        const struct dirent *de;

        while (dir && (de = readdir(dir))) {
                AUTO_FREE char *path = file_join(d->scratch_dir, de->d_name);
                bool used = de->d_name[0] == '.';

                for (size_t i = 0; !used && i < d->instances_len; i++)
                        used = streq(d->instances[i]->scratch, path);
                if (!used)
                        (void)unlink(path); /* what cannot be removed now is tried next time */
        }
}

static int open_networks(struct daemon *d, struct err *err)
{
        const struct networks_env env = {.loop = d->loop,
                                         .store = d->store,
                                         .run_dir = d->roots.run,
                                         .netd = d->netd,
                                         .now_ms = network_now_ms,
                                         .on_change = on_network_change,
                                         .on_event = on_network_event,
                                         .ctx = d};

        return networks_new(&env, &d->networks, err);
}

static void init_env(struct daemon *d)
{
        d->env = (struct instance_env){.loop = d->loop,
                                       .images = d->images,
                                       .networks = d->networks,
                                       .logs = d->logs,
                                       .events = d->events,
                                       .run_dir = d->roots.run,
                                       .scratch_dir = d->scratch_dir,
                                       .volumes_dir = d->volumes_dir,
                                       .kernel = d->kernel,
                                       .initrd = d->initrd,
                                       .on_change = on_instance_change,
                                       .on_started = on_instance_started,
                                       .on_ended = on_instance_ended,
                                       .on_gone = on_instance_gone,
                                       .now_ms = instance_now_ms};
}

static int serve(struct daemon *d, struct err *err)
{
        AUTO_FREE char *path = roots_run_path(&d->roots, API_SOCKET_NAME);
        int fd, r;

        r = fd_listen_unix(path, &fd, err);
        if (r < 0)
                return r;
        return server_new(d->loop, fd, api_routes, api_routes_len, d, &d->server, err);
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

static int daemon_open(struct daemon *d, const struct daemon_options *options, struct err *err)
{
        int r;

        if ((r = roots_init(&d->roots, options->root, options->images, err)) < 0 ||
            (r = find_programs(d, err)) < 0 || (r = make_folders(d, err)) < 0 ||
            (r = take_lock(d, err)) < 0 || (r = open_state(d, err)) < 0 ||
            (r = open_networks(d, err)) < 0)
                return r;
        init_env(d);
        adopt_vms(d);
        sweep_scratch(d);
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

static void daemon_close(struct daemon *d)
{
        AUTO_FREE char *socket = d->server ? roots_run_path(&d->roots, API_SOCKET_NAME) : NULL;
        struct err err = ERR_INIT;

        server_free(d->server);
        if (socket)
                (void)unlink(socket); /* a stale one would only be replaced */
        for (size_t i = 0; i < d->instances_len; i++)
                instance_free(d->instances[i]);
        free(d->instances);
        warm_free(d->warm);
        templates_free(d->templates);
        networks_free(d->networks);
        images_free(d->images);
        image_store_close(d->image_store);
        events_free(d->events);
        logs_free(d->logs);
        store_close(d->store);
        plan_release(&d->plan);
        for (size_t i = 0; i < d->desired_len; i++)
                desired_unref(d->desired[i]);
        free(d->desired);
        for (size_t i = 0; i < d->former_len; i++)
                desired_unref(d->former[i]);
        free(d->former);
        for (size_t i = 0; i < d->replicas_len; i++) {
                free(d->replicas[i].stack);
                free(d->replicas[i].service);
                free(d->replicas[i].last_spec_hash);
                free(d->replicas[i].last_message);
        }
        free(d->replicas);
        if (d->remove_root && d->draining &&
            (file_remove_tree(d->roots.run, &err) < 0 ||
             file_remove_tree(d->roots.state, &err) < 0))
                log_error("daemon", "", "%s", err.msg);
        roots_release(&d->roots);
        free(d->scratch_dir);
        free(d->volumes_dir);
        free(d->kernel);
        free(d->initrd);
        free(d->storage);
        free(d->netd);
        if (d->lock_fd >= 0)
                (void)close(d->lock_fd); /* gives the lock back */
}

int daemon_run(const struct daemon_options *options)
{
        struct daemon daemon = {.lock_fd = -1};
        struct daemon *d = &daemon;
        struct err err = ERR_INIT;

        d->want_templates = !options->no_templates;
        d->pool_size = options->pool;
        d->loop = ev_default_loop(0);
        d->clock_offset_ms = clock_wall_ms() - clock_mono_ms();
        d->started_ms = clock_wall_ms();
        ev_timer_init(&d->turn, on_turn_due, 0.0, 0.0);
        ev_timer_init(&d->wake, on_wake_due, 0.0, 0.0);
        watch_end(d, options);
        if (daemon_open(d, options, &err) < 0) {
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
        daemon_close(d);
        ev_loop_destroy(d->loop);
        return d->exit_code;
}
