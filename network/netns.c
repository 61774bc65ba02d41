/* SPDX-License-Identifier: Apache-2.0 */
#include "network/netns.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "network/net.h"
#include "network/rtnl.h"

#define TUN_PATH "/dev/net/tun"

/* Rules of routing: who may pass, before that nobody may. Local delivery (0) comes first. */
#define PRIORITY_STACKS 50
#define PRIORITY_CLIENT 100
#define PRIORITY_NOBODY 200

static int write_proc(const char *path, const char *text, struct err *err)
{
        AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
        int r;

        if (fd < 0)
                return err_errno(err, errno, "%s", path);
        r = fd_write_all(fd, text, strlen(text), err);
        return r < 0 ? err_wrap(err, "%s", path) : 0;
}

/* Map our own user and group onto themselves: files that we make keep their owner. */
static int map_ids(uid_t uid, gid_t gid, struct err *err)
{
        char text[64];
        int r = write_proc("/proc/self/setgroups", "deny", err);

        if (r < 0)
                return r;
        (void)snprintf(text, sizeof(text), "%u %u 1", uid, uid); /* fits */
        r = write_proc("/proc/self/uid_map", text, err);
        if (r < 0)
                return r;
        (void)snprintf(text, sizeof(text), "%u %u 1", gid, gid); /* fits */
        return write_proc("/proc/self/gid_map", text, err);
}

static int no_namespaces(int code, struct err *err)
{
        return err_errno(err, code,
                         "cannot create a network namespace; allow unprivileged user namespaces "
                         "(sysctl user.max_user_namespaces) or run as root");
}

int netns_enter_user(struct err *err)
{
        uid_t uid = geteuid();
        gid_t gid = getegid();

        if (unshare(CLONE_NEWUSER) == 0)
                return map_ids(uid, gid, err);
        return uid == 0 ? 0 : no_namespaces(errno, err);
}

int netns_enter(struct err *err)
{
        uid_t uid = geteuid();
        gid_t gid = getegid();

        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)
                return map_ids(uid, gid, err);
        if (uid == 0 && unshare(CLONE_NEWNET) == 0)
                return 0;
        return no_namespaces(errno, err);
}

int netns_enter_waiting(struct err *err)
{
        if (geteuid() == 0 && unshare(CLONE_NEWNET) == 0)
                return 0;
        return netns_enter(err);
}

int netns_setup(uint32_t gateway, unsigned bits, unsigned mtu, struct err *err)
{
        /* Locally administered, derived from the address: VMs' ARP caches outlive a new netd. */
        const uint8_t mac[6] = {0x06,
                                0xbe,
                                (uint8_t)(gateway >> 24),
                                (uint8_t)(gateway >> 16),
                                (uint8_t)(gateway >> 8),
                                (uint8_t)gateway};
        AUTO_CLOSE int fd = -1;
        int r;

        /* Best effort: without IPv6 of its own the bridge stays silent; it must not route. */
        (void)write_proc("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1", NULL);
        (void)write_proc("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1", NULL);
        (void)write_proc("/proc/sys/net/ipv4/ip_forward", "0", NULL);
        r = rtnl_open(&fd, err);
        if (r < 0)
                return r;
        r = rtnl_link_up(fd, "lo", 0, err);
        if (r < 0)
                return r;
        r = rtnl_bridge_add(fd, NETNS_BRIDGE, NETNS_BRIDGE_INDEX, mac, mtu, err);
        if (r < 0)
                return r;
        r = rtnl_link_up(fd, NETNS_BRIDGE, 0, err);
        if (r < 0)
                return r;
        return rtnl_addr_add(fd, NETNS_BRIDGE, gateway, bits, err);
}

