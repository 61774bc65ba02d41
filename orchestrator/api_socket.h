/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket file of the API, which stays there: when somebody removes it (a clean-up of /run or
 * /tmp), clients could neither reach this daemon nor start another, so it is made again at once.
 */
#ifndef ORCHESTRATOR_API_SOCKET_H
#define ORCHESTRATOR_API_SOCKET_H

#include <ev.h>

#include "base/auto.h"
#include "base/err.h"
#include "orchestrator/api/server.h"

struct api_socket;

/** Listen at path (copied) for a new server with these routes; ctx is the handlers'. */
int api_socket_open(struct ev_loop *loop, const char *path, const struct route *routes,
                    size_t routes_len, void *ctx, struct api_socket **ret, struct err *err);

/** The server behind it, borrowed. */
struct server *api_socket_server(const struct api_socket *socket);

/** End the server, remove the file. NULL is fine. */
void api_socket_free(struct api_socket *socket);
AUTO_TYPE(api_socket)

#endif
