/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "vz/guest_impl.h"

/*
 * What the guest says. Every byte is hostile: a handler checks all it uses before it changes or
 * tells anything, and returns <0 at the first thing a vminit would not say; the conversation ends
 * then.
 */

#define TEXT_MAX 512
#define TAG_MAX  64

/* The fields of a message; what is missing is 0 or "". */
struct fields {
        uint64_t number[TAG_MAX]; /* by enum wire_tag or wire_stat, integers only */
        bool has[TAG_MAX];
        char text[TEXT_MAX];
        char name[24];
        char boot_id[40];
        struct guest_phase phases[GUEST_PHASES_MAX];
        size_t n_phases;
};

/* Printable ASCII survives: such a text can go to a terminal, a log and JSON. */
static void copy_text(const struct wire_tlv *tlv, char *buf, size_t size)
{
        size_t len = tlv->len < size - 1 ? tlv->len : size - 1;
        for (size_t i = 0; i < len; i++)
                buf[i] = tlv->value[i] >= 0x20 && tlv->value[i] < 0x7f ? (char)tlv->value[i] : '?';
        buf[len] = '\0';
}

static bool read_phase(const struct wire_tlv *outer, struct guest_phase *phase)
{
        struct wire_reader r = wire_read(outer->value, outer->len);
        struct wire_tlv tlv;
        *phase = (struct guest_phase){0};
        while (wire_next(&r, &tlv)) {
                if (tlv.tag == WIRE_T_NAME)
                        copy_text(&tlv, phase->name, sizeof(phase->name));
                else if (tlv.tag == WIRE_T_NS && !wire_u64(&tlv, &phase->guest_ns))
                        return false;
        }
        return !r.bad;
}

/* Unknown tags are passed over, so that a newer vminit can say more. */
static bool read_field(struct fields *f, const struct wire_tlv *tlv)
{
        switch (tlv->tag) {
        case WIRE_T_TEXT:
                copy_text(tlv, f->text, sizeof(f->text));
                return true;
        case WIRE_T_NAME:
                copy_text(tlv, f->name, sizeof(f->name));
                return true;
        case WIRE_T_BOOT_ID:
                copy_text(tlv, f->boot_id, sizeof(f->boot_id));
                return true;
        case WIRE_T_PHASE:
                return f->n_phases < GUEST_PHASES_MAX && read_phase(tlv, &f->phases[f->n_phases++]);
        default:
                if (tlv->tag >= TAG_MAX)
                        return true;
                f->has[tlv->tag] = wire_u64(tlv, &f->number[tlv->tag]);
                return f->has[tlv->tag];
        }
}

static int read_fields(const struct wire_frame *frame, struct fields *f, struct err *err)
{
        struct wire_reader r = wire_read(frame->body, frame->len);
        struct wire_tlv tlv;
        memset(f, 0, sizeof(*f));
        while (wire_next(&r, &tlv)) {
                if (!read_field(f, &tlv))
                        return err_set(err, EPROTO, "field %u of message %u is malformed", tlv.tag,
                                       frame->type);
        }
        return r.bad ? err_set(err, EPROTO, "message %u is malformed", frame->type) : 0;
}

/* How a process ended; text points into f. */
static int read_exit(const struct fields *f, bool failed, struct guest_exit *ret, struct err *err)
{
        uint64_t signo = f->number[WIRE_T_SIGNO];
        uint64_t code = f->number[WIRE_T_CODE];
        if (signo > 64 || code > 255)
                return err_set(err, EPROTO, "an exit status of code %llu, signal %llu",
                               (unsigned long long)code, (unsigned long long)signo);
        *ret = (struct guest_exit){
                .code = signo ? 128 + (int)signo : (int)code,
                .signal = (int)signo,
                .core = f->number[WIRE_T_CORE],
                .oom = f->number[WIRE_T_OOM],
                .start_failed = failed,
                .text = f->text,
        };
        return 0;
}

static int read_pid(const struct fields *f, int *ret, struct err *err)
{
        if (f->number[WIRE_T_PID] > INT32_MAX)
                return err_set(err, EPROTO, "pid %llu", (unsigned long long)f->number[WIRE_T_PID]);
        *ret = (int)f->number[WIRE_T_PID];
        return 0;
}

