/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `berth run`: a stack of one service is made by the way of every other stack, and the connection
 * is attached to its VM from before it starts until it ended and, with `remove`, nothing of it is
 * left. The frames are those of exec.
 *
 *   WAITING ──on_started──▶ RUNNING ──on_exited, on_output_end──▶ OVER ──removed, if asked──▶ told
 *      └── on_failed, image missing ─────────────────────────────▶ OVER
 *
 * A client that goes away leaves the stack as it is; with `remove` it takes it along.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/api/handlers.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/daemon.h"

/* How long a signal that ends the service may take: as long as it likes. */
#define RUN_GRACE_MS UINT32_MAX
#define RUN_TEXT_MAX 512

struct run_bridge {
        struct attach attach;
        struct follower follower;
        struct daemon *daemon;
        struct upgrade_conn *conn; /* NULL: the client is gone, or not there yet */
        char *stack, *service;
        bool remove, detach, stdin_open, tty;
        unsigned rows, cols;
        bool had_vm, running;
        bool over;   /* code is known, and no output comes any more */
        bool exited; /* code is known */
        bool eof;
        enum exec_frame end; /* EXEC_EXIT or EXEC_FAIL */
        uint8_t code;
        char text[RUN_TEXT_MAX];
        int signo;     /* that the client passed on; 0: none */
        char *pending; /* input that the guest did not take yet */
        size_t pending_len, pending_at;
};

static void bridge_free(void *p)
{
        struct run_bridge *b = p;

        free(b->stack);
        free(b->service);
        free(b->pending);
        free(b);
}

static void bridge_end(struct run_bridge *b)
{
        instance_detach(&b->attach);
        daemon_unfollow(b->daemon, &b->follower);
        loop_defer_free(b->daemon->loop, bridge_free, b);
}

static struct guest *bridge_guest(const struct run_bridge *b)
{
        struct guest *guest = b->attach.instance ? b->attach.instance->guest : NULL;

        return guest && guest_is_live(guest) ? guest : NULL;
}

/* Tell the client, once nothing is left to wait for. */
static void tell_end(struct run_bridge *b)
{
        uint8_t body[1 + RUN_TEXT_MAX];
        size_t text = b->end == EXEC_FAIL ? strlen(b->text) : 0;

        if (!b->over || (b->remove && daemon_find(b->daemon, b->stack)))
                return;
        body[0] = b->code;
        memcpy(body + 1, b->text, text);
        (void)upgrade_send(b->conn, (uint8_t)b->end, body, 1 + text);
        upgrade_close(STEAL(b->conn));
        bridge_end(b);
}

static void note_end(struct run_bridge *b, enum exec_frame end, int code, const char *text)
{
        if (b->exited)
                return;
        b->exited = true;
        b->end = end;
        b->code = (uint8_t)code;
        (void)snprintf(b->text, sizeof(b->text), "%s", text ? text : "");
}

/* It never ran: what berth would try again by itself is not what the caller asked for. */
static void give_up(struct run_bridge *b, const char *text)
{
        struct err ignored;

        note_end(b, EXEC_FAIL, 125, text);
        b->over = b->remove = true;
        (void)daemon_delete(b->daemon, b->stack, true, &ignored); /* ENOENT: gone already */
        daemon_dirty(b->daemon);
}

/* ------------------------------------------------------------------------------- the VM talks */

static void flush_input(struct run_bridge *b)
{
        struct guest *guest = bridge_guest(b);

        if (!guest || b->pending_len == 0)
                return;
        b->pending_at += guest_exec_write(guest, 0, b->pending + b->pending_at,
                                          b->pending_len - b->pending_at);
        if (b->pending_at < b->pending_len)
                return;
        b->pending_len = b->pending_at = 0;
        if (b->eof)
                guest_exec_eof(guest, 0);
        else if (b->conn)
                upgrade_resume(b->conn);
}

/* What came before the service ran. */
static void start_input(struct run_bridge *b)
{
        if (b->pending_len)
                flush_input(b);
        else if (b->eof && bridge_guest(b))
                guest_exec_eof(bridge_guest(b), 0);
}

static void on_run_started(struct attach *attach)
{
        struct run_bridge *b = container_of(attach, struct run_bridge, attach);

        b->running = true;
        if (b->tty && b->rows && b->cols && bridge_guest(b))
                guest_exec_resize(bridge_guest(b), 0, b->rows, b->cols);
        start_input(b);
        if (!b->detach)
                return;
        note_end(b, EXEC_EXIT, 0, NULL);
        b->over = true;
        b->remove = false; /* not now: the plan does it when the service ends */
        daemon_dirty(b->daemon);
}

