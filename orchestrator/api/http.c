/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/api/http.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/mem.h"

static struct http_parser *parser_of(llhttp_t *llhttp)
{
        return container_of(llhttp, struct http_parser, llhttp);
}

/* Refuse with a status; llhttp puts a text of its own in place of ours, so we keep it. */
static int refuse(llhttp_t *llhttp, int status, const char *why)
{
        parser_of(llhttp)->status = status;
        parser_of(llhttp)->why = why;
        return HPE_USER;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
        struct http_parser *p = parser_of(llhttp);

        strbuf_add(&p->url, at, len);
        return strbuf_failed(&p->url) ? refuse(llhttp, 414, "the address is too long") : 0;
}

static int count_header(struct http_parser *p, struct strbuf *sb, const char *at, size_t len)
{
        p->header_bytes += len;
        if (p->header_bytes > HTTP_HEADERS_MAX)
                return refuse(&p->llhttp, 431, "the headers are too long");
        strbuf_add(sb, at, len);
        return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
        struct http_parser *p = parser_of(llhttp);

        return count_header(p, &p->field, at, len);
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
        struct http_parser *p = parser_of(llhttp);

        return count_header(p, &p->value, at, len);
}

static int on_header_value_complete(llhttp_t *llhttp)
{
        struct http_parser *p = parser_of(llhttp);
        const char *field = strbuf_str(&p->field), *value = strbuf_str(&p->value);

        if (p->headers_done) {
                /* a trailer: nothing in it is for us */
        } else if (strcasecmp(field, "Upgrade") == 0) {
                free(p->upgrade_to);
                p->upgrade_to = xstrdup(value);
        } else if (strcasecmp(field, "Expect") == 0) {
                p->expect_continue = strcasecmp(value, "100-continue") == 0;
        }
        p->header_bytes += 4; /* empty headers count too */
        strbuf_reset(&p->field);
        strbuf_reset(&p->value);
        return 0;
}

int http_percent_decode(const char *text, size_t n, char **ret, struct err *err)
{
        AUTO_FREE char *out = xcalloc(n + 1, 1);
        size_t len = 0;

        for (size_t i = 0; i < n; i++) {
                char c = text[i];

                if (c == '%') {
                        char hex[3];

                        if (n - i < 3 || !isxdigit((unsigned char)text[i + 1]) ||
                            !isxdigit((unsigned char)text[i + 2]))
                                return err_set(err, EINVAL, "bad %% escape in the address");
                        hex[0] = text[i + 1];
                        hex[1] = text[i + 2];
                        hex[2] = '\0';
                        c = (char)strtol(hex, NULL, 16);
                        i += 2;
                }
                if (c == '\0')
                        return err_set(err, EINVAL, "NUL byte in the address");
                out[len++] = c;
        }
        *ret = STEAL(out);
        return 0;
}

/* "/a/b" to segments; a last empty one ("/a/") does not count. */
static int split_path(struct http_parser *p, const char *path, size_t n, struct err *err)
{
        size_t i = 0;

        if (n == 0 || path[0] != '/')
                return err_set(err, EINVAL, "the address does not begin with /");
        while (i < n) {
                size_t from = ++i;
                int r;

                while (i < n && path[i] != '/')
                        i++;
                if (i == from && i == n)
                        break;
                if (p->segments_len == HTTP_SEGMENTS_MAX)
                        return err_set(err, EINVAL, "the address has too many parts");
                r = http_percent_decode(path + from, i - from, &p->segments[p->segments_len], err);
                if (r < 0)
                        return r;
                if (strchr(p->segments[p->segments_len++], '/'))
                        return err_set(err, EINVAL, "escaped / in the address");
        }
        return http_percent_decode(path, n, &p->path, err);
}

static int split_query(struct http_parser *p, const char *query, struct err *err)
{
        while (*query) {
                size_t n = strcspn(query, "&");
                size_t name = strcspn(query, "=&");
                struct http_param *param = &p->query[p->query_len];
                int r;

                if (n > 0) {
                        if (p->query_len == HTTP_QUERY_MAX)
                                return err_set(err, EINVAL, "the address has too many parameters");
                        p->query_len++;
                        r = http_percent_decode(query, name, &param->name, err);
                        if (r < 0)
                                return r;
                        if (name < n)
                                name++;
                        r = http_percent_decode(query + name, n - name, &param->value, err);
                        if (r < 0)
                                return r;
                }
                query += n + (query[n] == '&');
        }
        return 0;
}

