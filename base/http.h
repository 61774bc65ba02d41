/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP exchange over a unix socket: the libcurl door. The call blocks until the answer is
 * complete, and meanwhile hands over lines of a streamed answer, sends a file as the body, and
 * watches one more descriptor and a deadline, so that a program needs no other loop around it.
 */
#ifndef BASE_HTTP_H
#define BASE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Largest answer that is collected: lists of ten thousand services are some MiB. */
#define HTTP_BODY_MAX (64u << 20)
/* Longest line of a stream: a STATUS line holds a whole stack. */
#define HTTP_LINE_MAX (16u << 20)

/* Outcomes of http_perform() besides 0. */
#define HTTP_STOPPED  1 /* a callback asked to stop */
#define HTTP_DEADLINE 2 /* deadline_ms passed */
#define HTTP_WOKEN    3 /* wake_fd became readable */

struct http_request {
        const char *socket; /* path of the unix socket */
        const char *method; /* "GET", "PUT", ... */
        const char *path;   /* "/v1/ps?stack=shop", encoded */
        const char *body;   /* sent as application/json; NULL: no body, or upload */
        bool upload;        /* send upload_fd to its end as application/octet-stream */
        int upload_fd;
        bool download; /* write a 2xx answer to download_fd instead of collecting it */
        int download_fd;

        /*
         * Called for each line of a 2xx answer, without its newline and with a NUL behind it;
         * non-zero stops the exchange. NULL: the answer is collected instead.
         */
        int (*on_line)(void *arg, const char *line, size_t len);
        /* Called about every tick_ms while waiting; NULL: never. Non-zero stops. */
        int (*on_tick)(void *arg);
        int tick_ms;
        void *arg;

        int64_t deadline_ms; /* of clock_mono_ms(); 0: none */
        bool wake;           /* wake_fd is set */
        int wake_fd;         /* end with HTTP_WOKEN when it becomes readable */
};

struct http_response {
        long status;
        char *body; /* collected answer, or that of a status above 299; NUL-terminated */
        size_t len;
        bool unread; /* the server ended before it had read the request: it may be sent again */
};

/**
 * Do one exchange. ret: filled whenever a status arrived, and the caller's to release.
 * 0: the answer is complete, whatever its status. Outcomes above. ECONNREFUSED: nobody serves the
 * socket; EPIPE: the server ended in the middle; EFBIG: a line or the answer passes its limit.
 */
int http_perform(const struct http_request *request, struct http_response *ret, struct err *err);

/** Free what the response holds. A zeroed one is fine. */
void http_response_release(struct http_response *response);

/** text percent-encoded for a path part or a query value, on the heap. */
char *http_escape(const char *text);

#endif
