/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Keys are short; longer words get no suggestion. */
#define WORD_MAX 40

static unsigned min_u(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

static bool same(char a, char b)
{
        return tolower((unsigned char)a) == tolower((unsigned char)b);
}

unsigned suggest_distance(const char *a, const char *b, unsigned max)
{
        unsigned d[WORD_MAX + 1][WORD_MAX + 1];
        size_t n = strlen(a), m = strlen(b);

        if (n > WORD_MAX || m > WORD_MAX || (n > m ? n - m : m - n) > max)
                return max + 1;
        for (unsigned i = 0; i <= n; i++)
                d[i][0] = i;
        for (unsigned k = 0; k <= m; k++)
                d[0][k] = k;
        for (size_t i = 1; i <= n; i++)
                for (size_t k = 1; k <= m; k++) {
                        unsigned cost = same(a[i - 1], b[k - 1]) ? 0 : 1;

                        d[i][k] = min_u(min_u(d[i - 1][k] + 1, d[i][k - 1] + 1),
                                        d[i - 1][k - 1] + cost);
                        if (i > 1 && k > 1 && same(a[i - 1], b[k - 2]) && same(a[i - 2], b[k - 1]))
                                d[i][k] = min_u(d[i][k], d[i - 2][k - 2] + 1);
                }
        return min_u(d[n][m], max + 1);
}

void suggest_offer(struct suggestion *s, const char *candidate)
{
        unsigned distance = suggest_distance(s->word, candidate, 2);

        if (distance < s->distance && distance < strlen(candidate)) {
                s->best = candidate;
                s->distance = distance;
        }
}