/* Addresses beyond the uplink have no route back while it is down, or prohibited: do not care. */
static int no_reverse_path_filter(const char *link, struct err *err)
{
        char path[128];

        (void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", link); /* fits */
        return write_proc(path, "0", err);
}

int netns_route_setup(struct err *err)
{
        const struct rtnl_rule nobody = {.link = NETNS_BRIDGE, .priority = PRIORITY_NOBODY};
        /* What has an address of another network is not outside, wherever that would lead. */
        const struct rtnl_rule stacks = {.link = NETNS_BRIDGE,
                                         .destination = NET_POOL,
                                         .destination_bits = NET_POOL_BITS,
                                         .priority = PRIORITY_STACKS};
        AUTO_CLOSE int fd = -1;
        int r = rtnl_open(&fd, err);

        if (r == 0)
                r = rtnl_rule_set(fd, &nobody, true, err);
        if (r == 0)
                r = rtnl_rule_set(fd, &stacks, true, err);
        if (r == 0)
                r = rtnl_blackhole_set(fd, true, err);
        if (r == 0)
                r = write_proc("/proc/sys/net/ipv4/ip_forward", "1", err);
        if (r == 0)
                r = no_reverse_path_filter("all", err);
        if (r == 0)
                r = no_reverse_path_filter("default", err);
        return r < 0 ? r : no_reverse_path_filter(NETNS_BRIDGE, err);
}

int netns_route_client(uint32_t ip, bool pass, struct err *err)
{
        const struct rtnl_rule client = {
                .link = NETNS_BRIDGE, .source = ip, .pass = true, .priority = PRIORITY_CLIENT};
        AUTO_CLOSE int fd = -1;
        int r = rtnl_open(&fd, err);

        return r < 0 ? r : rtnl_rule_set(fd, &client, pass, err);
}

int netns_outside_known(struct err *err)
{
        AUTO_CLOSE int fd = -1;
        int r = rtnl_open(&fd, err);

        return r < 0 ? r : rtnl_blackhole_set(fd, false, err);
}

int netns_uplink_setup(const char *link, struct err *err)
{
        char proxy[128], delay[128];
        int r = no_reverse_path_filter(link, err);

        (void)snprintf(proxy, sizeof(proxy), "/proc/sys/net/ipv4/conf/%s/proxy_arp", link);
        (void)snprintf(delay, sizeof(delay), "/proc/sys/net/ipv4/neigh/%s/proxy_delay", link);
        if (r == 0)
                r = write_proc(delay, "0", err);
        return r < 0 ? r : write_proc(proxy, "1", err);
}

int netns_check_tun(struct err *err)
{
        AUTO_CLOSE int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC);

        if (fd >= 0)
                return 0;
        if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
                return err_errno(err, errno, TUN_PATH ": load the kernel's tun module");
        return err_errno(err, errno,
                         TUN_PATH ": this user needs read and write access to it (a udev rule, or "
                                  "setfacl -m u:NAME:rw " TUN_PATH ")");
}

/* ifr: with the name, or a pattern of one; the kernel fills it in. */
static int create_tap(struct ifreq *ifr, int *ret_fd, struct err *err)
{
        AUTO_CLOSE int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
                return err_errno(err, errno, TUN_PATH);
        ifr->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
        if (ioctl(fd, TUNSETIFF, ifr) < 0)
                return err_errno(err, errno, "create tap");
        *ret_fd = steal_fd(&fd);
        return 0;
}

int netns_open_tap(int *ret_fd, struct err *err)
{
        struct ifreq ifr = {.ifr_name = "vm%d"}; /* the kernel numbers it */
        AUTO_CLOSE int fd = -1;
        AUTO_CLOSE int nl = -1;
        int r = create_tap(&ifr, &fd, err);

        if (r < 0)
                return r;
        r = rtnl_open(&nl, err);
        if (r < 0)
                return r;
        r = rtnl_link_up(nl, ifr.ifr_name, NETNS_BRIDGE_INDEX, err);
        if (r < 0)
                return r;
        *ret_fd = steal_fd(&fd);
        return 0;
}

int netns_open_waiting_tap(const char *name, int *ret_fd, struct err *err)
{
        struct ifreq ifr = {.ifr_name = ""};

        if (!*name || strlen(name) >= sizeof(ifr.ifr_name) || strpbrk(name, "%/"))
                return err_set(err, EINVAL, "'%.32s' cannot name a tap", name);
        memcpy(ifr.ifr_name, name, strlen(name));
        return create_tap(&ifr, ret_fd, err);
}

int privileges_drop(uint64_t keep, struct err *err)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2];

        for (int cap = 0; cap < 64; cap++) /* fails past the kernel's last one, or without right */
                if (!(keep & (1ULL << cap)))
                        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
        (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* cannot fail */
        if (syscall(SYS_capget, &header, data) < 0)
                return err_errno(err, errno, "read capabilities");
        for (int i = 0; i < 2; i++) {
                uint32_t mask = (uint32_t)(keep >> (32 * i));

                data[i].permitted &= mask;
                data[i].effective = data[i].permitted;
                data[i].inheritable = 0;
        }
        if (syscall(SYS_capset, &header, data) < 0)
                return err_errno(err, errno, "give up capabilities");
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return err_errno(err, errno, "set no_new_privs");
        return 0;
}
