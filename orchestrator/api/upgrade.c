/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "orchestrator/api/conn.h"

#define FRAME_HEAD 4

bool frame_parse(const char *data, size_t len, struct frame *ret, struct err *err)
{
        const unsigned char *head = (const unsigned char *)data;
        size_t body;

        if (len < FRAME_HEAD)
                return false;
        body = (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        if (body > EXEC_FRAME_MAX) {
                (void)err_set(err, EPROTO, "a frame of %zu bytes; the limit is %d", body,
                              EXEC_FRAME_MAX);
                return false;
        }
        if (len - FRAME_HEAD < body)
                return false;
        ret->type = head[0];
        ret->body = data + FRAME_HEAD;
        ret->len = body;
        ret->size = FRAME_HEAD + body;
        return true;
}

/* The owner may pause, close or send from inside on_frame; only the loop frees. */
void upgrade_input(struct conn *conn)
{
        struct err err = ERR_INIT;
        struct frame frame;
        size_t used = 0;

        while (conn->state == CONN_UPGRADED && !conn->dead && !conn->upgrade->paused &&
               frame_parse(strbuf_str(&conn->in) + used, conn->in.len - used, &frame, &err)) {
                struct upgrade_conn *up = conn->upgrade;

                used += frame.size;
                up->callbacks.on_frame(up, frame.type, frame.body, frame.len, up->callbacks.arg);
        }
        strbuf_consume(&conn->in, used);
        if (err.code)
                conn_kill(conn);
}

int response_upgrade(struct request *req, const char *protocol,
                     const struct upgrade_callbacks *callbacks, struct upgrade_conn **ret_conn,
                     struct err *err)
{
        struct conn *conn = req->conn;
        AUTO_FREE char *head = NULL;
        struct upgrade_conn *up;

        assert(conn->state == CONN_BUSY);
        if (!request_wants_upgrade(req, protocol))
                return err_set(err, EINVAL,
                               "this address needs \"Connection: Upgrade\" and \"Upgrade: %s\"",
                               protocol);
        head = xasprintf("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                         "Upgrade: %s\r\n\r\n",
                         protocol);
        up = xnew(struct upgrade_conn);
        up->callbacks = *callbacks;
        up->conn = conn;
        conn->upgrade = up;
        request_free(STEAL(conn->req));
        conn->state = CONN_UPGRADED;
        conn_set_timer(conn, 0);
        conn_queue(conn, head, strlen(head), false);
        if (conn->in.len > 0)
                ev_feed_event(conn->server->loop, &conn->reader, EV_READ);
        *ret_conn = up;
        return 0;
}

size_t upgrade_send(struct upgrade_conn *up, uint8_t type, const void *body, size_t len)
{
        struct conn *conn = up->conn;
        const unsigned char head[FRAME_HEAD] = {type, (unsigned char)(len >> 16),
                                                (unsigned char)(len >> 8), (unsigned char)len};

        assert(len <= EXEC_FRAME_MAX);
        conn_queue(conn, head, sizeof(head), true);
        conn_queue(conn, body, len, true);
        return conn_pending(conn);
}

size_t upgrade_pending(const struct upgrade_conn *up)
{
        return conn_pending(up->conn);
}

void upgrade_pause(struct upgrade_conn *up)
{
        up->paused = true;
        conn_update(up->conn);
}

void upgrade_resume(struct upgrade_conn *up)
{
        if (!up->paused)
                return;
        up->paused = false;
        if (up->conn->in.len > 0 && !up->conn->dead)
                ev_feed_event(up->conn->server->loop, &up->conn->reader, EV_READ);
        conn_update(up->conn);
}

void upgrade_close(struct upgrade_conn *up)
{
        conn_finish(up->conn);
}
