/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vminit/config.h"
#include "vminit/wire.h"

/*
 * Everything both ends do with bytes before they know what they mean. The first byte says how the
 * input is cut into reads and whether a preamble starts it; frames go on to the guest's
 * configuration decoder.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t rx_data[WIRE_FRAME_MAX + 4096];
static struct config config;
static struct config_exec exec;

static void walk(const uint8_t *bytes, size_t len, int depth)
{
        struct wire_reader r = wire_read(bytes, len);
        struct wire_tlv tlv;
        char text[32];
        uint64_t number;
        while (wire_next(&r, &tlv)) {
                if (tlv.value < bytes || tlv.value + tlv.len > bytes + len)
                        abort();
                (void)wire_u64(&tlv, &number);
                if (wire_str(&tlv, text, sizeof(text)) && strlen(text) != tlv.len)
                        abort();
                if (depth < 3)
                        walk(tlv.value, tlv.len, depth + 1);
        }
}

static void take(const struct wire_frame *f)
{
        struct fail fail;
        if (f->len > WIRE_BODY_MAX || f->body < rx_data ||
            f->body + f->len > rx_data + sizeof(rx_data))
                abort();
        walk(f->body, f->len, 0);
        if (f->type == WIRE_CONFIG && config_add(&config, f->body, f->len, &fail))
                config_reset(&config);
        if (f->type == WIRE_CONFIG_END) {
                (void)config_finish(&config, &fail);
                config_reset(&config);
        }
        if (f->type == WIRE_EXEC)
                (void)config_exec(&exec, f->body, f->len, &fail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        struct wire_rx rx;
        struct wire_frame frame;
        size_t step = 1u + (data[0] & 0x7f);
        wire_rx_init(&rx, rx_data, sizeof(rx_data), wire_attach_magic, data[0] & 0x80);
        config_reset(&config);
        size_t room;
        memcpy(wire_rx_space(&rx, &room), wire_attach_magic, WIRE_MAGIC_LEN);
        wire_rx_fill(&rx, WIRE_MAGIC_LEN);
        for (size_t at = 1; at < size;) {
                uint8_t *to = wire_rx_space(&rx, &room);
                size_t n = size - at < step ? size - at : step;
                n = n < room ? n : room;
                if (n == 0)
                        abort();
                memcpy(to, data + at, n);
                wire_rx_fill(&rx, n);
                at += n;
                for (int rc; (rc = wire_rx_next(&rx, &frame)) != 0;) {
                        if (rc > 0)
                                take(&frame);
                }
        }
        return 0;
}
