/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler can ask about its request. */
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/value.h"
#include "orchestrator/api/conn.h"

const char *request_method(const struct request *req)
{
        return req->conn->parser.method;
}

const char *request_param(const struct request *req, const char *name)
{
        for (size_t i = 0; i < req->params_len; i++)
                if (strcmp(req->params[i].name, name) == 0)
                        return req->params[i].value;
        return NULL;
}

const char *request_query(const struct request *req, const char *name)
{
        const struct http_parser *parser = &req->conn->parser;

        for (size_t i = 0; i < parser->query_len; i++)
                if (strcmp(parser->query[i].name, name) == 0)
                        return parser->query[i].value;
        return NULL;
}

int request_query_bool(const struct request *req, const char *name, bool fallback, bool *ret,
                       struct err *err)
{
        static const char *const yes[] = {"", "1", "true", "yes"}, *const no[] = {"0", "false",
                                                                                  "no"};
        const char *value = request_query(req, name);

        if (!value) {
                *ret = fallback;
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
                if (strcmp(value, yes[i]) == 0) {
                        *ret = true;
                        return 0;
                }
        for (size_t i = 0; i < ARRAY_SIZE(no); i++)
                if (strcmp(value, no[i]) == 0) {
                        *ret = false;
                        return 0;
                }
        return err_set(err, EINVAL, "%s: '%.40s' is neither true nor false", name, value);
}

int request_query_int(const struct request *req, const char *name, int64_t min, int64_t max,
                      int64_t fallback, int64_t *ret, struct err *err)
{
        const char *value = request_query(req, name);

        if (!value) {
                *ret = fallback;
                return 0;
        }
        return value_int(value, min, max, ret, err) < 0 ? err_wrap(err, "%s", name) : 0;
}

int request_json(struct request *req, json_t **ret_body, struct err *err)
{
        const struct strbuf *body = &req->conn->parser.body;
        int r;

        if (!req->json && body->len == 0)
                req->json = json_object();
        if (!req->json) {
                r = json_parse(strbuf_str(body), body->len, API_BODY_MAX, "body", &req->json, err);
                if (r < 0)
                        return r;
        }
        if (!json_is_object(req->json))
                return err_set(err, EINVAL, "body: must be a JSON object");
        *ret_body = req->json;
        return 0;
}

void request_on_close(struct request *req, void (*cb)(struct request *req, void *arg), void *arg)
{
        req->on_close = cb;
        req->on_close_arg = arg;
}

bool request_wants_upgrade(const struct request *req, const char *protocol)
{
        const struct http_parser *parser = &req->conn->parser;

        return parser->upgrade && parser->upgrade_to &&
               strcasecmp(parser->upgrade_to, protocol) == 0;
}
