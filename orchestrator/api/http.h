/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading one HTTP/1.1 request from bytes, by llhttp, with bounds on everything: what a hostile
 * client sends ends in an error with the status to answer, never in more memory. Pure: no sockets.
 *
 *   feed.. -> HTTP_HEADERS (path, query, wishes are there) -> feed.. -> HTTP_COMPLETE
 *
 * The body collects in `body`; a caller that streams it takes it out between feeds.
 */
#ifndef ORCHESTRATOR_API_HTTP_H
#define ORCHESTRATOR_API_HTTP_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

/* Each far above what the CLI sends; together they bound a connection that has no body yet. */
#define HTTP_URL_MAX      8192
#define HTTP_HEADERS_MAX  16384 /* bytes of all header names and values */
#define HTTP_SEGMENTS_MAX 8
#define HTTP_QUERY_MAX    32

struct http_param {
        char *name, *value;
};

struct http_parser {
        llhttp_t llhttp;
        int status;        /* to answer when feed fails: 400, 413, 414, 431, 505 */
        const char *why;   /* and what to say: static text, or NULL */
        bool headers_done; /* HTTP_HEADERS was returned */
        bool complete;     /* HTTP_COMPLETE was returned */
        bool keep_alive;
        bool expect_continue;
        bool upgrade;           /* Connection: upgrade */
        int64_t content_length; /* -1: none given (no body, or chunked) */
        bool has_body;
        struct strbuf url, field, value;
        size_t header_bytes;
        const char *method; /* static text */
        char *path;         /* decoded, for messages */
        char *segments[HTTP_SEGMENTS_MAX];
        size_t segments_len;
        struct http_param query[HTTP_QUERY_MAX];
        size_t query_len;
        char *upgrade_to; /* value of Upgrade: */
        struct strbuf body;
};

/** body_max: bytes of body that may collect. */
void http_parser_init(struct http_parser *parser, size_t body_max);

/** Safe on a zeroed one. */
void http_parser_release(struct http_parser *parser);

#define HTTP_HEADERS  1
#define HTTP_COMPLETE 2

/**
 * Take len bytes; *ret_used tells how many were eaten.
 * 0: all eaten, more is needed. HTTP_HEADERS: once, feed the rest again. HTTP_COMPLETE: the request
 * is whole; what was not eaten is not part of it. <0: not HTTP as we speak it, parser->status is
 * the answer, and the connection is of no more use.
 */
int http_parser_feed(struct http_parser *parser, const char *data, size_t len, size_t *ret_used,
                     struct err *err);

/**
 * Decode %XX of n bytes; *ret is the caller's. EINVAL: a bad escape, or a NUL byte in the result.
 */
int http_percent_decode(const char *text, size_t n, char **ret, struct err *err);

/* A ":name" of a pattern and the segment that stood there. */
struct http_match {
        char name[32];
        const char *value; /* borrowed from the parser */
};

/**
 * Whether the parsed path matches a pattern ("/v1/stacks/:stack"); ret_params: HTTP_SEGMENTS_MAX
 * slots, *ret_len of them are filled.
 */
bool http_match(const struct http_parser *parser, const char *pattern,
                struct http_match *ret_params, size_t *ret_len);

#endif
