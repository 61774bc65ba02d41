/* SPDX-License-Identifier: Apache-2.0 */
/*
 * berthd: owns the loop and the parts, and holds what they share. Whatever happens marks it dirty;
 * once a turn of the loop turn.c observes, reconciles and executes (see reconciler/reconcile.h).
 * It is crash-only: ending at any point leaves VMs and netds running, and the next one adopts them.
 */
#ifndef ORCHESTRATOR_DAEMON_H
#define ORCHESTRATOR_DAEMON_H

#include <ev.h>

#include "base/roots.h"
#include "orchestrator/api/server.h"
#include "orchestrator/api_socket.h"
#include "orchestrator/desired.h"
#include "orchestrator/events.h"
#include "orchestrator/images.h"
#include "orchestrator/instance.h"
#include "orchestrator/logs.h"
#include "orchestrator/machine_id.h"
#include "orchestrator/networks.h"
#include "orchestrator/qemu_version.h"
#include "orchestrator/shared.h"
#include "orchestrator/store.h"
#include "orchestrator/warm.h"
#include "reconciler/admission.h"
#include "reconciler/reconcile.h"
#include "vz/accel.h"

/* No turn for so long, and the daemon idles. */
#define DAEMON_QUIET_S 1.0

struct daemon_options {
        const char *root, *images; /* NULL: the defaults of base/roots.h */
        const char *accel;         /* "auto", "kvm", "tcg" */
        bool no_templates;         /* boot every VM */
        int pool;                  /* machines of a shape that wait; -1: as it pays */
        bool boot_by_policy;       /* daemon_after_boot() */
        double overcommit;         /* of memory, see reconciler/admission.h; 0: no limit */
        int ready_fd;              /* a byte is written there once the API serves; -1: none */
        int owner_fd; /* its end of file means: tear everything down and end; -1: none */
};

/* Told after each turn; embedded in an API handler's state. */
struct follower {
        struct follower *next;
        void (*on_turn)(struct follower *follower);
};

struct daemon {
        struct ev_loop *loop;
        struct roots roots;
        char *scratch_dir, *volumes_dir, *kernel, *initrd, *preload, *storage, *netd;
        char machine_id[MACHINE_ID_MAX];
        struct accel_verdict accel;
        bool accel_known;
        int64_t clock_offset_ms; /* wall clock minus monotonic, at start: now never steps back */
        int64_t started_ms;
        uint64_t seed; /* of the jitter of delays */
        int lock_fd;

        struct store *store;
        struct events *events;
        struct logs *logs;
        struct image_store *image_store;
        struct images *images;
        char *images_noted; /* what image_uses_note() told the store; NULL: nothing yet */
        struct networks *networks;
        struct shared *shared; /* networks that several stacks may be on */
        struct api_socket *api;
        struct qemu_version *qemu_version;
        struct templates *templates; /* NULL: not wanted, or accelerator not known yet */
        bool want_templates;
        struct warm *warm; /* NULL: no machines wait, pool_reason says why */
        int pool_size;     /* as in daemon_options */
        double overcommit; /* likewise */
        char pool_reason[200];
        char preload_reason[200]; /* why clones give no memory back; "": they do */
        struct instance_env env;  /* see container_of in daemon.c */

        struct desired **desired; /* sorted by stack name */
        size_t desired_len;
        struct desired **former; /* earlier revisions, while VMs of services they alone know live */
        size_t former_len;
        struct instance **instances;
        size_t instances_len;
        struct instance **ahead; /* of services that wait: ahead.h */
        size_t ahead_len;
        struct replica_fact *replicas;
        size_t replicas_len;
        struct plan plan; /* of the last turn: statuses for views */
        struct follower *followers;

        ev_timer turn, wake;
        ev_timer quiet; /* since the last turn: memory goes back to the host */
        ev_signal sigterm, sigint;
        ev_io owner;
        bool draining;    /* stop all VMs and networks, then end */
        bool remove_root; /* and leave no file */
        int exit_code;
};

/** Run the daemon until it is told to end. Returns main()'s exit code. */
int daemon_run(const struct daemon_options *options);

/* What daemon_run() is made of, for tests that bring a loop and drivers of their own. */

/** An empty daemon on loop, its clock set. d->roots and the paths of programs are the caller's. */
void daemon_init(struct daemon *d, struct ev_loop *loop);

/** The folders below d->roots. */
int daemon_make_folders(struct daemon *d, struct err *err);

/** Open the state, adopt networks and VMs. Turns begin once d->accel_known. */
int daemon_open(struct daemon *d, struct err *err);

/** Let go of everything; VMs and netds stay. Also after a daemon_open() that failed. */
void daemon_close(struct daemon *d);

/** Something changed: decide again in this or the next turn of the loop. */
void daemon_dirty(struct daemon *d);

/** End the loop once clients have their answers. */
void daemon_end(struct daemon *d);

/** End; VMs stay unless stop_vms. */
void daemon_shutdown(struct daemon *d, bool stop_vms);

/** The clock of facts, ms. */
int64_t daemon_now_ms(const struct daemon *d);

/** One pass of observe, reconcile, execute (turn.c). */
void daemon_turn(struct daemon *d);

/**
 * What happened to VMs since the last turn, and its events, in one transaction; then their files. A
 * failure is logged, and the next turn tries again (turn.c).
 */
void daemon_write_down(struct daemon *d);

/** Whether names and ports of its replica lead to this VM, while the replica has two (turn.c). */
bool daemon_is_serving(const struct daemon *d, const struct instance *in);

/* Desired state (stacks.c). */

/** The wanted revision of a stack, borrowed until the next turn; NULL: unknown. */
struct desired *daemon_find(const struct daemon *d, const char *stack);