static int on_hello(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        struct guest_hello hello = {0};
        int rc = read_fields(frame, &f, err);
        if (rc)
                return rc;
        uint64_t version = f.number[WIRE_T_VERSION];
        uint64_t state = f.number[WIRE_T_STATE];
        if (version < WIRE_VERSION_MIN || version > WIRE_VERSION)
                return err_set(err, EPROTONOSUPPORT,
                               "the guest speaks version %llu of the channel, this berth %d to %d: "
                               "replace the service's VM (berth restart)",
                               (unsigned long long)version, WIRE_VERSION_MIN, WIRE_VERSION);
        if (state > WIRE_S_START_FAILED)
                return err_set(err, EPROTO, "state %llu", (unsigned long long)state);
        hello.version = (unsigned)version;
        hello.state = (enum wire_state)state;
        hello.run = f.number[WIRE_T_RUN];
        bool failed = state == WIRE_S_START_FAILED || state == WIRE_S_BROKEN;
        rc = read_pid(&f, &hello.pid, err);
        if (rc == 0)
                rc = read_exit(&f, failed, &hello.exit, err);
        if (rc)
                return rc;
        memcpy(hello.boot_id, f.boot_id, sizeof(hello.boot_id));
        memcpy(g->boot_id, f.boot_id, sizeof(g->boot_id));
        memcpy(hello.phases, f.phases, sizeof(hello.phases));
        hello.n_phases = f.n_phases;
        g->live = true;
        if (g->cb->on_hello)
                g->cb->on_hello(g->arg, &hello);
        return 0;
}

static int on_phase(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        int rc = read_fields(frame, &f, err);
        if (rc)
                return rc;
        struct guest_phase phase = {.guest_ns = f.number[WIRE_T_NS]};
        memcpy(phase.name, f.name, sizeof(phase.name));
        if (g->cb->on_phase)
                g->cb->on_phase(g->arg, &phase);
        return 0;
}

static int on_configured(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        int rc = read_fields(frame, &f, err);
        if (rc == 0)
                memcpy(g->boot_id, f.boot_id, sizeof(g->boot_id));
        if (rc == 0 && g->cb->on_configured)
                g->cb->on_configured(g->arg, frame->type == WIRE_CONFIGURED ? NULL : f.text);
        return rc;
}

static int on_started(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        int pid = 0;
        int rc = read_fields(frame, &f, err);
        if (rc == 0)
                rc = read_pid(&f, &pid, err);
        if (rc == 0 && g->cb->on_started)
                g->cb->on_started(g->arg, f.number[WIRE_T_RUN], pid);
        return rc;
}

static int on_exited(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        struct guest_exit end;
        int rc = read_fields(frame, &f, err);
        if (rc == 0)
                rc = read_exit(&f, frame->type == WIRE_START_FAILED, &end, err);
        if (rc)
                return rc;
        g->service.stdin_window = 0;
        if (g->cb->on_exited)
                g->cb->on_exited(g->arg, f.number[WIRE_T_RUN], &end);
        return 0;
}

static int on_output(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        if (frame->len <= WIRE_OUTPUT_HEAD || frame->body[0] < 1 || frame->body[0] > 2)
                return err_set(err, EPROTO, "malformed output");
        unsigned stream = frame->body[0];
        uint64_t offset = wire_get64(frame->body + 8);
        size_t len = frame->len - WIRE_OUTPUT_HEAD;
        /* The first one tells where the guest's memory begins; from there on it is one stream. */
        if ((g->seen_out[stream] && offset != g->next_out[stream]) || offset > UINT64_MAX / 2)
                return err_set(err, EPROTO, "output at offset %llu instead of %llu",
                               (unsigned long long)offset, (unsigned long long)g->next_out[stream]);
        g->seen_out[stream] = true;
        g->next_out[stream] = offset + len;
        if (g->cb->on_output)
                g->cb->on_output(g->arg, (enum guest_stream)stream, offset,
                                 frame->body + WIRE_OUTPUT_HEAD, len);
        return 0;
}

static int on_output_end(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        int rc = read_fields(frame, &f, err);
        if (rc)
                return rc;
        uint64_t stream = f.number[WIRE_T_STREAM];
        uint64_t offset = f.number[WIRE_T_OFFSET];
        if (stream < 1 || stream > 2 || (g->seen_out[stream] && offset != g->next_out[stream]))
                return err_set(err, EPROTO, "output ends where it does not");
        if (g->cb->on_output_end)
                g->cb->on_output_end(g->arg, (enum guest_stream)stream, offset);
        return 0;
}

