/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dependencies of one stack's services as indexes into stack->services, and an order in which
 * each service comes after what it depends on. Dependencies on services that do not exist have no
 * edge. Manifests with cycles are refused by the schema; should one come here nevertheless, its
 * members are marked and stand at the end of the order.
 */
#ifndef RECONCILER_GRAPH_H
#define RECONCILER_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

#include "schema/manifest.h"

#define GRAPH_NONE ((size_t)-1)

struct graph {
        size_t len;         /* services */
        size_t *order;      /* all indexes, dependencies first; the same for the same stack */
        size_t *by_name;    /* all indexes, sorted by name */
        size_t *edges;      /* what services depend on: of i, edges[begin[i] .. begin[i + 1]) */
        size_t *begin;      /* len + 1 */
        size_t *back_edges; /* who depends on them, in the same way */
        size_t *back_begin;
        bool *cyclic; /* in a cycle, or on a path between two */
};

/** Build from a stack. Borrows nothing. */
void graph_init(struct graph *graph, const struct stack *stack);
void graph_release(struct graph *graph);

/** Index of the service of that name, or GRAPH_NONE. stack: the one it was built from. */
size_t graph_find(const struct graph *graph, const struct stack *stack, const char *name);

#endif
