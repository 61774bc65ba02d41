/* SPDX-License-Identifier: Apache-2.0 */
/* The request parser: what it understands, in any pieces, and what it refuses with which status. */
#include <stdlib.h>

#include "base/mem.h"
#include "orchestrator/api/conn.h"
#include "orchestrator/utf8.h"
#include "tests/tap.h"

/* Feed text in pieces of `step` bytes; the last outcome, and how much was left over. */
static int feed(struct http_parser *p, const char *text, size_t len, size_t step, size_t *ret_left,
                struct err *err)
{
        size_t at = 0;

        for (;;) {
                size_t n = len - at < step ? len - at : step, used;
                int r = http_parser_feed(p, text + at, n, &used, err);

                at += used;
                *ret_left = len - at;
                if (r < 0 || r == HTTP_COMPLETE || (r == 0 && at == len))
                        return r;
        }
}

static void test_good(void)
{
        static const char text[] =
                "PUT /v1/stacks/sh%6fp/diff?ports=auto&x=a%20b+c&flag&=v HTTP/1.1\r\n"
                "Host: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
                "helloGET";

        for (size_t step = 1; step < sizeof(text); step += 7) {
                struct err err = ERR_INIT;
                struct http_match params[HTTP_SEGMENTS_MAX];
                struct http_parser p;
                size_t left, n;

                http_parser_init(&p, 100);
                is_int(feed(&p, text, sizeof(text) - 1, step, &left, &err), HTTP_COMPLETE,
                       "complete in pieces of %zu", step);
                ok(left == 3 || step > 1, "what follows is not eaten");
                is_str(p.method, "PUT", "method");
                is_str(p.path, "/v1/stacks/shop/diff", "path");
                is_str(strbuf_str(&p.body), "hello", "body");
                ok(p.keep_alive && p.expect_continue && !p.upgrade, "wishes");
                is_int(p.content_length, 5, "length");
                is_int(p.query_len, 4, "parameters");
                is_str(p.query[0].value, "auto", "plain value");
                is_str(p.query[1].value, "a b+c", "decoded value");
                ok(streq(p.query[2].name, "flag") && streq(p.query[2].value, ""), "no value");
                ok(http_match(&p, "/v1/stacks/:stack/diff", params, &n) && n == 1 &&
                           streq(params[0].name, "stack") && streq(params[0].value, "shop"),
                   "matches its route");
                ok(!http_match(&p, "/v1/stacks/:stack", params, &n) &&
                           !http_match(&p, "/v1/stacks/:stack/diff/x", params, &n) &&
                           !http_match(&p, "/v1/stacks/:stack/dif", params, &n),
                   "and no other");
                http_parser_release(&p);
        }
}

