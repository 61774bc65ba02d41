/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP upgrade by which an exec session begins, on a plain socket. */
#ifndef ORCHESTRATOR_CLI_UPGRADE_H
#define ORCHESTRATOR_CLI_UPGRADE_H

#include <jansson.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "orchestrator/cli/cli.h"

/**
 * Connect to berthd, POST the request with an upgrade and read the answer. A daemon that ends
 * before it has read the request is followed by the next one, as in client_call(). 0: *ret_fd is
 * the caller's and speaks frames; rest holds bytes that came behind the answer. <0: refused; err
 * carries the text and code of the answer.
 */
int upgrade(struct cli *cli, const char *path, const char *protocol, const json_t *request,
            int *ret_fd, struct strbuf *rest, struct err *err);

/**
 * Status of an answer's head. Returns the bytes of the head with its empty line, 0: not whole yet,
 * -EBADMSG: no HTTP/1.1. *ret_length: of Content-Length, -1 when there is none.
 */
ssize_t upgrade_parse_head(const char *data, size_t n, long *ret_status, int64_t *ret_length,
                           struct err *err);

#endif
