/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/daemon.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/ahead.h"
#include "reconciler/replica.h"
#include "storage/image.h"
#include "storage/volume.h"
#include "vz/program.h"

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

static void on_quiet(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)w;
        (void)revents;
        (void)malloc_trim(0); /* there may be nothing to give */
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

        replica_on_started(daemon_replica(d, in->stack, in->service, in->replica),
                           daemon_now_ms(d));
}

/* Whether a younger VM has taken the replica over: then the end of this one says nothing. */
static bool is_superseded(const struct daemon *d, const struct instance *in)
{
        for (size_t i = 0; i < d->instances_len; i++) {
                const struct instance *other = d->instances[i];

                if (other != in && instance_is_of(other, in->stack, in->service, in->replica) &&
                    other->state != VM_EXITED && other->state != VM_FAILED &&
                    other->times.decided > in->times.decided)
                        return true;
        }
        return false;
}

/* For how long the run that ends has been well; its health is that of its last test. */
static int64_t well_ms(const struct daemon *d, const struct instance *in,
                       const struct replica_fact *fact)
{
        switch (in->probe.state) {
        case HEALTH_NONE:
                return fact->started_ms ? daemon_now_ms(d) - fact->started_ms : 0;
        case HEALTH_HEALTHY:
                return fact->started_ms ? daemon_now_ms(d) - in->health_since_ms : 0;
        case HEALTH_STARTING:
        case HEALTH_UNHEALTHY:
                break;
        }
        return 0;
}

static void on_instance_ended(struct instance_env *env, struct instance *in)
{
        struct daemon *d = daemon_of(env);
        const struct desired *desired = daemon_find(d, in->stack);
        struct replica_fact *fact;

        if (is_superseded(d, in))
                return;
        fact = daemon_replica(d, in->stack, in->service, in->replica);
        if (in->state == VM_RUNNING && !fact->started_ms)
                return; /* the daemon before this one has noted it, and no more */
        replica_on_well(fact, desired ? stack_find_service(desired->stack, in->service) : NULL,
                        well_ms(d, in, fact));
        replica_on_ended(fact, in->exit_reason, in->exit_code, in->spec_hash, daemon_now_ms(d));
        replica_set_message(fact, in->message);
        if (in->exit_reason == EXIT_STOPPED)
                daemon_save_replica(d, fact); /* it is berth that acts, now */
}

static void free_instance(void *p)
{
        instance_free(p);
}