static void on_run_output(struct attach *attach, enum guest_stream stream, const void *bytes,
                          size_t len)
{
        struct run_bridge *b = container_of(attach, struct run_bridge, attach);
        const char *p = bytes;

        while (b->conn && !b->detach && len) {
                size_t n = len < EXEC_FRAME_MAX ? len : EXEC_FRAME_MAX;

                (void)upgrade_send(b->conn, stream == GUEST_STDERR ? EXEC_STDERR : EXEC_STDOUT, p,
                                   n);
                p += n;
                len -= n;
        }
        attach->full = b->conn && upgrade_pending(b->conn) >= RESPONSE_HIGH_BYTES;
}

static void on_run_writable(struct attach *attach)
{
        flush_input(container_of(attach, struct run_bridge, attach));
}

static void on_run_exited(struct attach *attach, const struct guest_exit *exit)
{
        struct run_bridge *b = container_of(attach, struct run_bridge, attach);
        int code = exit->code;

        /* As pid 1 it cannot be ended by a signal that it does not handle: vminit kills it. */
        if (b->signo && exit->signal == SIGKILL && !exit->oom)
                code = 128 + b->signo;
        note_end(b, exit->start_failed ? EXEC_FAIL : EXEC_EXIT, code, exit->text);
        b->over = b->over || exit->start_failed || attach->instance->open_streams == 0;
        daemon_dirty(b->daemon);
}

static void on_run_failed(struct attach *attach, const char *message)
{
        struct run_bridge *b = container_of(attach, struct run_bridge, attach);

        give_up(b, message);
}

static void on_run_output_end(struct attach *attach)
{
        struct run_bridge *b = container_of(attach, struct run_bridge, attach);

        b->over = b->exited;
        daemon_dirty(b->daemon);
}

static void on_run_gone(struct attach *attach)
{
        struct run_bridge *b = container_of(attach, struct run_bridge, attach);

        note_end(b, EXEC_FAIL, 125, "it was stopped before it ended by itself");
        b->over = true;
        daemon_dirty(b->daemon);
}

/* After each turn: attach to the VM once it is planned; see what can be told. */
static void on_run_turn(struct follower *follower)
{
        struct run_bridge *b = container_of(follower, struct run_bridge, follower);
        const struct service_status *status = view_find_status(b->daemon, b->stack, b->service);
        struct instance *in;

        if (!b->had_vm && !b->over) {
                in = daemon_instance(b->daemon, b->stack, b->service, 1);
                b->had_vm = in != NULL;
                if (in)
                        instance_attach(in, &b->attach);
                else if (!daemon_find(b->daemon, b->stack))
                        give_up(b, "it was deleted before it started");
                else if (status && status->settled && !status->ok)
                        give_up(b, status->why);
        }
        tell_end(b);
}

/* --------------------------------------------------------------------------- the client talks */

static void take_input(struct run_bridge *b, const void *body, size_t len)
{
        struct guest *guest = b->running ? bridge_guest(b) : NULL;
        size_t taken = 0;

        if (!b->stdin_open || b->eof)
                return;
        b->eof = len == 0;
        if (guest && b->pending_len == 0 && b->eof)
                guest_exec_eof(guest, 0);
        if (guest && b->pending_len == 0)
                taken = guest_exec_write(guest, 0, body, len);
        if (taken == len)
                return;
        b->pending = xreallocarray(b->pending, b->pending_len + len - taken, 1);
        memcpy(b->pending + b->pending_len, (const char *)body + taken, len - taken);
        b->pending_len += len - taken;
        upgrade_pause(b->conn);
}

/* Those that end a program end it, also when it has no handler for them. */
static void pass_signal(struct run_bridge *b, int signo)
{
        struct guest *guest = b->running ? bridge_guest(b) : NULL;
        struct err ignored;

        if (!guest) {
                if (signo == SIGINT || signo == SIGTERM || signo == SIGQUIT || signo == SIGHUP) {
                        give_up(b, "interrupted before it started");
                        b->code = (uint8_t)(128 + signo);
                }
                return;
        }
        switch (signo) {
        case SIGINT:
        case SIGTERM:
        case SIGQUIT:
        case SIGHUP:
                b->signo = signo;
                (void)guest_stop(guest, signo, RUN_GRACE_MS, &ignored); /* live: it was checked */
                return;
        default:
                (void)guest_signal(guest, signo, &ignored); /* as above */
        }
}

