/* SPDX-License-Identifier: Apache-2.0 */
/* The file of credentials that this user's environment names, for berthd to look into. */
#ifndef ORCHESTRATOR_CLI_REGISTRY_H
#define ORCHESTRATOR_CLI_REGISTRY_H

/**
 * $REGISTRY_AUTH_FILE, or config.json below $DOCKER_CONFIG, absolute; NULL: berthd knows the usual
 * places. On the heap.
 */
char *registry_auth_file(void);

#endif
