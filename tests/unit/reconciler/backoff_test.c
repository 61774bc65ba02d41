/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>

#include "reconciler/reconcile.h"
#include "tests/tap.h"

int main(void)
{
        is_int(backoff_delay_ms(0), 0, "no failure, no delay");
        is_int(backoff_delay_ms(1), 200, "200 ms after the first failure");
        is_int(backoff_delay_ms(2), 400, "doubled after the second");
        is_int(backoff_delay_ms(9), 51200, "51.2 s after the ninth");
        is_int(backoff_delay_ms(10), 60000, "at most 60 s");
        is_int(backoff_delay_ms(UINT_MAX), 60000, "and it stays there");
        return tap_done();
}