static void on_client_frame(struct upgrade_conn *conn, uint8_t type, const void *body, size_t len,
                            void *arg)
{
        struct run_bridge *b = arg;
        const uint8_t *p = body;

        (void)conn;
        switch (type) {
        case EXEC_STDIN:
                take_input(b, body, len);
                return;
        case EXEC_RESIZE:
                if (len != 4)
                        return;
                b->rows = (unsigned)p[0] << 8 | p[1];
                b->cols = (unsigned)p[2] << 8 | p[3];
                if (b->tty && bridge_guest(b))
                        guest_exec_resize(bridge_guest(b), 0, b->rows, b->cols);
                return;
        case EXEC_SIGNAL:
                if (len == 1 && p[0] >= 1 && p[0] <= 64 && !b->exited)
                        pass_signal(b, p[0]);
                return;
        default: /* a newer client may know more */
                return;
        }
}

static void on_client_drain(struct upgrade_conn *conn, void *arg)
{
        struct run_bridge *b = arg;

        (void)conn;
        b->attach.full = false;
        instance_attach_drained(&b->attach);
}

static void on_client_close(struct upgrade_conn *conn, void *arg)
{
        struct run_bridge *b = arg;
        struct err ignored;

        (void)conn;
        b->conn = NULL;
        if (b->remove)
                (void)daemon_delete(b->daemon, b->stack, true, &ignored); /* gone already: fine */
        bridge_end(b);
}

/* -------------------------------------------------------------------------------- the request */

static unsigned read_size(const json_t *body, const char *key)
{
        int64_t n = json_int(body, key, 0);

        return n > 0 && n <= UINT16_MAX ? (unsigned)n : 0;
}

/* A missing image is the caller's to pull, with progress; then it asks again. */
static int need_image(const struct daemon *d, const char *ref, struct err *err)
{
        const struct image_entry *entry;

        if (!ref)
                return err_set(err, EINVAL, "the service has no image");
        images_retry_missing(d->images);
        images_resolve(d->images, ref, PULL_NEVER);
        entry = images_find(d->images, ref);
        if (!entry || entry->state != IMAGE_READY)
                return err_set(err, ENOENT, "there is no image %s here; `berth image pull` it",
                               ref);
        return 0;
}

static int read_request(struct run_bridge *b, const json_t *body, json_t **ret_diagnostics,
                        struct err *err)
{
        const json_t *manifest = json_object_get(body, "manifest"), *service;
        const char *name, *service_name;

        if (json_need_str(manifest, "name", "manifest", &name, err) < 0 ||
            json_need_str(body, "service", "body", &service_name, err) < 0)
                return -err->code;
        b->stack = xstrdup(name);
        b->service = xstrdup(service_name);
        service = json_object_get(json_object_get(manifest, "services"), b->service);
        if (!service)
                return err_set(err, EINVAL, "the manifest has no service %s", b->service);
        b->remove = json_bool(body, "remove", false);
        b->detach = json_bool(body, "detach", false);
        b->tty = json_bool(service, "tty", false);
        b->stdin_open = b->tty || json_bool(service, "stdin_open", false);
        b->rows = read_size(body, "rows");
        b->cols = read_size(body, "cols");
        if (need_image(b->daemon, json_str(service, "image", NULL), err) < 0)
                return -err->code;
        return daemon_run_stack(b->daemon, manifest, b->remove, ret_diagnostics, err);
}

static void bridge_init(struct run_bridge *b, struct daemon *d)
{
        b->daemon = d;
        b->follower.on_turn = on_run_turn;
        b->attach = (struct attach){.on_started = on_run_started,
                                    .on_output = on_run_output,
                                    .on_writable = on_run_writable,
                                    .on_exited = on_run_exited,
                                    .on_failed = on_run_failed,
                                    .on_output_end = on_run_output_end,
                                    .on_gone = on_run_gone};
}

void handle_run(struct request *req, void *ctx)
{
        struct run_bridge *b = xnew(struct run_bridge);
        const struct upgrade_callbacks callbacks = {on_client_frame, on_client_drain,
                                                    on_client_close, b};
        json_t *body, *diagnostics = NULL;
        struct err err = ERR_INIT;
        int r;

        bridge_init(b, ctx);
        r = request_json(req, &body, &err);
        if (r == 0 && !request_wants_upgrade(req, EXEC_UPGRADE))
                r = err_set(&err, EINVAL, "the request must ask for \"Upgrade: %s\"", EXEC_UPGRADE);
        if (r == 0)
                r = read_request(b, body, &diagnostics, &err);
        if (r < 0) {
                bridge_free(b);
                response_error(req, 0, &err, diagnostics);
                return;
        }
        if (response_upgrade(req, EXEC_UPGRADE, &callbacks, &b->conn, &err) < 0)
                bug("an upgrade that was asked for was refused");
        daemon_follow(b->daemon, &b->follower);
}
