/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/variables.h"

#include <string.h>

#include "base/mem.h"
#include "schema/draft.h"
#include "schema/interpolate.h"
#include "schema/path.h"

/* Names of unset variables that are remembered; further ones are warned of each time. */
#define WARNED_MAX 1000

struct walk {
        struct arena *arena;
        struct diags *diags;
        struct interpolation in;
        struct path path;
        const struct node *at;
        const char **warned;
        size_t warned_len;
};

/* false: it was known before. */
static bool remember(struct walk *w, const char *name)
{
        const char **slot;

        for (size_t i = 0; i < w->warned_len; i++)
                if (streq(w->warned[i], name))
                        return false;
        if (w->warned_len < WARNED_MAX) {
                slot = arena_push(w->arena, (void **)&w->warned, &w->warned_len, sizeof(*slot));
                *slot = arena_strdup(w->arena, name);
        }
        return true;
}

static void on_unset(void *arg, const char *name)
{
        struct walk *w = arg;

        if (remember(w, name))
                diags_add_about(w->diags, DIAG_UNSET_VARIABLE, &w->at->mark,
                                path_text(&w->path, w->arena), name,
                                "variable %s is not set; an empty text is used", name);
}

/* The error says it: no warning where it is used without the question mark. */
static void on_missing(void *arg, const char *name)
{
        (void)remember(arg, name);
}

static void replace_scalar(struct walk *w, struct node *node)
{
        struct err err = ERR_INIT;
        AUTO_FREE char *value = NULL;
        int r;

        w->at = node;
        r = interpolate(&w->in, node->text, &value, &err);
        if (r == 0 && !text_valid(value, strlen(value)))
                r = err_set(&err, EINVAL, "a variable's value is not UTF-8 text");
        if (r < 0)
                diags_add(w->diags, DIAG_BAD_VARIABLE, &node->mark, path_text(&w->path, w->arena),
                          "%s", err.msg);
        if (r != 0)
                return;
        node->text = arena_strdup(w->arena, value);
        node->interpolated = true;
}

static void replace(struct walk *w, struct node *node)
{
        if (node->kind == NODE_STRING)
                replace_scalar(w, node);
        for (size_t i = 0; i < node->len; i++) {
                if (node->kind == NODE_SEQ) {
                        path_push_index(&w->path, i);
                        replace(w, node->items[i]);
                } else {
                        path_push_key(&w->path, node->entries[i].key);
                        replace(w, node->entries[i].value);
                }
                path_pop(&w->path);
        }
}

void variables_replace(struct arena *arena, const struct env *env, struct diags *diags,
                       struct node *root)
{
        struct walk w = {.arena = arena, .diags = diags};

        w.in = (struct interpolation){
                .env = env, .on_unset = on_unset, .on_missing = on_missing, .arg = &w};
        replace(&w, root);
}

const char *variables_text(struct arena *arena, const struct env *env, const char *text)
{
        const struct interpolation in = {.env = env};
        AUTO_FREE char *value = NULL;

        return interpolate(&in, text, &value, NULL) == 0 ? arena_strdup(arena, value) : text;
}
