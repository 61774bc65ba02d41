/* SPDX-License-Identifier: Apache-2.0 */
/* An exec session that meets a daemon which is just ending: with the request unread, and read. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/json.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/cli/upgrade.h"
#include "tests/tap.h"

static char dir[] = "/tmp/berth-upgrade.XXXXXX";

static int listening(const char *path)
{
        struct err err = ERR_INIT;
        int fd = -1;

        if (fd_listen_unix(path, &fd, &err) < 0)
                printf("# %s\n", err.msg);
        return fd;
}

/* Take one connection and its request, which is short. */
static int take(int listener)
{
        char request[4096];
        int fd;

        (void)poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, -1);
        fd = accept(listener, NULL, NULL);
        if (fd < 0 || read(fd, request, sizeof(request)) <= 0)
                _exit(1);
        return fd;
}

/*
 * A daemon that goes while a request waits at its door, its successor being there already; the
 * successor answers with 101, or ends as well, the request having been read.
 */
static void serve(const char *path, bool answer)
{
        static const char accepted[] = "HTTP/1.1 101 Switching Protocols\r\n\r\nrest";
        char next[256];
        int old = listening(path), fresh, fd;

        (void)snprintf(next, sizeof(next), "%s/next", dir);
        fresh = listening(next);
        if (fork() > 0) {
                (void)close(old);
                (void)close(fresh);
                return;
        }
        (void)poll(&(struct pollfd){.fd = old, .events = POLLIN}, 1, -1);
        if (rename(next, path) < 0)
                _exit(1);
        (void)close(old);
        fd = take(fresh);
        if (answer && write(fd, accepted, sizeof(accepted) - 1) < 0)
                _exit(1);
        _exit(0);
}

static int ask(bool answer, struct strbuf *rest, struct err *err)
{
        struct cli cli = {.roots = {.run = dir}, .no_start = true};
        AUTO_FREE char *path = roots_run_path(&cli.roots, API_SOCKET_NAME);
        AUTO_JSON json_t *request = json_object();
        AUTO_CLOSE int fd = -1;
        int r;

        serve(path, answer);
        r = upgrade(&cli, "/v1/exec", EXEC_UPGRADE, request, &fd, rest, err);
        (void)wait(NULL);
        (void)unlink(path);
        return r;
}

int main(void)
{
        AUTO_STRBUF struct strbuf rest = STRBUF_INIT(4096);
        struct err err = ERR_INIT;

        ok(mkdtemp(dir) != NULL, "a folder");
        is_int(ask(true, &rest, &err), 0, "what was not read goes to the next daemon");
        is_str(strbuf_str(&rest), "rest", "which answers");
        is_int(ask(false, &rest, &err), -EPIPE, "what was read is not sent again");
        has_str(err.msg, "ended before it answered", "and the error says so");
        (void)rmdir(dir);
        return tap_done();
}
