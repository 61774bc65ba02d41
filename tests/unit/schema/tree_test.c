/* SPDX-License-Identifier: Apache-2.0 */
/* YAML to trees: types of scalars, places, anchors and merges; words; suggestions; base64. */
#include <stdlib.h>

#include "base/base64.h"
#include "base/mem.h"
#include "schema/suggest.h"
#include "schema/tree.h"
#include "schema/words.h"
#include "schema/yaml.h"
#include "tests/tap.h"

static const struct {
        const char *text;
        enum node_kind kind;
        long long integer;
} scalars[] = {
        {"", NODE_NULL, 0},
        {"~", NODE_NULL, 0},
        {"null", NODE_NULL, 0},
        {"NULL", NODE_NULL, 0},
        {"nULL", NODE_STRING, 0},
        {"true", NODE_BOOL, 1},
        {"True", NODE_BOOL, 1},
        {"TRUE", NODE_BOOL, 1},
        {"false", NODE_BOOL, 0},
        {"tRUE", NODE_STRING, 0},
        {"yes", NODE_STRING, 0},
        {"no", NODE_STRING, 0},
        {"on", NODE_STRING, 0},
        {"off", NODE_STRING, 0},
        {"y", NODE_STRING, 0},
        {"0", NODE_INT, 0},
        {"-5", NODE_INT, -5},
        {"+5", NODE_INT, 5},
        {"0123", NODE_INT, 83},
        {"0o123", NODE_INT, 83},
        {"0x1F", NODE_INT, 31},
        {"0b101", NODE_INT, 5},
        {"1_000", NODE_INT, 1000},
        {"089", NODE_FLOAT, 0},
        {"22:22", NODE_STRING, 0},
        {"1:30:00", NODE_STRING, 0},
        {"2024-01-01", NODE_STRING, 0},
        {"1.5", NODE_FLOAT, 0},
        {"-.5", NODE_FLOAT, 0},
        {"1e3", NODE_FLOAT, 0},
        {"1.2.3", NODE_STRING, 0},
        {".inf", NODE_FLOAT, 0},
        {".", NODE_STRING, 0},
        {"-", NODE_STRING, 0},
        {"0x", NODE_STRING, 0},
        {"9223372036854775807", NODE_INT, 9223372036854775807LL},
        {"9223372036854775808", NODE_FLOAT, 0},
        {"12a", NODE_STRING, 0},
        {"_1", NODE_STRING, 0},
};

static void test_scalars(void)
{
        for (size_t i = 0; i < ARRAY_SIZE(scalars); i++) {
                struct node node = {.text = scalars[i].text};

                node_resolve(&node);
                is_int(node.kind, scalars[i].kind, "kind of '%s'", scalars[i].text);
                if (node.kind == NODE_INT)
                        is_int(node.integer, scalars[i].integer, "'%s'", scalars[i].text);
                if (node.kind == NODE_BOOL)
                        is_int(node.boolean, scalars[i].integer, "'%s'", scalars[i].text);
        }
}

static struct node *parse(struct arena *arena, const char *text, size_t *ret_count)
{
        struct diags diags = {0};
        struct yaml_docs docs = {0};

        if (yaml_read(arena, "f", text, strlen(text), &diags, &docs) < 0)
                diags_print(&diags, stdout);
        diags_release(&diags);
        *ret_count = docs.len;
        return docs.len ? docs.items[0] : NULL;
}

static void test_places(void)
{
        AUTO(arena) struct arena *arena = arena_new();
        size_t n = 0;
        const struct node *root = parse(arena, "a: 1\nb:\n  - x\n  - {c: 'd'}\n", &n);
        const struct entry *b = node_find(root, "b");
        const struct node *c = node_get(b->value->items[1], "c");

        is_int(b->mark.line, 2, "line of a key");
        is_int(b->value->items[1]->mark.line, 4, "line of an item");
        is_int(b->value->items[1]->mark.column, 5, "column of an item");
        is_int(c->mark.column, 9, "column of a value");
        is_str(c->mark.file, "f", "its file");
        is_int(c->kind, NODE_STRING, "quoted is a string");
        is_str(node_kind_name(b->value), "a list", "name of a kind");
        ok(!node_find(b->value, "x") && !node_get(NULL, "x"), "nothing is found where no map is");
}

