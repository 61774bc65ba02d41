/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "vminit/init.h"
#include "vminit/rehearse.h"
#include "vminit/rootfs.h"

/* The integer fields of a small message; what is missing is 0. */
struct fields {
        uint64_t version, version_min, stream, bytes, signo, grace_ms, rows, cols;
        uint64_t offset[3]; /* by stream */
        uint8_t nonce[WIRE_MAGIC_LEN];
        bool has_nonce, bad;
};

static struct fields read_fields(const struct wire_frame *frame)
{
        struct fields f = {0};
        struct wire_reader r = wire_read(frame->body, frame->len);
        struct wire_tlv tlv;
        while (wire_next(&r, &tlv)) {
                uint64_t value = 0;
                if (tlv.tag == WIRE_T_NONCE) {
                        f.has_nonce = tlv.len == sizeof(f.nonce);
                        if (f.has_nonce)
                                memcpy(f.nonce, tlv.value, sizeof(f.nonce));
                        continue;
                }
                if (!wire_u64(&tlv, &value)) {
                        f.bad = true;
                        break;
                }
                switch (tlv.tag) {
                case WIRE_T_VERSION:
                        f.version = value;
                        break;
                case WIRE_T_VERSION_MIN:
                        f.version_min = value;
                        break;
                case WIRE_T_STREAM:
                        f.stream = value > 2 ? 0 : value;
                        break;
                case WIRE_T_OFFSET:
                        f.offset[f.stream] = value;
                        break;
                case WIRE_T_BYTES:
                        f.bytes = value;
                        break;
                case WIRE_T_SIGNO:
                        f.signo = value;
                        break;
                case WIRE_T_GRACE_MS:
                        f.grace_ms = value;
                        break;
                case WIRE_T_ROWS:
                        f.rows = value;
                        break;
                case WIRE_T_COLS:
                        f.cols = value;
                        break;
                }
        }
        f.bad = f.bad || r.bad;
        return f;
}

/* The session with this id that the host may speak of; 0 is the service. */
static struct session *find_session(struct init *in, uint32_t id)
{
        for (size_t i = 0; i < (id ? INIT_SESSIONS : 1); i++) {
                struct session *s = &in->sessions[i];
                if (s->state != SESSION_FREE && s->id == id && !s->orphan)
                        return s;
        }
        return NULL;
}

/* A new host: what the old one had open is closed, and it is told everything. */
static void on_attach(struct init *in, const struct wire_frame *frame)
{
        struct fields f = read_fields(frame);
        if (!f.has_nonce || f.bad)
                return;
        for (size_t i = 1; i < INIT_SESSIONS; i++) {
                if (in->sessions[i].state == SESSION_FREE)
                        continue;
                in->sessions[i].orphan = true;
                session_kill(&in->sessions[i]);
        }
        if (in->state == WIRE_S_NEW) {
                config_reset(&in->config);
                rootfs_files_reset();
        }
        struct session *service = &in->sessions[0];
        if (service->in >= 0)
                service->owed = WIRE_STDIN_WINDOW - service->in_len;
        for (int i = 0; i < 2; i++) {
                ring_rewind(&in->out[i], f.offset[i + 1]);
                in->tell_end[i] = in->out_closed[i];
        }
        memcpy(in->nonce, f.nonce, sizeof(in->nonce));
        port_drop_tx(&in->port);
        in->tell_pong = in->tell_stats = in->tell_rehearsed = false;
        in->attached = in->tell_hello = true;
}

/* A configuration that cannot be used ends in BROKEN, and the reason goes to the host. */
static void config_failed(struct init *in, const struct fail *f)
{
        in->fail = *f;
        in->state = WIRE_S_BROKEN;
        in->tell_configured = true;
}

static void on_config(struct init *in, const struct wire_frame *frame)
{
        struct fail f;
        if (in->state == WIRE_S_NEW && config_add(&in->config, frame->body, frame->len, &f))
                config_failed(in, &f);
}

static void on_file_data(struct init *in, const struct wire_frame *frame)
{
        struct fail f;
        if (in->state != WIRE_S_NEW || in->config.n_files == 0)
                return;
        if (rootfs_file_add(in->config.n_files - 1, frame->body, frame->len, &f))
                config_failed(in, &f);
}

static void on_config_end(struct init *in, const struct wire_frame *frame)
{
        (void)frame; /* empty */
        struct fail f;
        if (in->state != WIRE_S_NEW)
                return;
        if (!in->rehearsal) {
                service_configure(in);
                return;
        }
        (void)fail_set(&f, EBUSY, "a rehearsal is under way");
        config_failed(in, &f);
}

static void on_rehearse(struct init *in, const struct wire_frame *frame)
{
        (void)frame; /* empty */
        if (in->state == WIRE_S_NEW && !in->rehearsal)
                rehearse_start(in);
}

