/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of http_async.h: calls (http_async.c), and what curl is told of one (http_request.c). */
#ifndef BASE_HTTP_ASYNC_INTERNAL_H
#define BASE_HTTP_ASYNC_INTERNAL_H

#include <curl/curl.h>

#include "base/http_async.h"
#include "base/loop.h"
#include "base/strbuf.h"

struct http_pool {
        struct ev_loop *loop;
        CURLM *multi;
        ev_timer timer;
        struct http_call *calls; /* all that are not freed */
};

struct http_call {
        struct http_pool *pool;
        struct http_call *next, **link;
        CURL *easy;
        struct http_call_spec spec;
        char *method, *origin; /* origin: the URL that was asked for */
        char *authorization;
        char **headers;
        struct curl_slist *lines;
        struct strbuf body;
        size_t header_bytes;
        int64_t uploaded;
        unsigned redirects;
        bool attached, done, stopped, too_large;
        enum http_failure failure;
        char text[CURL_ERROR_SIZE + 64];
};

/** Tell curl all of a new call but what follows its URL. */
void http_request_set(struct http_call *call);

/** Headers and TLS of the next request; secrets of both only at_origin. */
void http_request_aim(struct http_call *call, bool at_origin);

#endif
