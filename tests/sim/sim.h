/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon in a simulated world: everything of berthd but its process (orchestrator/run.c) runs
 * as it is, on files and a SQLite database of its own, while libev, the clock, randomness and the
 * drivers (QEMU, guests, netd, storage workers, ext4) are replaced at link time.
 *
 *   struct world      what outlives the daemon: VMs, netds, images, time, armed faults. Memory that
 *                     parent and children share, without pointers
 *   a child process   one life of the daemon. It dies (_exit) at any effect, and the next one
 *                     finds the world and the disk as they were
 *   struct event      what happens, and when: drawn from a seed, or read from a scenario
 *
 * All that a run does follows from its list of events: equal lists, equal traces.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "orchestrator/daemon.h"

#define SIM_VMS      96
#define SIM_NETS     32
#define SIM_IMAGES   4
#define SIM_STACKS   3
#define SIM_SERVICES 6
#define SIM_REPLICAS 4
#define SIM_NEVER    INT64_MAX

/* Calls that may be made to fail; the order is that of the names in fault.c. */
enum sim_call {
        CALL_VM_START,
        CALL_GUEST_CONNECT,
        CALL_GUEST_CONFIGURE,
        CALL_GUEST_RUN,
        CALL_GUEST_STOP,
        CALL_GUEST_POWEROFF,
        CALL_GUEST_EXEC,
        CALL_NET_START,
        CALL_NET_TAP,
        CALL_NET_ZONE,
        CALL_NET_FORWARDS,
        CALL_JOB,
        CALL_EXT4,
        CALL_FSYNC,
        CALL_COUNT,
};

/* How: it says no; it answers never; or late; it works and then says no; it is told twice. */
enum sim_how { HOW_FINE, HOW_ERROR, HOW_HANG, HOW_SLOW, HOW_PARTIAL, HOW_DOUBLE, HOW_COUNT };

enum sim_guest { GUEST_NEW, GUEST_CONFIGURED, GUEST_STARTING, GUEST_RUNNING, GUEST_EXITED };

struct sim_vm {
        bool alive;
        char id[16], dir[128], stack[8], service[8], hash[72];
        unsigned replica;
        char disks[VM_DISKS_MAX][64]; /* volumes attached read-write that are disks */
        char nets[VM_NICS_MAX][8];    /* STACK/NAME */
        unsigned net_births[VM_NICS_MAX];
        uint32_t ips[VM_NICS_MAX];
        int64_t up_ms, started_ms, exit_ms, death_ms; /* SIM_NEVER: not by itself */
        enum sim_guest guest;
        enum vm_end end;
        int exit_code;
        bool start_failed, dying; /* dying: it was told to */
};

struct sim_net {
        bool alive;
        unsigned birth; /* which one of that name */
        char dir[128], stack[8], name[8];
};

/* Specs by their hash, the last few. */
struct sim_hashes {
        char text[8][24];
        unsigned next;
};

/* What really happened to a replica with which spec: what dependants may rely on. */
struct sim_truth {
        struct sim_hashes started, healthy, completed;
};

/* What clients were told is so. */
struct sim_promise {
        unsigned revision;
        bool known, delete_asked, deleting;
        bool undoing[SIM_SERVICES];
};

enum sim_phase { PHASE_EVENTS, PHASE_SETTLE, PHASE_DELETE, PHASE_OVER };

struct world {
        int64_t mono_ms, wall_offset_ms;
        uint64_t random, trace;
        struct sim_vm vms[SIM_VMS];
        struct sim_net nets[SIM_NETS];

        struct {
                bool present;
                unsigned version;
        } images[SIM_IMAGES];
        struct sim_truth truth[SIM_STACKS][SIM_SERVICES][SIM_REPLICAS + 1];
        struct sim_promise promised[SIM_STACKS];
        bool promised_net; /* a client was told that x is there */
        bool sick[SIM_STACKS][SIM_SERVICES];

        struct {
                unsigned in;
                enum sim_how how;
        } armed[CALL_COUNT];

        unsigned crash_in; /* effects from now; 0: not armed */
        unsigned lives;
        bool full; /* no space on disk */
        size_t next_event;
        enum sim_phase phase;
        int64_t event_at_ms, phase_since_ms;
        unsigned busy; /* callbacks since time went on */
        unsigned net_births;
        unsigned starts; /* of VMs in this phase */
        unsigned effects, steps, created, stopped, surges, undone, calls;
        unsigned faults[HOW_COUNT], crashes, deaths, net_deaths, fulls, jumps, reboots, lost;
        unsigned edits, deletes, changes, refused, unable, shared;
        uint64_t opened;  /* what the second life found wanted: a hash */
        bool only_events; /* end with them, without settling */
        char broken[300]; /* the first broken promise */
};

/* ------------------------------------------------------------------------------------- events */

/* A service of a manifest in small numbers; fields.c of it is the table in manifest.c. */
struct sim_service {
        uint8_t used, job, replicas, image, env, restart, net0, net1, health, order, action,
                parallelism, monitor, ratio, rollback, volume, port, on, when, optional, also, then,
                together;
};

struct sim_manifest {
        uint8_t stack, internal; /* internal: bit per network */
        uint8_t external, named; /* 1 + which network is the shared x, y; 0: none */
        struct sim_service services[SIM_SERVICES];
};

enum sim_verb {
        VERB_APPLY,
        VERB_DELETE,
        VERB_STOP,
        VERB_START,
        VERB_RESTART,
        VERB_SCALE,
        VERB_ROLLBACK,
        VERB_VM_DIES,
        VERB_EXITS,
        VERB_SICK,
        VERB_WELL,
        VERB_GUEST_LOST,
        VERB_TWICE,
        VERB_NET_DIES,
        VERB_NET_CREATE,
        VERB_NET_RM,
        VERB_IMAGE_GONE,
        VERB_IMAGE_NEW,
        VERB_FAULT,
        VERB_CRASH,
        VERB_OUTAGE,
        VERB_REBOOT,
        VERB_FULL,
        VERB_ROOM,
        VERB_CLOCK,
        VERB_COUNT,
};

