/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One VM that runs one replica, from the decision to make it until nothing of it is left.
 *
 *   instance_start          PREPARING  image disk, volumes, addresses, taps, forwards (all at once)
 *                           BOOTING    QEMU runs, vminit says hello and is configured
 *                           RUNNING    the service's process runs; probes, logs
 *                           EXITED     it ended; the VM waits for instance_remove
 *   instance_stop           STOPPING   signal, grace period, kill; then removal
 *                           FAILED     could not be prepared, did not boot, or its VM died
 *   instance_remove         power-off, then files; on_gone: free it
 *
 * The instance acts on orders of the executor and on what its VM does; it decides nothing. Its
 * folder RUN/vm/ID and file instance.json there let the next daemon take it over (instance_adopt).
 */
#ifndef ORCHESTRATOR_INSTANCE_H
#define ORCHESTRATOR_INSTANCE_H

#include <ev.h>

#include "orchestrator/attach.h"
#include "orchestrator/desired.h"
#include "orchestrator/events.h"
#include "orchestrator/guest_config.h"
#include "orchestrator/hooks.h"
#include "orchestrator/images.h"
#include "orchestrator/logs.h"
#include "orchestrator/networks.h"
#include "orchestrator/probe.h"
#include "reconciler/facts.h"
#include "vz/pool.h"
#include "vz/template.h"
#include "vz/vm.h"

/* From spawning QEMU to the running service: software emulation on a loaded machine fits. */
#define INSTANCE_BOOT_TIMEOUT_MS 60000
/* How much longer than the grace period a stop may take before QEMU is killed. */
#define INSTANCE_STOP_SLACK_MS 5000
/* From the power-off request to QEMU's end; afterwards it is killed. In between the guest writes
 * what is in its cache to the volumes, on a slow disk that may be much. */
#define INSTANCE_POWEROFF_MS 60000

/* Memory of a VM: what the manifest says, or the service's limit and this on top of it. */
#define INSTANCE_MEMORY_DEFAULT  (INT64_C(512) << 20)
#define INSTANCE_MEMORY_OVERHEAD (INT64_C(64) << 20)
#define INSTANCE_MEMORY_FLOOR    (INT64_C(128) << 20)

/** Memory of a VM of that service. */
int64_t instance_memory(const struct service *service);

struct instance;
struct instance_env;

/** Memory and CPUs of a VM of that service. */
void instance_shape(const struct instance_env *env, const struct service *service,
                    int64_t *ret_memory, unsigned *ret_cpus);

/* What instances need of the daemon; shared by all, borrowed. */
struct instance_env {
        struct ev_loop *loop;
        struct images *images;
        struct networks *networks;
        struct logs *logs;
        struct events *events;
        const char *run_dir;     /* .../vm/ID below it */
        const char *scratch_dir; /* private disks */
        const char *volumes_dir;
        const char *machine_id; /* of this instance of berth: machine_id.h */
        const char *qemu, *kernel, *initrd;
        enum vm_accel accel;
        struct templates *templates; /* NULL: every VM boots */
        struct pool *pool;           /* NULL: no machines wait */
        /* State or health changed, or something else that a view shows. */
        void (*on_change)(struct instance_env *env, struct instance *instance);
        /* The service started (RUNNING), or its run ended (still in the state before EXITED or
         * FAILED). Before on_change. */
        void (*on_started)(struct instance_env *env, struct instance *instance);
        void (*on_ended)(struct instance_env *env, struct instance *instance);
        /* Nothing is left of it; instance_free() it (deferred). */
        void (*on_gone)(struct instance_env *env, struct instance *instance);
        int64_t (*now_ms)(struct instance_env *env); /* the clock of facts */
        /* Another one whose VM has that volume attached; NULL: none. */
        const struct instance *(*volume_holder)(struct instance_env *env,
                                                const struct instance *instance, const char *name);
};

struct tap_request; /* prepare.c */

