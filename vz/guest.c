/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/guest.h"

#include <assert.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/loop.h"
#include "base/mem.h"
#include "vz/guest_impl.h"

/* Requests, and the socket. What the guest says is taken apart in guest_rx.c. */

/* More configuration than that is refused; a session's stdin is refused long before. */
#define TX_MAX       ((size_t)64 << 20)
#define TX_STDIN_MAX (256u << 10)
/* What a frame takes that is made of a few numbers. */
#define FRAME_SMALL 256u

/* Pages of its own: they are there once they are touched, and given back by guest_rx.c. */
static uint8_t *rx_new(void)
{
        void *p = mmap(NULL, GUEST_RX_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                       0);

        if (p == MAP_FAILED)
                bug("out of memory"); /* as base/mem.h does */
        return p;
}

static void delete (void *p)
{
        struct guest *g = p;
        strbuf_release(&g->tx);
        (void)munmap(g->rx_data, GUEST_RX_SIZE); /* a mapping of our own, whole */
        for (size_t i = 0; i < WIRE_EXEC_MAX; i++)
                free(g->sessions[i]);
        free(g);
}

void guest_hang_up(struct guest *g)
{
        if (g->fd < 0)
                return;
        ev_io_stop(g->loop, &g->reader);
        ev_io_stop(g->loop, &g->writer);
        close(g->fd);
        g->fd = -1;
        g->live = false;
}

void guest_free(struct guest *g)
{
        if (!g)
                return;
        guest_hang_up(g);
        g->freed = true;
        loop_defer_free(g->loop, delete, g);
}

const char *guest_boot_id(const struct guest *g)
{
        return g->boot_id;
}

bool guest_is_live(const struct guest *g)
{
        return g->live;
}

/* ---- sending ---- */

static int not_live(const struct guest *g, struct err *err)
{
        return g->live ? 0
                       : err_set(err, ENOTCONN, "the guest does not answer yet, or not any more");
}

static void send_queued(struct guest *g)
{
        if (g->fd >= 0)
                ev_io_start(g->loop, &g->writer);
}

/* A frame of up to size bytes, made where it is sent from. */
static struct wire_writer *begin_sized(struct guest *g, enum wire_type type, uint32_t id,
                                       size_t size)
{
        void *room = strbuf_room(&g->tx, size);

        wire_writer_init(&g->frame, room, room ? size : 0); /* no room: end() tells */
        wire_begin(&g->frame, type, id);
        return &g->frame;
}

static struct wire_writer *begin(struct guest *g, enum wire_type type, uint32_t id)
{
        return begin_sized(g, type, id, FRAME_SMALL);
}

/* false: the frame is too long; nothing was queued. */
static bool end(struct guest *g)
{
        if (!wire_end(&g->frame))
                return false;
        strbuf_filled(&g->tx, g->frame.len);
        send_queued(g);
        return true;
}

static int send_empty(struct guest *g, enum wire_type type, uint32_t id, struct err *err)
{
        if (not_live(g, err))
                return -ENOTCONN;
        (void)begin(g, type, id);
        (void)end(g); /* an empty frame fits */
        return 0;
}

static void on_socket_writable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct guest *g = container_of(w, struct guest, writer);
        (void)revents;
        while (g->tx_start < g->tx.len) {
                ssize_t n = send(g->fd, g->tx.data + g->tx_start, g->tx.len - g->tx_start,
                                 MSG_NOSIGNAL);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        break;
                if (n < 0) {
                        /* The reader finds out as well, and tells. */
                        g->tx_start = g->tx.len;
                        break;
                }
                g->tx_start += (size_t)n;
        }
        /* Move the rest down rarely: a configuration may be large. */
        if (g->tx_start == g->tx.len || g->tx_start > (1u << 20)) {
                strbuf_consume(&g->tx, g->tx_start);
                g->tx_start = 0;
        }
        if (g->tx.len == 0) {
                ev_io_stop(loop, w);
                strbuf_release(&g->tx);
                guest_tell_writable(g);
        }
}

