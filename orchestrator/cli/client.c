/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/cli/daemon.h"

/* Codes that the daemon names in errors and that mean something to the CLI. */
static const struct {
        const char *name;
        int code;
} error_codes[] = {
        {"EINVAL", EINVAL},   {"ENOENT", ENOENT},       {"EEXIST", EEXIST}, {"EBUSY", EBUSY},
        {"EACCES", EACCES},   {"EPERM", EPERM},         {"ENOSPC", ENOSPC}, {"EAGAIN", EAGAIN},
        {"EBADMSG", EBADMSG}, {"ETIMEDOUT", ETIMEDOUT}, {"EROFS", EROFS},   {"EDQUOT", EDQUOT},
};

/* Codes for answers without a name of ours. */
static const struct {
        long status;
        int code;
} status_codes[] = {
        {400, EINVAL}, {404, ENOENT}, {409, EBUSY}, {413, EFBIG}, {503, EAGAIN},
};

void client_query(struct strbuf *path, const char *key, const char *value)
{
        AUTO_FREE char *encoded = value ? http_escape(value) : NULL;

        if (value)
                strbuf_addf(path, "%c%s=%s", strchr(strbuf_str(path), '?') ? '&' : '?', key,
                            encoded);
}

static int code_of(const char *name, long status)
{
        for (size_t i = 0; i < ARRAY_SIZE(error_codes); i++)
                if (streq(error_codes[i].name, name))
                        return error_codes[i].code;
        for (size_t i = 0; i < ARRAY_SIZE(status_codes); i++)
                if (status_codes[i].status == status)
                        return status_codes[i].code;
        return EIO;
}

static int error_of(const json_t *error, long status, struct err *err)
{
        const json_t *diagnostics = json_object_get(error, "diagnostics"), *line;
        size_t i;

        json_array_foreach(diagnostics, i, line)
                if (json_is_string(line))
                        (void)fprintf(stderr, "%s\n", json_string_value(line)); /* best effort */
        return err_set(err, code_of(json_str(error, "code", ""), status), "%s",
                       json_str(error, "message", "berthd refused without a reason"));
}

int client_error(long status, const char *body, size_t len, struct err *err)
{
        AUTO_JSON json_t *answer = NULL;

        if (json_parse(body, len, HTTP_BODY_MAX, "answer", &answer, NULL) < 0 ||
            !json_is_object(json_object_get(answer, "error")))
                return err_set(err, code_of("", status), "berthd answered with status %ld", status);
        return error_of(json_object_get(answer, "error"), status, err);
}

/* A refusal that came before the connection broke tells more than the broken connection. */
static int finish(int r, const struct http_response *response, struct err *err)
{
        if (response->status > 299 && (r == 0 || r == -EPIPE))
                return client_error(response->status, response->body, response->len, err);
        return r;
}

/*
 * Whether a daemon that was just ending is why it failed, and nothing has been done: it closed its
 * door between our look and our knock, or with us in it, or took along what is harmless to ask
 * twice. What was read for an upload cannot be sent again.
 */
static bool may_ask_again(const struct http_request *request, const struct http_response *response,
                          int r)
{
        bool harmless = !streq(request->method, "POST");

        return response->status == 0 && (r == -ECONNREFUSED || (r == -EPIPE && !request->upload &&
                                                                (response->unread || harmless)));
}

static int perform(struct cli *cli, const struct http_request *request,
                   struct http_response *response, struct err *err)
{
        int r;

        for (int attempt = 1;; attempt++) {
                r = daemon_ensure(cli, err); /* starts another when the last has ended */
                if (r < 0)
                        return r;
                r = finish(http_perform(request, response, err), response, err);
                if (attempt == CLIENT_ATTEMPTS_MAX || !may_ask_again(request, response, r))
                        return r;
                http_response_release(response);
                cli->have_daemon = false;
        }
}

int client_call(struct cli *cli, const char *method, const char *path, const json_t *body,
                json_t **ret, struct err *err)
{
        AUTO_FREE char *socket = roots_run_path(&cli->roots, API_SOCKET_NAME);
        AUTO_FREE char *text = body ? json_text(body) : NULL;
        struct http_request request = {
                .socket = socket, .method = method, .path = path, .body = text};
        struct http_response response = {0};
        int r = perform(cli, &request, &response, err);

        if (r == 0 && ret)
                r = json_parse(response.body, response.len, HTTP_BODY_MAX, "answer of berthd", ret,
                               err);
        http_response_release(&response);
        return r;
}

struct follow {
        const struct client_stream *stream;
        struct err *err;
        bool failed; /* err is set */
};

/* A line that is no JSON or says {"error": ...} ends the stream with that error. */
static int on_stream_line(void *arg, const char *line, size_t len)
{
        struct follow *follow = arg;
        AUTO_JSON json_t *item = NULL;

        if (len == 0)
                return 0; /* keep-alive */
        if (json_parse(line, len, HTTP_LINE_MAX, "answer of berthd", &item, follow->err) < 0) {
                follow->failed = true;
                return 1;
        }
        if (json_is_object(json_object_get(item, "error"))) {
                (void)error_of(json_object_get(item, "error"), 500, follow->err); /* sets err */
                follow->failed = true;
                return 1;
        }
        return follow->stream->on_item(follow->stream->arg, item);
}

static int on_stream_tick(void *arg)
{
        struct follow *follow = arg;

        return follow->stream->on_tick(follow->stream->arg);
}

int client_follow(struct cli *cli, const struct client_stream *stream, struct err *err)
{
        AUTO_FREE char *socket = roots_run_path(&cli->roots, API_SOCKET_NAME);
        AUTO_FREE char *text = stream->body ? json_text(stream->body) : NULL;
        struct follow follow = {stream, err, false};
        struct http_response response = {0};
        struct http_request request = {
                .socket = socket,
                .method = stream->upload || text ? "POST" : "GET",
                .path = stream->path,
                .body = text,
                .upload = stream->upload,
                .upload_fd = stream->upload_fd,
                .on_line = on_stream_line,
                .on_tick = stream->on_tick ? on_stream_tick : NULL,
                .tick_ms = stream->tick_ms,
                .arg = &follow,
                .deadline_ms = stream->deadline_ms,
                .wake = stream->wake,
                .wake_fd = stream->wake_fd,
        };
        int r = perform(cli, &request, &response, err);

        http_response_release(&response);
        return follow.failed ? -err->code : r;
}

int client_download(struct cli *cli, const char *path, const json_t *body, int fd, struct err *err)
{
        AUTO_FREE char *socket = roots_run_path(&cli->roots, API_SOCKET_NAME);
        AUTO_FREE char *text = json_text(body);
        struct http_request request = {.socket = socket,
                                       .method = "POST",
                                       .path = path,
                                       .body = text,
                                       .download = true,
                                       .download_fd = fd};
        struct http_response response = {0};
        int r = perform(cli, &request, &response, err);

        http_response_release(&response);
        return r;
}

int client_remove_each(struct cli *cli, const char *collection, const struct args *args)
{
        int result = CLI_OK;

        for (size_t i = 0; i < args->operands_len; i++) {
                AUTO_FREE char *name = http_escape(args_operand(args, i));
                AUTO_FREE char *path = xasprintf("%s%s", collection, name);
                struct err err = ERR_INIT;

                if (client_call(cli, "DELETE", path, NULL, NULL, &err) < 0)
                        result = cli_fail(&err);
                else
                        (void)printf("removed %s\n", args_operand(args, i)); /* main() checks */
        }
        return result;
}