/* Somebody who asked a guest for its figures. */
struct stats_wait {
        struct stats_wait *next;
        struct instance *instance; /* NULL: nothing is awaited */
        /* Once; stats NULL: the guest went away. */
        void (*on_stats)(struct stats_wait *wait, const struct instance *instance,
                         const struct guest_stats *stats);
};

struct instance_nic {
        char *network; /* as the stack names it */
        char *shared;  /* its name in STACK_SHARED; NULL: it is the stack's own */
        uint32_t ip, gateway;
        unsigned bits;
        bool egress;                 /* the VM may go out here */
        int tap_fd;                  /* -1: not opened yet, or QEMU has it */
        struct tap_request *request; /* under way */
        struct str_list aliases;
};

struct instance;

/** Whose network it is, and its name there: as networks.h knows it. */
const char *nic_stack(const struct instance *in, const struct instance_nic *nic);
const char *nic_network(const struct instance_nic *nic);

/* Host CLOCK_MONOTONIC in ns of each step of a start; 0: not reached. */
struct instance_times {
        int64_t decided, spawned, up, hello, configured, started;
        int64_t kernel_ns; /* guest time when vminit began */
};

struct instance {
        struct instance_env *env;
        char *id, *stack, *service;
        unsigned replica;
        unsigned lane; /* 0 or 1: which addresses of the replica, while it has two VMs */
        char spec_hash[DIGEST_TEXT_MAX];
        char *image_ref; /* as the manifest names it */
        char *image;     /* NAME@DIGEST of it: what it is made from */
        char digest[DIGEST_TEXT_MAX];
        char *dir, *scratch;
        struct desired *desired; /* that it is made from; NULL when adopted */

        enum vm_state state;
        int64_t since_ms, health_since_ms;
        enum exit_reason exit_reason;
        int exit_code;
        char *message;
        char *trouble; /* RUNNING: a published port is not to be had; NULL: all are */

        struct instance_nic *nics;
        size_t nics_len;
        struct port *ports;
        size_t ports_len;
        struct str_list volumes; /* real names of those it has attached */
        char *stop_signal;
        int64_t stop_grace_ms;
        json_t *post_start, *pre_stop; /* hooks_to_json(); NULL: none */
        struct hook_runner hooks;

        /* preparation */
        char *rootfs;
        bool asked;                 /* image and taps were asked for; waits for their answers */
        struct pool_member *member; /* reserved; NULL: none, or its VM is ours */
        bool pooled;                /* it had one, and the pool waits to hear how it does */
        int64_t pool_memory;
        unsigned pool_cpus;
        char *pool_reason; /* why a machine was given up; NULL: it was not */

        struct vm *vm;
        struct guest *guest;
        struct exec_session *sessions; /* of API clients; ended with the guest */
        struct stats_wait *stats_waits;
        struct attach *attach;     /* who watches its output and end; NULL: nobody */
        struct guest_setup *setup; /* until the guest was configured and told to run */
        char boot_id[40];
        struct log_writer *log;
        struct probe probe;
        enum health_state health_shown; /* that events have told */
        struct instance_times times;
        ev_timer deadline;  /* of the present state */
        ev_timer reconnect; /* to a guest that was lost while its VM lives */
        unsigned reconnects;
        unsigned runs;           /* how many times the guest was asked to run the service */
        enum exit_reason ending; /* what its end shall count as: it was told to end; or NONE */
        bool run_waits;          /* the guest was configured, its tap is on its way */
        bool greeted;            /* the guest waits for its configuration, its VM is not up */
        bool ahead;              /* its service waits: it is not told to run (ahead.h) */
        bool was_ahead;          /* at its first run */
        bool remove_wanted;      /* instance_remove() was called */
        bool powered_off;        /* power-off was sent */
        bool unsaved;            /* its file and its replica's memory tell less than is known */
        bool disposable;         /* no disk or folder outlives it: it is killed, not powered off */
        unsigned open_streams;   /* bit per output stream that has not ended */
};

