/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VZ_GUEST_IMPL_H
#define VZ_GUEST_IMPL_H

/*
 * The inside of struct guest, shared by guest.c (requests), guest_rx.c (answers) and
 * guest_config.c. Nobody else includes this.
 */

#include "base/strbuf.h"
#include "vz/guest.h"

#define GUEST_RX_SIZE \
        (WIRE_FRAME_MAX + (64u << 10)) /* a frame, and what one read may bring beyond it */

struct guest_session {
        uint32_t id; /* 0: the service's stdin */
        void *arg;
        uint64_t stdin_window;  /* bytes the guest will still take */
        uint64_t out_window[2]; /* bytes it may still send: more breaks the protocol */
        bool wants_write;       /* the caller waits for on_exec_writable */
        bool tty;
        bool eof; /* what is written from now on is dropped */
};

struct guest {
        struct ev_loop *loop;
        const struct guest_callbacks *cb;
        void *arg;
        int fd; /* -1: hung up */
        ev_io reader, writer;
        bool live;
        bool freed;       /* by the user, maybe in a callback: no more callbacks */
        char boot_id[40]; /* "" : not told yet */
        uint8_t nonce[WIRE_MAGIC_LEN];
        struct wire_rx rx;
        uint8_t *rx_data;
        struct wire_writer frame; /* the one being made, at the end of tx */
        struct strbuf tx;
        size_t tx_start;
        uint64_t next_out[3]; /* by stream: offset that must come next */
        bool seen_out[3];
        uint64_t acked[3];
        uint32_t next_id;
        struct guest_session service;                  /* id 0: its stdin */
        struct guest_session *sessions[WIRE_EXEC_MAX]; /* NULL: free */
};

/** libev callback: read, decode, tell. */
void guest_on_readable(struct ev_loop *loop, ev_io *w, int revents);

/** Tell sessions whose caller waits that there is room again. */
void guest_tell_writable(struct guest *g);

/** Stop watching and close the socket. Idempotent. */
void guest_hang_up(struct guest *g);

/** The open session with this id, the service's for 0, or NULL. */
struct guest_session *guest_find_session(struct guest *g, uint32_t id);

/** The session is over: free it. */
void guest_end_session(struct guest *g, struct guest_session *session);

/** CONFIG, FILE_DATA and CONFIG_END frames for config. <0: err names the item, frames is to be
 * dropped. */
int guest_config_encode(const struct guest_config *config, struct strbuf *frames, struct err *err);

#endif
