/* SPDX-License-Identifier: Apache-2.0 */
#include "network/rtnl.h"

#include <arpa/inet.h>
#include <assert.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/auto.h"

/* The longest request: a bridge with its options, about 120 bytes. */
#define RTNL_REQUEST_MAX 512

struct request {
        union {
                struct nlmsghdr header;
                char bytes[RTNL_REQUEST_MAX];
        } u;
};

static void *request_init(struct request *rq, uint16_t type, uint16_t flags, size_t body)
{
        memset(rq, 0, sizeof(*rq));
        rq->u.header.nlmsg_type = type;
        rq->u.header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
        rq->u.header.nlmsg_len = (uint32_t)NLMSG_SPACE(body);
        return NLMSG_DATA(&rq->u.header);
}

/* Append an attribute; data NULL opens a nest, which attr_end() closes. */
static size_t attr_add(struct request *rq, unsigned short type, const void *data, size_t n)
{
        size_t at = NLMSG_ALIGN(rq->u.header.nlmsg_len);
        struct rtattr *a = (struct rtattr *)(void *)(rq->u.bytes + at);

        assert(at + RTA_SPACE(n) <= sizeof(rq->u.bytes));
        a->rta_type = type;
        a->rta_len = (unsigned short)RTA_LENGTH(n);
        if (data)
                memcpy(RTA_DATA(a), data, n);
        rq->u.header.nlmsg_len = (uint32_t)(at + RTA_SPACE(n));
        return at;
}

static void attr_end(struct request *rq, size_t at)
{
        struct rtattr *a = (struct rtattr *)(void *)(rq->u.bytes + at);

        a->rta_len = (unsigned short)(rq->u.header.nlmsg_len - at);
}

/* Send a request and wait for its acknowledgement: 0, or the kernel's errno as a negative. */
static int request_run(int fd, struct request *rq)
{
        union {
                struct nlmsghdr header;
                char bytes[1024];
        } reply;
        const struct nlmsgerr *e;
        ssize_t n;

        if (send(fd, rq->u.bytes, rq->u.header.nlmsg_len, 0) < 0)
                return -errno;
        do {
                n = recv(fd, reply.bytes, sizeof(reply.bytes), 0);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (n < (ssize_t)NLMSG_LENGTH(sizeof(*e)) || reply.header.nlmsg_type != NLMSG_ERROR)
                return -EPROTO;
        e = NLMSG_DATA(&reply.header);
        return e->error;
}

static int open_socket(unsigned groups, int *ret_fd, struct err *err)
{
        AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        struct sockaddr_nl local = {.nl_family = AF_NETLINK, .nl_groups = groups};

        if (fd < 0 || bind(fd, (const struct sockaddr *)&local, sizeof(local)) < 0)
                return err_errno(err, errno, "netlink socket");
        *ret_fd = steal_fd(&fd);
        return 0;
}

int rtnl_open(int *ret_fd, struct err *err)
{
        return open_socket(0, ret_fd, err);
}

int rtnl_monitor(int *ret_fd, struct err *err)
{
        return open_socket(RTMGRP_LINK, ret_fd, err);
}

int rtnl_bridge_add(int fd, const char *name, unsigned index, const uint8_t *mac, unsigned mtu,
                    struct err *err)
{
        static const uint8_t off = 0;
        static const uint32_t no_stp = 0;
        struct request rq;
        struct ifinfomsg *info =
                request_init(&rq, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(*info));
        size_t link, data;
        int r;

        info->ifi_family = AF_UNSPEC;
        info->ifi_index = (int)index;
        (void)attr_add(&rq, IFLA_IFNAME, name, strlen(name) + 1);
        (void)attr_add(&rq, IFLA_ADDRESS, mac, 6);
        (void)attr_add(&rq, IFLA_MTU, &mtu, sizeof(mtu));
        link = attr_add(&rq, IFLA_LINKINFO, NULL, 0);
        (void)attr_add(&rq, IFLA_INFO_KIND, "bridge", strlen("bridge"));
        data = attr_add(&rq, IFLA_INFO_DATA, NULL, 0);
        (void)attr_add(&rq, IFLA_BR_STP_STATE, &no_stp, sizeof(no_stp));
        (void)attr_add(&rq, IFLA_BR_MCAST_SNOOPING, &off, sizeof(off));
        attr_end(&rq, data);
        attr_end(&rq, link);
        r = request_run(fd, &rq);
        return r < 0 ? err_errno(err, -r, "create bridge %s", name) : 0;
}

static int link_index(const char *name, unsigned *ret, struct err *err)
{
        *ret = if_nametoindex(name);
        return *ret ? 0 : err_errno(err, errno, "link %s", name);
}

/* A change of a link that brings it up, too. */
static int link_change(struct request *rq, const char *name, struct err *err)
{
        struct ifinfomsg *info = request_init(rq, RTM_NEWLINK, 0, sizeof(*info));
        unsigned index;
        int r = link_index(name, &index, err);

        if (r < 0)
                return r;
        info->ifi_family = AF_UNSPEC;
        info->ifi_index = (int)index;
        info->ifi_flags = IFF_UP;
        info->ifi_change = IFF_UP;
        return 0;
}

int rtnl_link_up(int fd, const char *name, unsigned master, struct err *err)
{
        struct request rq;
        int r = link_change(&rq, name, err);

        if (r < 0)
                return r;
        if (master)
                (void)attr_add(&rq, IFLA_MASTER, &master, sizeof(master));
        r = request_run(fd, &rq);
        return r < 0 ? err_errno(err, -r, "bring link %s up", name) : 0;
}

int rtnl_addr_add(int fd, const char *name, uint32_t ip, unsigned bits, struct err *err)
{
        struct request rq;
        struct ifaddrmsg *addr =
                request_init(&rq, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*addr));
        uint32_t wire = htonl(ip), broadcast = htonl(ip | (0xffffffffU >> bits));
        unsigned index;
        int r = link_index(name, &index, err);

        if (r < 0)
                return r;
        addr->ifa_family = AF_INET;
        addr->ifa_prefixlen = (unsigned char)bits;
        addr->ifa_index = index;
        (void)attr_add(&rq, IFA_LOCAL, &wire, sizeof(wire));
        (void)attr_add(&rq, IFA_ADDRESS, &wire, sizeof(wire));
        (void)attr_add(&rq, IFA_BROADCAST, &broadcast, sizeof(broadcast));
        r = request_run(fd, &rq);
        return r < 0 ? err_errno(err, -r, "give link %s its address", name) : 0;
}

