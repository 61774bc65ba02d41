/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's half of an exec session: after the 101 of POST /v1/exec both sides send frames
 * (orchestrator/api/wire.h). Standard input is read only while the socket takes what was read
 * before, and the socket only while standard output and error do, so that nothing piles up here.
 */
#ifndef ORCHESTRATOR_CLI_SESSION_H
#define ORCHESTRATOR_CLI_SESSION_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/cli/cli.h"

/* A frame as it was received; body points into the buffer that was parsed. */
struct frame {
        enum exec_frame type;
        const unsigned char *body;
        size_t len;
};

/** Append a frame. len: at most EXEC_FRAME_MAX. */
void frame_add(struct strbuf *out, enum exec_frame type, const void *body, size_t len);

/**
 * Take the first frame of n bytes. Returns the bytes it covers; 0: not whole yet.
 * -EBADMSG: unknown type or a body above EXEC_FRAME_MAX.
 */
ssize_t frame_parse(const void *data, size_t n, struct frame *ret, struct err *err);

struct session {
        struct cli *cli;
        const char *path;      /* that is posted to: "/v1/exec" */
        const json_t *request; /* body of the POST */
        bool input;            /* send standard input */
        bool tty;              /* raw terminal, window sizes */
};

/**
 * Run it to its end. Returns the exit code of the program in the guest; for FAIL the code that came
 * with it, its text having been printed. <0: err set; no program ran, or the connection was lost.
 */
int session_run(const struct session *session, struct err *err);

#endif