static size_t tx_pending(const struct guest *g)
{
        return g->tx.len - g->tx_start;
}

/* ---- connecting ---- */

static void send_attach(struct guest *g, uint64_t stdout_from, uint64_t stderr_from)
{
        strbuf_add(&g->tx, wire_attach_magic, WIRE_MAGIC_LEN);
        struct wire_writer *w = begin(g, WIRE_ATTACH, 0);
        wire_put_u64(w, WIRE_T_VERSION, WIRE_VERSION);
        wire_put_u64(w, WIRE_T_VERSION_MIN, WIRE_VERSION_MIN);
        wire_put_bytes(w, WIRE_T_NONCE, g->nonce, sizeof(g->nonce));
        wire_put_u64(w, WIRE_T_STREAM, GUEST_STDOUT);
        wire_put_u64(w, WIRE_T_OFFSET, stdout_from);
        wire_put_u64(w, WIRE_T_STREAM, GUEST_STDERR);
        wire_put_u64(w, WIRE_T_OFFSET, stderr_from);
        (void)end(g); /* fits */
}

int guest_attach_fd(struct ev_loop *loop, int fd, uint64_t stdout_from, uint64_t stderr_from,
                    const struct guest_callbacks *cb, void *arg, struct guest **ret_guest,
                    struct err *err)
{
        assert(cb && cb->on_lost);
        uint8_t nonce[WIRE_MAGIC_LEN];
        int rc = fd_set_nonblock(fd, err);
        if (rc == 0 && getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
                rc = err_errno(err, errno, "read random bytes");
        if (rc) {
                close(fd);
                return rc;
        }
        struct guest *g = xnew(struct guest);
        g->loop = loop;
        g->fd = fd;
        g->cb = cb;
        g->arg = arg;
        g->next_id = 1;
        g->tx = (struct strbuf)STRBUF_INIT(TX_MAX);
        g->rx_data = rx_new();
        memcpy(g->nonce, nonce, sizeof(nonce));
        wire_rx_init(&g->rx, g->rx_data, GUEST_RX_SIZE, nonce, false);
        ev_io_init(&g->reader, guest_on_readable, fd, EV_READ);
        ev_io_init(&g->writer, on_socket_writable, fd, EV_WRITE);
        ev_io_start(loop, &g->reader);
        send_attach(g, stdout_from, stderr_from);
        *ret_guest = g;
        return 0;
}

int guest_connect(struct ev_loop *loop, const char *path, uint64_t stdout_from,
                  uint64_t stderr_from, const struct guest_callbacks *cb, void *arg,
                  struct guest **ret_guest, struct err *err)
{
        int fd = -1;
        int rc = fd_connect_unix(path, &fd, err);
        if (rc)
                return err_wrap(err, "guest channel");
        return guest_attach_fd(loop, fd, stdout_from, stderr_from, cb, arg, ret_guest, err);
}

/* ---- the service ---- */

int guest_configure(struct guest *g, const struct guest_config *config, struct err *err)
{
        AUTO_STRBUF struct strbuf frames = STRBUF_INIT(TX_MAX);
        if (not_live(g, err))
                return -ENOTCONN;
        int rc = guest_config_encode(config, &frames, err);
        if (rc)
                return err_wrap(err, "configure the guest");
        if (frames.len > TX_MAX - tx_pending(g))
                return err_set(err, E2BIG,
                               "configure the guest: configs and secrets exceed %zu MiB",
                               TX_MAX >> 20);
        strbuf_add(&g->tx, frames.data, frames.len);
        send_queued(g);
        return 0;
}

int guest_run(struct guest *g, struct err *err)
{
        return send_empty(g, WIRE_RUN, 0, err);
}

void guest_ack(struct guest *g, enum guest_stream stream, uint64_t offset)
{
        assert(stream == GUEST_STDOUT || stream == GUEST_STDERR);
        if (!g->live || offset <= g->acked[stream])
                return;
        g->acked[stream] = offset;
        struct wire_writer *w = begin(g, WIRE_ACK, 0);
        wire_put_u64(w, WIRE_T_STREAM, stream);
        wire_put_u64(w, WIRE_T_OFFSET, offset);
        (void)end(g); /* fits */
}

int guest_signal(struct guest *g, int signo, struct err *err)
{
        if (not_live(g, err))
                return -ENOTCONN;
        if (signo < 1 || signo > 64)
                return err_set(err, EINVAL, "signal %d does not exist", signo);
        wire_put_u64(begin(g, WIRE_SIGNAL, 0), WIRE_T_SIGNO, (uint64_t)signo);
        (void)end(g); /* fits */
        return 0;
}

int guest_stop(struct guest *g, int signo, unsigned grace_ms, struct err *err)
{
        if (not_live(g, err))
                return -ENOTCONN;
        if (signo < 0 || signo > 64)
                return err_set(err, EINVAL, "signal %d does not exist", signo);
        struct wire_writer *w = begin(g, WIRE_STOP, 0);
        wire_put_u64(w, WIRE_T_SIGNO, (uint64_t)signo);
        wire_put_u64(w, WIRE_T_GRACE_MS, grace_ms);
        (void)end(g); /* fits */
        return 0;
}

int guest_poweroff(struct guest *g, struct err *err)
{
        return send_empty(g, WIRE_POWEROFF, 0, err);
}

int guest_stats(struct guest *g, struct err *err)
{
        return send_empty(g, WIRE_STATS, 0, err);
}

int guest_ping(struct guest *g, struct err *err)
{
        return send_empty(g, WIRE_PING, 0, err);
}

int guest_rehearse(struct guest *g, struct err *err)
{
        return send_empty(g, WIRE_REHEARSE, 0, err);
}

/* ---- exec sessions ---- */

struct guest_session *guest_find_session(struct guest *g, uint32_t id)
{
        if (id == 0)
                return &g->service;
        for (size_t i = 0; i < WIRE_EXEC_MAX; i++) {
                if (g->sessions[i] && g->sessions[i]->id == id)
                        return g->sessions[i];
        }
        return NULL;
}

void guest_end_session(struct guest *g, struct guest_session *session)
{
        for (size_t i = 0; i < WIRE_EXEC_MAX; i++)
                if (g->sessions[i] == session)
                        free(STEAL(g->sessions[i]));
}

static void put_exec(struct wire_writer *w, const struct guest_exec *exec)
{
        for (size_t i = 0; i < exec->n_argv; i++)
                wire_put_str(w, WIRE_E_ARG, exec->argv[i]);
        for (size_t i = 0; i < exec->n_env; i++)
                wire_put_str(w, WIRE_E_ENV, exec->env[i]);
        if (exec->user)
                wire_put_str(w, WIRE_E_USER, exec->user);
        if (exec->workdir)
                wire_put_str(w, WIRE_E_WORKDIR, exec->workdir);
        if (exec->tty) {
                wire_put_u64(w, WIRE_E_TTY, 1);
                wire_put_u64(w, WIRE_E_ROWS, exec->rows ? exec->rows : 24);
                wire_put_u64(w, WIRE_E_COLS, exec->cols ? exec->cols : 80);
        }
        if (exec->privileged)
                wire_put_u64(w, WIRE_E_PRIVILEGED, 1);
}

static struct guest_session *new_session(struct guest *g)
{
        for (size_t i = 0; i < WIRE_EXEC_MAX; i++) {
                struct guest_session *s;
                if (g->sessions[i])
                        continue;
                s = g->sessions[i] = xnew(struct guest_session);
                s->id = g->next_id;
                s->out_window[0] = s->out_window[1] = WIRE_EXEC_WINDOW;
                /* An id comes back after two billion sessions. */
                g->next_id = g->next_id == WIRE_ID_MAX ? 1 : g->next_id + 1;
                return s;
        }
        return NULL;
}

int guest_exec_open(struct guest *g, const struct guest_exec *exec, void *arg, struct err *err)
{
        if (not_live(g, err))
                return -ENOTCONN;
        if (exec->n_argv == 0)
                return err_set(err, EINVAL, "exec: no command");
        struct guest_session *s = new_session(g);
        if (!s)
                return err_set(err, EAGAIN, "exec: %d sessions are open already, close one first",
                               WIRE_EXEC_MAX);
        int id = (int)s->id;
        put_exec(begin_sized(g, WIRE_EXEC, s->id, WIRE_FRAME_MAX), exec);
        if (!end(g)) {
                guest_end_session(g, s);
                return err_set(err, E2BIG, "exec: command and environment exceed %u KiB",
                               WIRE_BODY_MAX >> 10);
        }
        s->arg = arg;
        s->tty = exec->tty;
        if (exec->no_stdin)
                guest_exec_eof(g, id);
        return id;
}

size_t guest_exec_write(struct guest *g, int id, const void *bytes, size_t len)
{
        struct guest_session *s = id < 0 || !g->live ? NULL : guest_find_session(g, (uint32_t)id);
        if (!s || s->eof)
                return len;
        const uint8_t *p = bytes;
        size_t taken = 0;
        while (taken < len && s->stdin_window > 0 && tx_pending(g) < TX_STDIN_MAX) {
                size_t n = len - taken < WIRE_CHUNK ? len - taken : WIRE_CHUNK;
                n = n < s->stdin_window ? n : (size_t)s->stdin_window;
                n = wire_clean_length(p + taken, n);
                const uint8_t head[WIRE_DATA_HEAD] = {GUEST_STDIN};
                struct wire_writer *w = begin_sized(g, WIRE_DATA, s->id, FRAME_SMALL + n);
                wire_put_raw(w, head, sizeof(head));
                wire_put_raw(w, p + taken, n);
                (void)end(g); /* a chunk fits */
                s->stdin_window -= n;
                taken += n;
        }
        s->wants_write = taken < len;
        return taken;
}

void guest_exec_eof(struct guest *g, int id)
{
        struct guest_session *s = id < 0 || !g->live ? NULL : guest_find_session(g, (uint32_t)id);
        if (!s || s->eof)
                return;
        /* On a terminal ^D is a character, and more may follow: only vminit knows. */
        wire_put_u64(begin(g, WIRE_EOF, s->id), WIRE_T_STREAM, GUEST_STDIN);
        (void)end(g); /* fits */
        s->eof = !s->tty;
}

void guest_exec_credit(struct guest *g, int id, enum guest_stream stream, size_t len)
{
        struct guest_session *s = id <= 0 || !g->live ? NULL : guest_find_session(g, (uint32_t)id);
        if (!s || len == 0 || stream == GUEST_STDIN)
                return;
        s->out_window[stream - 1] += len;
        struct wire_writer *w = begin(g, WIRE_CREDIT, s->id);
        wire_put_u64(w, WIRE_T_STREAM, stream);
        wire_put_u64(w, WIRE_T_BYTES, len);
        (void)end(g); /* fits */
}

void guest_exec_resize(struct guest *g, int id, unsigned rows, unsigned cols)
{
        if (!g->live || id < 0 || !guest_find_session(g, (uint32_t)id))
                return;
        struct wire_writer *w = begin(g, WIRE_RESIZE, (uint32_t)id);
        wire_put_u64(w, WIRE_T_ROWS, rows);
        wire_put_u64(w, WIRE_T_COLS, cols);
        (void)end(g); /* fits */
}

void guest_exec_signal(struct guest *g, int id, int signo)
{
        if (!g->live || id <= 0 || !guest_find_session(g, (uint32_t)id))
                return;
        wire_put_u64(begin(g, WIRE_SIGNAL, (uint32_t)id), WIRE_T_SIGNO, (uint64_t)signo);
        (void)end(g); /* fits */
}

void guest_exec_close(struct guest *g, int id)
{
        if (g->live && id > 0 && guest_find_session(g, (uint32_t)id))
                (void)send_empty(g, WIRE_EXEC_CLOSE, (uint32_t)id, NULL); /* live: cannot fail */
}
