/* SPDX-License-Identifier: Apache-2.0 */
#include "network/net_request.h"

#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "network/holder.h"
#include "network/proto.h"

struct forward_key {
        uint32_t host_ip;
        uint16_t host_port;
        bool udp, ip4;
};

struct request {
        struct request *next;
        int64_t id;
        json_t *message; /* until it is sent */
        int fd;          /* that goes with it; -1: none */
        bool wants_fd;   /* in the answer */
        bool owed;       /* on_fd is called whatever happens */
        void (*on_fd)(void *ctx, int fd, const struct err *err);
        void (*on_forwards)(void *ctx, const struct forward_result *results, size_t n,
                            const struct err *err);
        struct forward_key *keys; /* of forwards, to find who holds a port */
        size_t keys_len;
        void *ctx;
};

static void request_free(struct request *rq)
{
        json_decref(rq->message);
        if (rq->fd >= 0)
                (void)close(rq->fd); /* it was not sent: nobody waits for it */
        free(rq->keys);
        free(rq);
}

void requests_init(struct requests *q)
{
        *q = (struct requests){.first = NULL};
        q->last = &q->first;
}

void requests_release(struct requests *q)
{
        static const struct err canceled = {.code = ECANCELED, .msg = "nobody waits any more"};

        while (q->first) {
                struct request *rq = q->first;

                q->first = rq->next;
                if (rq->owed)
                        rq->on_fd(rq->ctx, -1, &canceled);
                request_free(rq);
        }
        requests_init(q);
}

/* Append; message: taken. NULL when too many wait already. */
static struct request *add(struct requests *q, json_t *message, void *ctx, struct err *err)
{
        struct request *rq;

        if (q->len >= NET_REQUESTS_MAX) {
                json_decref(message);
                (void)err_set(err, EAGAIN, "netd does not answer: %zu requests wait", q->len);
                return NULL;
        }
        rq = xnew(struct request);
        rq->id = ++q->last_id;
        json_set_int(message, "id", rq->id);
        rq->message = message;
        rq->fd = -1;
        rq->ctx = ctx;
        *q->last = rq;
        q->last = &rq->next;
        q->len++;
        return rq;
}

int requests_add_fd(struct requests *q, json_t *message, bool owed,
                    void (*cb)(void *ctx, int fd, const struct err *err), void *ctx,
                    struct err *err)
{
        struct request *rq = add(q, message, ctx, err);

        if (!rq)
                return -EAGAIN;
        rq->on_fd = cb;
        rq->wants_fd = true;
        rq->owed = owed;
        return 0;
}

int requests_add_move(struct requests *q, const char *tap, int netns_fd,
                      void (*cb)(void *ctx, int none, const struct err *err), void *ctx,
                      struct err *err)
{
        json_t *message = proto_request("move", 0);
        int fd = fcntl(netns_fd, F_DUPFD_CLOEXEC, 0);
        struct request *rq;

        if (fd < 0) {
                json_decref(message);
                return err_errno(err, errno, "copy a descriptor");
        }
        json_set_str(message, "tap", tap);
        rq = add(q, message, ctx, err);
        if (!rq) {
                (void)close(fd); /* not on its way */
                return -EAGAIN;
        }
        rq->fd = fd;
        rq->on_fd = cb;
        return 0;
}

int requests_add_zone(struct requests *q, const struct zone *zone, struct err *err)
{
        AUTO_JSON json_t *message = proto_request("zone", 0);
        struct zone check;
        int r;

        proto_put_zone(message, zone);
        r = proto_get_zone(message, &check, err); /* as netd will, whose answer nobody waits for */
        if (r < 0)
                return r;
        proto_zone_release(&check);
        return add(q, STEAL(message), NULL, err) ? 0 : -EAGAIN;
}

int requests_add_forwards(struct requests *q, const struct forward *forwards, size_t n,
                          void (*cb)(void *ctx, const struct forward_result *results, size_t n,
                                     const struct err *err),
                          void *ctx, struct err *err)
{
        json_t *message = proto_request("forwards", 0);
        struct request *rq;

        proto_put_forwards(message, forwards, n);
        rq = add(q, message, ctx, err);
        if (!rq)
                return -EAGAIN;
        rq->on_forwards = cb;
        rq->keys = xcalloc(n + 1, sizeof(*rq->keys));
        rq->keys_len = n;
        for (size_t i = 0; i < n; i++)
                rq->keys[i] = (struct forward_key){forwards[i].host_ip, forwards[i].host_port,
                                                   forwards[i].udp, !forwards[i].ip6};
        return 0;
}