static void on_run(struct init *in, const struct wire_frame *frame)
{
        (void)frame; /* empty */
        in->run_wanted = in->state == WIRE_S_CONFIGURED || in->state == WIRE_S_EXITED ||
                         in->state == WIRE_S_START_FAILED;
}

static void on_ack(struct init *in, const struct wire_frame *frame)
{
        struct fields f = read_fields(frame);
        for (int i = 0; i < 2; i++)
                ring_ack(&in->out[i], f.offset[i + 1]);
}

static void on_signal(struct init *in, const struct wire_frame *frame)
{
        struct fields f = read_fields(frame);
        struct session *s = find_session(in, frame->id);
        if (s && s->pid > 0 && f.signo > 0 && f.signo < NSIG)
                session_signal(s, (int)f.signo);
}

static void on_stop(struct init *in, const struct wire_frame *frame)
{
        struct fields f = read_fields(frame);
        in->run_wanted = false;
        if (in->state == WIRE_S_EXITED || in->state == WIRE_S_START_FAILED)
                in->tell_exited = true;
        else if (f.signo < NSIG)
                service_stop(in, (int)f.signo, f.grace_ms);
}

static void on_poweroff(struct init *in, const struct wire_frame *frame)
{
        (void)frame; /* empty */
        in->poweroff_wanted = true;
}

static void on_exec(struct init *in, const struct wire_frame *frame)
{
        struct fail f;
        if (frame->id == 0 || find_session(in, frame->id))
                return;
        if (config_exec(&in->exec, frame->body, frame->len, &f))
                in->exec.n_args = 0; /* service_exec refuses it */
        service_exec(in, frame->id);
}

static void on_exec_close(struct init *in, const struct wire_frame *frame)
{
        struct session *s = frame->id ? find_session(in, frame->id) : NULL;
        if (s)
                session_kill(s);
}

static void on_resize(struct init *in, const struct wire_frame *frame)
{
        struct fields f = read_fields(frame);
        struct session *s = find_session(in, frame->id);
        if (s && f.rows <= 0xffff && f.cols <= 0xffff)
                session_resize(s, (unsigned)f.rows, (unsigned)f.cols);
}

static void on_stats(struct init *in, const struct wire_frame *frame)
{
        in->tell_stats = true;
        in->stats_id = frame->id;
}

static void on_ping(struct init *in, const struct wire_frame *frame)
{
        in->tell_pong = true;
        in->pong_id = frame->id;
}

static void on_data(struct init *in, const struct wire_frame *frame)
{
        struct session *s = find_session(in, frame->id);
        if (!s || frame->len < WIRE_DATA_HEAD)
                return;
        if (!session_feed(s, frame->body + WIRE_DATA_HEAD, frame->len - WIRE_DATA_HEAD)) {
                init_log(in, "session %u: the host sent more than its window; killed", frame->id);
                if (frame->id)
                        session_kill(s);
        }
}

static void on_eof(struct init *in, const struct wire_frame *frame)
{
        struct session *s = find_session(in, frame->id);
        if (s)
                session_feed_eof(s);
}

static void on_credit(struct init *in, const struct wire_frame *frame)
{
        struct fields f = read_fields(frame);
        struct session *s = frame->id ? find_session(in, frame->id) : NULL;
        if (s && f.stream >= 1 && f.bytes < 1u << 30 && s->credit[f.stream - 1] < 1u << 30)
                s->credit[f.stream - 1] += f.bytes;
}

void host_frame(struct init *in, const struct wire_frame *frame)
{
        static void (*const handlers[])(struct init *, const struct wire_frame *) = {
                [WIRE_CONFIG] = on_config,
                [WIRE_FILE_DATA] = on_file_data,
                [WIRE_CONFIG_END] = on_config_end,
                [WIRE_RUN] = on_run,
                [WIRE_ACK] = on_ack,
                [WIRE_SIGNAL] = on_signal,
                [WIRE_STOP] = on_stop,
                [WIRE_POWEROFF] = on_poweroff,
                [WIRE_EXEC] = on_exec,
                [WIRE_EXEC_CLOSE] = on_exec_close,
                [WIRE_RESIZE] = on_resize,
                [WIRE_STATS] = on_stats,
                [WIRE_PING] = on_ping,
                [WIRE_REHEARSE] = on_rehearse,
                [WIRE_DATA] = on_data,
                [WIRE_EOF] = on_eof,
                [WIRE_CREDIT] = on_credit,
        };
        if (frame->fresh) {
                if (frame->type == WIRE_ATTACH)
                        on_attach(in, frame);
                return;
        }
        if (in->attached && frame->type < sizeof(handlers) / sizeof(handlers[0]) &&
            handlers[frame->type])
                handlers[frame->type](in, frame);
}
