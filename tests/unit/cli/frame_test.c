/* SPDX-License-Identifier: Apache-2.0 */
/* What berthd may send to an exec session, whole, in parts and malformed. */
#include <stdlib.h>

#include "base/auto.h"
#include "base/mem.h"
#include "orchestrator/cli/session.h"
#include "orchestrator/cli/upgrade.h"
#include "tests/tap.h"

static void test_round(void)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(3 * EXEC_FRAME_MAX);
        AUTO_FREE char *body = xcalloc(EXEC_FRAME_MAX, 1);
        struct frame frame;
        ssize_t n;

        frame_add(&out, EXEC_STDOUT, "abc", 3);
        frame_add(&out, EXEC_STDIN, "", 0);
        frame_add(&out, EXEC_STDERR, body, EXEC_FRAME_MAX);
        n = frame_parse(out.data, out.len, &frame, NULL);
        is_int(n, 7, "a frame is its head and its body");
        ok(frame.type == EXEC_STDOUT && frame.len == 3 && memcmp(frame.body, "abc", 3) == 0,
           "and comes back as it went");
        strbuf_consume(&out, (size_t)n);
        n = frame_parse(out.data, out.len, &frame, NULL);
        ok(n == 4 && frame.type == EXEC_STDIN && frame.len == 0, "an empty one");
        strbuf_consume(&out, (size_t)n);
        n = frame_parse(out.data, out.len, &frame, NULL);
        ok(n == EXEC_FRAME_MAX + 4 && frame.len == EXEC_FRAME_MAX, "the largest");
}

static void test_parts(void)
{
        static const unsigned char bytes[] = {EXEC_EXIT, 0, 0, 1, 7};
        struct frame frame;

        for (size_t i = 0; i < sizeof(bytes); i++)
                is_int(frame_parse(bytes, i, &frame, NULL), 0, "%zu bytes are not whole", i);
        is_int(frame_parse(bytes, sizeof(bytes), &frame, NULL), 5, "all are");
}

static void test_malformed(void)
{
        static const unsigned char type[] = {EXEC_FAIL + 1, 0, 0, 0};
        static const unsigned char large[] = {EXEC_STDOUT, 1, 0, 1};
        struct frame frame;
        struct err err = ERR_INIT;

        is_int(frame_parse(type, sizeof(type), &frame, &err), -EBADMSG, "an unknown type");
        is_int(frame_parse(large, sizeof(large), &frame, &err), -EBADMSG, "a body too large");
        has_str(err.msg, "65537", "told with its size");
}

static ssize_t head(const char *text, long *status, int64_t *length)
{
        return upgrade_parse_head(text, strlen(text), status, length, NULL);
}

static void test_head(void)
{
        int64_t length = 0;
        long status = 0;

        is_int(head("HTTP/1.1 101 Switching Protocols\r\nUpgrade: berth-exec\r\n\r\nxy", &status,
                    &length),
               57, "the head ends at its empty line");
        ok(status == 101 && length == -1, "status without a length");
        ok(head("HTTP/1.1 404 No\r\ncontent-length:  12\r\n\r\n", &status, &length) > 0, "404");
        ok(status == 404 && length == 12, "with a length, whatever the case of its name");
        is_int(head("", &status, &length), 0, "nothing yet");
        is_int(head("HTTP/1.1 200 OK\r\n", &status, &length), 0, "not whole yet");
        is_int(head("SSH-2.0-x\r\n\r\n", &status, &length), -EBADMSG, "another protocol");
        is_int(head("HTTP/1.1 \r\n\r\n", &status, &length), -EBADMSG, "no status");
        ok(head("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", &status, &length) > 0,
           "an absurd length");
        is_int(length, -1, "is no length");
}

int main(void)
{
        test_round();
        test_parts();
        test_malformed();
        test_head();
        return tap_done();
}
