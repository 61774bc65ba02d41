/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vminit/net.h"
#include "vminit/sys.h"

#define GROUP "/cgroup/service"

static int set_number(const char *file, uint64_t value, struct fail *f)
{
        char path[64], text[32];
        (void)snprintf(path, sizeof(path), GROUP "/%s", file);
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
        int rc = sys_write_file(path, text);
        return rc ? fail_set(f, -rc, "set the service's %s to %s", file, text) : 0;
}

int cgroup_boot(struct fail *f)
{
        static const char *const controllers[] = {"+memory", "+pids", "+cpu", "+io"};
        if (mount("cgroup", "/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
                return fail_set(f, errno, "mount cgroup2");
        for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
                /* One the kernel lacks is found out by the limit that needs it. */
                (void)sys_write_file("/cgroup/cgroup.subtree_control", controllers[i]);
        }
        if (mkdir(GROUP, 0755))
                return fail_set(f, errno, "create the service's cgroup");
        return 0;
}

int cgroup_renew(struct fail *f)
{
        if (rmdir(GROUP) || mkdir(GROUP, 0755))
                return fail_set(f, errno, "make the service's cgroup anew");
        return 0;
}

int cgroup_setup(const struct config *c, struct fail *f)
{
        int rc = 0;
        if (c->memory_max)
                rc = set_number("memory.max", c->memory_max, f);
        if (rc == 0 && c->pids_max)
                rc = set_number("pids.max", c->pids_max, f);
        if (rc == 0 && c->cpu_weight)
                rc = set_number("cpu.weight", c->cpu_weight, f);
        return rc;
}

int cgroup_open(void)
{
        return open(GROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void cgroup_kill(void)
{
        int rc = sys_write_file(GROUP "/cgroup.kill", "1");
        if (rc)
                sys_say("kill the service's cgroup: %s", strerror(-rc));
}

static bool group_value(const char *file, const char *key, uint64_t *ret_value)
{
        char path[64], text[2048];
        (void)snprintf(path, sizeof(path), GROUP "/%s", file);
        if (sys_read_file(path, text, sizeof(text)) < 0)
                return false;
        return key ? sys_find_value(text, key, ret_value) : sys_parse_u64(text, ret_value);
}

uint64_t cgroup_oom_kills(void)
{
        uint64_t value = 0;
        (void)group_value("memory.events", "oom_kill",
                          &value); /* 0 when the kernel does not count */
        return value;
}

int cgroup_open_events(void)
{
        return open(GROUP "/memory.events", O_RDONLY | O_CLOEXEC);
}

/* io.stat has a line a device: "254:0 rbytes=1 wbytes=2 ...". */
static void put_io(struct wire_writer *w)
{
        char text[2048];
        uint64_t rx = 0, wx = 0;
        if (sys_read_file(GROUP "/io.stat", text, sizeof(text)) < 0)
                return;
        for (const char *p = text; (p = strstr(p, "bytes=")); p += 6) {
                uint64_t value = 0;
                for (const char *d = p + 6; *d >= '0' && *d <= '9'; d++)
                        value = value * 10 + (uint64_t)(*d - '0');
                if (p > text && p[-1] == 'r')
                        rx += value;
                else if (p > text && p[-1] == 'w')
                        wx += value;
        }
        wire_put_u64(w, WIRE_ST_IO_READ_BYTES, rx);
        wire_put_u64(w, WIRE_ST_IO_WRITE_BYTES, wx);
}

static void put_guest(struct wire_writer *w)
{
        char text[2048];
        uint64_t value, rx, tx;
        if (sys_read_file("/proc/meminfo", text, sizeof(text)) > 0) {
                if (sys_find_value(text, "MemTotal", &value))
                        wire_put_u64(w, WIRE_ST_GUEST_MEMORY_BYTES, value << 10);
                if (sys_find_value(text, "MemAvailable", &value))
                        wire_put_u64(w, WIRE_ST_GUEST_MEMORY_FREE_BYTES, value << 10);
        }
        if (sys_read_file("/proc/self/status", text, sizeof(text)) > 0) {
                if (sys_find_value(text, "VmRSS", &value))
                        wire_put_u64(w, WIRE_ST_INIT_RSS_BYTES, value << 10);
        }
        net_counters(&rx, &tx);
        wire_put_u64(w, WIRE_ST_NET_RX_BYTES, rx);
        wire_put_u64(w, WIRE_ST_NET_TX_BYTES, tx);
}

void cgroup_put_stats(struct wire_writer *w)
{
        static const struct {
                uint16_t tag;
                const char *file, *key;
        } figures[] = {
                {WIRE_ST_MEMORY_BYTES, "memory.current", NULL},
                {WIRE_ST_MEMORY_PEAK_BYTES, "memory.peak", NULL},
                {WIRE_ST_MEMORY_FILE_BYTES, "memory.stat", "file"},
                {WIRE_ST_CPU_USEC, "cpu.stat", "usage_usec"},
                {WIRE_ST_PIDS, "pids.current", NULL},
                {WIRE_ST_OOM_KILLS, "memory.events", "oom_kill"},
        };

        for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
                uint64_t value;
                if (group_value(figures[i].file, figures[i].key, &value))
                        wire_put_u64(w, figures[i].tag, value);
        }
        put_io(w);
        put_guest(w);
}
