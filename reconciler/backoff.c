/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/reconcile.h"

#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS   60000

int64_t backoff_delay_ms(unsigned failures)
{
        int64_t delay = BACKOFF_FIRST_MS;

        if (failures == 0)
                return 0;
        for (unsigned i = 1; i < failures && delay < BACKOFF_MAX_MS; i++)
                delay *= 2;
        return delay < BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS;
}
