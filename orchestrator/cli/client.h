/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to berthd (orchestrator/api/wire.h): JSON in, JSON out, and streams of JSON lines. The
 * daemon is started when nobody serves its socket. Errors carry the text and the code that the
 * daemon gave.
 */
#ifndef ORCHESTRATOR_CLI_CLIENT_H
#define ORCHESTRATOR_CLI_CLIENT_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http.h"
#include "base/strbuf.h"
#include "orchestrator/cli/cli.h"

/* Longest path with its query that the CLI makes. */
#define CLIENT_PATH_MAX 8192
/* So often a daemon may end with our request in its door. */
#define CLIENT_ATTEMPTS_MAX 5

/** Append "?key=value" or "&key=value", encoded; value NULL appends nothing. */
void client_query(struct strbuf *path, const char *key, const char *value);

/**
 * Remove what each operand names in a collection of the API: a path with its last slash. What was
 * removed and what could not be is printed; the exit code of the last that could not.
 */
int client_remove_each(struct cli *cli, const char *collection, const struct args *args);

/**
 * One request. body may be NULL. *ret: the answer, a new reference; ret may be NULL.
 * -ENOENT: the thing is unknown (404); -EINVAL: refused input, diagnostics have been printed to
 * standard error; other codes as the daemon named them.
 */
int client_call(struct cli *cli, const char *method, const char *path, const json_t *body,
                json_t **ret, struct err *err);

/* A stream of JSON lines. */
struct client_stream {
        const char *path;
        /* Called for each object; non-zero ends the stream. item is borrowed. */
        int (*on_item)(void *arg, json_t *item);
        int (*on_tick)(void *arg); /* see base/http.h; may be NULL */
        int tick_ms;
        void *arg;
        int64_t deadline_ms; /* 0: none */
        bool wake;
        int wake_fd;
        const json_t *body; /* POST it; NULL: upload or GET */
        bool upload;        /* POST upload_fd; else GET */
        int upload_fd;
};

/** Follow a stream. 0: the server ended it. Outcomes of http_perform(). Errors as client_call(). */
int client_follow(struct cli *cli, const struct client_stream *stream, struct err *err);

/** POST body and write the answer's bytes to fd. -EPIPE: it broke off; what came is not whole. */
int client_download(struct cli *cli, const char *path, const json_t *body, int fd, struct err *err);

/**
 * Turn an answer of status above 299 into err: text and code of {"error": ...}; diagnostics go to
 * standard error. Returns -err->code.
 */
int client_error(long status, const char *body, size_t len, struct err *err);

#endif
