/* SPDX-License-Identifier: Apache-2.0 */
/* How a REPLICA of the API is shown: one row of a table, and its URLs. */
#ifndef ORCHESTRATOR_CLI_REPLICAS_H
#define ORCHESTRATOR_CLI_REPLICAS_H

#include <jansson.h>
#include <stdio.h>

#include "orchestrator/cli/cli.h"

/** "running (healthy)", "exited (3)", "failed: out of memory". On the heap. */
char *replica_state(const json_t *replica);

/** "10.1.2.3" or "front 10.1.2.3, back 10.1.3.2". On the heap. */
char *replica_addresses(const json_t *replica);

/** "127.0.0.1:8080->80/tcp, ...". On the heap. */
char *replica_ports(const json_t *replica);

/** Print a table of an array of REPLICA on standard output; long: with restarts and pid. */
void replicas_print(const struct cli *cli, const json_t *replicas, bool wide);

/** Print how each came to life, and the phases of its start in ms: a table on standard output. */
void replicas_print_phases(const json_t *replicas);

/** "http://127.0.0.1:8080" for the i-th port if it is TCP and published, else NULL. On the heap. */
char *port_url(const json_t *port);

/** Print one line per published TCP port: name and URL. */
void replicas_print_urls(const json_t *replicas, FILE *out);

/** "3s", "4m", "2h", "5d" since an RFC 3339 time; "-" when it is none. ret: 16 bytes. */
void since_text(const char *time, char *ret);

/** "1.5M", "320K"; ret: 16 bytes. */
void size_text(int64_t bytes, char *ret);

#endif
