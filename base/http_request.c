/* SPDX-License-Identifier: Apache-2.0 */
/* What curl is told of a call, and what it asks for while it runs. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/http_async_internal.h"
#include "base/mem.h"

static size_t on_call_header(char *data, size_t size, size_t count, void *arg)
{
        struct http_call *call = arg;
        size_t n = size * count;

        (void)data;
        call->header_bytes += n;
        if (call->header_bytes > HTTP_HEADERS_MAX) {
                call->too_large = true;
                return 0;
        }
        return n;
}

static size_t on_call_body(char *data, size_t size, size_t count, void *arg)
{
        struct http_call *call = arg;
        size_t n = size * count;
        long status = http_call_status(call);
        int r;

        if (status >= 300 && status <= 399)
                return n; /* nobody reads the page of a redirect */
        if (!call->spec.on_data || status < 200 || status > 299) {
                strbuf_add(&call->body, data, n);
                call->too_large = call->too_large || strbuf_failed(&call->body);
                return strbuf_failed(&call->body) ? 0 : n;
        }
        r = call->spec.on_data(call->spec.ctx, data, n);
        if (r == HTTP_PAUSE)
                return CURL_WRITEFUNC_PAUSE;
        call->stopped = r < 0;
        return r < 0 ? 0 : n;
}

static size_t on_call_upload(char *data, size_t size, size_t count, void *arg)
{
        struct http_call *call = arg;
        int64_t left = call->spec.upload_len - call->uploaded;
        size_t want = size * count;
        ssize_t n;

        if ((int64_t)want > left)
                want = (size_t)left;
        do {
                n = pread(call->spec.upload_fd, data, want, call->spec.upload_at + call->uploaded);
        } while (n < 0 && errno == EINTR);
        if (n < 0 || (n == 0 && want > 0))
                return CURL_READFUNC_ABORT; /* the blob is damaged: it ends too early */
        call->uploaded += n;
        if (call->spec.on_sent)
                call->spec.on_sent(call->spec.ctx, call->uploaded);
        return (size_t)n;
}

static int on_call_seek(void *arg, curl_off_t offset, int origin)
{
        struct http_call *call = arg;

        if (origin != SEEK_SET || offset < 0 || offset > call->spec.upload_len)
                return CURL_SEEKFUNC_CANTSEEK;
        call->uploaded = offset;
        return CURL_SEEKFUNC_OK;
}

static void add_line(struct http_call *call, const char *text)
{
        struct curl_slist *longer = curl_slist_append(call->lines, text);

        if (!longer)
                bug("out of memory");
        call->lines = longer;
}

/* The headers of one request; the secret one only where it belongs. */
static void set_headers(struct http_call *call, bool at_origin)
{
        curl_slist_free_all(call->lines);
        call->lines = NULL;
        for (char **h = call->headers; *h; h++)
                add_line(call, *h);
        add_line(call, "Expect:"); /* an upload is refused by its answer, not by a wait */
        if (at_origin && call->authorization) {
                AUTO_FREE char *line = xasprintf("Authorization: %s", call->authorization);

                add_line(call, line);
        }
        curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->lines);
}

static void set_blob(CURL *easy, CURLoption option, const char *text)
{
        struct curl_blob blob = {(void *)(uintptr_t)text, text ? strlen(text) : 0, CURL_BLOB_COPY};

        if (text)
                curl_easy_setopt(easy, option, &blob);
}

static void set_tls(struct http_call *call, bool at_origin)
{
        static const struct http_tls none = {0};
        const struct http_tls *own = call->spec.tls ? call->spec.tls : &none;
        /* Its authorities may speak for where it sends us; its certificate is for itself. */
        const struct http_tls elsewhere = {.ca = own->ca};
        const struct http_tls *tls = at_origin ? own : &elsewhere;

        curl_easy_setopt(call->easy, CURLOPT_SSL_VERIFYPEER, tls->insecure ? 0L : 1L);
        curl_easy_setopt(call->easy, CURLOPT_SSL_VERIFYHOST, tls->insecure ? 0L : 2L);
        curl_easy_setopt(call->easy, CURLOPT_CAINFO_BLOB, NULL);
        curl_easy_setopt(call->easy, CURLOPT_SSLCERT_BLOB, NULL);
        curl_easy_setopt(call->easy, CURLOPT_SSLKEY_BLOB, NULL);
        set_blob(call->easy, CURLOPT_CAINFO_BLOB, tls->ca);
        set_blob(call->easy, CURLOPT_SSLCERT_BLOB, tls->cert);
        set_blob(call->easy, CURLOPT_SSLKEY_BLOB, tls->key);
}

static void set_body(struct http_call *call)
{
        CURL *easy = call->easy;

        if (call->spec.upload) {
                curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
                curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_call_upload);
                curl_easy_setopt(easy, CURLOPT_READDATA, call);
                curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_call_seek);
                curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
                curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->spec.upload_len);
        } else if (call->spec.body) {
                curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                 (curl_off_t)call->spec.body_len);
                curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->spec.body);
        }
        if (streq(call->method, "HEAD"))
                curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        else if (!streq(call->method, "GET"))
                curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

/* No proxy stands between us and this machine; the rest as the environment says. */
static void set_proxy(CURL *easy)
{
        const char *lower = getenv("no_proxy"), *upper = getenv("NO_PROXY");
        const char *own = lower && *lower ? lower : upper ? upper : "";
        AUTO_FREE char *list =
                streq(own, "*") ? xstrdup("*")
                                : xasprintf("localhost,127.0.0.0/8,::1%s%s", *own ? "," : "", own);

        curl_easy_setopt(easy, CURLOPT_NOPROXY, list);
}

void http_request_set(struct http_call *call)
{
        CURL *easy = call->easy;

        curl_easy_setopt(easy, CURLOPT_URL, call->origin);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->text);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_call_body);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_call_header);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 131072L);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->spec.connect_ms);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)call->spec.stall_bytes);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(call->spec.stall_ms + 999) / 1000);
        set_proxy(easy);
        set_body(call);
}

void http_request_aim(struct http_call *call, bool at_origin)
{
        set_headers(call, at_origin);
        set_tls(call, at_origin);
}
