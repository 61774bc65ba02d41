/* SPDX-License-Identifier: Apache-2.0 */
/* "did you mean": the closest of some words, by Damerau-Levenshtein distance. */
#ifndef SCHEMA_SUGGEST_H
#define SCHEMA_SUGGEST_H

#include <stddef.h>

/** Edits (insert, delete, change, swap of neighbours) from a to b; at most max + 1 is told. */
unsigned suggest_distance(const char *a, const char *b, unsigned max);

/** The best candidate so far. Start with {word, NULL, 3}; best stays NULL when none is close. */
struct suggestion {
        const char *word;
        const char *best;
        unsigned distance; /* best's; only smaller ones replace it */
};

#define SUGGESTION_INIT(word)    \
        {                        \
                (word), NULL, 3u \
        }

/** Keep candidate (borrowed) in s->best when it is nearer to the word than what is there. */
void suggest_offer(struct suggestion *s, const char *candidate);

#endif
