/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/template_build.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "vz/guest.h"
#include "vz/qmp.h"
#include "vz/tsc.h"
#include "vz/vm_impl.h"

#define COMMAND_MS 10000
/* A boot has 10 KiB. */
#define BOOT_LOG_MAX (256 << 10)

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

struct template_build {
        struct ev_loop *loop;
        struct template_files files;
        struct vm *vm;
        struct guest *guest;
        char *dir;
        ev_io listener, stream; /* of device state; -1 when closed */
        ev_timer deadline;
        bool up, hello, saved;
        int64_t state_bytes;
        struct err failed; /* code 0: not */
        template_built *cb;
        void *ctx;
};

static void close_watched(struct ev_loop *loop, ev_io *w)
{
        ev_io_stop(loop, w);
        if (w->fd >= 0)
                (void)close(w->fd); /* all is read, or it does not matter any more */
        w->fd = -1;
}

/* Keep the first failure, and end QEMU: its end ends the build. */
static void fail(struct template_build *b, const char *step, const struct err *why)
{
        if (!b->failed.code)
                (void)err_set(&b->failed, why->code ? why->code : EIO, "%s: %.300s", step,
                              why->msg);
        vm_kill(b->vm);
}

static void on_query_answer(void *ctx, const json_t *value, const struct err *err)
{
        struct template_build *b = ctx;
        struct err why = ERR_INIT;

        if (!value) {
                fail(b, "save", err);
        } else if (!streq(json_str(value, "status", ""), "completed")) {
                (void)err_set(&why, EIO, "QEMU says '%.40s': %.200s", json_str(value, "status", ""),
                              json_str(value, "error-desc", "no reason"));
                fail(b, "save", &why);
        } else {
                b->saved = true;
                vm_kill(b->vm);
        }
}

static void stream_ended(struct template_build *b)
{
        struct err err = ERR_INIT;

        close_watched(b->loop, &b->stream);
        if (!vm_qmp(b->vm))
                (void)err_set(&err, EPIPE, "QEMU hung up");
        else
                (void)qmp_execute(vm_qmp(b->vm), "query-migrate", NULL, COMMAND_MS, on_query_answer,
                                  b, &err);
        if (err.code)
                fail(b, "save", &err);
}

static void on_stream_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct template_build *b = container_of(w, struct template_build, stream);
        struct err err = ERR_INIT;
        char chunk[64 << 10];
        ssize_t n = recv(w->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

        (void)loop;
        (void)revents;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n == 0) {
                stream_ended(b);
                return;
        }
        b->state_bytes += n < 0 ? 0 : n;
        if (n < 0)
                (void)err_errno(&err, errno, "read device state");
        else if (b->state_bytes > TEMPLATE_STATE_MAX)
                (void)err_set(&err, EFBIG, "more than %d MiB of device state",
                              TEMPLATE_STATE_MAX >> 20);
        else
                (void)fd_write_all(b->files.state_fd, chunk, (size_t)n, &err);
        if (err.code) {
                close_watched(b->loop, &b->stream);
                fail(b, "save", &err);
        }
}

static void on_listener_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct template_build *b = container_of(w, struct template_build, listener);
        int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        (void)revents;
        if (fd < 0)
                return; /* it went away again: the deadline ends that */
        close_watched(loop, w);
        ev_io_set(&b->stream, fd, EV_READ);
        ev_io_start(loop, &b->stream);
}

static void on_migrate_answer(void *ctx, const json_t *value, const struct err *err)
{
        if (!value)
                fail(ctx, "save", err);
}

/*
 * QEMU stops the guest when it has saved it. It was running, and so will each clone be: there is no
 * `stop` before and no `cont` after.
 */
static void save(struct template_build *b)
{
        AUTO_FREE char *path = file_join(b->dir, "state.sock");
        AUTO_FREE char *uri = xasprintf("unix:%s", path);
        json_t *caps = json_object(), *cap = json_object(), *list = json_array();
        json_t *migrate = json_object();
        struct err err = ERR_INIT;
        int fd = -1;

        json_set_str(cap, "capability", "x-ignore-shared");
        json_set_bool(cap, "state", true);
        json_array_append_new(list, cap);
        json_object_set_new(caps, "capabilities", list);
        json_set_str(migrate, "uri", uri);
        if (fd_listen_unix(path, &fd, &err) < 0 ||
            qmp_execute(vm_qmp(b->vm), "migrate-set-capabilities", caps, COMMAND_MS,
                        on_migrate_answer, b, &err) < 0 ||
            qmp_execute(vm_qmp(b->vm), "migrate", migrate, COMMAND_MS, on_migrate_answer, b, &err) <
                    0) {
                if (fd >= 0)
                        (void)close(fd); /* nobody connected */
                fail(b, "save", &err);
                return;
        }
        ev_io_set(&b->listener, fd, EV_READ);
        ev_io_start(b->loop, &b->listener);
}

static void save_when_ready(struct template_build *b)
{
        struct err err = ERR_INIT;

        if (!b->up || !b->hello || b->listener.fd >= 0 || b->stream.fd >= 0 || b->failed.code)
                return;
        /* A clone's own host says hello first; the guest forgets this one. */
        guest_free(STEAL(b->guest));
        if (vm_qmp(b->vm)) {
                save(b);
                return;
        }
        (void)err_set(&err, EPIPE, "QEMU hung up");
        fail(b, "save", &err);
}

