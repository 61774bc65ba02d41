/* SPDX-License-Identifier: Apache-2.0 */
/* A scenario while it runs, and the line that is being run: what its verbs need. See run.h. */
#ifndef TESTS_SCENARIO_LINE_H
#define TESTS_SCENARIO_LINE_H

#include "base/err.h"
#include "tests/scenario/world.h"

#define LINE_WORDS_MAX 16

struct scenario {
        struct world world;
        struct stack *stack; /* the one that is being filled */
        char *next;          /* rest of the text */
        unsigned line;
        char *words[LINE_WORDS_MAX];
        size_t len;
        char *rest; /* the line behind its verb */
};

/** The word number i of the line, the verb being 0; "" when there are fewer. */
const char *line_word(const struct scenario *s, size_t i);

/** What stands behind the first n words of the line, or NULL. */
const char *line_text_behind(const struct scenario *s, size_t n);

/** Split "shop/web/1" in place. */
void line_split_replica(char *text, const char **stack, const char **service, unsigned *replica);

/** The verb `fact`. */
int fact_change(struct scenario *s, struct err *err);

/** Everything under way comes to its good end; a service with a test gets healthy. */
void facts_finish(struct world *world);

#endif