struct sim_event {
        unsigned wait_ms;
        enum sim_verb verb;
        unsigned a, b, c;
        struct sim_manifest manifest; /* of VERB_APPLY */
};

/** Event number i of a seed. */
void sim_event_draw(uint64_t seed, unsigned i, struct sim_event *ret);

/** One line of text, and back: NULL, or what is wrong with it. */
char *sim_event_text(const struct sim_event *event);
const char *sim_event_parse(const char *line, struct sim_event *ret);

/** Have it happen. */
void sim_event_run(const struct sim_event *event);

void sim_manifest_draw(uint64_t *state, struct sim_manifest *ret);
json_t *sim_manifest_json(const struct sim_manifest *manifest);
void sim_manifest_text(const struct sim_manifest *manifest, struct strbuf *sb);
const char *sim_manifest_parse(char *words, struct sim_manifest *ret);

/** Shrinking: leave out part n of it; false: there is no such part. */
bool sim_manifest_simplify(struct sim_manifest *manifest, unsigned n);

/* ---------------------------------------------------------------------------------------- runs */

/** Just this far, for what the state is then: no settling. */
const struct world *sim_run_only(const struct sim_event *events, size_t n);

/** Run the events from an empty world. The world is the caller's to read until the next run. */
const struct world *sim_run(const struct sim_event *events, size_t n);

/** The promise that a run broke: the text up to the colon. "" for none. */
void sim_promise_of(const struct world *world, char *ret, size_t size);

/** Leave out what is not needed to break the same promise; *n shrinks. Returns the runs it took. */
unsigned sim_shrink(struct sim_event *events, size_t *n);

/* In the parent and its children; NULL in programs' first steps. */
extern struct world *sim;
/* The daemon of this life; NULL in the parent. */
extern struct daemon *sim_daemon;
extern const char *sim_root;
extern bool sim_verbose;

/* Exit codes of a child. */
enum { LIFE_OVER = 0, LIFE_CRASHED = 77, LIFE_UNABLE = 78 };

/* ----------------------------------------------------------------------------- fault.c, disk.c */

/** A change of the world or the disk is about to be made: the daemon may die here instead. */
void sim_effect(const char *what);

/** What the call shall do this time. */
enum sim_how sim_fault(enum sim_call call);
const char *sim_call_name(enum sim_call call);
const char *sim_how_name(enum sim_how how);

/** Into the trace (its hash; with sim_verbose also standard error). */
void sim_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** The first one is kept. */
void sim_broken(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Deterministic: of the world's own state. */
unsigned sim_roll(uint64_t *state, unsigned n);

/** Have SQLite write through us. */
void sim_disk_init(void);

/* --------------------------------------------------------------------------------- ev.c: time */

/** The earliest timer or post; SIM_NEVER: none. */
int64_t sim_next_due(void);

/** Run one of those that are due now; false: none is. */
bool sim_dispatch(void);

/** Have fn(owner, arg) called from the loop. */
void sim_post(int64_t delay_ms, void (*fn)(void *owner, int arg), void *owner, int arg);

/** Forget the posts of an owner. */
void sim_cancel(const void *owner);

/* ---------------------------------------------------------------------- vz.c, guest.c, net.c */

/** Changes that the world makes by itself up to now: starts, exits, deaths. */
void sim_world_advance(void);
int64_t sim_world_next(void);

/** QEMU is gone: at once. */
void sim_vm_dies(struct sim_vm *vm, enum vm_end end);
void sim_net_dies(struct sim_net *net);

/** Conversations of a VM hear: what the service did, or that they are over. */
void sim_guest_told_started(const struct sim_vm *vm);
void sim_guest_told_exited(const struct sim_vm *vm, bool twice);
void sim_guest_lost(const struct sim_vm *vm);
void sim_vm_told_end(const struct sim_vm *vm);

/** The n-th that lives, modulo; NULL: none does. */
struct sim_vm *sim_vm_pick(unsigned n);
struct sim_net *sim_net_pick(unsigned n);
struct sim_vm *sim_vm_of_dir(const char *dir);

/** Which netd of that name, STACK/NAME, lives; 0: none. */
unsigned sim_net_birth(const char *name);

struct sim_truth *sim_truth(const char *stack, const char *service, unsigned replica);
bool *sim_sick(const char *stack, const char *service);
void sim_vm_started(struct sim_vm *vm);
void sim_hashes_add(struct sim_hashes *hashes, const char *hash);
bool sim_hashes_have(const struct sim_hashes *hashes, const char *hash);

/* ------------------------------------------------------------------------------- promises.c */

/** A hash of all that is wanted. */
uint64_t sim_wanted(void);

/** Before the VM is started by the daemon's order. */
void sim_check_start(const struct instance *in, const struct sim_vm *vm);

/** After each callback. */
void sim_check_step(void);

/** After a daemon opened its state. */
void sim_check_opened(void);

/** What the daemon wants of a stack now is what it has to want after its death. */
void sim_note_revision(const struct desired *desired, struct sim_promise *promise);

bool sim_is_settled(char *why, size_t size);
bool sim_is_as_wanted(char *why, size_t size);
bool sim_nothing_left(char *why, size_t size);

/** The service's present spec, or NULL; its hash. */
const struct service *sim_service(const char *stack, const char *service, const char **ret_hash);

#endif
