/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vminit/sys.h"

#define INDEX_MAX                                                                                 \
        32 /* interface numbers looked at; a VM has at most CONFIG_IF_MAX and a few built-in ones \
            */

struct request {
        struct nlmsghdr header;

        union {
                struct ifinfomsg link;
                struct ifaddrmsg addr;
                struct rtmsg route;
        } u;

        char attributes[256];
};

struct address {
        int family;
        unsigned char prefix, len;
        unsigned char bytes[16];
};

static void request_init(struct request *r, uint16_t type, uint16_t flags, size_t body)
{
        memset(r, 0, sizeof(*r));
        r->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
        r->header.nlmsg_type = type;
        r->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
}

/* All attributes here are small and fit by construction. */
static void request_add(struct request *r, uint16_t type, const void *bytes, size_t len)
{
        char *at = (char *)r + NLMSG_ALIGN(r->header.nlmsg_len);
        struct rtattr *attribute = (struct rtattr *)(void *)at;
        attribute->rta_type = type;
        attribute->rta_len = (uint16_t)RTA_LENGTH(len);
        memcpy(RTA_DATA(attribute), bytes, len);
        r->header.nlmsg_len =
                (uint32_t)(NLMSG_ALIGN(r->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len));
}

/* Send and wait for the acknowledgement. 0, or -errno. */
static int request_send(int fd, struct request *r)
{
        _Alignas(8) char buf[2048];
        if (send(fd, r, r->header.nlmsg_len, 0) < 0)
                return -errno;
        ssize_t n = recv(fd, buf, sizeof(buf), 0);
        if (n < 0)
                return -errno;
        struct nlmsghdr *answer = (struct nlmsghdr *)(void *)buf;
        if (!NLMSG_OK(answer, (size_t)n) || answer->nlmsg_type != NLMSG_ERROR)
                return -EPROTO;
        return ((const struct nlmsgerr *)NLMSG_DATA(answer))->error;
}

static bool parse_address(const char *text, struct address *ret)
{
        char host[64];
        size_t len = strcspn(text, "/");
        if (len >= sizeof(host))
                return false;
        memcpy(host, text, len);
        host[len] = '\0';
        struct address a = {.family = strchr(host, ':') ? AF_INET6 : AF_INET};
        a.len = a.family == AF_INET ? 4 : 16;
        uint64_t prefix = (uint64_t)a.len * 8;
        if (inet_pton(a.family, host, a.bytes) != 1)
                return false;
        if (text[len] == '/' && (!sys_parse_u64(text + len + 1, &prefix) || prefix > a.len * 8u))
                return false;
        a.prefix = (unsigned char)prefix;
        *ret = a;
        return true;
}

static int set_link(int fd, int index, const char *name, uint64_t mtu, bool up)
{
        struct request r;
        request_init(&r, RTM_NEWLINK, 0, sizeof(r.u.link));
        r.u.link.ifi_index = index;
        r.u.link.ifi_change = up ? IFF_UP : 0;
        r.u.link.ifi_flags = up ? IFF_UP : 0;
        if (name)
                request_add(&r, IFLA_IFNAME, name, strlen(name) + 1);
        if (mtu) {
                uint32_t value = (uint32_t)mtu;
                request_add(&r, IFLA_MTU, &value, sizeof(value));
        }
        return request_send(fd, &r);
}

static int add_address(int fd, int index, const struct address *a)
{
        struct request r;
        request_init(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(r.u.addr));
        r.u.addr.ifa_family = (unsigned char)a->family;
        r.u.addr.ifa_prefixlen = a->prefix;
        r.u.addr.ifa_index = (uint32_t)index;
        /* The host hands out unique addresses: duplicate detection would only delay the first
         * packet. */
        r.u.addr.ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0;
        request_add(&r, IFA_LOCAL, a->bytes, a->len);
        request_add(&r, IFA_ADDRESS, a->bytes, a->len);
        if (a->family == AF_INET && a->prefix < 31) {
                unsigned char broadcast[4];
                for (int i = 0; i < 4; i++) {
                        int bits = a->prefix - 8 * i;
                        unsigned mask = bits >= 8 ? 0 : bits <= 0 ? 0xff : 0xffu >> bits;
                        broadcast[i] = (unsigned char)(a->bytes[i] | mask);
                }
                request_add(&r, IFA_BROADCAST, broadcast, 4);
        }
        return request_send(fd, &r);
}

