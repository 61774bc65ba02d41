/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/mem.h"
#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/interrupt.h"
#include "orchestrator/cli/upgrade.h"

/* Bytes that are read at once. */
#define CHUNK EXEC_FRAME_MAX
/* A pipe that poll() calls writable takes this much without blocking (PIPE_BUF). */
#define WRITE_AT_ONCE 4096
/* Room for a frame under way from the socket, and for what else came with it. */
#define IN_MAX (4 * (EXEC_FRAME_MAX + 4))
/* Room towards the socket: one frame of input, and signals and sizes besides. */
#define OUT_MAX (2 * (EXEC_FRAME_MAX + 4))
/* So many interrupts that the guest did not end for end the session from here. */
#define INTERRUPTS_MAX 3

enum { SLOT_STDIN, SLOT_SOCKET, SLOT_STDOUT, SLOT_STDERR, SLOT_SIGNALS, SLOTS };

struct run {
        const struct session *session;
        int fd, signals;
        struct strbuf in, out;   /* from and to the socket */
        struct strbuf to_std[2]; /* to standard output and error */
        bool input_open;
        bool std_gone[2]; /* its reader ended: the rest is dropped */
        bool server_ended;
        int exit_code; /* -1: not known yet */
        unsigned interrupts;
        bool raw;
        struct termios cooked;
};

static void raw_enter(struct run *run)
{
        struct termios raw;

        if (!run->session->tty || !run->session->input || tcgetattr(STDIN_FILENO, &run->cooked) < 0)
                return;
        raw = run->cooked;
        cfmakeraw(&raw);
        run->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void raw_leave(struct run *run)
{
        if (run->raw)
                (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &run->cooked); /* nothing else to try */
        run->raw = false;
}

static void send_size(struct run *run)
{
        struct winsize size;
        unsigned char body[4];

        if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
                return;
        body[0] = (unsigned char)(size.ws_row >> 8);
        body[1] = (unsigned char)size.ws_row;
        body[2] = (unsigned char)(size.ws_col >> 8);
        body[3] = (unsigned char)size.ws_col;
        frame_add(&run->out, EXEC_RESIZE, body, sizeof(body));
}

/* 0: go on; >0: leave with that code. */
static int on_signal(struct run *run)
{
        int signo = interrupt_read(run->signals, NULL);
        unsigned char body = (unsigned char)signo;

        if (signo == SIGWINCH && run->session->tty)
                send_size(run);
        if (signo == 0 || signo == SIGWINCH)
                return 0;
        if (++run->interrupts >= INTERRUPTS_MAX || (run->session->tty && signo != SIGINT))
                return 128 + signo; /* a terminal that went away takes the session with it */
        frame_add(&run->out, EXEC_SIGNAL, &body, 1);
        return 0;
}

static void on_input(struct run *run)
{
        char chunk[CHUNK];
        ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n <= 0)
                run->input_open = false; /* an empty frame says so to the guest */
        frame_add(&run->out, EXEC_STDIN, chunk, n > 0 ? (size_t)n : 0);
}