static void test_merges(void)
{
        AUTO(arena) struct arena *arena = arena_new();
        size_t n = 0;
        const struct node *root = parse(arena,
                                        "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\n"
                                        "c: {<<: *a, y: 3}\nd: {<<: [*a, *b], w: 4}\n"
                                        "e: &a 5\nf: *a\ng: {<<: {q: 1}}\n",
                                        &n);
        const struct node *c = node_get(root, "c"), *d = node_get(root, "d");

        is_int(node_get(c, "x")->integer, 1, "a merged key");
        is_int(node_get(c, "y")->integer, 3, "own keys win");
        ok(!node_find(c, "<<"), "the merge key is gone");
        is_int(node_get(d, "x")->integer, 1, "the first of a list wins");
        is_int(node_get(d, "z")->integer, 2, "the second adds");
        is_int(node_get(root, "f")->integer, 5, "an anchor can be defined again");
        is_int(node_get(node_get(root, "g"), "q")->integer, 1, "an inline map merges");
}

static void test_documents(void)
{
        AUTO(arena) struct arena *arena = arena_new();
        size_t n = 0;

        (void)parse(arena, "a: 1\n---\n---\nb: 2\n...\n", &n);
        is_int(n, 2, "empty documents are left out");
        (void)parse(arena,
                    "\xef\xbb\xbf"
                    "a: 1\r\nb: 2\r\n",
                    &n);
        is_int(n, 1, "BOM and CRLF");
        (void)parse(arena, "{\"a\": [1, \"x\", null, true]}", &n);
        is_int(n, 1, "JSON is YAML");
}

static void test_words(void)
{
        static const struct {
                const char *text, *expected;
                int result;
        } cases[] = {
                {"", "", 0},
                {"  a  b ", "a|b|", 0},
                {"a 'b c' \"d e\"", "a|b c|d e|", 0},
                {"a'b'\"c\"d", "abcd|", 0},
                {"''", "|", 0},
                {"a\\ b \\'", "a b|'|", 0},
                {"\"a\\\"b\\n\"", "a\"b\\n|", 0},
                {"'a\\'", "a\\|", 0},
                {"a && b", "a|", 1},
                {"a>b", "a|", 1},
                {"'a&b' ';'", "a&b|;|", 0},
                {"'open", "open|", -EINVAL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct str_list list = {0};
                const char *operator= NULL;
                char got[64] = "";

                is_int(words_split(cases[i].text, &list, &operator, NULL), cases[i].result, "%s",
                       cases[i].text);
                for (size_t k = 0; k < list.len; k++) {
                        size_t n = strlen(got);

                        (void)snprintf(got + n, sizeof(got) - n, "%s|", list.items[k]);
                        free(list.items[k]);
                }
                free(list.items);
                is_str(got, cases[i].expected, "words of %s", cases[i].text);
        }
}

static void test_suggestions(void)
{
        struct suggestion s = SUGGESTION_INIT("prots");

        is_int(suggest_distance("ports", "ports", 2), 0, "equal");
        is_int(suggest_distance("prots", "ports", 2), 1, "a swap is one edit");
        is_int(suggest_distance("port", "ports", 2), 1, "an insertion");
        is_int(suggest_distance("Ports", "ports", 2), 0, "case does not count");
        is_int(suggest_distance("abc", "xyz", 2), 3, "far is max + 1");
        is_int(suggest_distance("a", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", 2), 3,
               "long is far");
        suggest_offer(&s, "image");
        suggest_offer(&s, "profiles");
        ok(!s.best, "nothing close");
        suggest_offer(&s, "ports");
        is_str(s.best, "ports", "the close one");
}

static void test_base64(void)
{
        static const char data[] = "\0\xff\x10"
                                   "abcd";

        for (size_t n = 0; n < sizeof(data); n++) {
                AUTO_FREE char *text = base64_encode(data, n);
                AUTO_FREE char *back = NULL;
                size_t len = 0;

                is_int(base64_decode(text, &back, &len), 0, "%zu bytes", n);
                ok(len == n && memcmp(back, data, n) == 0, "%zu bytes come back", n);
        }
        AUTO_FREE char *none = NULL;
        size_t len = 0;

        is_int(base64_decode("abc", &none, &len), -1, "length");
        is_int(base64_decode("ab!=", &none, &len), -1, "characters");
        is_int(base64_decode("=abc", &none, &len), -1, "padding in front");
}

int main(void)
{
        test_scalars();
        test_places();
        test_merges();
        test_documents();
        test_words();
        test_suggestions();
        test_base64();
        return tap_done();
}
