/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/strbuf.h"
#include "reconciler/graph.h"
#include "tests/scenario/world.h"
#include "tests/tap.h"

static struct stack *make(struct world *world, char *const *lines, size_t len)
{
        struct stack *stack = world_stack(world, "shop");

        for (size_t i = 0; i < len; i++) {
                AUTO_FREE char *copy = xstrdup(lines[i]);
                char *words[2] = {copy, strchr(copy, ' ')};

                if (words[1])
                        *words[1]++ = '\0';
                (void)world_service(stack, words, words[1] ? 2 : 1);
        }
        return stack;
}

static void is_order(char *const *lines, size_t len, const char *expected, const char *name)
{
        AUTO_STRBUF struct strbuf order = STRBUF_INIT(1000);
        struct world world;
        struct graph graph;
        struct stack *stack;

        world_init(&world);
        stack = make(&world, lines, len);
        graph_init(&graph, stack);
        for (size_t i = 0; i < graph.len; i++)
                strbuf_addf(&order, "%s%s%s", i ? " " : "", stack->services[graph.order[i]].name,
                            graph.cyclic[graph.order[i]] ? "*" : "");
        is_str(strbuf_str(&order), expected, "%s", name);
        graph_release(&graph);
        world_release(&world);
}

#define order_of(expected, name, ...)                                                      \
        is_order((char *const[]){__VA_ARGS__}, ARRAY_SIZE(((char *const[]){__VA_ARGS__})), \
                 (expected), (name))

static char a_b[] = "a depends=b", b_c[] = "b depends=c", c_a[] = "c depends=a", c[] = "c",
            d_c[] = "d depends=c", e[] = "e", a_self[] = "a depends=a",
            a_gone[] = "a depends=gone?", x_bd[] = "x depends=b,d", b_d[] = "b depends=d",
            d[] = "d", a_e[] = "a depends=e", b_twice[] = "b depends=c,c";

static void test_find(void)
{
        struct world world;
        struct graph graph;
        struct stack *stack;

        world_init(&world);
        stack = make(&world, (char *const[]){e, c, d}, 3);
        graph_init(&graph, stack);
        is_str(stack->services[graph_find(&graph, stack, "d")].name, "d", "found by name");
        ok(graph_find(&graph, stack, "zz") == GRAPH_NONE, "an unknown name is not found");
        ok(graph_find(&graph, stack, "") == GRAPH_NONE, "nor is an empty one");
        graph_release(&graph);
        world_release(&world);
}

int main(void)
{
        struct stack nothing = {.name = NULL};
        struct graph graph;

        graph_init(&graph, &nothing);
        is_int(graph.len, 0, "an empty stack has an empty graph");
        graph_release(&graph);
        order_of("c b a", "a chain turns round", a_b, b_c, c);
        order_of("c e", "independent ones by name", e, c);
        order_of("d b x", "an edge over two paths", x_bd, b_d, d);
        order_of("a", "a missing service has no edge", a_gone);
        order_of("c b", "the same dependency twice", b_twice, c);
        order_of("a*", "one that depends on itself", a_self);
        order_of("e a* b* c* d", "a cycle is marked, what is behind it is not", a_b, b_c, c_a, d_c,
                 e);
        order_of("d e b a", "those without edges first", a_e, b_d, d, e);
        test_find();
        return tap_done();
}
