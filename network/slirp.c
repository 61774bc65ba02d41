/* SPDX-License-Identifier: Apache-2.0 */
#include "network/slirp.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "network/helper.h"
#include "network/netns.h"

/* The keeper answers once the program is executed: milliseconds. Past this it is broken. */
#define KEEPER_TIMEOUT_S 5

/* Numbers of its descriptors within slirp4netns. */
#define CHILD_READY 3
#define CHILD_LIFE  4

struct slirp_reply {
        int code;       /* errno; 0: SLIRP_FDS descriptors come along */
        char text[512]; /* of struct err */
};

/* In this order: pidfd, ready, life, words. */
#define SLIRP_FDS 4

struct slirp_keeper {
        int sock; /* SOCK_SEQPACKET to the keeper */
};

/* Both ends of what slirp4netns is given. */
struct pipes {
        int ready[2], life[2], words[2];
};

static void pipes_close(struct pipes *p)
{
        int *fds[] = {p->ready, p->life, p->words};

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                for (int end = 0; end < 2; end++)
                        if (fds[i][end] >= 0)
                                (void)close(fds[i][end]); /* pipes have nothing to flush */
}

static int pipes_open(struct pipes *p, struct err *err)
{
        *p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
        if (pipe2(p->ready, O_CLOEXEC) < 0 || pipe2(p->life, O_CLOEXEC) < 0 ||
            pipe2(p->words, O_CLOEXEC) < 0)
                return err_errno(err, errno, "pipe");
        return 0;
}

static int spawn_slirp(const struct pipes *p, pid_t netd, int *ret_pidfd, struct err *err)
{
        char user[64], net[64], ready[32], life[32];
        const char *argv[] = {"slirp4netns",
                              "--configure",
                              "--mtu=65520",
                              "--cidr=" SLIRP_CIDR,
                              "--disable-host-loopback",
                              "--disable-dns",
                              "--enable-sandbox",
                              "--enable-seccomp",
                              "--netns-type=path",
                              user,
                              ready,
                              life,
                              net,
                              SLIRP_TAP,
                              NULL};
        const struct spawn_fd fds[] = {
                {p->ready[1], CHILD_READY}, {p->life[0], CHILD_LIFE}, {p->words[1], 2}};
        const struct spawn spec = {
                .argv = argv, .fds = fds, .fd_count = ARRAY_SIZE(fds), .die_with_us = true};
        pid_t pid;

        (void)snprintf(user, sizeof(user), "--userns-path=/proc/%d/ns/user", (int)netd); /* fits */
        (void)snprintf(net, sizeof(net), "/proc/%d/ns/net", (int)netd);
        (void)snprintf(ready, sizeof(ready), "--ready-fd=%d", CHILD_READY);
        (void)snprintf(life, sizeof(life), "--exit-fd=%d", CHILD_LIFE);
        return spawn_start(&spec, &pid, ret_pidfd, err);
}

/* One request: start, and answer. < 0: netd is gone. */
static int keeper_serve_one(int sock, pid_t netd)
{
        struct slirp_reply reply = {.code = 0};
        struct err err = ERR_INIT;
        struct pipes p;
        AUTO_CLOSE int pidfd = -1;
        int r = pipes_open(&p, &err);

        if (r == 0)
                r = spawn_slirp(&p, netd, &pidfd, &err);
        if (r < 0) {
                reply.code = err.code;
                (void)snprintf(reply.text, sizeof(reply.text), "%s", err.msg); /* cut is fine */
        }
        {
                const int fds[SLIRP_FDS] = {pidfd, p.ready[0], p.life[1], p.words[0]};

                r = fd_send(sock, &reply, sizeof(reply), fds, reply.code ? 0 : SLIRP_FDS, NULL);
        }
        pipes_close(&p);
        return r;
}

static void serve_starts(int sock, void *ctx)
{
        const pid_t *netd = ctx;
        char request;

        while (recv(sock, &request, sizeof(request), 0) == (ssize_t)sizeof(request)) {
                while (waitpid(-1, NULL, WNOHANG) > 0) /* the one before, if any */
                        ;
                if (keeper_serve_one(sock, *netd) < 0)
                        return;
        }
}

int slirp_keeper_start(struct slirp_keeper **ret, struct err *err)
{
        pid_t netd = getpid();
        struct slirp_keeper *k;
        int sock = -1, r = netns_enter_user(err);

        if (r == 0)
                r = helper_start("netd-slirp", serve_starts, &netd, KEEPER_TIMEOUT_S, &sock, err);
        if (r < 0)
                return r;
        k = xnew(struct slirp_keeper);
        k->sock = sock;
        *ret = k;
        return 0;
}

void slirp_keeper_free(struct slirp_keeper *k)
{
        if (!k)
                return;
        (void)close(k->sock); /* end of stream: the keeper ends */
        free(k);
}

int slirp_start(struct slirp_keeper *k, struct slirp *ret, struct err *err)
{
        struct slirp_reply reply;
        int fds[FD_PASS_MAX];
        ssize_t n;

        if (send(k->sock, "", 1, MSG_NOSIGNAL) != 1)
                return err_errno(err, errno, "the process that starts slirp4netns is gone");
        n = fd_recv(k->sock, &reply, sizeof(reply), fds, err);
        if (n != (ssize_t)sizeof(reply) || (reply.code == 0) != (fds[SLIRP_FDS - 1] >= 0))
                return err_set(err, EPIPE, "the process that starts slirp4netns does not answer");
        reply.text[sizeof(reply.text) - 1] = '\0';
        if (reply.code == ENOENT)
                return err_set(err, ENOENT, "slirp4netns is not installed");
        if (reply.code)
                return err_set(err, reply.code, "%s", reply.text);
        *ret = (struct slirp){fds[0], fds[1], fds[2], fds[3]};
        return 0;
}

void slirp_close(struct slirp *s)
{
        int *fds[] = {&s->pidfd, &s->ready, &s->life, &s->words};

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
                if (*fds[i] >= 0)
                        (void)close(*fds[i]);
                *fds[i] = -1;
        }
}