static int on_log(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        int rc = read_fields(frame, &f, err);
        if (rc == 0 && g->cb->on_log)
                g->cb->on_log(g->arg, f.text);
        return rc;
}

static int on_oom(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        int rc = read_fields(frame, &f, err);
        if (rc == 0 && g->cb->on_oom)
                g->cb->on_oom(g->arg, f.number[WIRE_T_COUNT]);
        return rc;
}

static int on_pong(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        (void)frame; /* that it comes is all it says */
        (void)err;
        if (g->cb->on_pong)
                g->cb->on_pong(g->arg);
        return 0;
}

static int on_rehearsed(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        int rc = read_fields(frame, &f, err);
        if (rc == 0 && g->cb->on_rehearsed)
                g->cb->on_rehearsed(g->arg, f.has[WIRE_T_ERRNO] ? f.text : NULL);
        return rc;
}

static int on_stats(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        int rc = read_fields(frame, &f, err);
        if (rc || !g->cb->on_stats)
                return rc;
        const uint64_t *n = f.number;
        struct guest_stats stats = {
                .memory_bytes = n[WIRE_ST_MEMORY_BYTES],
                .memory_peak_bytes = n[WIRE_ST_MEMORY_PEAK_BYTES],
                .memory_file_bytes = n[WIRE_ST_MEMORY_FILE_BYTES],
                .cpu_usec = n[WIRE_ST_CPU_USEC],
                .pids = n[WIRE_ST_PIDS],
                .oom_kills = n[WIRE_ST_OOM_KILLS],
                .net_rx_bytes = n[WIRE_ST_NET_RX_BYTES],
                .net_tx_bytes = n[WIRE_ST_NET_TX_BYTES],
                .io_read_bytes = n[WIRE_ST_IO_READ_BYTES],
                .io_write_bytes = n[WIRE_ST_IO_WRITE_BYTES],
                .guest_memory_bytes = n[WIRE_ST_GUEST_MEMORY_BYTES],
                .guest_memory_free_bytes = n[WIRE_ST_GUEST_MEMORY_FREE_BYTES],
                .init_rss_bytes = n[WIRE_ST_INIT_RSS_BYTES],
        };
        g->cb->on_stats(g->arg, &stats);
        return 0;
}

/* ---- exec sessions ---- */

/* A session we closed may still have frames on their way: those are not an error. */
static struct guest_session *session_of(struct guest *g, const struct wire_frame *frame)
{
        return frame->id ? guest_find_session(g, frame->id) : NULL;
}

static int on_exec_started(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        struct guest_session *s = session_of(g, frame);
        int rc = read_fields(frame, &f, err);
        if (rc == 0 && s && g->cb->on_exec_started)
                g->cb->on_exec_started(g->arg, s->arg);
        return rc;
}

static int on_data(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct guest_session *s = session_of(g, frame);
        if (frame->len <= WIRE_DATA_HEAD || frame->body[0] < 1 || frame->body[0] > 2)
                return err_set(err, EPROTO, "malformed data of an exec session");
        if (!s)
                return 0;
        unsigned stream = frame->body[0];
        size_t len = frame->len - WIRE_DATA_HEAD;
        if (len > s->out_window[stream - 1])
                return err_set(err, EPROTO, "an exec session sent more than its window");
        s->out_window[stream - 1] -= len;
        if (g->cb->on_exec_output)
                g->cb->on_exec_output(g->arg, s->arg, (enum guest_stream)stream,
                                      frame->body + WIRE_DATA_HEAD, len);
        return 0;
}

static int on_credit(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        struct guest_session *s = guest_find_session(g, frame->id);
        int rc = read_fields(frame, &f, err);
        if (rc || !s)
                return rc;
        if (f.number[WIRE_T_BYTES] > WIRE_STDIN_WINDOW || s->stdin_window > WIRE_STDIN_WINDOW)
                return err_set(err, EPROTO, "a window of %llu bytes",
                               (unsigned long long)f.number[WIRE_T_BYTES]);
        s->stdin_window += f.number[WIRE_T_BYTES];
        if (s->wants_write) {
                s->wants_write = false;
                if (g->cb->on_exec_writable)
                        g->cb->on_exec_writable(g->arg, s->arg);
        }
        return 0;
}

static int on_exec_exited(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        struct fields f;
        struct guest_exit end;
        struct guest_session *s = session_of(g, frame);
        int rc = read_fields(frame, &f, err);
        if (rc == 0)
                rc = read_exit(&f, f.has[WIRE_T_ERRNO], &end, err);
        if (rc || !s)
                return rc;
        void *arg = s->arg;
        guest_end_session(g, s);
        if (g->cb->on_exec_exited)
                g->cb->on_exec_exited(g->arg, arg, &end);
        return 0;
}

