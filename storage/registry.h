/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session with one endpoint of a registry about one repository: it knows how to speak to it
 * (https, or http where that is allowed), what authorisation it wants, and what to try again when.
 *
 * It runs in the registry worker, whose loop is its own: registry_call() waits inside of that loop,
 * and calls that other parts started go on meanwhile. It is never called from a callback.
 */
#ifndef STORAGE_REGISTRY_H
#define STORAGE_REGISTRY_H

#include <ev.h>

#include "base/http_async.h"
#include "base/strbuf.h"
#include "storage/auth.h"
#include "storage/credentials.h"

#define REGISTRY_WAIT_MAX_MS 120000     /* longest wait that a Retry-After gets */
#define REGISTRY_BODY_MAX    (4u << 20) /* of a document; what other clients accept */
#define REGISTRY_GAIN        (1 << 20)  /* so many bytes got make a failure the first again */

struct registry_context {
        struct ev_loop *loop;
        struct http_pool *pool;
        const struct registry_config *config;
        /* Tell that something has to wait ("rate limited; trying again in 5 s"). May be NULL. */
        void (*on_notice)(void *ctx, const char *text);
        void *ctx;
};

struct registry {
        const struct registry_context *context;
        const struct registry_endpoint *endpoint;
        const struct credentials *credentials;
        const char *ns;   /* of a mirror: the registry it stands for */
        char *repository; /* "" when the session is about the registry itself */
        char *scope;      /* what a token is asked for */
        bool http;
        char *authorization;    /* of the next request; NULL: none yet */
        int64_t expires_ms;     /* monotonic; 0: never */
        unsigned authorisation; /* counts up with each new one */
};

/* What is kept of one request over its attempts. */
struct retry {
        unsigned attempts;
        unsigned authorisation; /* that the last attempt was made with */
        bool authorised;        /* refused once with an authorisation made for it */
        int64_t at_ms;          /* AGAIN: not before (monotonic) */
};

enum verdict {
        VERDICT_ANSWER, /* the status is for the caller to read */
        VERDICT_AGAIN,  /* at retry->at_ms */
        VERDICT_FAILED, /* err is set */
};

/** actions: "pull", "pull,push". Everything pointed to stays the caller's and outlives it. */
struct registry *registry_new(const struct registry_context *context,
                              const struct registry_endpoint *endpoint,
                              const struct credentials *credentials, const char *repository,
                              const char *actions);
void registry_free(struct registry *registry);
AUTO_TYPE(registry)

/** "https://HOST/v2/REPOSITORY/tail", or "https://HOST/v2/" for tail NULL. On the heap. */
char *registry_url(const struct registry *registry, const char *tail);

/** Fill what a call of this session needs; may renew a token, and then waits for it. */
int registry_prepare(struct registry *registry, struct http_call_spec *spec, struct retry *retry,
                     struct err *err);

/** Read how a call ended. May ask a token server meanwhile. gained: bytes got in this attempt. */
enum verdict registry_judge(struct registry *registry, const struct http_call *call,
                            struct retry *retry, int64_t gained, struct err *err);

struct registry_request {
        const char *method;
        const char *tail;           /* see registry_url() */
        const char *url;            /* instead: a Location it gave */
        const char *const *headers; /* ended by NULL; may be NULL */
        const char *body;
        size_t body_len;
        bool upload;
        int upload_fd;
        int64_t upload_at, upload_len;
        void (*on_sent)(void *ctx, int64_t sent); /* of the upload; may be NULL */
        void *ctx;
        bool once; /* not to be repeated when nobody knows whether it was done */
};

struct registry_answer {
        long status;
        char *body;
        size_t len;
        char *type;        /* Content-Type without parameters, lower case; NULL: none */
        char *digest;      /* Docker-Content-Digest; NULL: none */
        char *location;    /* absolute; NULL: none */
        char *range;       /* Range; NULL: none */
        int64_t chunk_min; /* OCI-Chunk-Min-Length; 0: none */
};

/** One request to its end, with retries. 0: an answer, whatever its status. */
int registry_call(struct registry *registry, const struct registry_request *request,
                  struct registry_answer *ret, struct err *err);
void registry_answer_release(struct registry_answer *answer);

/** Turn an answer's status and body into err ("404 MANIFEST_UNKNOWN: ..."). Returns -err->code. */
int registry_refused(const struct registry *registry, long status, const char *body, size_t len,
                     const char *what, struct err *err);

/** Run the loop until that time (monotonic). */
void registry_wait_until(const struct registry_context *context, int64_t at_ms);

#endif