static int on_socket_readable(struct run *run, struct err *err)
{
        char chunk[CHUNK];
        ssize_t n = recv(run->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return 0;
        if (n < 0 && errno != ECONNRESET)
                return err_errno(err, errno, "read from berthd");
        if (n <= 0)
                run->server_ended = true;
        else
                strbuf_add(&run->in, chunk, (size_t)n);
        return 0;
}

static int on_socket_writable(struct run *run, struct err *err)
{
        ssize_t n = send(run->fd, strbuf_str(&run->out), run->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n >= 0)
                strbuf_consume(&run->out, (size_t)n);
        else if (errno == EPIPE || errno == ECONNRESET)
                strbuf_reset(&run->out); /* the exit code may still be on its way to us */
        else if (errno != EINTR && errno != EAGAIN)
                return err_errno(err, errno, "write to berthd");
        return 0;
}

static void on_std_writable(struct run *run, int which)
{
        struct strbuf *buffer = &run->to_std[which];
        size_t want = buffer->len < WRITE_AT_ONCE ? buffer->len : WRITE_AT_ONCE;
        ssize_t n = write(which + 1, strbuf_str(buffer), want);

        if (n >= 0) {
                strbuf_consume(buffer, (size_t)n);
        } else if (errno != EINTR && errno != EAGAIN) {
                run->std_gone[which] = true;
                strbuf_reset(buffer);
        }
}

static void take_fail(struct run *run, const struct frame *frame)
{
        run->exit_code = frame->len ? frame->body[0] : 125;
        raw_leave(run);
        if (frame->len > 1)
                (void)cli_error(run->exit_code, "%.*s", (int)frame->len - 1,
                                (const char *)frame->body + 1); /* the code is known */
}

static int take_frame(struct run *run, const struct frame *frame, struct err *err)
{
        int which = frame->type == EXEC_STDERR;

        switch (frame->type) {
        case EXEC_STDOUT:
        case EXEC_STDERR:
                if (!run->std_gone[which])
                        strbuf_add(&run->to_std[which], frame->body, frame->len);
                return 0;
        case EXEC_EXIT:
                run->exit_code = frame->len ? frame->body[0] : 125;
                return 0;
        case EXEC_FAIL:
                take_fail(run, frame);
                return 0;
        case EXEC_STDIN:
        case EXEC_RESIZE:
        case EXEC_SIGNAL:
                break;
        }
        return err_set(err, EBADMSG, "berthd sent a frame that only a client may send");
}

static bool std_pending(const struct run *run)
{
        return run->to_std[0].len || run->to_std[1].len;
}

/* Take frames until one must be written out first. */
static int take_frames(struct run *run, struct err *err)
{
        size_t used = 0;
        int r = 0;

        while (r == 0 && !std_pending(run) && run->exit_code < 0) {
                struct frame frame;
                ssize_t n =
                        frame_parse(strbuf_str(&run->in) + used, run->in.len - used, &frame, err);

                if (n <= 0) {
                        r = (int)n;
                        break;
                }
                r = take_frame(run, &frame, err);
                used += (size_t)n;
        }
        strbuf_consume(&run->in, used);
        return r;
}

static void fill_slots(const struct run *run, struct pollfd *slots)
{
        bool pending = std_pending(run);
        bool room = run->out.len == 0;

        for (int i = 0; i < SLOTS; i++)
                slots[i] = (struct pollfd){.fd = -1};
        if (run->input_open && room)
                slots[SLOT_STDIN] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        if (!pending || !room)
                slots[SLOT_SOCKET] = (struct pollfd){
                        .fd = run->fd,
                        .events = (short)((pending ? 0 : POLLIN) | (room ? 0 : POLLOUT))};
        for (int i = 0; i < 2; i++)
                if (run->to_std[i].len)
                        slots[SLOT_STDOUT + i] = (struct pollfd){.fd = i + 1, .events = POLLOUT};
        slots[SLOT_SIGNALS] = (struct pollfd){.fd = run->signals, .events = POLLIN};
}

/* One turn. 0: go on; >0: leave with that code. */
static int turn(struct run *run, struct err *err)
{
        struct pollfd slots[SLOTS];
        int r = 0;

        fill_slots(run, slots);
        if (poll(slots, SLOTS, -1) < 0)
                return errno == EINTR ? 0 : err_errno(err, errno, "poll");
        if (slots[SLOT_STDIN].revents)
                on_input(run);
        if (slots[SLOT_SOCKET].revents & POLLOUT)
                r = on_socket_writable(run, err);
        if (r == 0 && slots[SLOT_SOCKET].revents & (POLLIN | POLLHUP | POLLERR) &&
            !std_pending(run))
                r = on_socket_readable(run, err);
        for (int i = 0; i < 2; i++)
                if (slots[SLOT_STDOUT + i].revents)
                        on_std_writable(run, i);
        if (r == 0 && slots[SLOT_SIGNALS].revents)
                r = on_signal(run);
        return r;
}

static int loop(struct run *run, struct err *err)
{
        for (;;) {
                int r = take_frames(run, err);

                if (r < 0)
                        return r;
                if (run->exit_code >= 0 && !std_pending(run))
                        return run->exit_code;
                if (run->server_ended && !std_pending(run) && run->in.len == 0)
                        return err_set(
                                err, EPIPE,
                                "the connection to the service was lost; see 'berth events'");
                if (run->server_ended && !std_pending(run))
                        return err_set(err, EPIPE, "berthd ended in the middle of a message");
                r = turn(run, err);
                if (r != 0)
                        return r;
        }
}

int session_run(const struct session *session, struct err *err)
{
        static const int signals[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGWINCH,
                                      SIGPIPE, SIGUSR1, SIGUSR2, 0};
        struct run run = {
                .session = session,
                .fd = -1,
                .signals = -1,
                .in = STRBUF_INIT(IN_MAX),
                .out = STRBUF_INIT(OUT_MAX),
                .to_std = {STRBUF_INIT(IN_MAX), STRBUF_INIT(IN_MAX)},
                .input_open = session->input,
                .exit_code = -1,
        };
        int r = upgrade(session->cli, session->path, EXEC_UPGRADE, session->request, &run.fd,
                        &run.in, err);

        if (r == 0) {
                run.signals = interrupt_open_for(signals);
                raw_enter(&run);
                r = loop(&run, err);
                raw_leave(&run);
        }
        if (run.fd >= 0)
                (void)close(run.fd); /* nothing was promised about what is unread */
        if (run.signals >= 0)
                (void)close(run.signals); /* a signalfd holds nothing */
        strbuf_release(&run.in);
        strbuf_release(&run.out);
        strbuf_release(&run.to_std[0]);
        strbuf_release(&run.to_std[1]);
        return r;
}
