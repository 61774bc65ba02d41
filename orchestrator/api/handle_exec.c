/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exec session: frames of the upgraded connection on one side, a session of the guest channel on
 * the other. Back-pressure goes through in both directions: what the guest does not take pauses the
 * client's socket, and the guest gets credit only for what has left towards the client.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/daemon.h"

/* Arguments and variables of one command. */
#define EXEC_WORDS_MAX 4096
/* How long a request waits for the guest of a VM that this berthd has found running. */
#define GUEST_WORD_S 10.0

struct exec_bridge {
        struct exec_session session; /* first: the guest's session pointer */
        struct ev_loop *loop;
        struct instance *instance;
        struct upgrade_conn *conn; /* NULL: the client is gone */
        int id;
        bool guest_done;
        bool eof;      /* the client has sent the end of its input */
        char *pending; /* input that the guest did not take yet */
        size_t pending_len, pending_at;
        size_t owed[3]; /* output bytes the guest has no credit for, by stream */
};

static void bridge_free(void *p)
{
        struct exec_bridge *b = p;

        free(b->pending);
        free(b);
}

static struct guest *bridge_guest(const struct exec_bridge *b)
{
        return b->guest_done ? NULL : b->instance->guest;
}

static void pay_credit(struct exec_bridge *b)
{
        struct guest *guest = bridge_guest(b);

        for (int s = GUEST_STDOUT; s <= GUEST_STDERR; s++) {
                if (guest && b->owed[s])
                        guest_exec_credit(guest, b->id, (enum guest_stream)s, b->owed[s]);
                b->owed[s] = 0;
        }
}

static void on_bridge_output(struct exec_session *session, enum guest_stream stream,
                             const void *bytes, size_t len)
{
        struct exec_bridge *b = container_of(session, struct exec_bridge, session);
        const char *p = bytes;

        b->owed[stream] += len;
        while (b->conn && len) {
                size_t n = len < EXEC_FRAME_MAX ? len : EXEC_FRAME_MAX;

                (void)upgrade_send(b->conn, stream == GUEST_STDERR ? EXEC_STDERR : EXEC_STDOUT, p,
                                   n);
                p += n;
                len -= n;
        }
        if (!b->conn || upgrade_pending(b->conn) < RESPONSE_HIGH_BYTES)
                pay_credit(b);
}

static void flush_input(struct exec_bridge *b)
{
        struct guest *guest = bridge_guest(b);

        if (!guest)
                return;
        if (b->pending_at < b->pending_len)
                b->pending_at += guest_exec_write(guest, b->id, b->pending + b->pending_at,
                                                  b->pending_len - b->pending_at);
        if (b->pending_at < b->pending_len)
                return;
        b->pending_len = b->pending_at = 0;
        if (b->eof)
                guest_exec_eof(guest, b->id);
        else if (b->conn)
                upgrade_resume(b->conn);
}

static void on_bridge_writable(struct exec_session *session)
{
        flush_input(container_of(session, struct exec_bridge, session));
}

static void on_bridge_exited(struct exec_session *session, const struct guest_exit *exit)
{
        struct exec_bridge *b = container_of(session, struct exec_bridge, session);
        uint8_t body[1 + 512];
        size_t text = strnlen(exit->text, sizeof(body) - 1);

        b->guest_done = true;
        body[0] = (uint8_t)exit->code;
        memcpy(body + 1, exit->text, text);
        if (b->conn) {
                if (exit->start_failed)
                        (void)upgrade_send(b->conn, EXEC_FAIL, body, 1 + text);
                else
                        (void)upgrade_send(b->conn, EXEC_EXIT, body, 1);
                upgrade_close(STEAL(b->conn));
        }
        loop_defer_free(b->loop, bridge_free, b);
}

/* ----------------------------------------------------------------------------- the client talks */

