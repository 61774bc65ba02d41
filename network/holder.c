/* SPDX-License-Identifier: Apache-2.0 */
#include "network/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"

/* Sockets on one port (several addresses, IPv4 and IPv6) that are considered. */
#define INODES_MAX 16

struct inodes {
        unsigned long items[INODES_MAX];
        size_t len;
};

/*
 * A line of /proc/net/{tcp,udp}{,6}: "sl local:port remote:port state ... uid timeout inode". An
 * IPv4 address is a 32-bit word in the machine's order; IPv6 has four of them.
 */
static void consider_line(const char *line, uint32_t ip, uint16_t port, bool udp,
                          struct inodes *ret)
{
        char local[40];
        unsigned local_port, state;
        unsigned long inode, word;

        if (sscanf(line, " %*d: %39[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*d %lu",
                   local, &local_port, &state, &inode) != 4)
                return;
        if (local_port != port || (!udp && state != TCP_LISTEN) || ret->len == INODES_MAX)
                return;
        word = strtoul(local, NULL, 16);
        if (strlen(local) == 8 && ip && word && __builtin_bswap32((uint32_t)word) != ip)
                return; /* another address: it is not in our way */
        ret->items[ret->len++] = inode;
}

static void read_table(const char *path, uint32_t ip, uint16_t port, bool udp, struct inodes *ret)
{
        AUTO_FILE FILE *f = fopen(path, "re");
        char line[512];

        while (f && fgets(line, sizeof(line), f))
                consider_line(line, ip, port, udp, ret);
}

static bool holds_one(const char *pid, const struct inodes *inodes)
{
        AUTO_DIR DIR *dir = NULL;
        const struct dirent *e;
        char path[64], target[64];

        (void)snprintf(path, sizeof(path), "/proc/%.16s/fd", pid); /* a pid has at most 10 digits */
        dir = opendir(path);
        while (dir && (e = readdir(dir))) {
                ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
                unsigned long inode;

                if (n < 0)
                        continue;
                target[n] = '\0';
                if (sscanf(target, "socket:[%lu]", &inode) != 1)
                        continue;
                for (size_t i = 0; i < inodes->len; i++)
                        if (inodes->items[i] == inode)
                                return true;
        }
        return false;
}

static void describe(const char *pid, char *ret, size_t size)
{
        AUTO_FILE FILE *f = NULL;
        char path[64], name[32] = "";

        (void)snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
        f = fopen(path, "re");
        if (f && fgets(name, sizeof(name), f))
                name[strcspn(name, "\n")] = '\0';
        for (char *p = name; *p; p++)
                if (!isprint((unsigned char)*p))
                        *p = '?'; /* a process names itself as it likes */
        (void)snprintf(ret, size, "%s (process %.16s)", *name ? name : "?", pid);
}

bool holder_find(uint32_t ip, uint16_t port, bool udp, char *ret, size_t size)
{
        AUTO_DIR DIR *proc = NULL;
        struct inodes inodes = {.len = 0};
        const struct dirent *e;

        read_table(udp ? "/proc/net/udp" : "/proc/net/tcp", ip, port, udp, &inodes);
        read_table(udp ? "/proc/net/udp6" : "/proc/net/tcp6", ip, port, udp, &inodes);
        if (!inodes.len)
                return false;
        proc = opendir("/proc");
        while (proc && (e = readdir(proc))) {
                if (!isdigit((unsigned char)e->d_name[0]) || !holds_one(e->d_name, &inodes))
                        continue;
                describe(e->d_name, ret, size);
                return true;
        }
        return false;
}
