/* SPDX-License-Identifier: Apache-2.0 */
/* What layers do to each other, on the tree alone. */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "storage/tree.h"
#include "tests/tap.h"

/* One entry in a word: "d PATH", "f PATH", "l PATH TARGET", "h PATH TARGET", "n" next layer. */
static int apply(struct tree *tree, const char *text, struct err *err)
{
        AUTO_FREE char *copy = xstrdup(text);
        struct tree_entry entry = {.path = copy + 2};
        struct tree_inode *inode;
        char *space = text[0] == 'n' ? NULL : strchr(copy + 2, ' ');

        if (text[0] == 'n') {
                tree_begin_layer(tree);
                return 0;
        }
        if (space)
                *space = '\0';
        switch (text[0]) {
        case 'd':
                entry.mode = S_IFDIR | 0700;
                break;
        case 'f':
                entry.mode = S_IFREG | 0644;
                break;
        case 'l':
                entry.mode = S_IFLNK | 0777;
                entry.symlink = space + 1;
                break;
        default:
                entry.hardlink = space + 1;
                break;
        }
        return tree_add(tree, &entry, &inode, err);
}

/* All paths in one line, by order of walk; directories with a slash, hard links with their count.
 */
static char *show(const struct tree *tree)
{
        struct strbuf out = STRBUF_INIT(65536);

        for (const struct tree_node *n = tree_next(tree_root(tree)); n; n = tree_next(n)) {
                const struct tree_node *chain[16];
                int depth = 0;

                for (const struct tree_node *up = n; up->parent && depth < 16; up = up->parent)
                        chain[depth++] = up;
                strbuf_adds(&out, out.len ? " " : "");
                while (depth--)
                        strbuf_addf(&out, "%s%s", chain[depth]->name, depth ? "/" : "");
                if (S_ISDIR(n->inode->mode))
                        strbuf_addc(&out, '/');
                if (!S_ISDIR(n->inode->mode) && n->inode->links > 1)
                        strbuf_addf(&out, "(%u)", n->inode->links);
        }
        return strbuf_take(&out);
}

static const struct {
        const char *name;
        const char *steps[12];
        const char *result; /* of show(); or the text of the error of the last step */
        int code;
} cases[] = {
        {"parents appear", {"n", "f a/b/c"}, "a/ a/b/ a/b/c", 0},
        {"a file replaces", {"n", "f a", "n", "f a"}, "a", 0},
        {"a folder is merged", {"n", "f a/x", "n", "d a", "f a/y"}, "a/ a/x a/y", 0},
        {"a file replaces a folder", {"n", "f a/x", "n", "f a"}, "a", 0},
        {"a folder replaces a file", {"n", "f a", "n", "f a/x"}, "a on its way", -EINVAL},
        {"a folder entry replaces a file", {"n", "f a", "n", "d a", "f a/x"}, "a/ a/x", 0},
        {"a folder replaces a link", {"n", "d b", "l a b", "n", "d a", "f a/x"}, "b/ a/ a/x", 0},
        {"a whiteout", {"n", "f a/x", "f a/y", "n", "f a/.wh.x"}, "a/ a/y", 0},
        {"of a folder", {"n", "f a/x/y", "n", "f a/.wh.x"}, "a/", 0},
        {"of nothing", {"n", "f a", "n", "f b/.wh.x"}, "a", 0},
        {"below a file", {"n", "f a/x", "n", "f a", "f a/.wh.x"}, "a", 0},
        {"before the layer's own", {"n", "f a/x", "n", "f a/.wh.x", "f a/x"}, "a/ a/x", 0},
        {"after the layer's own", {"n", "f a/x", "n", "f a/x", "f a/.wh.x"}, "a/ a/x", 0},
        {"spares what is new below",
         {"n", "f a/x/o", "n", "f a/x/n", "f a/.wh.x"},
         "a/ a/x/ a/x/n",
         0},
        {"opaque", {"n", "f a/x/y", "f b", "n", "f a/.wh..wh..opq", "f a/z"}, "a/ a/z b", 0},
        {"opaque at the end", {"n", "f a/x", "n", "f a/z", "f a/.wh..wh..opq"}, "a/ a/z", 0},
        {"opaque root", {"n", "f a/x", "f b", "n", "f .wh..wh..opq", "f c"}, "c", 0},
        {"aufs's own", {"n", "f a/x", "n", "f .wh..wh.plnk", "f a/.wh..wh.aufs"}, "a/ a/x", 0},
        {"without a name", {"n", "d a", "f a/.wh."}, "whiteout without a name", -EINVAL},
        {"with a slash", {"n", "f a/x", "n", "d a/.wh.x/"}, "a/", 0},
        {"through a link", {"n", "f r/x", "l a r", "n", "f a/.wh.x"}, "r/ a", 0},
        {"one layer hides nothing", {"n", "f x", "f .wh.x"}, "x", 0},
        {"hard links", {"n", "f a", "h b a", "h d/c b"}, "a(3) b(3) d/ d/c(3)", 0},
        {"to a lower layer", {"n", "f a", "n", "h b a"}, "a(2) b(2)", 0},
        {"outlive their name", {"n", "f a", "h b a", "n", "f .wh.a"}, "b", 0},
        {"replace their own target", {"n", "f a/x", "n", "h a a/x"}, "a", 0},
        {"to themselves", {"n", "f a", "h a a"}, "a", 0},
        {"to a link", {"n", "l a far", "h b a"}, "a(2) b(2)", 0},
        {"absolute", {"n", "f a", "h b /a"}, "a(2) b(2)", 0},
        {"to a folder", {"n", "d a", "h b a"}, "hard link to the directory", -EINVAL},
        {"to nothing", {"n", "h b a"}, "is not in the image", -EINVAL},
        {"to the host", {"n", "h b ../../etc/passwd"}, "'..' in the path", -EINVAL},
        {"into a link", {"n", "d r", "l a r", "f a/x"}, "r/ r/x a", 0},
        {"into an absolute link", {"n", "d r", "l d/a /r", "f d/a/x"}, "r/ r/x d/ d/a", 0},
        {"into a link out", {"n", "l a ../../../r", "f a/x"}, "a r/ r/x", 0},
        {"a loop", {"n", "l a b", "l b a", "f a/x"}, "symbolic links on the way", -ELOOP},
        {"..", {"n", "f a/../x"}, "'..' in the path", -EINVAL},
        {".. at the end", {"n", "d a/.."}, "'..' in the path", -EINVAL},
        {"odd slashes", {"n", "f .//a/./b"}, "a/ a/b", 0},
        {"absolute names", {"n", "f /a/b"}, "a/ a/b", 0},
        {"the root as a file", {"n", "f ./"}, "root must be a directory", -EINVAL},
        {"the root as a link", {"n", "h / a"}, "root must be a directory", -EINVAL},
        {"the root as a folder", {"n", "d ./"}, "", 0},
        {"a link to nothing", {"n", "l a "}, "symbolic link to nothing", -EINVAL},
};

