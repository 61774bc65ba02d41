/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML text to generic trees, through libyaml's event interface (this is its only door), and
 * canonical JSON back to YAML text. The input is hostile: depth, nodes, anchors and what aliases
 * expand to are bounded while reading. Duplicate keys are refused; `<<` merges are resolved here.
 */
#ifndef SCHEMA_YAML_H
#define SCHEMA_YAML_H

#include "schema/tree.h"

/* The largest public Compose files have some 100 KB; 10,000 services take about 10 MB. */
#define YAML_SIZE_MAX  (16 * 1024 * 1024)
#define YAML_NODES_MAX 1500000
/* As the generic JSON reader; real files stay below 12. */
#define YAML_DEPTH_MAX 64
/* Copies that aliases may make: so many, or ten times what is written out, whichever is more. */
#define YAML_COPIES_MIN   100000
#define YAML_COPIES_RATIO 10
/* Looked up linearly for each alias. */
#define YAML_ANCHORS_MAX 1000

/* In the arena; empty documents are left out. */
struct yaml_docs {
        struct node **items;
        size_t len;
};

/**
 * Read all documents of a text. file: for places; kept as pointer in the marks.
 * 0: done; -EINVAL: a finding was added to diags, the documents before it are returned.
 */
int yaml_read(struct arena *arena, const char *file, const char *text, size_t len,
              struct diags *diags, struct yaml_docs *ret);

#endif
