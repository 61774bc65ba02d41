/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/wait.h>

#include "vminit/cgroup.h"
#include "vminit/init.h"
#include "vminit/sys.h"

#define SMALL 512u  /* any frame but HELLO and raw ones; texts are FAIL_TEXT_MAX */
#define LARGE 2048u /* HELLO with all phases and a text */

static void put_status(struct wire_writer *w, int status)
{
        if (WIFSIGNALED(status)) {
                wire_put_u64(w, WIRE_T_SIGNO, (uint64_t)WTERMSIG(status));
                wire_put_u64(w, WIRE_T_CORE, WCOREDUMP(status) != 0);
        } else {
                wire_put_u64(w, WIRE_T_CODE, (uint64_t)WEXITSTATUS(status));
        }
}

static void put_fail(struct wire_writer *w, const struct fail *f)
{
        wire_put_u64(w, WIRE_T_ERRNO, (uint64_t)f->code);
        wire_put_u64(w, WIRE_T_CODE, (uint64_t)f->status);
        wire_put_str(w, WIRE_T_TEXT, f->text);
}

static void put_end(struct wire_writer *w, const struct init *in)
{
        const struct session *s = &in->sessions[0];
        if (in->state == WIRE_S_BROKEN) {
                put_fail(w, &in->fail);
        } else if (in->state == WIRE_S_START_FAILED) {
                put_fail(w, &s->fail);
        } else if (in->state == WIRE_S_EXITED) {
                put_status(w, s->status);
                wire_put_u64(w, WIRE_T_OOM, in->oom);
        }
}

static bool talk_hello(struct init *in)
{
        struct wire_writer *w = port_writer(&in->port, LARGE);
        if (!w)
                return false;
        (void)wire_send_magic(w, in->nonce); /* there is room */
        wire_begin(w, WIRE_HELLO, 0);
        wire_put_u64(w, WIRE_T_VERSION, WIRE_VERSION);
        wire_put_str(w, WIRE_T_BOOT_ID, in->boot_id);
        wire_put_u64(w, WIRE_T_STATE, in->state);
        wire_put_u64(w, WIRE_T_RUN, in->run);
        if (in->sessions[0].pid > 0)
                wire_put_u64(w, WIRE_T_PID, (uint64_t)in->sessions[0].pid);
        put_end(w, in);
        for (size_t i = 0; i < in->n_phases; i++) {
                size_t mark = wire_nest(w, WIRE_T_PHASE);
                wire_put_str(w, WIRE_T_NAME, in->phases[i].name);
                wire_put_u64(w, WIRE_T_NS, in->phases[i].ns);
                wire_nest_end(w, mark);
        }
        (void)wire_end(w);
        /* All of that is in it. */
        in->tell_hello = in->tell_configured = in->tell_started = in->tell_exited = false;
        in->phases_told = in->n_phases;
        return true;
}

static void put_phase(struct init *in, struct wire_writer *w)
{
        const struct init_phase *phase = &in->phases[in->phases_told++];
        wire_begin(w, WIRE_PHASE, 0);
        wire_put_str(w, WIRE_T_NAME, phase->name);
        wire_put_u64(w, WIRE_T_NS, phase->ns);
        (void)wire_end(w);
}

static void put_configured(struct init *in, struct wire_writer *w)
{
        in->tell_configured = false;
        wire_begin(w, in->state == WIRE_S_BROKEN ? WIRE_CONFIG_FAILED : WIRE_CONFIGURED, 0);
        if (in->state == WIRE_S_BROKEN)
                put_fail(w, &in->fail);
        wire_put_str(w, WIRE_T_BOOT_ID, in->boot_id);
        (void)wire_end(w);
}

static void put_started(struct init *in, struct wire_writer *w)
{
        in->tell_started = false;
        wire_begin(w, WIRE_STARTED, 0);
        wire_put_u64(w, WIRE_T_RUN, in->run);
        wire_put_u64(w, WIRE_T_PID, (uint64_t)in->sessions[0].pid);
        (void)wire_end(w);
}

static void put_exited(struct init *in, struct wire_writer *w)
{
        in->tell_exited = false;
        wire_begin(w, in->state == WIRE_S_START_FAILED ? WIRE_START_FAILED : WIRE_EXITED, 0);
        wire_put_u64(w, WIRE_T_RUN, in->run);
        put_end(w, in);
        (void)wire_end(w);
}

static void put_log(struct init *in, struct wire_writer *w)
{
        wire_begin(w, WIRE_LOG, 0);
        wire_put_str(w, WIRE_T_TEXT, in->logs[0]);
        (void)wire_end(w);
        memmove(in->logs[0], in->logs[1], --in->n_logs * sizeof(in->logs[0]));
}

static void put_oom(struct init *in, struct wire_writer *w)
{
        in->tell_oom = false;
        wire_begin(w, WIRE_OOM, 0);
        wire_put_u64(w, WIRE_T_COUNT, in->oom_count);
        (void)wire_end(w);
}

static void put_pong(struct init *in, struct wire_writer *w)
{
        in->tell_pong = false;
        wire_begin(w, WIRE_PONG, in->pong_id);
        wire_put_u64(w, WIRE_T_NS, sys_now_ns());
        (void)wire_end(w);
}

static void put_stats(struct init *in, struct wire_writer *w)
{
        in->tell_stats = false;
        wire_begin(w, WIRE_STATS_REPLY, in->stats_id);
        cgroup_put_stats(w);
        (void)wire_end(w);
}

static void put_rehearsed(struct init *in, struct wire_writer *w)
{
        in->tell_rehearsed = false;
        wire_begin(w, WIRE_REHEARSED, 0);
        if (in->rehearsal_fail.code)
                put_fail(w, &in->rehearsal_fail);
        (void)wire_end(w);
}

