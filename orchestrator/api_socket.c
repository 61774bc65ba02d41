/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/api_socket.h"

#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

#define WATCH_MASK (IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

struct api_socket {
        struct ev_loop *loop;
        char *path;
        ino_t inode; /* of the file that we made */
        struct server *server;
        ev_io watcher; /* inotify of the folder; fd -1: it cannot be watched */
};

static bool is_there(const struct api_socket *s)
{
        struct stat st;

        return lstat(s->path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == s->inode;
}

static int make_file(struct api_socket *s, int *ret_fd, struct err *err)
{
        struct stat st;
        int r = fd_listen_unix(s->path, ret_fd, err);

        if (r < 0)
                return r;
        s->inode = lstat(s->path, &st) == 0 ? st.st_ino : 0; /* 0: gone again, which is told */
        return 0;
}

static void drain(int fd)
{
        char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

        while (read(fd, buffer, sizeof(buffer)) > 0)
                ; /* whatever it was: the file is looked at */
}

static void on_folder_change(struct ev_loop *loop, ev_io *w, int revents)
{
        struct api_socket *s = container_of(w, struct api_socket, watcher);
        struct err err = ERR_INIT;
        int fd;

        (void)loop;
        (void)revents;
        drain(w->fd);
        if (is_there(s))
                return;
        if (make_file(s, &fd, &err) < 0) {
                log_error("daemon", "", "the API's socket was removed and cannot be made again: %s",
                          err.msg);
                return;
        }
        log_warn("daemon", "", "somebody removed %s: made again", s->path);
        server_listen(s->server, fd);
}

/* Without a watch the socket serves as well, as long as nobody removes it. */
static void watch_folder(struct api_socket *s)
{
        AUTO_FREE char *copy = xstrdup(s->path);
        AUTO_CLOSE int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

        if (fd < 0 || inotify_add_watch(fd, dirname(copy), WATCH_MASK) < 0) {
                log_warn("daemon", "", "inotify on the folder of %s: %s", s->path, strerror(errno));
                return;
        }
        ev_io_init(&s->watcher, on_folder_change, steal_fd(&fd), EV_READ);
        ev_io_start(s->loop, &s->watcher);
}

int api_socket_open(struct ev_loop *loop, const char *path, const struct route *routes,
                    size_t routes_len, void *ctx, struct api_socket **ret, struct err *err)
{
        AUTO(api_socket) struct api_socket *s = xnew(struct api_socket);
        int fd, r;

        s->loop = loop;
        s->path = xstrdup(path);
        s->watcher.fd = -1;
        r = make_file(s, &fd, err);
        if (r < 0)
                return r;
        r = server_new(loop, fd, routes, routes_len, ctx, &s->server, err);
        if (r < 0)
                return r;
        watch_folder(s);
        *ret = STEAL(s);
        return 0;
}

struct server *api_socket_server(const struct api_socket *s)
{
        return s->server;
}

void api_socket_free(struct api_socket *s)
{
        if (!s)
                return;
        if (s->watcher.fd >= 0) {
                ev_io_stop(s->loop, &s->watcher);
                (void)close(s->watcher.fd); /* watches have nothing to flush */
        }
        if (is_there(s))
                (void)unlink(s->path); /* a stale one would only be replaced */
        server_free(s->server);
        free(s->path);
        free(s);
}