/** A new one in state PREPARING; nothing has started yet. desired: a reference is taken. */
struct instance *instance_new(struct instance_env *env, struct desired *desired,
                              const struct service *service, unsigned replica);

/**
 * Take over the VM in dir (a former daemon's). *ret is in the state its file tells, or FAILED when
 * the VM is gone. <0: what the folder holds was killed and removed: it makes no sense, or
 * (ECANCELED) its service waited for others and was never told to run.
 */
int instance_adopt(struct instance_env *env, const char *dir, struct instance **ret,
                   struct err *err);

/** Free the memory; the VM, if any, goes on. Callbacks must be off the stack. */
void instance_free(struct instance *instance);
AUTO_TYPE(instance)

/** Whether it is a VM of that replica; of one there may be two. */
bool instance_is_of(const struct instance *instance, const char *stack, const char *service,
                    unsigned replica);

/** That service may start at any time: a template, or machines of the pool, are to be had then. */
void instance_expect(const struct instance_env *env, const struct stack *stack,
                     const struct service *service);

/** Begin or go on preparing; called once a turn while PREPARING. */
void instance_prepare(struct instance *instance);

/** It was made ahead, and its service waits no more: from now on it is as one that was just made.
 */
void instance_go_on(struct instance *instance);

/** Whether it EXITED, and its guest can run the service again. */
bool instance_is_reusable(struct instance *instance);

/**
 * Run the service again in its VM, which must be reusable; as at first, on_started or on_ended
 * follows. reason goes into the event.
 */
void instance_restart(struct instance *instance, const char *reason);

/** End the run of a RUNNING one, gracefully; it ends as EXITED for that reason, the VM stays. */
void instance_end(struct instance *instance, enum exit_reason why, const char *reason);

/** Stop the service and remove everything; reason goes into the event. */
void instance_stop(struct instance *instance, const char *reason);

/** Remove what an EXITED or FAILED one holds. */
void instance_remove(struct instance *instance);

/**
 * Take over what changes in place (see reconciler/effect.c) from the present spec of its service:
 * ports, aliases, how to stop it. auto_ports: berth picks the host's ports.
 */
void instance_follow(struct instance *instance, const struct service *service, bool auto_ports);

/** Whether it is not known yet if a RUNNING one has its ports. */
bool instance_ports_pending(const struct instance *instance);

/** Note whether a port of a RUNNING one could not be had. */
void instance_check_ports(struct instance *instance);

/** Write its file, if it has a VM, for the next daemon; the replica's memory must be stored. */
void instance_save_noted(struct instance *instance);

/** Its ports are those of the service; or none. */
void instance_set_ports(struct instance *instance, const struct service *service, bool auto_ports);
void instance_free_ports(struct instance *instance);

/** (Re)start probing by the service's present healthcheck; no-op when nothing changed. */
void instance_update_probe(struct instance *instance, const struct service *service);

/** Tell this session its end, too, when the guest goes away without a word. */
void instance_own_session(struct instance *instance, struct exec_session *session);

/** Free the texts of a list, which is empty then. */
void str_list_clear(struct str_list *list);

/* Figures (instance_stats.c). */

/** Ask; false: it cannot be asked now. wait: borrowed until on_stats or instance_forget_stats(). */
bool instance_ask_stats(struct instance *instance, struct stats_wait *wait);
void instance_forget_stats(struct stats_wait *wait);

/** Answer all who asked; NULL: there will be no answer. */
void instance_tell_stats(struct instance *instance, const struct guest_stats *stats);

/** What its VM costs the host: the member "host" of api/wire.h's STATS. NULL: it has none. */
json_t *instance_usage_json(const struct instance *instance);

/** End in FAILED (or go on with the removal when that is wanted). */
void instance_fail(struct instance *instance, enum exit_reason reason, const char *message);

/** An event about it. */
void instance_emit(const struct instance *instance, const char *type, const char *reason,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
