/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_INIT_H
#define VMINIT_INIT_H

/*
 * vminit as a whole: one object, one epoll loop, no allocation.
 *
 *      main.c    boot, events: set ready flags, then init_work()
 *      host.c    frames from the host become changes of state
 *      service.c the service's life: configure, run, stop, reap, power off
 *      talk.c    state becomes frames, as far as there is room
 *
 * Nothing is sent from where it happens. A change sets a `tell_` flag or moves an offset; talk.c
 * writes what is due when the port has room and clears the flag. A new host gets a HELLO with the
 * whole state and the output it wants again; so a host that dies at any byte loses nothing that
 * matters.
 */

#include <stdbool.h>
#include <stdint.h>

#include "vminit/config.h"
#include "vminit/fail.h"
#include "vminit/port.h"
#include "vminit/ring.h"
#include "vminit/session.h"
#include "vminit/wire.h"

/* The service, what the host may have open, and sessions of a lost host that are still dying. */
#define INIT_SESSIONS (1 + WIRE_EXEC_MAX + 8)
#define INIT_PHASES   12
#define INIT_LOGS     8

struct init_phase {
        char name[16];
        uint64_t ns;
};

struct init {
        struct port port;
        int epoll, signals, timer, oom_events, cgroup, own_pid_ns, main_pidfd;
        char boot_id[40]; /* "" before the configuration */

        struct config config;
        struct config_exec exec;                /* the EXEC being handled */
        struct session sessions[INIT_SESSIONS]; /* [0] is the service */
        struct ring out[2];
        bool out_closed[2]; /* the last run's stream is at its end */

        enum wire_state state;
        uint64_t run;
        bool run_wanted, poweroff_wanted;
        uint64_t oom_base, oom_count;
        bool oom;
        struct fail fail; /* WIRE_S_BROKEN */
        pid_t rehearsal;  /* under way, or 0; see rehearse.h */
        int rehearsal_report;
        struct fail rehearsal_fail;

        uint64_t balloon_ns; /* when to look for a balloon; 0: not now */

        bool attached;
        uint8_t nonce[WIRE_MAGIC_LEN];
        bool tell_hello, tell_configured, tell_started, tell_exited, tell_oom, tell_end[2];
        bool tell_pong, tell_stats, tell_rehearsed;
        uint32_t pong_id, stats_id;
        struct init_phase phases[INIT_PHASES];
        size_t n_phases, phases_told;
        char logs[INIT_LOGS]
                 [FAIL_TEXT_MAX]; /* a queue; when it is full new ones go to the boot log only */
        size_t n_logs;
};

/**
 * Note that a phase of the start was reached now.
 */
void init_phase(struct init *in, const char *name);

/**
 * A message to the boot log and, when possible, to the host.
 */
void init_log(struct init *in, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * Take all frames that are there, move all streams, send what is due, until nothing moves any more.
 */
void init_work(struct init *in);

/* service.c: */

/**
 * The configuration is complete: apply it. CONFIGURED or BROKEN.
 */
void service_configure(struct init *in);

/**
 * Start a run when one is wanted and the last one is all told.
 */
void service_run_if_wanted(struct init *in);

/**
 * Ask the service to end, kill it after grace_ms.
 */
void service_stop(struct init *in, int signo, uint64_t grace_ms);
void service_kill(struct init *in);

/**
 * Start an exec session from in->exec.
 */
void service_exec(struct init *in, uint32_t id);

/**
 * Collect ended children; look at reports of starting ones; note OOM kills.
 */
void service_reap(struct init *in);
void service_check_reports(struct init *in);
void service_check_oom(struct init *in);

/**
 * Have free memory reported, once its time has come. Milliseconds until then; -1: it is done, or
 * nothing has been started yet.
 */
int service_balloon(struct init *in);

/**
 * Watch a session's descriptors.
 */
void service_watch(struct init *in, struct session *s);

/**
 * Kill everything, sync, unmount, end the VM.
 */
_Noreturn void service_poweroff(void);

/* host.c: */

/**
 * Take one frame from the host.
 */
void host_frame(struct init *in, const struct wire_frame *frame);

/* talk.c: */

/**
 * Write frames that are due into the port's buffer. true: something was written or read from a
 * process.
 */
bool talk(struct init *in);

#endif