static void on_up(struct vm *vm, void *ctx)
{
        struct template_build *b = ctx;

        (void)vm;
        b->up = true;
        save_when_ready(b);
}

static void on_hello(void *arg, const struct guest_hello *hello)
{
        struct template_build *b = arg;

        (void)hello;
        b->hello = true;
        save_when_ready(b);
}

/* QEMU's end, or the deadline, says more. */
static void on_lost(void *arg, const struct err *err)
{
        (void)arg;
        (void)err;
}

static const struct guest_callbacks guest_callbacks = {.on_hello = on_hello, .on_lost = on_lost};

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
        struct template_build *b = container_of(w, struct template_build, deadline);
        struct err err = ERR_INIT;

        (void)loop;
        (void)revents;
        (void)err_set(&err, ETIMEDOUT, "%s not done within %d s", b->hello ? "saving" : "booting",
                      TEMPLATE_BUILD_MS / 1000);
        fail(b, "template", &err);
}

/* Without QEMU nobody can write to them any more, unless a seal says that somebody still can. */
static void seal(struct template_build *b, struct err *err)
{
        if (fcntl(b->files.memory_fd, F_ADD_SEALS, SEALS) < 0 ||
            fcntl(b->files.state_fd, F_ADD_SEALS, SEALS) < 0)
                (void)err_errno(err, errno, "seal a template");
}

static void on_end(struct vm *vm, enum vm_end end, const char *message, void *ctx)
{
        struct template_build *b = ctx;
        AUTO_FREE char *console = file_join(b->dir, "console.log");
        struct template_files files;

        (void)end;
        vm_free(vm);
        b->vm = NULL;
        ev_timer_stop(b->loop, &b->deadline);
        if (!b->saved && !b->failed.code)
                (void)err_set(&b->failed, EIO, "the VM of a template ended: %.300s", message);
        if (!b->failed.code)
                seal(b, &b->failed);
        if (b->failed.code) {
                b->cb(b->ctx, NULL, &b->failed);
                return;
        }
        (void)file_read(console, BOOT_LOG_MAX, &b->files.boot_log, NULL, NULL); /* or NULL */
        files = b->files;
        b->files.memory_fd = b->files.state_fd = -1; /* the callee's now, and it may free b */
        b->cb(b->ctx, &files, NULL);
}

static int make_memory(const char *name, int64_t size, int *ret, struct err *err)
{
        *ret = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (*ret < 0 || (size && ftruncate(*ret, size) < 0))
                return err_errno(err, errno, "make a memory file for a template");
        return 0;
}

static int boot(struct template_build *b, const struct vm_spec *spec, struct err *err)
{
        const struct vm_events events = {on_up, on_end, b};
        AUTO_FREE char *socket = file_join(b->dir, "guest.sock");
        struct process_mode mode;
        int r = make_memory("berth-template", spec->memory_bytes, &b->files.memory_fd, err);

        if (r == 0)
                r = make_memory("berth-state", 0, &b->files.state_fd, err);
        if (r == 0)
                r = file_mkdir_p(b->dir, 0700, err);
        if (r < 0)
                return r;
        b->files.tsc_khz = spec->accel == ACCEL_TCG ? tsc_measure_khz() : 0;
        mode = (struct process_mode){.role = MACHINE_TEMPLATE,
                                     .memory_fd = b->files.memory_fd,
                                     .state_fd = -1,
                                     .tsc_khz = b->files.tsc_khz};
        r = vm_start_as(b->loop, spec, &mode, &events, &b->vm, err);
        if (r < 0)
                return r;
        ev_timer_start(b->loop, &b->deadline);
        /* A failure here ends at the deadline: the socket was made a moment ago. */
        (void)guest_connect(b->loop, socket, 0, 0, &guest_callbacks, b, &b->guest, NULL);
        return 0;
}

int template_build_start(struct ev_loop *loop, const struct vm_spec *spec, template_built *cb,
                         void *ctx, struct template_build **ret, struct err *err)
{
        struct template_build *b = xnew(struct template_build);
        int r;

        b->loop = loop;
        b->dir = xstrdup(spec->dir);
        b->files.memory_fd = b->files.state_fd = -1;
        b->cb = cb;
        b->ctx = ctx;
        ev_io_init(&b->listener, on_listener_readable, -1, EV_READ);
        ev_io_init(&b->stream, on_stream_readable, -1, EV_READ);
        ev_timer_init(&b->deadline, on_deadline, TEMPLATE_BUILD_MS / 1e3, 0.0);
        r = boot(b, spec, err);
        if (r < 0)
                template_build_free(b);
        else
                *ret = b;
        return r;
}

static void destroy(void *p)
{
        struct template_build *b = p;

        free(b->dir);
        free(b);
}

void template_build_free(struct template_build *b)
{
        if (!b)
                return;
        ev_timer_stop(b->loop, &b->deadline);
        close_watched(b->loop, &b->listener);
        close_watched(b->loop, &b->stream);
        guest_free(STEAL(b->guest));
        if (b->vm)
                vm_kill(b->vm);
        vm_free(STEAL(b->vm));
        if (b->files.memory_fd >= 0)
                (void)close(b->files.memory_fd); /* memory, and nobody's */
        if (b->files.state_fd >= 0)
                (void)close(b->files.state_fd);
        b->files.memory_fd = b->files.state_fd = -1;
        (void)file_remove_tree(b->dir, NULL); /* the next daemon empties the parent */
        loop_defer_free(b->loop, destroy, b);
}
