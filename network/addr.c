/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "network/net.h"

static uint32_t host_mask(unsigned bits)
{
        assert(bits >= 1 && bits <= 30); /* smaller subnets have no room for gateway and VM */
        return 0xffffffffU >> bits;
}

uint32_t net_gateway(uint32_t subnet, unsigned bits)
{
        return (subnet & ~host_mask(bits)) + 1;
}

bool net_address_usable(uint32_t subnet, unsigned bits, uint32_t ip)
{
        uint32_t mask = host_mask(bits), host = ip & mask;

        return (ip & ~mask) == (subnet & ~mask) && host > 1 && host < mask;
}
