/* SPDX-License-Identifier: Apache-2.0 */
#include "reconciler/graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int by_name_cmp(const void *a, const void *b, void *services)
{
        const struct service *s = services;
        size_t x = *(const size_t *)a, y = *(const size_t *)b;
        int c = strcmp(s[x].name, s[y].name);

        return c ? c : (x > y) - (x < y);
}

static void sort_names(struct graph *graph, const struct stack *stack)
{
        bool sorted = true;

        graph->by_name = xcalloc(graph->len, sizeof(*graph->by_name));
        for (size_t i = 0; i < graph->len; i++) {
                graph->by_name[i] = i;
                if (i && strcmp(stack->services[i - 1].name, stack->services[i].name) > 0)
                        sorted = false;
        }
        if (!sorted)
                qsort_r(graph->by_name, graph->len, sizeof(*graph->by_name), by_name_cmp,
                        stack->services);
}

size_t graph_find(const struct graph *graph, const struct stack *stack, const char *name)
{
        size_t low = 0, high = graph->len;

        while (low < high) {
                size_t mid = low + (high - low) / 2;
                int c = strcmp(stack->services[graph->by_name[mid]].name, name);

                if (c == 0)
                        return graph->by_name[mid];
                if (c < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        return GRAPH_NONE;
}

static void find_edges(struct graph *graph, const struct stack *stack)
{
        size_t count = 0;

        graph->begin = xcalloc(graph->len + 1, sizeof(*graph->begin));
        for (size_t i = 0; i < graph->len; i++)
                count += stack->services[i].depends_on_len;
        graph->edges = xcalloc(count, sizeof(*graph->edges));
        count = 0;
        for (size_t i = 0; i < graph->len; i++) {
                const struct service *service = &stack->services[i];

                graph->begin[i] = count;
                for (size_t j = 0; j < service->depends_on_len; j++) {
                        size_t on = graph_find(graph, stack, service->depends_on[j].service);

                        if (on != GRAPH_NONE)
                                graph->edges[count++] = on;
                }
        }
        graph->begin[graph->len] = count;
}

static void turn_edges(struct graph *graph)
{
        size_t count = graph->begin[graph->len];
        size_t *fill = xcalloc(graph->len + 1, sizeof(*fill));

        graph->back_begin = xcalloc(graph->len + 1, sizeof(*graph->back_begin));
        graph->back_edges = xcalloc(count, sizeof(*graph->back_edges));
        for (size_t e = 0; e < count; e++)
                graph->back_begin[graph->edges[e] + 1]++;
        for (size_t i = 0; i < graph->len; i++) {
                graph->back_begin[i + 1] += graph->back_begin[i];
                fill[i] = graph->back_begin[i];
        }
        for (size_t i = 0; i < graph->len; i++)
                for (size_t e = graph->begin[i]; e < graph->begin[i + 1]; e++)
                        graph->back_edges[fill[graph->edges[e]]++] = i;
        free(fill);
}

/*
 * Kahn's algorithm: take away, again and again, what has no edge left in `begin` direction.
 * Writes the taken indexes to order; left[i] > 0 afterwards: never taken. Returns how many.
 */
static size_t peel(const struct graph *graph, const size_t *begin, const size_t *back_begin,
                   const size_t *back_edges, size_t *order, size_t *left)
{
        size_t head = 0, tail = 0;

        for (size_t k = 0; k < graph->len; k++) {
                size_t i = graph->by_name[k];

                left[i] = begin[i + 1] - begin[i];
                if (left[i] == 0)
                        order[tail++] = i;
        }
        while (head < tail) {
                size_t i = order[head++];

                for (size_t e = back_begin[i]; e < back_begin[i + 1]; e++)
                        if (--left[back_edges[e]] == 0)
                                order[tail++] = back_edges[e];
        }
        return tail;
}

static void find_order(struct graph *graph)
{
        size_t *left = xcalloc(graph->len, sizeof(*left));
        size_t *back_left = xcalloc(graph->len, sizeof(*back_left));
        size_t *scratch = xcalloc(graph->len, sizeof(*scratch));
        size_t taken;

        graph->order = xcalloc(graph->len, sizeof(*graph->order));
        graph->cyclic = xcalloc(graph->len, sizeof(*graph->cyclic));
        taken = peel(graph, graph->begin, graph->back_begin, graph->back_edges, graph->order, left);
        (void)peel(graph, graph->back_begin, graph->begin, graph->edges, scratch,
                   back_left); /* only what it leaves over is of interest */
        for (size_t k = 0; k < graph->len; k++) {
                size_t i = graph->by_name[k];

                graph->cyclic[i] = left[i] && back_left[i];
                if (graph->cyclic[i])
                        graph->order[taken++] = i;
        }
        for (size_t k = 0; k < graph->len; k++) /* behind a cycle, not in it */
                if (left[graph->by_name[k]] && !graph->cyclic[graph->by_name[k]])
                        graph->order[taken++] = graph->by_name[k];
        free(left);
        free(back_left);
        free(scratch);
}

void graph_init(struct graph *graph, const struct stack *stack)
{
        *graph = (struct graph){.len = stack->services_len};
        sort_names(graph, stack);
        find_edges(graph, stack);
        turn_edges(graph);
        find_order(graph);
}

void graph_release(struct graph *graph)
{
        free(graph->order);
        free(graph->by_name);
        free(graph->edges);
        free(graph->begin);
        free(graph->back_edges);
        free(graph->back_begin);
        free(graph->cyclic);
        *graph = (struct graph){0};
}
