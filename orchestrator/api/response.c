/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/api/conn.h"

/* Text of a status line; clients look at the number. */
static const char *status_text(int status)
{
        switch (status) {
        case 200:
                return "OK";
        case 400:
                return "Bad Request";
        case 403:
                return "Forbidden";
        case 404:
                return "Not Found";
        case 405:
                return "Method Not Allowed";
        case 409:
                return "Conflict";
        case 413:
                return "Payload Too Large";
        case 500:
                return "Internal Server Error";
        case 503:
                return "Service Unavailable";
        default:
                return status < 400 ? "OK" : "Error";
        }
}

void conn_respond(struct conn *conn, int status, const char *headers, json_t *body)
{
        AUTO_JSON json_t *taken = body ? body : json_object();
        AUTO_FREE char *text = json_text(taken);
        AUTO_FREE char *head = NULL;
        size_t len = strlen(text);

        if (!conn->parser_on || !conn->parser.keep_alive || conn->server->stopping)
                conn->close_after = true;
        head = xasprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                         "Content-Length: %zu\r\n%s%s\r\n",
                         status, status_text(status), len + 1, headers,
                         conn->close_after ? "Connection: close\r\n" : "");
        conn_queue(conn, head, strlen(head), false);
        conn_queue(conn, text, len, false);
        conn_queue(conn, "\n", 1, false);
}

void response_json(struct request *req, int status, json_t *body)
{
        struct conn *conn = req->conn;

        assert(conn->state == CONN_BUSY);
        conn_respond(conn, status, "", body);
        conn_finish(conn);
}

int response_status(const struct err *err)
{
        switch (err->code) {
        case EINVAL:
        case EPROTO:
        case ERANGE:
        case E2BIG:
        case ENAMETOOLONG:
        case ENOTSUP:
        case EBADMSG:
        case EILSEQ:
                return 400;
        case EACCES:
        case EPERM:
                return 403;
        case ENOENT:
        case ESRCH:
                return 404;
        case EEXIST:
        case EBUSY:
        case EADDRINUSE:
        case EALREADY:
        case EINPROGRESS:
        case ENOTEMPTY:
                return 409;
        case EFBIG:
                return 413;
        case EAGAIN:
        case ESHUTDOWN:
                return 503;
        default:
                return 500;
        }
}

json_t *response_error_json(const struct err *err, json_t *diagnostics)
{
        const char *name = strerrorname_np(err->code);
        json_t *error = json_object();

        json_set_str(error, "code", name ? name : "EIO");
        json_set_str(error, "message", err->msg);
        if (diagnostics)
                json_object_set_new(error, "diagnostics", diagnostics);
        return json_pack("{s:o}", "error", error);
}

void response_error(struct request *req, int status, const struct err *err, json_t *diagnostics)
{
        json_t *body = response_error_json(err, diagnostics);

        if (req->conn->state == CONN_STREAM) {
                (void)response_stream_line(req, body);
                response_stream_end(req);
        } else {
                response_json(req, status ? status : response_status(err), body);
        }
}

void response_stream_begin(struct request *req, const char *content_type)
{
        struct conn *conn = req->conn;
        AUTO_FREE char *head = xasprintf(
                "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n",
                content_type ? content_type : "application/x-ndjson");

        assert(conn->state == CONN_BUSY);
        conn->state = CONN_STREAM;
        conn_queue(conn, head, strlen(head), true);
}

size_t response_stream_line(struct request *req, json_t *line)
{
        struct conn *conn = req->conn;
        AUTO_JSON json_t *taken = line;
        AUTO_FREE char *text = json_text(taken);
        AUTO_FREE char *chunk = NULL;

        assert(conn->state == CONN_STREAM);
        chunk = xasprintf("%zx\r\n%s\n\r\n", strlen(text) + 1, text);
        conn_queue(conn, chunk, strlen(chunk), true);
        return conn_pending(conn);
}

size_t response_stream_bytes(struct request *req, const void *data, size_t n)
{
        struct conn *conn = req->conn;
        AUTO_FREE char *head = xasprintf("%zx\r\n", n);

        assert(conn->state == CONN_STREAM);
        if (n == 0)
                return conn_pending(conn);
        conn_queue(conn, head, strlen(head), true);
        conn_queue(conn, data, n, true);
        conn_queue(conn, "\r\n", 2, true);
        return conn_pending(conn);
}

void response_stream_abort(struct request *req)
{
        struct conn *conn = req->conn;

        assert(conn->state == CONN_STREAM);
        req->on_close = NULL; /* it was the handler who ended it */
        conn_kill(conn);
}

size_t response_pending(const struct request *req)
{
        return conn_pending(req->conn);
}

void response_on_drain(struct request *req, void (*cb)(struct request *req, void *arg), void *arg)
{
        req->on_drain = cb;
        req->on_drain_arg = arg;
}

void response_stream_end(struct request *req)
{
        struct conn *conn = req->conn;

        assert(conn->state == CONN_STREAM);
        conn_queue(conn, "0\r\n\r\n", 5, false);
        conn_finish(conn);
}