static void test_bad(void)
{
        static const struct {
                const char *text;
                int status;
        } cases[] = {
                {"GET / HTTP/1.0\r\n\r\n", 505},
                {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
                {"nonsense\r\n\r\n", 400},
                {"GET /a%zz HTTP/1.1\r\n\r\n", 400},
                {"GET /a%0 HTTP/1.1\r\n\r\n", 400},
                {"GET /a%00 HTTP/1.1\r\n\r\n", 400},
                {"GET /a%2fb HTTP/1.1\r\n\r\n", 400},
                {"GET /?a=%00 HTTP/1.1\r\n\r\n", 400},
                {"GET * HTTP/1.1\r\n\r\n", 400},
                {"GET /1/2/3/4/5/6/7/8/9 HTTP/1.1\r\n\r\n", 400},
                {"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
                {"PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
                {"PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
                {"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n", 400},
                {"PUT / HTTP/1.1\r\nContent-Length: 200\r\n\r\n", 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct err err = ERR_INIT;
                struct http_parser p;
                size_t left;
                int r;

                http_parser_init(&p, 100);
                r = feed(&p, cases[i].text, strlen(cases[i].text), 1000, &left, &err);
                ok(cases[i].status ? r < 0 && p.status == cases[i].status && err.msg[0] : r == 0,
                   "case %zu: %d '%s'", i, p.status, err.msg);
                http_parser_release(&p);
        }
}

/* head, n times piece, tail: what is without bounds in HTTP has one here. */
static void test_long(const char *head, const char *piece, size_t n, const char *tail, int status)
{
        struct strbuf sb = STRBUF_INIT(10 << 20);
        struct err err = ERR_INIT;
        struct http_parser p;
        size_t left;
        int r;

        strbuf_adds(&sb, head);
        for (size_t i = 0; i < n; i++)
                strbuf_adds(&sb, piece);
        strbuf_adds(&sb, tail);
        http_parser_init(&p, 100);
        r = feed(&p, sb.data, sb.len, 4096, &left, &err);
        ok(status ? r < 0 && p.status == status : r == HTTP_COMPLETE, "%d, is %d: %s", status,
           p.status, err.msg);
        http_parser_release(&p);
        strbuf_release(&sb);
}

static void test_bounds(void)
{
        test_long("GET /", "a", 8000, " HTTP/1.1\r\n\r\n", 0);
        test_long("GET /", "a", 9000, " HTTP/1.1\r\n\r\n", 414);
        test_long("GET / HTTP/1.1\r\n", "a: bbbbbbbb\r\n", 1000, "\r\n", 0);
        test_long("GET / HTTP/1.1\r\n", "a: bbbbbbbb\r\n", 3000, "\r\n", 431);
        test_long("GET / HTTP/1.1\r\nx: ", "a", 20000, "\r\n\r\n", 431);
        test_long("GET / HTTP/1.1\r\n", "a:\r\n", 8000, "\r\n", 431);
        test_long("GET /?", "&a=b", 32, " HTTP/1.1\r\n\r\n", 0);
        test_long("GET /?", "&a=b", 33, " HTTP/1.1\r\n\r\n", 400);
        test_long("PUT / HTTP/1.1\r\nContent-Length: 100\r\n\r\n", "b", 100, "", 0);
        test_long("PUT / HTTP/1.1\r\nContent-Length: 101\r\n\r\n", "b", 101, "", 413);
        test_long("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nabcd\r\n", 25,
                  "0\r\n\r\n", 0);
        test_long("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nabcd\r\n", 26,
                  "0\r\n\r\n", 413);
}

static void test_frames(void)
{
        static const char data[] = "\x01\x00\x00\x03"
                                   "abc"
                                   "\x02\x00\x00\x00"
                                   "\x00\x01";
        struct err err = ERR_INIT;
        struct frame f;

        ok(frame_parse(data, sizeof(data) - 1, &f, &err) && f.type == 1 && f.len == 3 &&
                   f.size == 7 && memcmp(f.body, "abc", 3) == 0,
           "a frame");
        ok(frame_parse(data + 7, sizeof(data) - 8, &f, &err) && f.type == 2 && f.len == 0,
           "an empty one");
        ok(!frame_parse(data, 6, &f, &err) && !frame_parse(data, 3, &f, &err) && !err.code,
           "half a one");
        ok(frame_parse("\x00\x01\x00\x00", 4, &f, &err) == false && !err.code, "the longest");
        ok(!frame_parse("\x00\x01\x00\x01", 4, &f, &err) && err.code == EPROTO, "too long");
}

static void test_utf8(void)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
                {"plain", "plain"},
                {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
                {"a\xff"
                 "b",
                 "a\xef\xbf\xbd"
                 "b"},
                {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
                {"", ""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                json_t *json = utf8_json(cases[i].in, strlen(cases[i].in));
                json_t *checked = json_string(cases[i].out);

                is_str(json_string_value(json), cases[i].out, "UTF-8 case %zu", i);
                ok(checked != NULL, "is what JSON takes");
                json_decref(json);
                json_decref(checked);
        }
}

int main(void)
{
        test_good();
        test_bad();
        test_bounds();
        test_frames();
        test_utf8();
        return tap_done();
}