static void take_input(struct exec_bridge *b, const void *body, size_t len)
{
        struct guest *guest = bridge_guest(b);
        size_t taken;

        if (len == 0) {
                b->eof = true;
                if (b->pending_at == b->pending_len)
                        guest_exec_eof(guest, b->id);
                return;
        }
        taken = b->pending_at == b->pending_len ? guest_exec_write(guest, b->id, body, len) : 0;
        if (taken == len)
                return;
        /* Frames that came in before the pause took effect queue up behind the first. */
        b->pending = xreallocarray(b->pending, b->pending_len + len - taken, 1);
        memcpy(b->pending + b->pending_len, (const char *)body + taken, len - taken);
        b->pending_len += len - taken;
        upgrade_pause(b->conn);
}

static void on_client_frame(struct upgrade_conn *conn, uint8_t type, const void *body, size_t len,
                            void *arg)
{
        struct exec_bridge *b = arg;
        struct guest *guest = bridge_guest(b);
        const uint8_t *p = body;

        (void)conn;
        if (!guest)
                return;
        switch (type) {
        case EXEC_STDIN:
                if (!b->eof)
                        take_input(b, body, len);
                return;
        case EXEC_RESIZE:
                if (len == 4)
                        guest_exec_resize(guest, b->id, (unsigned)p[0] << 8 | p[1],
                                          (unsigned)p[2] << 8 | p[3]);
                return;
        case EXEC_SIGNAL:
                if (len == 1 && p[0] >= 1 && p[0] <= 64)
                        guest_exec_signal(guest, b->id, p[0]);
                return;
        default: /* a newer client may know more */
                return;
        }
}

static void on_client_drain(struct upgrade_conn *conn, void *arg)
{
        (void)conn;
        pay_credit(arg);
}

static void on_client_close(struct upgrade_conn *conn, void *arg)
{
        struct exec_bridge *b = arg;
        struct guest *guest = bridge_guest(b);

        (void)conn;
        b->conn = NULL;
        pay_credit(b);
        if (guest)
                guest_exec_close(guest, b->id); /* on_bridge_exited frees */
}

/* ---------------------------------------------------------------------------------- the request */

static int read_words(const json_t *list, const char *what, const char ***ret, size_t *ret_len,
                      struct err *err)
{
        const json_t *item;
        size_t i;

        json_array_foreach(list, i, item) {
                if (!json_is_string(item) || i >= EXEC_WORDS_MAX)
                        return err_set(err, EINVAL, "%s must be at most %d strings", what,
                                       EXEC_WORDS_MAX);
                *array_push(ret, ret_len) = json_string_value(item);
        }
        return 0;
}

struct exec_request {
        struct guest_exec exec;
        const char **argv;
        char **env;
        size_t env_len;
};

static void exec_request_release(struct exec_request *x)
{
        free(x->argv);
        for (size_t i = 0; i < x->env_len; i++)
                free(x->env[i]);
        free(x->env);
}

static int read_request(const json_t *body, struct exec_request *x, struct err *err)
{
        const char *key;
        const json_t *value;
        int64_t rows = json_int(body, "rows", 0), cols = json_int(body, "cols", 0);

        if (read_words(json_object_get(body, "argv"), "argv", &x->argv, &x->exec.n_argv, err) < 0)
                return -err->code;
        if (x->exec.n_argv == 0)
                return err_set(err, EINVAL, "argv: no command to run");
        json_object_foreach((json_t *)(uintptr_t)json_object_get(body, "env"), key, value) {
                if (!json_is_string(value))
                        return err_set(err, EINVAL, "env: %s must be a string", key);
                *array_push(&x->env, &x->env_len) =
                        xasprintf("%s=%s", key, json_string_value(value));
        }
        x->exec.argv = x->argv;
        x->exec.env = (const char *const *)x->env;
        x->exec.n_env = x->env_len;
        x->exec.user = json_str(body, "user", NULL);
        x->exec.workdir = json_str(body, "workdir", NULL);
        x->exec.tty = json_bool(body, "tty", false);
        x->exec.rows = rows > 0 && rows <= 65535 ? (unsigned)rows : 0;
        x->exec.cols = cols > 0 && cols <= 65535 ? (unsigned)cols : 0;
        x->exec.no_stdin = !json_bool(body, "stdin", false);
        return 0;
}

/* -EINPROGRESS: a new berthd has found the VM and waits for its guest's word. */
static int find_target(const struct daemon *d, const json_t *body, struct instance **ret,
                       struct err *err)
{
        const char *stack, *service;
        struct instance *in;

