/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"

int fd_write_all(int fd, const void *data, size_t n, struct err *err)
{
        const char *p = data;

        while (n) {
                ssize_t done = write(fd, p, n);

                if (done < 0 && errno == EINTR)
                        continue;
                if (done < 0 && errno == EAGAIN) {
                        struct pollfd pfd = {.fd = fd, .events = POLLOUT};

                        (void)poll(&pfd, 1, -1); /* an error shows at the next write */
                        continue;
                }
                if (done < 0)
                        return err_errno(err, errno, "write");
                p += done;
                n -= (size_t)done;
        }
        return 0;
}

int fd_set_nonblock(int fd, struct err *err)
{
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return err_errno(err, errno, "set non-blocking");
        return 0;
}

static int unix_address(const char *path, struct sockaddr_un *ret, struct err *err)
{
        size_t n = strlen(path);

        if (n >= sizeof(ret->sun_path))
                return err_set(err, ENAMETOOLONG,
                               "%s: a socket path has at most %zu bytes; choose a shorter --root",
                               path, sizeof(ret->sun_path) - 1);
        memset(ret, 0, sizeof(*ret));
        ret->sun_family = AF_UNIX;
        memcpy(ret->sun_path, path, n + 1);
        return 0;
}

int fd_listen_unix(const char *path, int *ret_fd, struct err *err)
{
        AUTO_CLOSE int fd = -1;
        struct sockaddr_un sun;
        mode_t mask;
        int r;

        r = unix_address(path, &sun, err);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return err_errno(err, errno, "%s: socket", path);
        if (unlink(path) < 0 && errno != ENOENT)
                return err_errno(err, errno, "%s: remove old socket", path);
        mask = umask(0177);
        r = bind(fd, (const struct sockaddr *)&sun, sizeof(sun));
        (void)umask(mask); /* cannot fail */
        if (r < 0)
                return err_errno(err, errno, "%s: bind", path);
        if (listen(fd, SOMAXCONN) < 0)
                return err_errno(err, errno, "%s: listen", path);
        *ret_fd = steal_fd(&fd);
        return 0;
}

int fd_connect_unix(const char *path, int *ret_fd, struct err *err)
{
        AUTO_CLOSE int fd = -1;
        struct sockaddr_un sun;
        int r;

        r = unix_address(path, &sun, err);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return err_errno(err, errno, "%s: socket", path);
        if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0)
                return err_errno(err, errno, "%s: connect", path);
        *ret_fd = steal_fd(&fd);
        return 0;
}

int fd_send(int sock, const void *data, size_t n, const int *fds, size_t fd_count, struct err *err)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
        } control;
        struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = n};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t done;

        assert(n > 0 && fd_count <= FD_PASS_MAX);
        if (fd_count) {
                struct cmsghdr *c;

                memset(&control, 0, sizeof(control));
                msg.msg_control = control.bytes;
                msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
                c = CMSG_FIRSTHDR(&msg);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
                memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
        }
        do {
                done = sendmsg(sock, &msg, MSG_NOSIGNAL);
        } while (done < 0 && errno == EINTR);
        if (done < 0)
                return err_errno(err, errno, "send message");
        if ((size_t)done < n)
                return fd_write_all(sock, (const char *)data + done, n - (size_t)done, err);
        return 0;
}

static void collect_fds(struct msghdr *msg, int *ret_fds)
{
        size_t used = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
                size_t count;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < count; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (used < FD_PASS_MAX)
                                ret_fds[used++] = fd;
                        else
                                (void)close(fd); /* more than the protocol allows */
                }
        }
}

ssize_t fd_recv(int sock, void *data, size_t n, int *ret_fds, struct err *err)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
        } control;
        struct iovec iov = {.iov_base = data, .iov_len = n};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
        ssize_t got;

        for (size_t i = 0; i < FD_PASS_MAX; i++)
                ret_fds[i] = -1;
        do {
                got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
        } while (got < 0 && errno == EINTR);
        if (got < 0 && errno == EAGAIN)
                return -EAGAIN;
        if (got < 0)
                return err_errno(err, errno, "receive message");
        collect_fds(&msg, ret_fds);
        return got;
}

int fd_pidfd_open(pid_t pid, int *ret_fd, struct err *err)
{
        long fd = syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by definition */

        if (fd < 0)
                return err_errno(err, errno, "pidfd of process %d", (int)pid);
        *ret_fd = (int)fd;
        return 0;
}

int fd_pidfd_signal(int pidfd, int signo, struct err *err)
{
        if (syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0)
                return err_errno(err, errno, "send signal %d", signo);
        return 0;
}

int fd_proc_start_time(pid_t pid, uint64_t *ret_ticks, struct err *err)
{
        AUTO_FILE FILE *f = NULL;
        char path[64], text[1024];
        const char *p;
        char *end;
        size_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid); /* fits */
        f = fopen(path, "re");
        if (!f)
                return err_errno(err, errno == ENOENT ? ESRCH : errno, "process %d", (int)pid);
        n = fread(text, 1, sizeof(text) - 1, f);
        text[n] = '\0';
        p = strrchr(text, ')'); /* the name may hold anything; the fields follow its last ')' */
        for (int field = 2; p && field < 22; field++)
                p = strchr(p + 1, ' ');
        if (!p)
                return err_set(err, ESRCH, "process %d: unreadable stat", (int)pid);
        *ret_ticks = strtoull(p + 1, &end, 10);
        return end == p + 1 ? err_set(err, ESRCH, "process %d: unreadable stat", (int)pid) : 0;
}
