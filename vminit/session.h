/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_SESSION_H
#define VMINIT_SESSION_H

/*
 * A process that vminit started, with its standard streams: the service (id 0) or an exec session.
 *
 *      FREE ──session_start──▶ STARTING ──report──▶ RUNNING ──reaped──▶ ENDED ──streams read,
 * told──▶ FREE └──────────reaped, failed──────────▶
 *
 * Descriptors are watched edge-triggered: an event only sets the ready flags, the reader clears
 * them at EAGAIN. After the end a stream counts as closed at its first EAGAIN: everything the
 * process itself wrote is there by then, and a background process that keeps the pipe open does not
 * keep the session.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "vminit/fail.h"
#include "vminit/launch.h"
#include "vminit/wire.h"

enum session_state {
        SESSION_FREE,
        SESSION_STARTING,
        SESSION_RUNNING,
        SESSION_ENDED,
};

struct session {
        enum session_state state;
        uint32_t id;
        pid_t pid;
        int report;
        int in;     /* to its stdin: pipe or pty master; -1 */
        int out[2]; /* from its stdout and stderr; out[0] is `in` with a pty; -1: closed */
        bool tty;
        bool kept; /* pid is a keeper, see reaper.h */
        bool in_ready, out_ready[2];
        bool in_eof;     /* no more bytes will come: close when in_buf is empty */
        bool failed;     /* did not start: fail says why */
        bool orphan;     /* nobody wants to hear of it any more */
        bool tell_start; /* EXEC_STARTED is due */
        int status;      /* of wait() */
        uint64_t credit[2];
        uint32_t owed; /* stdin credit to be given to the host */
        uint32_t in_start, in_len;
        struct fail fail;
        uint8_t in_buf[WIRE_STDIN_WINDOW];
};

/**
 * Start `l` (its stdio is filled in here) with new streams: a pty, or pipes with stdin from
 * /dev/null unless with_stdin. s: FREE. <0: s is ENDED and failed, and f is in it.
 */
int session_start(struct session *s, uint32_t id, struct launch *l, bool with_stdin, unsigned rows,
                  unsigned cols);

/**
 * Make s ENDED and failed without having started anything.
 */
void session_refuse(struct session *s, uint32_t id, const struct fail *f);

/**
 * Look at the child's report. true: the state changed to RUNNING.
 */
bool session_check_report(struct session *s);

/**
 * wait() returned s->pid. true: it had been RUNNING.
 */
bool session_reaped(struct session *s, int status);

/**
 * Bytes for stdin. false: more than the window that was given; the host broke the protocol.
 */
bool session_feed(struct session *s, const uint8_t *bytes, size_t len);

/**
 * No more bytes for stdin. With a pty, the terminal's end-of-file character.
 */
void session_feed_eof(struct session *s);

/**
 * Write buffered stdin as far as the process takes it.
 */
void session_push(struct session *s);

/**
 * Read output stream 0 or 1 into buf. >0: bytes. 0: nothing now, or closed (then s->out[stream] is
 * -1).
 */
size_t session_pull(struct session *s, int stream, void *buf, size_t size);

/**
 * true: ENDED and both output streams are closed.
 */
bool session_drained(const struct session *s);

/**
 * A signal to the program. s->pid > 0 must hold.
 */
void session_signal(struct session *s, int signo);

/**
 * Kill its process group and forget its streams.
 */
void session_kill(struct session *s);

/**
 * New window size of the terminal.
 */
void session_resize(struct session *s, unsigned rows, unsigned cols);

/**
 * Close everything; FREE again. Must be ENDED.
 */
void session_free(struct session *s);

#endif
