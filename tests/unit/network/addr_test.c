/* SPDX-License-Identifier: Apache-2.0 */
#include "network/net.h"
#include "tests/tap.h"

#define IP(a, b, c, d) \
        ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

int main(void)
{
        const uint32_t net = IP(10, 1, 2, 0);

        is_int(net_gateway(net, 24), IP(10, 1, 2, 1), "the first host address is the gateway");
        is_int(net_gateway(IP(10, 1, 2, 77), 24), IP(10, 1, 2, 1), "host bits do not matter");
        is_int(net_gateway(IP(10, 1, 2, 8), 29), IP(10, 1, 2, 9), "/29");
        is_int(net_gateway(IP(10, 1, 0, 0), 16), IP(10, 1, 0, 1), "/16");
        ok(!net_address_usable(net, 24, IP(10, 1, 2, 0)), "the network address is not usable");
        ok(!net_address_usable(net, 24, IP(10, 1, 2, 1)), "the gateway is not");
        ok(net_address_usable(net, 24, IP(10, 1, 2, 2)), "the next one is");
        ok(net_address_usable(net, 24, IP(10, 1, 2, 254)), "the last one is");
        ok(!net_address_usable(net, 24, IP(10, 1, 2, 255)), "broadcast is not");
        ok(!net_address_usable(net, 24, IP(10, 1, 3, 2)), "another subnet is not");
        ok(net_address_usable(IP(10, 1, 2, 8), 29, IP(10, 1, 2, 14)), "/29: the last one");
        ok(!net_address_usable(IP(10, 1, 2, 8), 29, IP(10, 1, 2, 15)), "/29: broadcast");
        return tap_done();
}