static void on_instance_gone(struct instance_env *env, struct instance *in)
{
        struct daemon *d = daemon_of(env);

        if (in->unsaved)
                daemon_write_down(d);
        for (size_t i = 0; !ahead_forget(d, in) && i < d->instances_len; i++)
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

static bool has_volume(const struct instance *in, const char *name)
{
        for (size_t i = 0; i < in->volumes.len; i++)
                if (streq(in->volumes.items[i], name))
                        return true;
        return false;
}

static const struct instance *volume_holder(struct instance_env *env, const struct instance *in,
                                            const char *name)
{
        const struct daemon *d = daemon_of(env);

        for (size_t i = 0; i < d->instances_len; i++)
                if (d->instances[i] != in && d->instances[i]->vm &&
                    has_volume(d->instances[i], name))
                        return d->instances[i];
        return NULL;
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
static void fail_on_lost_network(const struct daemon *d, struct instance *in)
{
        for (size_t k = 0; k < in->nics_len; k++) {
                const struct network_entry *n = networks_find(
                        d->networks, nic_stack(in, &in->nics[k]), nic_network(&in->nics[k]));

                if (n && !n->up && n->failed_ms) {
                        instance_fail(in, EXIT_VMM, "its network was lost");
                        return;
                }
        }
}

static void on_network_event(void *ctx, const char *stack, const char *type, const char *message)
{
        struct daemon *d = ctx;

        event_emit(d->events, stack, NULL, 0, type, "", "%s", message);
        if (!streq(type, "network-lost"))
                return;
        for (size_t i = 0; i < d->instances_len; i++)
                fail_on_lost_network(d, d->instances[i]);
        for (size_t i = 0; i < d->ahead_len; i++)
                fail_on_lost_network(d, d->ahead[i]);
}

/* Each VM is asked, since most links go because their VM does. */
static void fail_on_lost_tap(struct instance *in)
{
        if (in->vm && vm_tap_lost(vm_pid(in->vm)))
                instance_fail(in, EXIT_VMM, "somebody removed the tap of its network card");
}

static void on_link_gone(void *ctx)
{
        struct daemon *d = ctx;

        for (size_t i = 0; i < d->instances_len; i++)
                fail_on_lost_tap(d->instances[i]);
        for (size_t i = 0; i < d->ahead_len; i++)
                fail_on_lost_tap(d->ahead[i]);
}

static void on_quarantine(void *ctx, const char *table, const char *key, const char *reason)
{
        (void)ctx;
        log_error("store", key, "unreadable record of %s set aside: %s", table, reason);
}

/* ------------------------------------------------------------------------------- open and close */

int daemon_make_folders(struct daemon *d, struct err *err)
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
        r = machine_id_load(d->roots.state, d->machine_id, err);
        if (r < 0)
                return r;
        d->qemu_version = qemu_version_new(d->loop, PROGRAM_QEMU);
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
                int r;

                if (de->d_name[0] == '.')
                        continue;
                r = instance_adopt(&d->env, path, &in, &err);
                if (r == -ECANCELED)
                        continue;
                if (r < 0)
                        event_emit(d->events, NULL, NULL, 0, "not-adopted", "",
                                   "VM %s was ended, what it ran starts anew: %s", de->d_name,
                                   err.msg);
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
        int r = shared_open(d->store, &d->shared, err);

        const struct networks_env env = {.loop = d->loop,
                                         .store = d->store,
                                         .run_dir = d->roots.run,
                                         .netd = d->netd,
                                         .now_ms = network_now_ms,
                                         .on_change = on_network_change,
                                         .on_event = on_network_event,
                                         .on_link_gone = on_link_gone,
                                         .ctx = d};

        return r < 0 ? r : networks_new(&env, &d->networks, err);
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
                                       .machine_id = d->machine_id,
                                       .kernel = d->kernel,
                                       .initrd = d->initrd,
                                       .on_change = on_instance_change,
                                       .on_started = on_instance_started,
                                       .on_ended = on_instance_ended,
                                       .on_gone = on_instance_gone,
                                       .now_ms = instance_now_ms,
                                       .volume_holder = volume_holder};
}

void daemon_init(struct daemon *d, struct ev_loop *loop)
{
        *d = (struct daemon){.loop = loop, .lock_fd = -1};
        d->clock_offset_ms = clock_wall_ms() - clock_mono_ms();
        d->started_ms = clock_wall_ms();
        ev_timer_init(&d->turn, on_turn_due, 0.0, 0.0);
        ev_timer_init(&d->wake, on_wake_due, 0.0, 0.0);
        ev_timer_init(&d->quiet, on_quiet, 0.0, 0.0);
}

int daemon_open(struct daemon *d, struct err *err)
{
        int r;

        if ((r = open_state(d, err)) < 0 || (r = open_networks(d, err)) < 0)
                return r;
        init_env(d);
        adopt_vms(d);
        sweep_scratch(d);
        volume_sweep(d->volumes_dir);
        return 0;
}

void daemon_close(struct daemon *d)
{
        struct err err = ERR_INIT;

        ev_timer_stop(d->loop, &d->turn);
        ev_timer_stop(d->loop, &d->wake);
        ev_timer_stop(d->loop, &d->quiet);
        if (d->store)
                daemon_write_down(d);
        ahead_close(d);
        for (size_t i = 0; i < d->instances_len; i++)
                instance_free(d->instances[i]);
        free(d->instances);
        warm_free(d->warm);
        templates_free(d->templates);
        qemu_version_free(d->qemu_version);
        networks_free(d->networks);
        images_free(d->images);
        free(d->images_noted);
        image_store_close(d->image_store);
        events_free(d->events);
        logs_free(d->logs);
        shared_free(d->shared);
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
        free(d->preload);
        free(d->storage);
        free(d->netd);
        if (d->lock_fd >= 0)
                (void)close(d->lock_fd); /* gives the lock back */
}