static int add_default_route(int fd, int index, const struct address *gateway)
{
        struct request r;
        request_init(&r, RTM_NEWROUTE, NLM_F_CREATE, sizeof(r.u.route));
        r.u.route.rtm_family = (unsigned char)gateway->family;
        r.u.route.rtm_table = RT_TABLE_MAIN;
        r.u.route.rtm_protocol = RTPROT_BOOT;
        r.u.route.rtm_scope = RT_SCOPE_UNIVERSE;
        r.u.route.rtm_type = RTN_UNICAST;
        r.u.route.rtm_flags = RTNH_F_ONLINK;
        uint32_t oif = (uint32_t)index;
        request_add(&r, RTA_OIF, &oif, sizeof(oif));
        request_add(&r, RTA_GATEWAY, gateway->bytes, gateway->len);
        return request_send(fd, &r);
}

/* The number of the interface with this MAC, or 0. */
static int find_interface(int fd, const char *mac, char *ret_name)
{
        for (int index = 1; index <= INDEX_MAX; index++) {
                struct ifreq ifr = {.ifr_ifindex = index};
                char found[32];
                if (ioctl(fd, SIOCGIFNAME, &ifr) || ioctl(fd, SIOCGIFHWADDR, &ifr))
                        continue;
                unsigned char b[6];
                memcpy(b, ifr.ifr_hwaddr.sa_data, sizeof(b));
                (void)snprintf(found, sizeof(found), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1],
                               b[2], b[3], b[4], b[5]);
                if (strcasecmp(found, mac) == 0) {
                        memcpy(ret_name, ifr.ifr_name, IFNAMSIZ);
                        return index;
                }
        }
        return 0;
}

/* A machine of the host's pool has its cards longer than their addresses. */
static int adopt_placeholder(int fd, size_t number, const char *mac, char *ret_name)
{
        static const char *const placeholders[WIRE_PLACEHOLDER_CARDS] = {WIRE_PLACEHOLDER_MAC_1,
                                                                         WIRE_PLACEHOLDER_MAC_2};
        struct request r;
        unsigned b[6];
        unsigned char bytes[6];
        int index = number < WIRE_PLACEHOLDER_CARDS
                            ? find_interface(fd, placeholders[number], ret_name)
                            : 0;
        if (!index ||
            sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6)
                return 0;
        for (int i = 0; i < 6; i++)
                bytes[i] = (unsigned char)b[i];
        request_init(&r, RTM_NEWLINK, 0, sizeof(r.u.link));
        r.u.link.ifi_index = index;
        request_add(&r, IFLA_ADDRESS, bytes, sizeof(bytes));
        return request_send(fd, &r) ? 0 : index;
}

/* First out of each other's way, then to the final names. */
static int rename_all(int netlink, const struct config *c, int *indexes, struct fail *f)
{
        char name[32], current[IFNAMSIZ];
        bool all_named = true;
        for (size_t i = 0; i < c->n_interfaces; i++) {
                indexes[i] = find_interface(netlink, c->interfaces[i].mac, current);
                if (!indexes[i])
                        indexes[i] = adopt_placeholder(netlink, i, c->interfaces[i].mac, current);
                if (!indexes[i])
                        return fail_set(f, ENODEV, "network interface %s", c->interfaces[i].mac);
                (void)snprintf(name, sizeof(name), "eth%zu", i);
                all_named = all_named && strcmp(current, name) == 0;
        }
        for (int pass = 0; pass < 2 && !all_named; pass++) {
                for (size_t i = 0; i < c->n_interfaces; i++) {
                        (void)snprintf(name, sizeof(name), pass ? "eth%zu" : "moving%zu", i);
                        int rc = set_link(netlink, indexes[i], name, 0, false);
                        if (rc)
                                return fail_set(f, -rc, "name interface %s %s",
                                                c->interfaces[i].mac, name);
                }
        }
        return 0;
}

