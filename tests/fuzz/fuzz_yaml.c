/* SPDX-License-Identifier: Apache-2.0 */
/* YAML to a tree: bounds hold, nodes have places, and a copy is as large as what it is of. */
#include <stdint.h>

#include "base/mem.h"
#include "schema/arena.h"
#include "schema/diag.h"
#include "schema/tree.h"
#include "schema/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_node(const struct node *node)
{
        if (!node->mark.line || !node->mark.column || !node->text)
                bug("fuzz: a node without a place or text");
        for (size_t i = 0; i < node->len; i++)
                check_node(node->kind == NODE_SEQ ? node->items[i] : node->entries[i].value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        AUTO(arena) struct arena *arena = arena_new();
        struct yaml_docs docs = {0};
        struct diags diags = {0};
        int r = yaml_read(arena, "fuzz.yaml", (const char *)data, size, &diags, &docs);

        if ((r < 0) != (diags.errors > 0))
                bug("fuzz: an error without a finding, or the other way round");
        for (size_t i = 0; i < docs.len; i++) {
                check_node(docs.items[i]);
                if (node_depth(docs.items[i]) > YAML_DEPTH_MAX + 1)
                        bug("fuzz: too deep");
                if (node_count(node_copy(arena, docs.items[i]), SIZE_MAX - 1) !=
                    node_count(docs.items[i], SIZE_MAX - 1))
                        bug("fuzz: a copy of another size");
        }
        diags_release(&diags);
        return 0;
}
