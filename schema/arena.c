/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Bytes of an ordinary chunk; larger objects get one of their own. */
#define CHUNK_SIZE 65536

struct chunk {
        struct chunk *next;
        size_t used, size;
        alignas(max_align_t) char data[];
};

struct arena {
        struct chunk *chunks; /* the first has room */
};

struct arena *arena_new(void)
{
        return xnew(struct arena);
}

void arena_free(struct arena *arena)
{
        if (!arena)
                return;
        while (arena->chunks) {
                struct chunk *next = arena->chunks->next;

                free(arena->chunks);
                arena->chunks = next;
        }
        free(arena);
}

static struct chunk *chunk_new(size_t size)
{
        struct chunk *chunk = xcalloc(1, sizeof(*chunk) + size);

        chunk->size = size;
        return chunk;
}

/* A chunk for one large object goes behind the first, which keeps its room. */
static void *alloc_large(struct arena *arena, size_t n)
{
        struct chunk *chunk = chunk_new(n);

        chunk->used = n;
        if (arena->chunks) {
                chunk->next = arena->chunks->next;
                arena->chunks->next = chunk;
        } else {
                arena->chunks = chunk;
        }
        return chunk->data;
}

void *arena_alloc(struct arena *arena, size_t n)
{
        const size_t align = alignof(max_align_t);
        struct chunk *chunk = arena->chunks;
        void *p;

        if (n > SIZE_MAX / 2)
                bug("arena: size");
        n = (n + align - 1) / align * align;
        if (n > CHUNK_SIZE / 4)
                return alloc_large(arena, n);
        if (!chunk || chunk->size - chunk->used < n) {
                chunk = chunk_new(CHUNK_SIZE);
                chunk->next = arena->chunks;
                arena->chunks = chunk;
        }
        p = chunk->data + chunk->used;
        chunk->used += n;
        return p;
}

char *arena_strndup(struct arena *arena, const char *s, size_t n)
{
        char *copy = arena_alloc(arena, n + 1);

        if (n)
                memcpy(copy, s, n);
        return copy;
}

char *arena_strdup(struct arena *arena, const char *s)
{
        return s ? arena_strndup(arena, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
        AUTO_FREE char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        return arena_strdup(arena, text);
}

void *arena_push(struct arena *arena, void **items, size_t *len, size_t size)
{
        size_t n = *len;

        if ((n & (n - 1)) == 0) { /* 0 or a power of two: the array is full */
                char *grown = arena_alloc(arena, (n ? 2 * n : 1) * size);

                if (n)
                        memcpy(grown, *items, n * size);
                *items = grown;
        }
        *len = n + 1;
        return (char *)*items + n * size;
}
