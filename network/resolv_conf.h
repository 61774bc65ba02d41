/* SPDX-License-Identifier: Apache-2.0 */
/* The host's name servers, from its resolv.conf (resolv.conf(5)). */
#ifndef NETWORK_RESOLV_CONF_H
#define NETWORK_RESOLV_CONF_H

#include <stddef.h>
#include <stdint.h>

/* As the resolver of libc: later ones are never asked. */
#define RESOLV_SERVERS_MAX 3

/** The name servers of a text, IPv4 (host byte order) only: how many. */
size_t resolv_conf_parse(const char *text, uint32_t ret[RESOLV_SERVERS_MAX]);

/** Those of a file; 127.0.0.1 when it names none or cannot be read, as libc does. */
size_t resolv_conf_read(const char *path, uint32_t ret[RESOLV_SERVERS_MAX]);

#endif
