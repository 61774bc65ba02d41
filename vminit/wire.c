/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/wire.h"

#include <assert.h>
#include <string.h>

/* First 15 bytes >= 0x80, the last 0: see the header for what rests on it. */
const uint8_t wire_attach_magic[WIRE_MAGIC_LEN] = {0xb3, 0xe2, 0x94, 0xd7, 0x81, 0xfb, 0xc6, 0x9d,
                                                   0xa8, 0xf0, 0x8e, 0xb1, 0xdc, 0x97, 0xe5, 0x00};

/* Those that have a slot of their own. */
static void place(struct wire_slots *s, uint8_t *slots, size_t n, const uint8_t *own, size_t own_n)
{
        for (size_t i = 0; i < n && i < own_n; i++) {
                slots[i] = own[i];
                s->mask |= 1u << own[i];
        }
}

/* The others, one after the other where there is room. */
static void fill(struct wire_slots *s, uint8_t *slots, size_t from, size_t n)
{
        for (size_t i = from; i < n; i++) {
                uint8_t slot = 1;
                while (s->mask & 1u << slot)
                        slot++;
                slots[i] = slot;
                s->mask |= 1u << slot;
        }
}

bool wire_slots_of(size_t disks, size_t interfaces, size_t shares, struct wire_slots *ret)
{
        static const uint8_t own_disks[] = {1, 2, 4}, own_interfaces[] = {3, 5};
        struct wire_slots s = {.mask = 0};
        if (disks + interfaces + shares >= WIRE_SLOTS)
                return false;
        place(&s, s.disks, disks, own_disks, sizeof(own_disks));
        place(&s, s.interfaces, interfaces, own_interfaces, sizeof(own_interfaces));
        fill(&s, s.disks, sizeof(own_disks), disks);
        fill(&s, s.interfaces, sizeof(own_interfaces), interfaces);
        fill(&s, s.shares, 0, shares);
        *ret = s;
        return true;
}

static void put16(uint8_t *p, uint16_t v)
{
        p[0] = (uint8_t)v;
        p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
        put16(p, (uint16_t)v);
        put16(p + 2, (uint16_t)(v >> 16));
}

static void put64(uint8_t *p, uint64_t v)
{
        put32(p, (uint32_t)v);
        put32(p + 4, (uint32_t)(v >> 32));
}

