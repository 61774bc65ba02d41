/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a ROUTE_UPLOAD: from the parser into a pipe, no faster than its reader reads. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "orchestrator/api/conn.h"

/* Larger than the default 64 KiB: fewer wake-ups for archives of hundreds of megabytes. */
#define UPLOAD_PIPE_BYTES (1 << 20)

static void on_upload_writable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct upload *upload = container_of(w, struct upload, writer);
        struct conn *conn = container_of(upload, struct conn, upload);

        (void)loop;
        (void)revents;
        upload_flush(conn);
}

bool upload_blocked(const struct conn *conn)
{
        return conn->upload.active && !conn->upload.discard && conn->parser.body.len > 0;
}

static void upload_close_pipe(struct conn *conn)
{
        struct upload *upload = &conn->upload;

        if (upload->pipe_fd < 0)
                return;
        ev_io_stop(conn->server->loop, &upload->writer);
        (void)close(upload->pipe_fd); /* a pipe: what was written is in it */
        upload->pipe_fd = -1;
}

void upload_discard(struct conn *conn)
{
        if (!conn->upload.active)
                return;
        conn->upload.discard = true;
        upload_close_pipe(conn);
        strbuf_reset(&conn->parser.body);
}

static void upload_end(struct conn *conn)
{
        upload_close_pipe(conn);
        conn->upload.active = false;
        conn->upload.discard = false;
        conn_set_timer(conn, 0);
        conn_next(conn);
}

/* Write what the pipe takes; true when nothing waits any more. */
static bool upload_write(struct conn *conn)
{
        struct strbuf *body = &conn->parser.body;

        while (body->len > 0 && conn->upload.pipe_fd >= 0) {
                ssize_t n = write(conn->upload.pipe_fd, body->data, body->len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return false;
                if (n < 0)
                        upload_discard(conn); /* EPIPE: the reader has what it wanted */
                else
                        strbuf_consume(body, (size_t)n);
        }
        return body->len == 0;
}

void upload_flush(struct conn *conn)
{
        struct ev_loop *loop = conn->server->loop;
        struct upload *upload = &conn->upload;
        bool empty;

        if (upload->discard)
                strbuf_reset(&conn->parser.body);
        empty = upload_write(conn);
        if (!empty && upload->pipe_fd >= 0 && !ev_is_active(&upload->writer))
                ev_io_start(loop, &upload->writer);
        if (empty && ev_is_active(&upload->writer))
                ev_io_stop(loop, &upload->writer);
        if (!empty)
                conn_set_timer(conn, 0); /* it is not the client that is slow */
        else if (conn->parser.complete && (upload->pipe_fd >= 0 || upload->discard))
                upload_end(conn);
        else if (!conn->parser.complete)
                conn_set_timer(conn, SERVER_STALL_TIMEOUT_MS);
        if (empty && conn->in.len > 0)
                ev_feed_event(loop, &conn->reader, EV_READ);
        conn_update(conn);
}

int request_body_fd(struct request *req, int *ret_fd, struct err *err)
{
        struct conn *conn = req->conn;
        struct upload *upload = &conn->upload;
        int fds[2];
        int r;

        assert(conn->route->flags & ROUTE_UPLOAD);
        assert(!req->body_taken);
        if (pipe2(fds, O_CLOEXEC) < 0)
                return err_errno(err, errno, "pipe for the upload");
        r = fd_set_nonblock(fds[1], err);
        if (r < 0) {
                (void)close(fds[0]); /* nothing was written */
                (void)close(fds[1]);
                return r;
        }
        (void)fcntl(fds[1], F_SETPIPE_SZ, UPLOAD_PIPE_BYTES); /* the default does as well */
        req->body_taken = true;
        upload->pipe_fd = fds[1];
        ev_io_init(&upload->writer, on_upload_writable, fds[1], EV_WRITE);
        ev_io_start(conn->server->loop, &upload->writer);
        *ret_fd = fds[0];
        return 0;
}