/**
 * Want this stack from now on. Outcome STACK_SAME (1): it is wanted already, nothing was changed.
 * manifest: borrowed. diagnostics as desired_new().
 */
#define STACK_SAME 1
int daemon_apply(struct daemon *d, const char *name, const json_t *manifest, const char *source,
                 enum stack_ports ports, json_t **ret_diagnostics, struct err *err);

/**
 * Want a new stack, for once: it is deleted, with the volumes that have no name of their own, when
 * its services have ended (run.c). EEXIST: there is one of this name. diagnostics as desired_new().
 */
int daemon_run_stack(struct daemon *d, const json_t *manifest, bool once, json_t **ret_diagnostics,
                     struct err *err);

/**
 * Make desired the present revision, on disk first; note: what made it ("apply", "scale web=3").
 * Takes desired.
 */
int daemon_accept(struct daemon *d, struct desired *desired, const char *note, struct err *err);

/** Whether a revision fits beside the other stacks: EBUSY with the first reason when not (admit.c).
 */
int daemon_admit(const struct daemon *d, const struct desired *desired, struct err *err);

/** The same as texts: released with admission_release(). */
void daemon_admission(const struct daemon *d, const struct desired *desired, struct admission *ret);

/** {overcommit, host_bytes, vms_bytes} of all wanted stacks. */
json_t *daemon_memory_json(const struct daemon *d);

/** Whoever asks again does not want to sit a back-off out, or be told of an old failure. */
void daemon_retry_failed(struct daemon *d, const char *stack);

/* What a command changes of a stack without its manifest; each is a revision of its own (change.c).
 */
struct stack_change {
        const char *verb;       /* stop, start, restart, scale, rollback */
        const json_t *services; /* array of names; NULL: all (scale needs one) */
        int64_t replicas;       /* scale */
        int64_t revision;       /* rollback; 0: the last one with another manifest */
};

/** STACK_SAME: it is so already. ENOENT: no such stack, service or revision. EINVAL: unknown verb.
 */
int daemon_change(struct daemon *d, const char *name, const struct stack_change *change,
                  struct err *err);

/**
 * An update failed: want the service's last good spec again, as a revision of its own. <0: there is
 * none any more, and it will not be asked for again.
 */
int daemon_undo_update(struct daemon *d, const char *stack, const char *service, const char *reason,
                       struct err *err);

/** Remember which specs are well in all replicas, from the last plan. */
void daemon_note_good(struct daemon *d);

/** Revisions, newest first: [{revision, note, created, current, changes}]. */
int daemon_history(const struct daemon *d, const char *name, json_t **ret, struct err *err);

/**
 * An image was pulled. What it is now is what the last apply meant where its policy is `always`;
 * other stacks only stop waiting for it.
 */
void daemon_images_changed(struct daemon *d, const char *ref);

/** Pin images that have come since their stack was applied; called at the begin of a turn. */
void daemon_pin_images(struct daemon *d);

/** Want it gone. ENOENT: unknown. */
int daemon_delete(struct daemon *d, const char *name, bool volumes, struct err *err);

/** Forget former revisions that no VM needs any more; called at the end of a turn. */
void daemon_forget_former(struct daemon *d);

/** Forget deleted stacks that have left nothing behind; called at the end of a turn. */
void daemon_finish_deletes(struct daemon *d);

/**
 * Once at start, behind daemon_load(): if the host has restarted since the last daemon, say so. As
 * wanted, everything comes back; by_policy: as Docker has it, what has `restart: no` is stopped
 * first, and what has `always` is started, each as a recorded change (boot.c).
 */
void daemon_after_boot(struct daemon *d, bool by_policy);

/** Load desired stacks and replica facts at start. */
int daemon_load(struct daemon *d, struct err *err);

/** The memory of a replica, NULL: there is none. Valid until the next daemon_replica(). */
struct replica_fact *daemon_find_replica(const struct daemon *d, const char *stack,
                                         const char *service, unsigned replica);

/** The same, made when missing. */
struct replica_fact *daemon_replica(struct daemon *d, const char *stack, const char *service,
                                    unsigned replica);
void daemon_save_replica(struct daemon *d, const struct replica_fact *fact);

/** Tell follower after each turn, until it is taken off the list. Borrowed for that time. */
void daemon_follow(struct daemon *d, struct follower *follower);
void daemon_unfollow(struct daemon *d, struct follower *follower);

/** The instance that runs a replica (not one that is going), or NULL. replica 0: the first. */
struct instance *daemon_instance(const struct daemon *d, const char *stack, const char *service,
                                 unsigned replica);

/* Networks that stacks share (network_change.c). */

/** Make one. spec: its name is not looked at. EEXIST, EINVAL; EADDRINUSE: its subnet is taken. */
int daemon_network_create(struct daemon *d, const char *name, const struct network *spec,
                          struct err *err);

/** ENOENT; EBUSY: the text names who uses it. */
int daemon_network_delete(struct daemon *d, const char *name, struct err *err);

/** ["shop/web"]: services that are on it, or are to be. */
json_t *daemon_network_users(const struct daemon *d, const char *name);

/** Make what manifests name, forget what none does any more; called at the begin of a turn. */
void daemon_follow_networks(struct daemon *d);

/** Views (view.c): new references, shapes as in api/wire.h. */
json_t *view_status(const struct daemon *d, const struct desired *desired);
json_t *view_replicas(const struct daemon *d, const char *stack, bool all);
json_t *view_service(const struct daemon *d, const struct desired *desired,
                     const struct service *service, unsigned replica);
json_t *view_stack(const struct daemon *d, const struct desired *desired);
const struct service_status *view_find_status(const struct daemon *d, const char *stack,
                                              const char *service);

/* The API's routing table (api/routes.c). */
extern const struct route api_routes[];
extern const size_t api_routes_len;

#endif
