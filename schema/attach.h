/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds that tie a service to other objects: networks, services, configs and secrets. */
#ifndef SCHEMA_ATTACH_H
#define SCHEMA_ATTACH_H

#include "schema/field.h"

extern const struct kind kind_networks;   /* struct service: networks */
extern const struct kind kind_depends_on; /* struct service: depends_on */
extern const struct kind kind_links;      /* struct service_draft: links */
extern const struct kind kind_configs;    /* struct service: configs */
extern const struct kind kind_secrets;    /* struct service: secrets */

/** The network reference of that name, added when missing. */
struct network_ref *service_add_network(struct service *service, const char *name);

/** The dependency on that service, added (started, required) when missing. */
struct depends *service_add_depends(struct service *service, const char *name);

#endif