int requests_send(struct requests *q, struct channel *ch, struct err *err)
{
        for (struct request *rq = q->first; rq; rq = rq->next) {
                AUTO_JSON json_t *message = STEAL(rq->message);
                int r = message ? channel_send(ch, message, steal_fd(&rq->fd), err) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

static struct request *take_request(struct requests *q, int64_t id)
{
        for (struct request **p = &q->first; *p; p = &(*p)->next) {
                struct request *rq = *p;

                if (rq->id != id || rq->message)
                        continue;
                *p = rq->next;
                if (!rq->next)
                        q->last = p;
                q->len--;
                return rq;
        }
        return NULL;
}

static void fail_request(struct request *rq, const struct err *err)
{
        if (rq->on_fd)
                rq->on_fd(rq->ctx, -1, err);
        if (rq->on_forwards)
                rq->on_forwards(rq->ctx, NULL, 0, err);
        request_free(rq);
}

/* The process behind a port that is taken; on the daemon's side, for netd is confined. */
static const char *explain(const struct forward_key *key, int code, const char *error)
{
        char who[64];

        if (code == EADDRINUSE && key->ip4 &&
            holder_find(key->host_ip, key->host_port, key->udp, who, sizeof(who)))
                return xasprintf("%s; held by %s", error, who);
        return xstrdup(error);
}

static void finish_forwards(struct request *rq, const json_t *message)
{
        const json_t *array = json_object_get(message, "results");
        AUTO_FREE struct forward_result *results = xcalloc(rq->keys_len + 1, sizeof(*results));
        struct err err = ERR_INIT;

        if (json_array_size(array) != rq->keys_len) {
                (void)err_set(&err, EPROTO, "netd answered %zu results for %zu forwards",
                              json_array_size(array), rq->keys_len);
                rq->on_forwards(rq->ctx, NULL, 0, &err);
                return;
        }
        for (size_t i = 0; i < rq->keys_len; i++) {
                const json_t *j = json_array_get(array, i);
                struct forward_result *f = &results[i];

                f->id = json_str(j, "id", "");
                f->bound = json_bool(j, "bound", false);
                f->host_port = (uint16_t)json_int(j, "host_port", 0);
                if (!f->bound)
                        f->error = explain(&rq->keys[i], (int)json_int(j, "code", 0),
                                           json_str(j, "error", "unknown error"));
        }
        rq->on_forwards(rq->ctx, results, rq->keys_len, NULL);
        for (size_t i = 0; i < rq->keys_len; i++)
                free((void *)(uintptr_t)results[i].error);
}

/* fd: ours. */
static void finish_request(struct request *rq, const char *label, const json_t *message, int fd)
{
        const char *text = json_str(message, "error", NULL);
        struct err err = ERR_INIT;

        if (rq->wants_fd && fd < 0 && !text)
                text = "netd answered without a descriptor";
        if (text) {
                if (fd >= 0)
                        (void)close(fd); /* an error has none */
                (void)err_set(&err, (int)json_int(message, "code", EIO), "%s: %s", label, text);
                fail_request(rq, &err);
                return;
        }
        if (rq->on_fd)
                rq->on_fd(rq->ctx, steal_fd(&fd), NULL);
        if (rq->on_forwards)
                finish_forwards(rq, message);
        if (fd >= 0)
                (void)close(fd); /* nobody asked for one */
        request_free(rq);
}

void requests_answer(struct requests *q, const char *label, const json_t *message, int fd)
{
        struct request *rq = take_request(q, json_int(message, "id", -1));

        if (rq)
                finish_request(rq, label, message, fd);
        else if (fd >= 0)
                (void)close(fd); /* nobody asked for it */
}

bool requests_fail_first(struct requests *q, const struct err *err)
{
        struct request *rq = q->first;

        if (!rq)
                return false;
        q->first = rq->next;
        if (!q->first)
                q->last = &q->first;
        q->len--;
        fail_request(rq, err);
        return true;
}