        if (json_need_str(body, "stack", "exec", &stack, err) < 0 ||
            json_need_str(body, "service", "exec", &service, err) < 0)
                return -err->code;
        in = daemon_instance(d, stack, service, (unsigned)json_int(body, "replica", 0));
        if (!in)
                return err_set(err, ENOENT, "%s/%s has no VM; see `berth ps -a`", stack, service);
        if (in->state != VM_RUNNING)
                return err_set(err, EBUSY, "%s/%s is %s, not running; see `berth ps -a`", stack,
                               service, vm_state_name(in->state));
        if (!in->guest || !guest_is_live(in->guest))
                return err_set(err, EINPROGRESS, "the VM of %s/%s does not answer", stack, service);
        *ret = in;
        return 0;
}

/* Open the session and answer the request; on an error it is still to be answered. */
static int exec_begin(struct daemon *d, struct request *req, struct err *err)
{
        struct exec_request x = {0};
        struct exec_bridge *b;
        struct instance *in = NULL;
        json_t *body;
        int r, id = -1;

        r = request_json(req, &body, err);
        if (r == 0)
                r = read_request(body, &x, err);
        if (r == 0)
                r = find_target(d, body, &in, err);
        if (r == 0 && !request_wants_upgrade(req, EXEC_UPGRADE))
                r = err_set(err, EINVAL, "the request must ask for \"Upgrade: %s\"", EXEC_UPGRADE);
        b = xnew(struct exec_bridge);
        b->loop = d->loop;
        b->instance = in;
        b->session.on_output = on_bridge_output;
        b->session.on_writable = on_bridge_writable;
        b->session.on_exited = on_bridge_exited;
        if (r == 0)
                r = id = guest_exec_open(in->guest, &x.exec, &b->session, err);
        exec_request_release(&x);
        if (r < 0) {
                free(b);
                return r;
        }
        b->id = id;
        instance_own_session(in, &b->session);
        r = response_upgrade(
                req, EXEC_UPGRADE,
                &(struct upgrade_callbacks){on_client_frame, on_client_drain, on_client_close, b},
                &b->conn, err);
        if (r < 0)
                bug("an upgrade that was asked for was refused");
        return 0;
}

/* A request that came before the guest's word. */
struct exec_wait {
        struct follower follower;
        struct daemon *daemon;
        struct request *req;
        ev_timer limit;
};

static void exec_wait_end(struct exec_wait *w)
{
        daemon_unfollow(w->daemon, &w->follower);
        ev_timer_stop(w->daemon->loop, &w->limit);
        loop_defer_free(w->daemon->loop, free, w);
}

static void exec_wait_try(struct exec_wait *w, bool last)
{
        struct err err = ERR_INIT;
        int r = exec_begin(w->daemon, w->req, &err);

        if (r == -EINPROGRESS && !last)
                return;
        if (r < 0)
                response_error(w->req, 0, &err, NULL);
        exec_wait_end(w);
}

static void on_exec_turn(struct follower *follower)
{
        exec_wait_try(container_of(follower, struct exec_wait, follower), false);
}

static void on_exec_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
        (void)loop;
        (void)revents;
        exec_wait_try(container_of(w, struct exec_wait, limit), true);
}

static void on_waiter_gone(struct request *req, void *arg)
{
        (void)req;
        exec_wait_end(arg);
}

void handle_exec(struct request *req, void *ctx)
{
        struct daemon *d = ctx;
        struct err err = ERR_INIT;
        struct exec_wait *w;
        int r = exec_begin(d, req, &err);

        if (r == 0)
                return;
        if (r != -EINPROGRESS) {
                response_error(req, 0, &err, NULL);
                return;
        }
        w = xnew(struct exec_wait);
        w->daemon = d;
        w->req = req;
        w->follower.on_turn = on_exec_turn;
        daemon_follow(d, &w->follower);
        ev_timer_init(&w->limit, on_exec_limit, GUEST_WORD_S, 0.0);
        ev_timer_start(d->loop, &w->limit);
        request_on_close(req, on_waiter_gone, w);
}
