/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "vminit/cgroup.h"
#include "vminit/devices.h"
#include "vminit/net.h"
#include "vminit/rootfs.h"
#include "vminit/sys.h"
#include "vminit/wire.h"

/*
 * Clones of one template share the state of the random pool: before the host's seed is in, nothing
 * may open a socket or read random bytes.
 */
static int seed_random(const struct config *c, struct fail *f)
{
        union {
                struct rand_pool_info info;
                uint8_t bytes[sizeof(struct rand_pool_info) + sizeof(c->seed)];
        } pool = {.info = {.entropy_count = sizeof(c->seed) * 8, .buf_size = sizeof(c->seed)}};

        memcpy(pool.bytes + offsetof(struct rand_pool_info, buf), c->seed, sizeof(c->seed));
        int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return fail_set(f, errno, "open /dev/urandom");
        int code = ioctl(fd, RNDADDENTROPY, &pool) || ioctl(fd, RNDRESEEDCRNG) ? errno : 0;
        close(fd);
        return code ? fail_set(f, code, "seed the random pool") : 0;
}

static int set_clock(const struct config *c, struct fail *f)
{
        struct timespec ts = {.tv_sec = (time_t)(c->clock_ns / 1000000000u),
                              .tv_nsec = (long)(c->clock_ns % 1000000000u)};
        if (c->clock_ns && clock_settime(CLOCK_REALTIME, &ts))
                return fail_set(f, errno, "set the clock");
        return 0;
}

static int set_names(const struct config *c, struct fail *f)
{
        if (sethostname(c->hostname, strlen(c->hostname)))
                return fail_set(f, errno, "set hostname %s", c->hostname);
        if (c->domainname && setdomainname(c->domainname, strlen(c->domainname)))
                return fail_set(f, errno, "set domain name %s", c->domainname);
        return 0;
}

/* "net.core.somaxconn=1024" to its file; a dot becomes a slash, so no ".." can come out of it. */
static int set_sysctl(const char *setting, struct fail *f)
{
        char path[256] = "/proc/sys/";
        size_t len = strlen(path);
        const char *value = strchr(setting, '=');
        if (!value || (size_t)(value - setting) >= sizeof(path) - len || strcspn(setting, "/") == 0)
                return fail_set(f, 0, "sysctl %.100s: expected key=value", setting);
        for (const char *p = setting; p < value; p++)
                path[len++] = (char)(*p == '.' ? '/' : *p);
        int rc = sys_write_file(path, value + 1);
        return rc ? fail_set(f, -rc, "sysctl %.100s", setting) : 0;
}

static int set_sysctls(const struct config *c, struct fail *f)
{
        for (size_t i = 0; i < c->sysctls.n; i++) {
                int rc = set_sysctl(c->sysctls.at[i], f);
                if (rc)
                        return rc;
        }
        return 0;
}

int apply_boot(struct fail *f)
{
        /* As Docker: in a private network every user may bind port 80 and send a ping; a network
         * is IPv4, so a card has no IPv6 unless the service's sysctls turn it on (lo has). */
        static const char *const defaults[] = {"net.ipv4.ip_unprivileged_port_start=0",
                                               "net.ipv4.ping_group_range=0 2147483647",
                                               "net.ipv6.conf.default.disable_ipv6=1"};
        struct fail ignored;
        for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
                (void)set_sysctl(defaults[i],
                                 &ignored); /* conveniences: a smaller kernel lacks them */
        int rc = net_boot(f);
        return rc ? rc : cgroup_boot(f);
}

static int bind_devices(const struct config *c, struct fail *f)
{
        struct wire_slots slots;
        if (!wire_slots_of(c->n_disks, c->n_interfaces, c->shares.n, &slots))
                return fail_set(f, 0, "more devices than a machine has room for");
        return devices_bind(slots.mask, f);
}

int apply_service(const struct config *c, struct fail *f)
{
        static int (*const steps[])(const struct config *, struct fail *) = {
                set_names, net_apply, set_sysctls, rootfs_build, cgroup_setup,
        };
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
                int rc = steps[i](c, f);
                if (rc)
                        return rc;
        }
        return 0;
}

int apply_config(const struct config *c, struct fail *f)
{
        int rc = seed_random(c, f);
        if (rc == 0)
                rc = set_clock(c, f);
        if (rc == 0)
                rc = bind_devices(c, f);
        return rc ? rc : apply_service(c, f);
}
