/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>

#include "reconciler/reconcile.h"
#include "tests/tap.h"

static void test_jitter(void)
{
        int64_t least = INT64_MAX, most = 0;
        unsigned early = 0;

        is_int((long long)backoff_key(0, "shop", "web", 1), 0, "no seed, no jitter");
        ok(backoff_key(7, "shop", "web", 1) == backoff_key(7, "shop", "web", 1),
           "one key a replica");
        ok(backoff_key(7, "shop", "web", 1) != backoff_key(7, "shop", "web", 2), "its own");
        ok(backoff_key(7, "sh", "opweb", 1) != backoff_key(7, "shop", "web", 1), "names end");
        for (unsigned replica = 1; replica <= 1000; replica++) {
                uint64_t key = backoff_key(42, "shop", "web", replica);
                int64_t delay = backoff_delay_ms(0, 0, 10, key);

                early += delay < 60000;
                least = delay < least ? delay : least;
                most = delay > most ? delay : most;
        }
        ok(least >= 54000 && least < 54600, "up to a tenth earlier: %lld", (long long)least);
        ok(most <= 66000 && most > 65400, "up to a tenth later: %lld", (long long)most);
        ok(early > 400 && early < 600, "half of them earlier: %u", early);
}

int main(void)
{
        is_int(backoff_delay_ms(0, 0, 0, 0), 0, "no failure, no delay");
        is_int(backoff_delay_ms(0, 0, 1, 0), 200, "200 ms after the first failure");
        is_int(backoff_delay_ms(0, 0, 2, 0), 400, "doubled after the second");
        is_int(backoff_delay_ms(0, 0, 9, 0), 51200, "51.2 s after the ninth");
        is_int(backoff_delay_ms(0, 0, 10, 0), 60000, "at most 60 s");
        is_int(backoff_delay_ms(0, 0, UINT_MAX, 0), 60000, "and it stays there");
        is_int(backoff_delay_ms(1000, 3000, 2, 0), 2000, "another first delay");
        is_int(backoff_delay_ms(1000, 3000, 3, 0), 3000, "and another limit");
        is_int(backoff_delay_ms(5000, 3000, 1, 0), 3000, "which holds from the first on");
        test_jitter();
        return tap_done();
}
