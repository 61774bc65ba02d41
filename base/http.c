/* SPDX-License-Identifier: Apache-2.0 */
#include "base/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/strbuf.h"

/* Longest single wait: curl wants to be called now and then for its own timeouts. */
#define WAIT_MAX_MS 60000

struct exchange {
        const struct http_request *request;
        CURL *easy;
        CURLM *multi;
        struct curl_slist *headers;
        struct strbuf body; /* collected answer */
        struct strbuf line; /* unfinished line of a stream */
        int read_errno;     /* of the upload */
        int write_errno;    /* of the download */
        bool stopped;
        bool line_overflow;
        bool unread; /* see http_response */
        char text[CURL_ERROR_SIZE];
};

static void exchange_release(struct exchange *x)
{
        if (x->multi && x->easy)
                (void)curl_multi_remove_handle(x->multi, x->easy); /* both are valid */
        if (x->easy)
                curl_easy_cleanup(x->easy);
        if (x->multi)
                (void)curl_multi_cleanup(x->multi); /* nothing is attached any more */
        curl_slist_free_all(x->headers);
        strbuf_release(&x->body);
        strbuf_release(&x->line);
}

static long exchange_status(const struct exchange *x)
{
        long status = 0;

        (void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status); /* known to curl */
        return status;
}

/* Hand over one line; false ends the exchange. */
static bool deliver(struct exchange *x)
{
        if (strbuf_failed(&x->line)) {
                x->line_overflow = true;
                return false;
        }
        if (x->request->on_line(x->request->arg, strbuf_str(&x->line), x->line.len) != 0) {
                x->stopped = true;
                return false;
        }
        strbuf_reset(&x->line);
        return true;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
        struct exchange *x = arg;
        size_t n = size * count, left = n;

        if (x->request->download && exchange_status(x) <= 299) {
                struct err err = ERR_INIT;

                if (fd_write_all(x->request->download_fd, data, n, &err) < 0)
                        x->write_errno = err.code;
                return x->write_errno ? 0 : n;
        }
        if (!x->request->on_line || exchange_status(x) > 299) {
                strbuf_add(&x->body, data, n);
                return strbuf_failed(&x->body) ? 0 : n;
        }
        while (left) {
                char *end = memchr(data, '\n', left);
                size_t part = end ? (size_t)(end - data) : left;

                strbuf_add(&x->line, data, part);
                if (end && !deliver(x))
                        return 0;
                part += end ? 1 : 0;
                data += part;
                left -= part;
        }
        return n;
}

static size_t on_upload(char *data, size_t size, size_t count, void *arg)
{
        struct exchange *x = arg;
        ssize_t n;

        do {
                n = read(x->request->upload_fd, data, size * count);
        } while (n < 0 && errno == EINTR);
        if (n < 0) {
                x->read_errno = errno;
                return CURL_READFUNC_ABORT;
        }
        return (size_t)n;
}

static void set_header(struct exchange *x, const char *text)
{
        struct curl_slist *longer = curl_slist_append(x->headers, text);

        if (!longer)
                bug("out of memory");
        x->headers = longer;
}

/* A regular file is announced with its length, so that the server can refuse or show a share. */
static void set_upload(struct exchange *x)
{
        off_t at = lseek(x->request->upload_fd, 0, SEEK_CUR);
        struct stat st;

        curl_easy_setopt(x->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(x->easy, CURLOPT_READFUNCTION, on_upload);
        curl_easy_setopt(x->easy, CURLOPT_READDATA, x);
        set_header(x, "Content-Type: application/octet-stream");
        if (at >= 0 && fstat(x->request->upload_fd, &st) == 0 && S_ISREG(st.st_mode))
                curl_easy_setopt(x->easy, CURLOPT_INFILESIZE_LARGE,
                                 (curl_off_t)(st.st_size > at ? st.st_size - at : 0));
}

static void exchange_setup(struct exchange *x)
{
        const struct http_request *request = x->request;
        AUTO_FREE char *url = xasprintf("http://berth%s", request->path);

        curl_easy_setopt(x->easy, CURLOPT_URL, url);
        curl_easy_setopt(x->easy, CURLOPT_UNIX_SOCKET_PATH, request->socket);
        curl_easy_setopt(x->easy, CURLOPT_PROXY, "");
        curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->text);
        curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
        curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        if (request->upload)
                set_upload(x);
        if (request->body) {
                curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, request->body);
                curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                 (curl_off_t)strlen(request->body));
                set_header(x, "Content-Type: application/json");
        }
        set_header(x, "Expect:"); /* a local server needs no permission round first */
        curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
        curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, request->method);
}

/*
 * Whether the server's end of the connection was closed with the request, or a part of it, still in
 * it. A server that is just ending does so to those who knocked after its last look at the door.
 */