static uint16_t get16(const uint8_t *p)
{
        return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t wire_get32(const uint8_t *p)
{
        return get16(p) | (uint32_t)get16(p + 2) << 16;
}

uint64_t wire_get64(const uint8_t *p)
{
        return wire_get32(p) | (uint64_t)wire_get32(p + 4) << 32;
}

void wire_writer_init(struct wire_writer *w, uint8_t *data, size_t size)
{
        *w = (struct wire_writer){.data = data, .size = size};
}

/* Room for `len` more bytes, or NULL and the frame fails. */
static uint8_t *extend(struct wire_writer *w, size_t len)
{
        if (w->failed || len > w->size - w->len) {
                w->failed = true;
                return NULL;
        }
        w->len += len;
        return w->data + w->len - len;
}

void wire_begin(struct wire_writer *w, enum wire_type type, uint32_t id)
{
        assert(id <= WIRE_ID_MAX);
        w->frame = w->len;
        w->failed = false;
        uint8_t *p = extend(w, WIRE_HEADER);
        if (!p)
                return;
        put32(p, 0);
        put16(p + 4, (uint16_t)type);
        put16(p + 6, 0);
        put32(p + 8, id);
}

bool wire_end(struct wire_writer *w)
{
        uint8_t *trailer = extend(w, 1);
        size_t body = w->len - w->frame - WIRE_HEADER - 1;
        if (!trailer || body > WIRE_BODY_MAX) {
                w->len = w->frame;
                w->failed = false;
                return false;
        }
        *trailer = WIRE_TRAILER;
        put32(w->data + w->frame, (uint32_t)body);
        return true;
}

void wire_put_raw(struct wire_writer *w, const void *bytes, size_t len)
{
        uint8_t *p = extend(w, len);
        if (p && len)
                memcpy(p, bytes, len);
}

static uint8_t *put_tlv(struct wire_writer *w, uint16_t tag, size_t len)
{
        if (len > WIRE_BODY_MAX) {
                w->failed = true;
                return NULL;
        }
        uint8_t *p = extend(w, WIRE_TLV + len);
        if (!p)
                return NULL;
        put16(p, tag);
        put16(p + 2, 0);
        put32(p + 4, (uint32_t)len);
        return p + WIRE_TLV;
}

void wire_put_bytes(struct wire_writer *w, uint16_t tag, const void *bytes, size_t len)
{
        uint8_t *p = put_tlv(w, tag, len);
        if (p && len)
                memcpy(p, bytes, len);
}

void wire_put_u64(struct wire_writer *w, uint16_t tag, uint64_t value)
{
        uint8_t *p = put_tlv(w, tag, 8);
        if (p)
                put64(p, value);
}

void wire_put_str(struct wire_writer *w, uint16_t tag, const char *str)
{
        wire_put_bytes(w, tag, str, strlen(str));
}

size_t wire_nest(struct wire_writer *w, uint16_t tag)
{
        size_t mark = w->len;
        (void)put_tlv(w, tag, 0); /* a failure is sticky and shows at wire_end */
        return mark;
}

void wire_nest_end(struct wire_writer *w, size_t mark)
{
        if (!w->failed)
                put32(w->data + mark + 4, (uint32_t)(w->len - mark - WIRE_TLV));
}

bool wire_send_empty(struct wire_writer *w, enum wire_type type, uint32_t id)
{
        wire_begin(w, type, id);
        return wire_end(w);
}

bool wire_send_data(struct wire_writer *w, uint32_t id, uint8_t stream, const void *bytes,
                    size_t len)
{
        const uint8_t head[WIRE_DATA_HEAD] = {stream};
        wire_begin(w, WIRE_DATA, id);
        wire_put_raw(w, head, sizeof(head));
        wire_put_raw(w, bytes, len);
        return wire_end(w);
}

bool wire_send_output(struct wire_writer *w, uint8_t stream, uint64_t offset, const void *bytes,
                      size_t len)
{
        uint8_t head[WIRE_OUTPUT_HEAD] = {stream};
        put64(head + 8, offset);
        wire_begin(w, WIRE_OUTPUT, 0);
        wire_put_raw(w, head, sizeof(head));
        wire_put_raw(w, bytes, len);
        return wire_end(w);
}

bool wire_send_stream(struct wire_writer *w, enum wire_type type, uint32_t id, uint8_t stream,
                      uint16_t tag, uint64_t value)
{
        wire_begin(w, type, id);
        wire_put_u64(w, WIRE_T_STREAM, stream);
        wire_put_u64(w, tag, value);
        return wire_end(w);
}

bool wire_send_magic(struct wire_writer *w, const uint8_t magic[WIRE_MAGIC_LEN])
{
        w->failed = false;
        uint8_t *p = extend(w, WIRE_MAGIC_LEN);
        w->failed = false;
        if (p)
                memcpy(p, magic, WIRE_MAGIC_LEN);
        return p != NULL;
}

size_t wire_clean_length(const uint8_t *bytes, size_t len)
{
        const uint8_t *hit = len ? memmem(bytes, len, wire_attach_magic, WIRE_MAGIC_LEN) : NULL;
        return hit ? (size_t)(hit - bytes) + WIRE_MAGIC_LEN / 2 : len;
}

long wire_decode(const uint8_t *buf, size_t len, struct wire_frame *ret_frame)
{
        if (len < WIRE_HEADER)
                return 0;
        uint32_t body = wire_get32(buf);
        uint32_t id = wire_get32(buf + 8);
        if (body > WIRE_BODY_MAX || get16(buf + 6) || id > WIRE_ID_MAX)
                return -1;
        if (len < WIRE_HEADER + body + 1)
                return 0;
        if (buf[WIRE_HEADER + body] != WIRE_TRAILER)
                return -1;
        *ret_frame = (struct wire_frame){
                .type = get16(buf + 4), .id = id, .body = buf + WIRE_HEADER, .len = body};
        return (long)(WIRE_HEADER + body + 1);
}

void wire_rx_init(struct wire_rx *rx, uint8_t *data, size_t size,
                  const uint8_t magic[WIRE_MAGIC_LEN], bool rescan)
{
        assert(size >= WIRE_FRAME_MAX + WIRE_MAGIC_LEN);
        *rx = (struct wire_rx){.data = data, .size = size, .rescan = rescan};
        memcpy(rx->magic, magic, WIRE_MAGIC_LEN);
}

uint8_t *wire_rx_space(struct wire_rx *rx, size_t *ret_room)
{
        /* Move only when it gains much or is needed: a frame is then copied once at most. */
        if (rx->start == rx->end || rx->size - rx->end < WIRE_FRAME_MAX / 4) {
                memmove(rx->data, rx->data + rx->start, rx->end - rx->start);
                rx->scanned -= rx->scanned < rx->start ? rx->scanned : rx->start;
                rx->end -= rx->start;
                rx->start = 0;
        }
        *ret_room = rx->size - rx->end;
        return rx->data + rx->end;
}

void wire_rx_fill(struct wire_rx *rx, size_t len)
{
        assert(len <= rx->size - rx->end);
        rx->end += len;
}

/* Find the preamble in what is not consumed yet; drop everything up to its end. Each byte is looked
 * at once. */
static bool scan(struct wire_rx *rx)
{
        size_t from = rx->scanned > rx->start ? rx->scanned : rx->start;
        const uint8_t *hit = memmem(rx->data + from, rx->end - from, rx->magic, WIRE_MAGIC_LEN);
        if (hit) {
                rx->start = (size_t)(hit - rx->data) + WIRE_MAGIC_LEN;
                rx->scanned = rx->start;
                rx->synced = rx->fresh = true;
                return true;
        }
        if (rx->end - from >= WIRE_MAGIC_LEN)
                rx->scanned = rx->end - (WIRE_MAGIC_LEN - 1);
        return false;
}

int wire_rx_next(struct wire_rx *rx, struct wire_frame *ret_frame)
{
        if (!rx->synced || rx->rescan) {
                while (scan(rx) && rx->rescan) {
                }
        }
        if (!rx->synced) {
                /* Keep what may be the beginning of a preamble. */
                if (rx->end - rx->start >= WIRE_MAGIC_LEN)
                        rx->start = rx->end - (WIRE_MAGIC_LEN - 1);
                return 0;
        }
        long n = wire_decode(rx->data + rx->start, rx->end - rx->start, ret_frame);
        if (n < 0) {
                rx->synced = rx->fresh = false;
                return -1;
        }
        if (n == 0)
                return 0;
        ret_frame->fresh = rx->fresh;
        rx->fresh = false;
        rx->start += (size_t)n;
        return 1;
}

struct wire_reader wire_read(const uint8_t *bytes, size_t len)
{
        return (struct wire_reader){.at = bytes, .left = len};
}

bool wire_next(struct wire_reader *r, struct wire_tlv *ret_tlv)
{
        if (r->left == 0)
                return false;
        if (r->left < WIRE_TLV || get16(r->at + 2) || wire_get32(r->at + 4) > r->left - WIRE_TLV) {
                r->left = 0;
                r->bad = true;
                return false;
        }
        *ret_tlv = (struct wire_tlv){
                .tag = get16(r->at), .value = r->at + WIRE_TLV, .len = wire_get32(r->at + 4)};
        r->at += WIRE_TLV + ret_tlv->len;
        r->left -= WIRE_TLV + ret_tlv->len;
        return true;
}

bool wire_u64(const struct wire_tlv *tlv, uint64_t *ret_value)
{
        if (tlv->len != 8)
                return false;
        *ret_value = wire_get64(tlv->value);
        return true;
}

bool wire_str(const struct wire_tlv *tlv, char *buf, size_t size)
{
        assert(size > 0);
        buf[0] = '\0';
        if (tlv->len >= size || (tlv->len && memchr(tlv->value, 0, tlv->len)))
                return false;
        if (tlv->len)
                memcpy(buf, tlv->value, tlv->len);
        buf[tlv->len] = '\0';
        return true;
}