static int split_url(struct http_parser *p, struct err *err)
{
        const char *url = strbuf_str(&p->url);
        size_t path = strcspn(url, "?#");
        int r = split_path(p, url, path, err);

        if (r < 0 || url[path] != '?')
                return r;
        return split_query(p, url + path + 1, err);
}

static int on_headers_complete(llhttp_t *llhttp)
{
        struct http_parser *p = parser_of(llhttp);

        if (llhttp->http_major != 1 || llhttp->http_minor != 1)
                return refuse(llhttp, 505, "only HTTP/1.1 is spoken here");
        p->method = llhttp_method_name((llhttp_method_t)llhttp->method);
        p->keep_alive = llhttp_should_keep_alive(llhttp) != 0;
        p->upgrade = llhttp->upgrade != 0;
        p->has_body = (llhttp->flags & F_CHUNKED) || llhttp->content_length > 0;
        if (llhttp->flags & F_CONTENT_LENGTH)
                p->content_length = llhttp->content_length > INT64_MAX
                                            ? INT64_MAX
                                            : (int64_t)llhttp->content_length;
        p->headers_done = true;
        return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
        struct http_parser *p = parser_of(llhttp);

        strbuf_add(&p->body, at, len);
        return strbuf_failed(&p->body) ? refuse(llhttp, 413, "the body is too large") : 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
        parser_of(llhttp)->complete = true;
        return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
        .on_url = on_url,
        .on_header_field = on_header_field,
        .on_header_value = on_header_value,
        .on_header_value_complete = on_header_value_complete,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
};

void http_parser_init(struct http_parser *p, size_t body_max)
{
        memset(p, 0, sizeof(*p));
        llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
        p->content_length = -1;
        p->url.max = HTTP_URL_MAX;
        p->field.max = HTTP_HEADERS_MAX;
        p->value.max = HTTP_HEADERS_MAX;
        p->body.max = body_max;
}

void http_parser_release(struct http_parser *p)
{
        strbuf_release(&p->url);
        strbuf_release(&p->field);
        strbuf_release(&p->value);
        strbuf_release(&p->body);
        free(p->path);
        free(p->upgrade_to);
        for (size_t i = 0; i < p->segments_len; i++)
                free(p->segments[i]);
        for (size_t i = 0; i < p->query_len; i++) {
                free(p->query[i].name);
                free(p->query[i].value);
        }
        p->path = p->upgrade_to = NULL;
        p->segments_len = p->query_len = 0;
}

static int parse_failed(struct http_parser *p, enum llhttp_errno code, struct err *err)
{
        const char *why = p->why ? p->why : llhttp_get_error_reason(&p->llhttp);

        if (!p->status)
                p->status = code == HPE_PAUSED_H2_UPGRADE ? 505 : 400;
        return err_set(err, EINVAL, "bad request: %s", why && *why ? why : llhttp_errno_name(code));
}

int http_parser_feed(struct http_parser *p, const char *data, size_t len, size_t *ret_used,
                     struct err *err)
{
        bool had_headers = p->headers_done;
        enum llhttp_errno code;
        int r;

        *ret_used = 0;
        if (llhttp_get_errno(&p->llhttp) == HPE_PAUSED)
                llhttp_resume(&p->llhttp);
        code = llhttp_execute(&p->llhttp, data, len);
        if (code == HPE_OK) {
                *ret_used = len;
                return 0;
        }
        if (code != HPE_PAUSED && code != HPE_PAUSED_UPGRADE)
                return parse_failed(p, code, err);
        *ret_used = (size_t)(llhttp_get_error_pos(&p->llhttp) - data);
        if (had_headers || !p->headers_done)
                return p->complete ? HTTP_COMPLETE : 0;
        r = split_url(p, err);
        if (r < 0) {
                p->status = 400;
                return r;
        }
        return HTTP_HEADERS;
}

bool http_match(const struct http_parser *p, const char *pattern, struct http_match *ret_params,
                size_t *ret_len)
{
        size_t params = 0, i = 0;

        while (*pattern == '/' && pattern[1]) {
                size_t n = strcspn(++pattern, "/");
                const char *have = i < p->segments_len ? p->segments[i++] : "";

                if (*have == '\0')
                        return false;
                if (*pattern == ':' && n <= sizeof(ret_params->name)) {
                        memcpy(ret_params[params].name, pattern + 1, n - 1);
                        ret_params[params].name[n - 1] = '\0';
                        ret_params[params++].value = have;
                } else if (strlen(have) != n || memcmp(have, pattern, n) != 0) {
                        return false;
                }
                pattern += n;
        }
        *ret_len = params;
        return i == p->segments_len;
}
