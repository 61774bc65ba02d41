/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports: "8080:80", "127.0.0.1:5000-5002:5000-5002/udp", and the long form. */
#ifndef SCHEMA_PORT_H
#define SCHEMA_PORT_H

#include "schema/field.h"

/* Of one service, after ranges are written out. */
#define PORTS_MAX 4096

extern const struct kind kind_ports;  /* struct service: ports */
extern const struct kind kind_expose; /* nothing: only checked */

/** Text that is equal for entries that mean the same port; in the arena. For merging. */
const char *port_merge_key(struct arena *arena, const struct node *item);

#endif