int rtnl_rule_set(int fd, const struct rtnl_rule *rule, bool add, struct err *err)
{
        struct request rq;
        uint16_t flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
        struct fib_rule_hdr *h =
                request_init(&rq, add ? RTM_NEWRULE : RTM_DELRULE, flags, sizeof(*h));
        uint32_t source = htonl(rule->source), destination = htonl(rule->destination);
        int r;

        h->family = AF_INET;
        h->action = rule->pass ? FR_ACT_TO_TBL : FR_ACT_PROHIBIT;
        h->table = rule->pass ? RT_TABLE_MAIN : RT_TABLE_UNSPEC;
        if (rule->source) {
                h->src_len = 32;
                (void)attr_add(&rq, FRA_SRC, &source, sizeof(source));
        }
        if (rule->destination_bits) {
                h->dst_len = (uint8_t)rule->destination_bits;
                (void)attr_add(&rq, FRA_DST, &destination, sizeof(destination));
        }
        (void)attr_add(&rq, FRA_IIFNAME, rule->link, strlen(rule->link) + 1);
        (void)attr_add(&rq, FRA_PRIORITY, &rule->priority, sizeof(rule->priority));
        r = request_run(fd, &rq);
        return r < 0 ? err_errno(err, -r, "rule of routing for %s", rule->link) : 0;
}

int rtnl_blackhole_set(int fd, bool add, struct err *err)
{
        static const uint32_t last = UINT32_MAX;
        struct request rq;
        uint16_t flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
        struct rtmsg *route =
                request_init(&rq, add ? RTM_NEWROUTE : RTM_DELROUTE, flags, sizeof(*route));
        int r;

        route->rtm_family = AF_INET;
        route->rtm_table = RT_TABLE_MAIN;
        route->rtm_protocol = RTPROT_STATIC;
        route->rtm_scope = RT_SCOPE_UNIVERSE;
        route->rtm_type = RTN_BLACKHOLE;
        (void)attr_add(&rq, RTA_PRIORITY, &last, sizeof(last));
        r = request_run(fd, &rq);
        return r < 0 ? err_errno(err, -r, "default route") : 0;
}

int rtnl_link_move(int fd, const char *name, int netns_fd, unsigned master, struct err *err)
{
        struct request rq;
        uint32_t netns = (uint32_t)netns_fd;
        int r = link_change(&rq, name, err);

        if (r < 0)
                return r;
        (void)attr_add(&rq, IFLA_NET_NS_FD, &netns, sizeof(netns));
        (void)attr_add(&rq, IFLA_MASTER, &master, sizeof(master)); /* looked up behind the move */
        r = request_run(fd, &rq);
        return r < 0 ? err_errno(err, -r, "move link %s", name) : 0;
}
