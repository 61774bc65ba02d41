/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cycles of depends_on, by depth-first search with a stack of our own: a chain may be as long as a
 * stack has services. Edges are the reader's references, which stand together for each service.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "schema/validate.h"

/* Services of a cycle that are named in the message. */
#define SHOWN_MAX 20

enum colour { WHITE, GREY, BLACK };

struct walk {
        struct reader *r;
        const struct stack_draft *draft;
        unsigned char *colour; /* of each service */
        size_t *first;         /* first reference of each service; one more at the end */
        size_t *next;          /* reference to follow next */
        size_t *stack;
        size_t depth;
};

/* References come in the order of services; those of others than services are skipped. */
static void index_refs(struct walk *w)
{
        size_t n = w->draft->drafts_len, k = 0;

        for (size_t i = 0; i <= n; i++) {
                while (k < w->r->refs_len && w->r->refs[k].service < i)
                        k++;
                w->first[i] = k;
        }
        memcpy(w->next, w->first, n * sizeof(*w->next));
}

static void report(struct walk *w, const struct ref *closing, size_t start)
{
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(65536);
        size_t from = 0;

        while (w->stack[from] != start)
                from++;
        for (size_t i = from; i < w->depth && i - from < SHOWN_MAX; i++)
                strbuf_addf(&text, "%s -> ", w->draft->drafts[w->stack[i]].service.name);
        if (w->depth - from > SHOWN_MAX)
                strbuf_adds(&text, "... -> ");
        strbuf_adds(&text, w->draft->drafts[start].service.name);
        diags_add(w->r->diags, DIAG_CYCLE, &closing->mark, closing->path,
                  "the services wait for each other: %s; remove one of these depends_on",
                  strbuf_str(&text));
}

static void push(struct walk *w, size_t service)
{
        w->colour[service] = GREY;
        w->stack[w->depth++] = service;
}

/* One step: follow the next reference of the service on top, or leave it. */
static void step(struct walk *w)
{
        size_t top = w->stack[w->depth - 1];
        const struct service_draft *target;
        const struct ref *ref;
        size_t to;

        if (w->next[top] >= w->first[top + 1]) {
                w->colour[top] = BLACK;
                w->depth--;
                return;
        }
        ref = &w->r->refs[w->next[top]++];
        target = ref->kind == REF_SERVICE ? draft_find(w->draft, ref->name) : NULL;
        if (!target || target->disabled)
                return;
        to = (size_t)(target - w->draft->drafts);
        if (w->colour[to] == GREY)
                report(w, ref, to);
        else if (w->colour[to] == WHITE)
                push(w, to);
}

void validate_cycles(struct reader *r, const struct stack_draft *draft)
{
        size_t n = draft->drafts_len;
        AUTO_FREE unsigned char *colour = xcalloc(n, 1);
        AUTO_FREE size_t *first = xcalloc(n + 1, sizeof(*first));
        AUTO_FREE size_t *next = xcalloc(n, sizeof(*next));
        AUTO_FREE size_t *stack = xcalloc(n, sizeof(*stack));
        struct walk w = {r, draft, colour, first, next, stack, 0};

        index_refs(&w);
        for (size_t i = 0; i < n; i++) {
                if (colour[i] != WHITE || draft->drafts[i].disabled)
                        continue;
                push(&w, i);
                while (w.depth > 0)
                        step(&w);
        }
}