static int apply_interface(int netlink, const struct config_interface *i, int index, struct fail *f)
{
        struct address a;
        int rc = set_link(netlink, index, NULL, i->mtu, true);
        if (rc)
                return fail_set(f, -rc, "bring up interface %s", i->mac);
        for (size_t n = 0; n < i->n_addresses; n++) {
                if (!parse_address(i->addresses[n], &a))
                        return fail_set(f, 0, "address %s of %s", i->addresses[n], i->mac);
                rc = add_address(netlink, index, &a);
                if (rc)
                        return fail_set(f, -rc, "add address %s to %s", i->addresses[n], i->mac);
        }
        for (size_t n = 0; n < i->n_gateways; n++) {
                if (!parse_address(i->gateways[n], &a))
                        return fail_set(f, 0, "gateway %s of %s", i->gateways[n], i->mac);
                rc = add_default_route(netlink, index, &a);
                if (rc)
                        return fail_set(f, -rc, "add default route %s", i->gateways[n]);
        }
        return 0;
}

int net_boot(struct fail *f)
{
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        if (fd < 0)
                return fail_set(f, errno, "open a netlink socket");
        int rc = set_link(fd, 1, NULL, 0, true);
        close(fd);
        return rc ? fail_set(f, -rc, "bring up lo") : 0;
}

int net_apply(const struct config *c, struct fail *f)
{
        int indexes[CONFIG_IF_MAX] = {0};
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        if (fd < 0)
                return fail_set(f, errno, "open a netlink socket");
        int rc = rename_all(fd, c, indexes, f);
        for (size_t i = 0; rc == 0 && i < c->n_interfaces; i++)
                rc = apply_interface(fd, &c->interfaces[i], indexes[i], f);
        close(fd);
        return rc;
}

int net_unshare(const char *mac, struct fail *f)
{
        struct request r;
        char name[IFNAMSIZ];
        uint32_t pid = (uint32_t)getpid();
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        int index = fd < 0 ? 0 : find_interface(fd, mac, name);
        int code = fd < 0 ? errno : index ? 0 : ENODEV;
        if (!code && unshare(CLONE_NEWNET))
                code = errno;
        request_init(&r, RTM_NEWLINK, 0, sizeof(r.u.link));
        r.u.link.ifi_index = index;
        request_add(&r, IFLA_NET_NS_PID, &pid, sizeof(pid));
        if (!code)
                code = -request_send(fd, &r);
        if (fd >= 0)
                close(fd);
        return code ? fail_set(f, code, "take interface %s into a namespace", mac) : 0;
}

void net_counters(uint64_t *ret_rx, uint64_t *ret_tx)
{
        char path[80], text[32];
        *ret_rx = *ret_tx = 0;
        for (int i = 0; i < CONFIG_IF_MAX; i++) {
                uint64_t value;
                (void)snprintf(path, sizeof(path), "/sys/class/net/eth%d/statistics/rx_bytes", i);
                if (sys_read_file(path, text, sizeof(text)) < 0)
                        return;
                *ret_rx += sys_parse_u64(text, &value) ? value : 0;
                (void)snprintf(path, sizeof(path), "/sys/class/net/eth%d/statistics/tx_bytes", i);
                if (sys_read_file(path, text, sizeof(text)) > 0)
                        *ret_tx += sys_parse_u64(text, &value) ? value : 0;
        }
}