/* One small frame that is due, most urgent first. The service's end waits for the output that came
 * before it. */
static bool talk_small(struct init *in)
{
        bool all_sent = in->out[0].sent == in->out[0].head && in->out[1].sent == in->out[1].head;

        const struct {
                bool due;
                void (*put)(struct init *in, struct wire_writer *w);
        } messages[] = {
                {in->phases_told < in->n_phases, put_phase},
                {in->tell_configured, put_configured},
                {in->tell_started, put_started},
                {in->tell_oom, put_oom},
                {in->tell_exited && all_sent, put_exited},
                {in->n_logs > 0, put_log},
                {in->tell_pong, put_pong},
                {in->tell_stats, put_stats},
                {in->tell_rehearsed, put_rehearsed},
        };

        for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
                if (!messages[i].due)
                        continue;
                struct wire_writer *w = port_writer(&in->port, SMALL);
                if (!w)
                        return false;
                messages[i].put(in, w);
                return true;
        }
        return false;
}

/* Output of the service: pipe to ring (also without a host), ring to port. */
static bool collect(struct init *in, int stream)
{
        struct session *s = &in->sessions[0];
        size_t room, n;
        bool moved = false;
        if (s->state == SESSION_FREE || in->out_closed[stream])
                return false;
        do {
                uint8_t *to = ring_space(&in->out[stream], &room);
                n = session_pull(s, stream, to, room);
                ring_fill(&in->out[stream], n);
                moved = moved || n > 0;
        } while (n > 0);
        if (s->out[stream] < 0) {
                in->out_closed[stream] = in->tell_end[stream] = true;
                moved = true;
        }
        return moved;
}

static bool talk_output(struct init *in, int stream)
{
        struct ring *ring = &in->out[stream];
        uint8_t number = (uint8_t)(stream + 1);
        size_t len;
        const uint8_t *bytes = ring_unsent(ring, &len);
        len = len < WIRE_CHUNK ? len : WIRE_CHUNK;
        struct wire_writer *w =
                len || in->tell_end[stream] ? port_writer(&in->port, len + SMALL) : NULL;
        if (!w)
                return false;
        if (len == 0) {
                in->tell_end[stream] = false;
                return wire_send_stream(w, WIRE_OUTPUT_END, 0, number, WIRE_T_OFFSET, ring->head);
        }
        (void)wire_send_output(w, number, ring->sent, bytes, len); /* there is room */
        ring_advance(ring, len);
        return true;
}

static bool talk_credit(struct init *in, struct session *s)
{
        /* Small windows are joined, unless the sender may be waiting for this one. */
        if (s->state != SESSION_RUNNING ||
            (s->owed < WIRE_STDIN_WINDOW / 4 && !(s->owed && s->in_len == 0)))
                return false;
        struct wire_writer *w = port_writer(&in->port, SMALL);
        if (!w)
                return false;
        (void)wire_send_stream(w, WIRE_CREDIT, s->id, 0, WIRE_T_BYTES, s->owed);
        s->owed = 0;
        return true;
}

static bool talk_exec_output(struct init *in, struct session *s, int stream)
{
        static uint8_t chunk[WIRE_CHUNK];
        size_t max = s->credit[stream] < sizeof(chunk) ? (size_t)s->credit[stream] : sizeof(chunk);
        if (s->out[stream] < 0 || !s->out_ready[stream] || max == 0)
                return false;
        struct wire_writer *w = port_writer(&in->port, sizeof(chunk) + SMALL);
        if (!w)
                return false;
        size_t n = session_pull(s, stream, chunk, max);
        if (n == 0)
                return s->out[stream] < 0;
        s->credit[stream] -= n;
        return wire_send_data(w, s->id, (uint8_t)(stream + 1), chunk, n);
}

static bool talk_exec_state(struct init *in, struct session *s)
{
        if (!s->tell_start && !session_drained(s))
                return false;
        struct wire_writer *w = port_writer(&in->port, SMALL);
        if (!w)
                return false;
        if (s->tell_start) {
                s->tell_start = false;
                wire_begin(w, WIRE_EXEC_STARTED, s->id);
                wire_put_u64(w, WIRE_T_PID, (uint64_t)s->pid);
                return wire_end(w);
        }
        wire_begin(w, WIRE_EXEC_EXITED, s->id);
        if (s->failed)
                put_fail(w, &s->fail);
        else
                put_status(w, s->status);
        (void)wire_end(w);
        session_free(s);
        return true;
}

static bool talk_exec(struct init *in, struct session *s)
{
        if (s->state == SESSION_FREE)
                return false;
        if (s->orphan || !in->attached) {
                if (s->orphan && session_drained(s))
                        session_free(s);
                return false;
        }
        bool moved = s->tell_start && talk_exec_state(in, s);
        moved = talk_credit(in, s) || moved;
        moved = talk_exec_output(in, s, 0) || moved;
        moved = talk_exec_output(in, s, 1) || moved;
        return (!s->tell_start && talk_exec_state(in, s)) || moved;
}

bool talk(struct init *in)
{
        bool moved = collect(in, 0);
        moved = collect(in, 1) || moved;
        if (!in->attached)
                return moved;
        if (in->tell_hello && !talk_hello(in))
                return moved;
        while (talk_small(in))
                moved = true;
        moved = talk_output(in, 0) || moved;
        moved = talk_output(in, 1) || moved;
        moved = talk_credit(in, &in->sessions[0]) || moved;
        for (size_t i = 1; i < INIT_SESSIONS; i++)
                moved = talk_exec(in, &in->sessions[i]) || moved;
        return moved;
}