static bool exchange_unread(const struct exchange *x, CURLcode code)
{
        long os_errno = 0;

        (void)curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &os_errno); /* 0 if unknown */
        return exchange_status(x) == 0 &&
               ((code == CURLE_RECV_ERROR && os_errno == ECONNRESET) ||
                (code == CURLE_SEND_ERROR && (os_errno == ECONNRESET || os_errno == EPIPE)));
}

/* What curl's verdict means; 0 when the exchange is complete. */
static int exchange_verdict(struct exchange *x, CURLcode code, struct err *err)
{
        const char *socket = x->request->socket;
        long os_errno = 0;

        if (x->stopped)
                return HTTP_STOPPED;
        if (x->read_errno)
                return err_errno(err, x->read_errno, "read what is to be sent");
        if (x->write_errno)
                return err_errno(err, x->write_errno, "write what came");
        if (x->line_overflow || strbuf_failed(&x->body))
                return err_set(err, EFBIG, "%s: the answer to %s is too large", socket,
                               x->request->path);
        if (code == CURLE_OK)
                return 0;
        if (code == CURLE_COULDNT_CONNECT) {
                (void)curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &os_errno); /* 0 if unknown */
                return err_errno(err, os_errno ? (int)os_errno : ECONNREFUSED, "%s", socket);
        }
        x->unread = exchange_unread(x, code);
        return err_set(err, EPIPE, "%s: connection to berthd lost: %s", socket,
                       x->text[0] ? x->text : curl_easy_strerror(code));
}

static int wait_ms(const struct http_request *request, int64_t now, int64_t tick_at)
{
        int64_t until = now + WAIT_MAX_MS;

        if (request->deadline_ms && request->deadline_ms < until)
                until = request->deadline_ms;
        if (request->on_tick && tick_at < until)
                until = tick_at;
        return until > now ? (int)(until - now) : 0;
}

/* Wait for curl's sockets, the wake descriptor, the next tick or the deadline. 0: go on. */
static int exchange_wait(struct exchange *x, int64_t *tick_at)
{
        const struct http_request *request = x->request;
        struct curl_waitfd wake = {.fd = request->wake_fd, .events = CURL_WAIT_POLLIN};
        int64_t now = clock_mono_ms();

        if (curl_multi_poll(x->multi, request->wake ? &wake : NULL, request->wake ? 1 : 0,
                            wait_ms(request, now, *tick_at), NULL) != CURLM_OK)
                bug("curl_multi_poll");
        if (request->wake && wake.revents)
                return HTTP_WOKEN;
        now = clock_mono_ms();
        if (request->deadline_ms && now >= request->deadline_ms)
                return HTTP_DEADLINE;
        if (request->on_tick && now >= *tick_at) {
                *tick_at = now + request->tick_ms;
                if (request->on_tick(request->arg) != 0)
                        return HTTP_STOPPED;
        }
        return 0;
}

static int exchange_run(struct exchange *x, struct err *err)
{
        int64_t tick_at = clock_mono_ms() + x->request->tick_ms;

        for (;;) {
                int running = 0, queued = 0, r;
                CURLMsg *message;

                if (curl_multi_perform(x->multi, &running) != CURLM_OK)
                        bug("curl_multi_perform");
                message = curl_multi_info_read(x->multi, &queued);
                if (message)
                        return exchange_verdict(x, message->data.result, err);
                r = exchange_wait(x, &tick_at);
                if (r)
                        return r;
        }
}

int http_perform(const struct http_request *request, struct http_response *ret, struct err *err)
{
        struct exchange x = {
                .request = request,
                .body = STRBUF_INIT(HTTP_BODY_MAX),
                .line = STRBUF_INIT(HTTP_LINE_MAX),
        };
        int r;

        assert(request->socket && request->method && request->path);
        assert(!request->body || !request->upload);
        *ret = (struct http_response){0};
        x.easy = curl_easy_init(); /* sets up the library on first use; we have one thread */
        x.multi = curl_multi_init();
        if (!x.easy || !x.multi || curl_multi_add_handle(x.multi, x.easy) != CURLM_OK)
                bug("curl cannot be set up");
        exchange_setup(&x);
        r = exchange_run(&x, err);
        ret->status = exchange_status(&x);
        ret->unread = x.unread;
        ret->len = x.body.len;
        ret->body = strbuf_take(&x.body);
        exchange_release(&x);
        return r;
}

void http_response_release(struct http_response *response)
{
        free(response->body);
        *response = (struct http_response){0};
}

char *http_escape(const char *text)
{
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789-._~";
        struct strbuf out = STRBUF_INIT(3 * strlen(text));

        for (; *text; text++)
                if (strchr(plain, *text))
                        strbuf_addc(&out, *text);
                else
                        strbuf_addf(&out, "%%%02X", (unsigned char)*text);
        return strbuf_take(&out);
}