static void test_cases(void)
{
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                AUTO(tree) struct tree *tree = tree_new();
                AUTO_FREE char *shown = NULL;
                struct err err = ERR_INIT;
                int r = 0;

                for (size_t s = 0; cases[i].steps[s]; s++) {
                        is_int(r, 0, "%s: step %zu", cases[i].name, s);
                        r = apply(tree, cases[i].steps[s], &err);
                }
                is_int(r, cases[i].code, "%s", cases[i].name);
                shown = show(tree);
                if (cases[i].code)
                        has_str(err.msg, cases[i].result, "%s: text", cases[i].name);
                else
                        is_str(shown, cases[i].result, "%s: tree", cases[i].name);
        }
}

static void test_limits(void)
{
        AUTO(tree) struct tree *tree = tree_new();
        AUTO_FREE char *deep = xcalloc(1, 8192), *name = xcalloc(1, 400);
        struct tree_entry entry = {.mode = S_IFREG | 0644, .path = deep};
        struct tree_inode *inode;
        struct err err = ERR_INIT;

        tree_begin_layer(tree);
        for (int i = 0; i < 300; i++)
                memcpy(deep + 2 * i, "d/", 2);
        is_int(tree_add(tree, &entry, &inode, &err), -E2BIG, "too deep");
        has_str(err.msg, "256", "names the limit");
        memset(deep, 'x', 5000);
        is_int(tree_add(tree, &entry, &inode, &err), -E2BIG, "too long a path");
        memset(name, 'n', 256);
        entry.path = name;
        is_int(tree_add(tree, &entry, &inode, &err), -E2BIG, "too long a name");
        name[255] = '\0';
        is_int(tree_add(tree, &entry, &inode, &err), 0, "the longest name");
        entry.path = "a";
        entry.uid = -1;
        is_int(tree_add(tree, &entry, &inode, &err), -EINVAL, "a negative owner");
        entry.uid = INT64_C(1) << 32;
        is_int(tree_add(tree, &entry, &inode, &err), -EINVAL, "an owner past 32 bits");
        entry.uid = 0;
        entry.size = INT64_C(1) << 41;
        is_int(tree_add(tree, &entry, &inode, &err), -E2BIG, "too large a file");
        entry.size = 0;
        entry.mode = S_IFCHR | 0600;
        entry.minor = 1 << 20;
        is_int(tree_add(tree, &entry, &inode, &err), -EINVAL, "a device past 20 bits");
}

/* Links that lead ever deeper: the walk must stop before the depth does harm. */
static void test_deep_links(void)
{
        AUTO(tree) struct tree *tree = tree_new();
        struct err err = ERR_INIT;
        int r = 0;

        tree_begin_layer(tree);
        for (int i = 0; i < 400 && r == 0; i++) {
                r = apply(tree, "f a/b/c/d/e/f/g/h/i/j/x", &err);
                if (r == 0)
                        r = apply(tree, "d a/b/c/d/e/f/g/h/i/j/k", &err);
                if (r == 0)
                        r = apply(tree, "l a a/b/c/d/e/f/g/h/i/j/k", &err);
        }
        ok(r < 0, "stops: %s", err.msg);
}

int main(void)
{
        test_cases();
        test_limits();
        test_deep_links();
        return tap_done();
}
