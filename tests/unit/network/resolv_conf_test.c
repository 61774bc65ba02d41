/* SPDX-License-Identifier: Apache-2.0 */
#include "network/resolv_conf.h"
#include "tests/tap.h"

static void check(const char *text, size_t n, uint32_t first, const char *what)
{
        uint32_t servers[RESOLV_SERVERS_MAX] = {0};

        is_int(resolv_conf_parse(text, servers), n, "%s: how many", what);
        is_int(servers[0], first, "%s: the first", what);
}

int main(void)
{
        uint32_t servers[RESOLV_SERVERS_MAX];

        check("", 0, 0, "nothing");
        check("nameserver 10.0.0.1", 1, 0x0a000001, "no newline at the end");
        check("# nameserver 1.2.3.4\n;nameserver 1.2.3.4\nnameserver 127.0.0.53\noptions edns0\n",
              1, 0x7f000035, "comments and options");
        check("nameserver\t10.0.0.1 # note\nnameserver  10.0.0.2;x\nnameserver 10.0.0.3\r\n"
              "nameserver 10.0.0.4\n",
              3, 0x0a000001, "blanks, notes, one too many");
        check("nameserver fe80::1%eth0\nnameserver 2001:db8::1\nnameserver 10.0.0.9\n", 1,
              0x0a000009, "IPv6 is passed over");
        check("nameserver 10.0.0\nnameserver\nnameservers 10.0.0.1\nnameserver 1.2.3.4.5\n"
              "nameserver 255.255.255.255.255.255.255.255\n",
              0, 0, "what is no address");
        is_int(resolv_conf_read("/nonexistent/resolv.conf", servers), 1, "no file: one server");
        is_int(servers[0], 0x7f000001, "the host itself");
        return tap_done();
}
