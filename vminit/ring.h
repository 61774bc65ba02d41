/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_RING_H
#define VMINIT_RING_H

/*
 * One output stream of the service: what the host has not acknowledged yet, by absolute byte
 * offset.
 *
 *      0 ....... tail ........ sent ........ head
 *      forgotten  | in flight   | to be sent  |       head - tail <= RING_SIZE
 *
 * A full ring is back-pressure: nobody reads from the pipe until the host acknowledges. Plain data;
 * a new connection moves `sent` back. Knows neither pipes nor frames.
 */

#include <stddef.h>
#include <stdint.h>

#define RING_SIZE (64u << 10) /* power of two: offsets are masked */

struct ring {
        uint64_t tail;
        uint64_t sent;
        uint64_t head;
        uint8_t data[RING_SIZE];
};

/**
 * Contiguous room behind head; *ret_room 0: full. ring_fill says how much of it was used.
 */
uint8_t *ring_space(struct ring *r, size_t *ret_room);
void ring_fill(struct ring *r, size_t len);

/**
 * Contiguous bytes from `sent` on; *ret_len 0: all was sent. ring_advance says how many of them
 * went out.
 */
const uint8_t *ring_unsent(const struct ring *r, size_t *ret_len);
void ring_advance(struct ring *r, size_t len);

/**
 * The host has everything below `offset`. Offsets that were not sent yet are clipped; smaller ones
 * than before do nothing.
 */
void ring_ack(struct ring *r, uint64_t offset);

/**
 * A new host wants bytes from `offset` on: acknowledges what is below and sends the rest again. An
 * offset above head is clipped to head.
 */
void ring_rewind(struct ring *r, uint64_t offset);

#endif
