/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/session.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "vminit/reaper.h"
#include "vminit/rootfs.h"
#include "vminit/sys.h"

static void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static void close_in(struct session *s)
{
        if (s->in == s->out[0])
                s->in = -1; /* the terminal stays open for its output */
        else
                close_fd(&s->in);
        s->in_len = 0;
}

static void close_out(struct session *s, int stream)
{
        if (s->out[stream] == s->in)
                s->in = -1;
        close_fd(&s->out[stream]);
}

static void reset(struct session *s, uint32_t id)
{
        assert(s->state == SESSION_FREE);
        memset(s, 0, offsetof(struct session, in_buf));
        s->id = id;
        s->report = s->in = s->out[0] = s->out[1] = -1;
        s->credit[0] = s->credit[1] = WIRE_EXEC_WINDOW;
}

void session_resize(struct session *s, unsigned rows, unsigned cols)
{
        struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};
        if (s->tty && s->out[0] >= 0)
                (void)ioctl(s->out[0], TIOCSWINSZ, &size); /* the terminal may just have gone */
}

static int open_terminal(struct session *s, int stdio[3], unsigned rows, unsigned cols)
{
        int unlock = 0;
        /* In the service's own devpts, so that the program finds its terminal under the name it is
         * told. */
        int master = open(ROOTFS_ROOT "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (master < 0)
                return -errno;
        s->tty = true;
        s->in = s->out[0] = master;
        if (ioctl(master, TIOCSPTLCK, &unlock))
                return -errno;
        session_resize(s, rows ? rows : 24, cols ? cols : 80);
        for (int i = 0; i < 3; i++) {
                stdio[i] = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
                if (stdio[i] < 0)
                        return -errno;
        }
        return 0;
}

static int open_pipes(struct session *s, int stdio[3], bool with_stdin)
{
        int fds[2];
        if (!with_stdin) {
                stdio[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        } else if (pipe2(fds, O_CLOEXEC) == 0) {
                stdio[0] = fds[0];
                s->in = fds[1];
                (void)fcntl(s->in, F_SETFL, O_NONBLOCK); /* our end only; cannot fail on our pipe */
        }
        if (stdio[0] < 0)
                return -errno;
        for (int i = 0; i < 2; i++) {
                if (pipe2(fds, O_CLOEXEC))
                        return -errno;
                s->out[i] = fds[0];
                stdio[i + 1] = fds[1];
                (void)fcntl(s->out[i], F_SETFL, O_NONBLOCK);
        }
        return 0;
}

int session_start(struct session *s, uint32_t id, struct launch *l, bool with_stdin, unsigned rows,
                  unsigned cols)
{
        reset(s, id);
        l->stdio[0] = l->stdio[1] = l->stdio[2] = -1;
        int rc = l->tty ? open_terminal(s, l->stdio, rows, cols)
                        : open_pipes(s, l->stdio, with_stdin);
        if (rc)
                rc = fail_set(&s->fail, -rc, "open standard streams");
        else
                rc = launch_start(l, &s->pid, &s->report, &s->fail);
        for (int i = 0; i < 3; i++)
                close_fd(&l->stdio[i]);
        s->state = rc ? SESSION_ENDED : SESSION_STARTING;
        s->failed = rc != 0;
        s->kept = launch_is_kept(l);
        s->owed = s->in >= 0 ? WIRE_STDIN_WINDOW : 0;
        s->in_ready = s->out_ready[0] = s->out_ready[1] = true;
        if (rc) {
                close_out(s, 0);
                close_out(s, 1);
                close_in(s);
        }
        return rc;
}

void session_refuse(struct session *s, uint32_t id, const struct fail *f)
{
        reset(s, id);
        s->state = SESSION_ENDED;
        s->failed = true;
        s->fail = *f;
}

bool session_check_report(struct session *s)
{
        if (s->state != SESSION_STARTING || s->failed)
                return false;
        int rc = launch_report(s->report, &s->fail);
        if (rc == 0)
                return false;
        close_fd(&s->report);
        s->failed = rc < 0; /* it ends by itself in a moment */
        if (s->failed)
                return false;
        s->state = SESSION_RUNNING;
        s->tell_start = true;
        return true;
}

bool session_reaped(struct session *s, int status)
{
        bool ran = session_check_report(s) || s->state == SESSION_RUNNING;
        close_fd(&s->report);
        s->state = SESSION_ENDED;
        s->status = status;
        s->pid = 0;
        close_in(s);
        s->owed = 0;
        s->out_ready[0] = s->out_ready[1] = true; /* one last look */
        return ran;
}

bool session_feed(struct session *s, const uint8_t *bytes, size_t len)
{
        if (s->in < 0 || s->in_eof)
                return true; /* a closed pipe takes everything */
        if (len > sizeof(s->in_buf) - s->in_len)
                return false;
        for (size_t i = 0; i < len;) {
                size_t at = (s->in_start + s->in_len) % sizeof(s->in_buf);
                size_t n = sizeof(s->in_buf) - at < len - i ? sizeof(s->in_buf) - at : len - i;
                memcpy(s->in_buf + at, bytes + i, n);
                s->in_len += (uint32_t)n;
                i += n;
        }
        return true;
}

void session_feed_eof(struct session *s)
{
        static const uint8_t end_of_file[] = {4};
        if (s->tty && !s->in_eof)
                (void)session_feed(s, end_of_file,
                                   1); /* a full buffer loses it; the host sees no progress then */
        else
                s->in_eof = true;
}

void session_push(struct session *s)
{
        while (s->in >= 0 && s->in_ready && s->in_len > 0) {
                size_t n = sizeof(s->in_buf) - s->in_start < s->in_len
                                   ? sizeof(s->in_buf) - s->in_start
                                   : s->in_len;
                ssize_t done = write(s->in, s->in_buf + s->in_start, n);
                if (done > 0) {
                        s->in_start = (s->in_start + (uint32_t)done) % sizeof(s->in_buf);
                        s->in_len -= (uint32_t)done;
                        s->owed += (uint32_t)done;
                } else if (done < 0 && errno == EAGAIN) {
                        s->in_ready = false;
                } else if (done == 0 || errno != EINTR) {
                        close_in(s); /* EPIPE: nobody reads any more */
                }
        }
        if (s->in >= 0 && s->in_eof && s->in_len == 0)
                close_in(s);
}

size_t session_pull(struct session *s, int stream, void *buf, size_t size)
{
        while (s->out[stream] >= 0 && s->out_ready[stream] && size > 0) {
                ssize_t n = read(s->out[stream], buf, size);
                if (n > 0)
                        return (size_t)n;
                if (n < 0 && errno == EINTR)
                        continue;
                s->out_ready[stream] = false;
                if (n < 0 && errno == EAGAIN && s->state != SESSION_ENDED)
                        return 0;
                close_out(s, stream); /* end of file, a pty's EIO, or the last look after the end */
        }
        return 0;
}

bool session_drained(const struct session *s)
{
        return s->state == SESSION_ENDED && s->out[0] < 0 && s->out[1] < 0;
}

void session_signal(struct session *s, int signo)
{
        const union sigval order = {.sival_int = signo};
        /* It is our child and not reaped: the pid is right. */
        if (s->kept)
                (void)sigqueue(s->pid, REAPER_ORDER, order);
        else
                (void)kill(s->pid, signo);
}

void session_kill(struct session *s)
{
        if (s->pid > 0 && s->kept) {
                session_signal(s, 0);
        } else if (s->pid > 0) {
                (void)kill(-s->pid,
                           SIGKILL); /* it may just have ended: then there is nothing to kill */
                (void)kill(s->pid, SIGKILL); /* and before its setsid it leads no group */
        }
        close_in(s);
        close_out(s, 0);
        close_out(s, 1);
}

void session_free(struct session *s)
{
        assert(s->state == SESSION_ENDED);
        close_in(s);
        close_out(s, 0);
        close_out(s, 1);
        close_fd(&s->report);
        s->state = SESSION_FREE;
}
