/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_PORT_H
#define VMINIT_PORT_H

/*
 * The guest's end of the byte stream: port 1 of the virtio-serial controller. Edge-triggered:
 * after an event the owner calls port_read until it returns 0 and port_flush, and asks port_writer
 * for room in between. Knows frames, but not what they mean.
 */

#include <stdbool.h>

#include "vminit/fail.h"
#include "vminit/wire.h"

#define PORT_TX_MAX (64u << 10)
#define PORT_READ \
        (32u << 10) /* a read(): the driver hands out at most a page or so at a time anyway */

struct port {
        int fd;
        bool readable, writable; /* may be; cleared by EAGAIN */
        struct wire_rx rx;
        struct wire_writer tx;
        size_t tx_start; /* sent already */
        uint8_t rx_data[WIRE_FRAME_MAX + PORT_READ];
        uint8_t tx_data[PORT_TX_MAX];
};

/**
 * Wait for the port's device and open it, non-blocking. Blocks: the host adds the port while we
 * boot.
 */
int port_open(struct port *p, struct fail *f);

/**
 * Use an open stream descriptor as port (tests).
 */
void port_init(struct port *p, int fd);

/**
 * The next frame from the host. 1: *ret_frame, valid until the next call. 0: nothing more now.
 */
int port_next(struct port *p, struct wire_frame *ret_frame);

/**
 * The writer, with at least `need` bytes of room behind its content, or NULL: wait for the port to
 * drain.
 */
struct wire_writer *port_writer(struct port *p, size_t need);

/**
 * Hand what was written to the kernel, as far as it takes it. true: something went out.
 */
bool port_flush(struct port *p);

/**
 * Forget what was written and not yet flushed: it was for a host that is gone.
 */
void port_drop_tx(struct port *p);

#endif
