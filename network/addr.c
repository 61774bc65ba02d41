/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/auto.h"
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

uint32_t net_host_address(void)
{
        /* TEST-NET-3: no host's own network, so the default route it is. */
        struct sockaddr_in sin = {.sin_family = AF_INET,
                                  .sin_port = htons(9),
                                  .sin_addr.s_addr = htonl(UINT32_C(0xcb007101))};
        AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        socklen_t len = sizeof(sin);

        if (fd < 0 || connect(fd, (const struct sockaddr *)&sin, sizeof(sin)) < 0 ||
            getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
                return 0;
        return ntohl(sin.sin_addr.s_addr);
}