static int handle(struct guest *g, const struct wire_frame *frame, struct err *err)
{
        static int (*const handlers[])(struct guest *, const struct wire_frame *, struct err *) = {
                [WIRE_DATA] = on_data,
                [WIRE_CREDIT] = on_credit,
                [WIRE_PHASE] = on_phase,
                [WIRE_CONFIGURED] = on_configured,
                [WIRE_CONFIG_FAILED] = on_configured,
                [WIRE_STARTED] = on_started,
                [WIRE_START_FAILED] = on_exited,
                [WIRE_EXITED] = on_exited,
                [WIRE_OUTPUT] = on_output,
                [WIRE_OUTPUT_END] = on_output_end,
                [WIRE_LOG] = on_log,
                [WIRE_OOM] = on_oom,
                [WIRE_EXEC_STARTED] = on_exec_started,
                [WIRE_EXEC_EXITED] = on_exec_exited,
                [WIRE_STATS_REPLY] = on_stats,
                [WIRE_PONG] = on_pong,
                [WIRE_REHEARSED] = on_rehearsed,
        };
        if (!g->live) {
                if (frame->type != WIRE_HELLO)
                        return err_set(err, EPROTO, "message %u before the greeting", frame->type);
                return on_hello(g, frame, err);
        }
        if (frame->type >= ARRAY_SIZE(handlers) || !handlers[frame->type])
                return err_set(err, EPROTO, "message %u is none of the guest's", frame->type);
        return handlers[frame->type](g, frame, err);
}

/* ---- the end ---- */

static void lose(struct guest *g, const struct err *err)
{
        guest_hang_up(g);
        const struct guest_exit end = {
                .code = 255, .start_failed = true, .text = "the connection to the guest was lost"};
        for (size_t i = 0; i < WIRE_EXEC_MAX && !g->freed; i++) {
                struct guest_session *s = g->sessions[i];
                if (!s)
                        continue;
                void *arg = s->arg;
                guest_end_session(g, s);
                if (g->cb->on_exec_exited)
                        g->cb->on_exec_exited(g->arg, arg, &end);
        }
        if (!g->freed)
                g->cb->on_lost(g->arg, err);
}

/* All whole frames of the buffer. <0: err is set. A callback may have freed or lost the guest: fd
 * is -1 then. */
static int take_frames(struct guest *g, struct err *err)
{
        struct wire_frame frame;
        int rc;
        while (g->fd >= 0 && (rc = wire_rx_next(&g->rx, &frame)) != 0) {
                if (rc < 0)
                        return err_set(err, EPROTO, "the guest's stream is not made of frames");
                rc = handle(g, &frame, err);
                if (rc < 0)
                        return rc;
        }
        return 0;
}

/* A guest that idles holds no page: nothing of a frame is there. Advice, it cannot fail. */
static void give_back(struct guest *g)
{
        if (g->rx.start == g->rx.end)
                (void)madvise(g->rx_data, GUEST_RX_SIZE, MADV_DONTNEED);
}

void guest_on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
        struct guest *g = container_of(w, struct guest, reader);
        struct err err = ERR_INIT;
        size_t room;
        (void)loop;
        (void)revents;
        uint8_t *to = wire_rx_space(&g->rx, &room);
        ssize_t n = read(g->fd, to, room);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n < 0)
                (void)err_errno(&err, errno, "guest channel");
        else if (n == 0)
                (void)err_set(&err, ECONNRESET, "guest channel: closed by QEMU");
        else
                wire_rx_fill(&g->rx, (size_t)n);
        if (n > 0 && take_frames(g, &err) == 0) {
                give_back(g);
                return;
        }
        if (n > 0)
                (void)err_wrap(&err, "guest channel");
        if (!g->freed)
                lose(g, &err);
}

void guest_tell_writable(struct guest *g)
{
        for (size_t i = 0; i <= WIRE_EXEC_MAX && g->fd >= 0; i++) {
                struct guest_session *s = i ? g->sessions[i - 1] : &g->service;
                if (!s || !s->wants_write || s->stdin_window == 0)
                        continue;
                s->wants_write = false;
                if (g->cb->on_exec_writable)
                        g->cb->on_exec_writable(g->arg, s->arg);
        }
}
