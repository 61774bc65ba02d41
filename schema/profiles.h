/* SPDX-License-Identifier: Apache-2.0 */
/* `profiles`: which services are left out. */
#ifndef SCHEMA_PROFILES_H
#define SCHEMA_PROFILES_H

#include "schema/tree.h"

/**
 * Whether a service, still a tree, has profiles and none of them is on. What `profiles` may be
 * beside text and lists is told when it is read. on: names, comma between; NULL: none; "*": all.
 */
bool profiles_off(const char *on, const struct node *service);

#endif
