/* SPDX-License-Identifier: Apache-2.0 */
/* URLs and dates as curl reads them: one reader, so that checks and requests agree. */
#include <curl/curl.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/http_async.h"
#include "base/mem.h"
#include "base/value.h"

static char *part(CURLU *u, CURLUPart what, unsigned flags)
{
        char *text = NULL, *copy;

        if (curl_url_get(u, what, &text, flags) != CURLUE_OK)
                return NULL;
        copy = xstrdup(text);
        curl_free(text);
        return copy;
}

int http_url_parse(const char *text, struct http_url *ret, struct err *err)
{
        CURLU *u = curl_url();
        int r = 0;

        *ret = (struct http_url){0};
        if (!u)
                bug("out of memory");
        if (curl_url_set(u, CURLUPART_URL, text, CURLU_DISALLOW_USER) != CURLUE_OK) {
                curl_url_cleanup(u);
                return err_set(err, EINVAL, "'%.200s' is not a URL", text);
        }
        ret->scheme = part(u, CURLUPART_SCHEME, 0);
        ret->host = part(u, CURLUPART_HOST, 0);
        ret->port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
        ret->path = part(u, CURLUPART_PATH, 0);
        ret->query = part(u, CURLUPART_QUERY, 0);
        curl_url_cleanup(u);
        if (!ret->scheme || !ret->host || !ret->port || !ret->path ||
            (!streq(ret->scheme, "http") && !streq(ret->scheme, "https")))
                r = err_set(err, EINVAL, "'%.200s' is not an http or https URL", text);
        if (r < 0)
                http_url_release(ret);
        return r;
}

void http_url_release(struct http_url *url)
{
        free(url->scheme);
        free(url->host);
        free(url->port);
        free(url->path);
        free(url->query);
        *url = (struct http_url){0};
}

char *http_url_join(const char *base, const char *reference)
{
        CURLU *u = curl_url();
        char *joined = NULL;

        if (!u)
                bug("out of memory");
        if (curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
            curl_url_set(u, CURLUPART_URL, reference, 0) == CURLUE_OK)
                joined = part(u, CURLUPART_URL, 0);
        curl_url_cleanup(u);
        return joined;
}

bool http_url_same_origin(const char *a, const char *b)
{
        struct http_url one = {0}, two = {0};
        struct err ignored;
        bool same = http_url_parse(a, &one, &ignored) == 0 &&
                    http_url_parse(b, &two, &ignored) == 0 && streq(one.scheme, two.scheme) &&
                    strcasecmp(one.host, two.host) == 0 && streq(one.port, two.port);

        http_url_release(&one);
        http_url_release(&two);
        return same;
}

int64_t http_retry_after(const char *value)
{
        struct err ignored;
        int64_t seconds;
        time_t when;

        if (value_int(value, 0, INT32_MAX, &seconds, &ignored) == 0)
                return seconds;
        when = curl_getdate(value, NULL);
        if (when < 0)
                return -1;
        seconds = (int64_t)(when - time(NULL));
        return seconds > 0 ? seconds : 0;
}
