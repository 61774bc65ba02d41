/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/reconcile.h"

#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS   60000

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t mix(uint64_t key, const char *text)
{
        for (const char *c = text ? text : ""; *c; c++)
                key = (key ^ (unsigned char)*c) * FNV_PRIME;
        return (key ^ 0xff) * FNV_PRIME; /* "ab" "c" is not "a" "bc" */
}

uint64_t backoff_key(uint64_t seed, const char *stack, const char *name, unsigned replica)
{
        uint64_t key = mix(mix(FNV_BASIS ^ seed, stack), name);

        key = (key ^ replica) * FNV_PRIME;
        return seed && key ? key : seed;
}

/* Within a tenth of the delay to both sides, another one for each failure. */
static int64_t jitter_ms(int64_t delay, unsigned failures, uint64_t key)
{
        key = (key ^ failures) * FNV_PRIME;
        key ^= key >> 29;
        return delay * ((int64_t)(key % 2001) - 1000) / 10000;
}

int64_t backoff_delay_ms(int64_t first_ms, int64_t max_ms, unsigned failures, uint64_t key)
{
        int64_t delay = first_ms > 0 ? first_ms : BACKOFF_FIRST_MS;
        int64_t max = max_ms > 0 ? max_ms : BACKOFF_MAX_MS;

        if (failures == 0)
                return 0;
        for (unsigned i = 1; i < failures && delay < max; i++)
                delay *= 2;
        delay = delay < max ? delay : max;
        return key ? delay + jitter_ms(delay, failures, key) : delay;
}
