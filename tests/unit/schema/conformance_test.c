/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conformance suite: tests/conformance/SECTION/TOPIC.txt, one case after the other, by section
 * of the Compose Specification. A case is
 *
 *   == what it shows
 *   -- service             the service "web", beside its image
 *   -- stack               or a whole stack.yaml
 *   -- file NAME           another file
 *   -- env NAME=VALUE      a variable of the environment
 *   -- deviates            why berth differs from Compose here, for the docs
 *   -- says                the findings, one a line
 *   -- gives               the canonical form: of the service, or of the stack
 *
 * UPDATE=1 writes `says` and `gives` as they are now, to be read and judged, and the list of
 * deviations in docs/compose-deviations.md.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "tests/unit/schema/fixture.h"

#define ROOT      "tests/conformance"
#define DOCS      "docs/compose-deviations.md"
#define TEXT_MAX  (1 << 20)
#define CASES_MIN 300
#define PARTS_MAX 16

struct part {
        char *what; /* "file a.env" */
        struct strbuf text;
};

struct item {
        char *title;
        struct part parts[PARTS_MAX];
        size_t parts_len;
};

static char *top; /* of the sources */
static int cases;
static struct strbuf deviations = STRBUF_INIT(TEXT_MAX);

static void item_clear(struct item *item)
{
        for (size_t i = 0; i < item->parts_len; i++) {
                free(item->parts[i].what);
                strbuf_release(&item->parts[i].text);
        }
        free(item->title);
        *item = (struct item){0};
}

static const char *part_text(struct item *item, const char *what)
{
        for (size_t i = 0; i < item->parts_len; i++)
                if (streq(item->parts[i].what, what))
                        return strbuf_str(&item->parts[i].text);
        return NULL;
}

/* The service's part below what makes it a stack. */
static char *stack_text(struct item *item)
{
        const char *whole = part_text(item, "stack"), *body = part_text(item, "service");
        struct strbuf text = STRBUF_INIT(TEXT_MAX);

        if (whole || !body)
                return xstrdup(whole ? whole : "");
        strbuf_adds(&text, "services:\n  web:\n");
        if (!strstr(body, "image:") && !strstr(body, "build:"))
                strbuf_adds(&text, "    image: a\n");
        while (*body) {
                size_t n = strcspn(body, "\n");

                strbuf_addf(&text, "    %.*s\n", (int)n, body);
                body += n + (body[n] == '\n');
        }
        return strbuf_take(&text);
}

/* What is the same everywhere is left out of a service. */
static void strip_service(json_t *json)
{
        AUTO_JSON json_t *usual = json_pack("{s{}}", "default");

        if (json_equal(json_object_get(json, "networks"), usual))
                (void)json_object_del(json, "networks"); /* it is there */
        if (streq(json_str(json, "image", NULL), "a"))
                (void)json_object_del(json, "image"); /* likewise */
}

static char *canonical(struct item *item, const struct stack *stack)
{
        AUTO_JSON json_t *json = NULL;

        if (part_text(item, "stack")) {
                json = stack_to_json(stack);
                (void)json_object_del(json, "name"); /* that of the folder */
        } else if (stack->services_len == 1) {
                json = service_to_json(&stack->services[0]);
                strip_service(json);
        }
        return json ? manifest_yaml(json) : xstrdup("");
}

/* The folder of the run is another one each time. */
static char *without_folder(char *text)
{
        AUTO_FREE char *cwd = getcwd(NULL, 0);
        char *at;

        while ((at = strstr(text, cwd))) {
                memmove(at + strlen("DIR"), at + strlen(cwd), strlen(at + strlen(cwd)) + 1);
                memcpy(at, "DIR", strlen("DIR"));
        }
        return text;
}

static void run(struct item *item, char **ret_says, char **ret_gives)
{
        const char *variables[PARTS_MAX + 2] = {"HOME=/home/me"};
        const char *files[PARTS_MAX] = {"stack.yaml"};
        struct load_options options = {.files = files, .file_count = 1, .environ = variables};
        AUTO_FREE char *text = stack_text(item);
        AUTO(stack) struct stack *stack = NULL;
        struct diags diags = {0};
        size_t n = 1;

        fixture_write("stack.yaml", text);
        for (size_t i = 0; i < item->parts_len; i++) {
                struct part *part = &item->parts[i];

                if (has_prefix(part->what, "env "))
                        variables[n++] = part->what + 4;
                if (has_prefix(part->what, "file ")) {
                        const char *name = part->what + 5;
                        AUTO_FREE char *dir = xstrndup(name, strcspn(name, "/"));

                        if (strchr(name, '/'))
                                (void)file_mkdir_p(dir, 0755, NULL); /* seen by the next */
                        fixture_write(name, strbuf_str(&part->text));
                        if (has_prefix(name, "over"))
                                files[options.file_count++] = name;
                }
        }
        (void)manifest_load(&options, &stack, &diags, NULL); /* its findings are looked at */
        *ret_says = without_folder(fixture_print(&diags));
        *ret_gives = stack ? without_folder(canonical(item, stack)) : xstrdup("");
        if (stack)
                fixture_round_trip(stack, item->title);
        diags_release(&diags);
        for (size_t i = 0; i < item->parts_len; i++)
                if (has_prefix(item->parts[i].what, "file "))
                        (void)unlink(item->parts[i].what + 5); /* it was written above */
}

static void write_part(struct strbuf *out, const char *what, const char *text)
{
        if (*text)
                strbuf_addf(out, "-- %s\n%s", what, text);
}

static void finish(struct item *item, const char *section, struct strbuf *out)
{
        AUTO_FREE char *says = NULL;
        AUTO_FREE char *gives = NULL;
        const char *why;

        if (!item->title)
                return;
        cases++;
        run(item, &says, &gives);
        if (out->max > 1) {
                strbuf_addf(out, "\n== %s\n", item->title);
                for (size_t i = 0; i < item->parts_len; i++)
                        if (!streq(item->parts[i].what, "says") &&
                            !streq(item->parts[i].what, "gives"))
                                strbuf_addf(out, "-- %s\n%s", item->parts[i].what,
                                            strbuf_str(&item->parts[i].text));
                write_part(out, "says", says);
                write_part(out, "gives", gives);
        } else {
                const char *expected = part_text(item, "says");

                is_str(says, expected ? expected : "", "%s: %s: says", section, item->title);
                expected = part_text(item, "gives");
                is_str(gives, expected ? expected : "", "%s: %s: gives", section, item->title);
        }
        why = part_text(item, "deviates");
        if (why)
                strbuf_addf(&deviations, "| %s | %s | %.*s |\n", section, item->title,
                            (int)strcspn(why, "\n"), why);
        item_clear(item);
}

static void run_file(const char *section, const char *path)
{
        bool update = getenv("UPDATE") != NULL;
        struct strbuf out = STRBUF_INIT(update ? TEXT_MAX : 1);
        struct item item = {0};
        AUTO_FREE char *text = NULL;
        bool begun = false;
        char *rest;

        if (file_read(path, TEXT_MAX, &text, NULL, NULL) < 0)
                exit(99);
        rest = text;
        while (rest && *rest) {
                const char *line = strsep(&rest, "\n");

                if (has_prefix(line, "== ")) {
                        finish(&item, section, &out);
                        item.title = xstrdup(line + 3);
                        begun = true;
                } else if (has_prefix(line, "-- ") && begun && item.parts_len < PARTS_MAX) {
                        item.parts[item.parts_len++] =
                                (struct part){xstrdup(line + 3), STRBUF_INIT(TEXT_MAX)};
                } else if (begun && item.parts_len && (*line || (rest && *rest != '=' && *rest))) {
                        strbuf_addf(&item.parts[item.parts_len - 1].text, "%s\n", line);
                } else if (!begun && *line && update) {
                        strbuf_addf(&out, "%s\n", line);
                }
        }
        finish(&item, section, &out);
        if (update && file_write_atomic(path, strbuf_str(&out), out.len, 0644, NULL) < 0)
                exit(99);
        strbuf_release(&out);
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names below a folder, sorted. */
static char **list(const char *dir, size_t *len)
{
        DIR *d = opendir(dir);
        struct dirent *entry;
        char **names = NULL;

        *len = 0;
        while (d && (entry = readdir(d)))
                if (entry->d_name[0] != '.')
                        *array_push(&names, len) = xstrdup(entry->d_name);
        if (d)
                (void)closedir(d);
        if (*len)
                qsort(names, *len, sizeof(*names), compare_names);
        return names;
}

static void run_all(void)
{
        AUTO_FREE char *root = file_join(top, ROOT);
        size_t n = 0;
        char **sections = list(root, &n);

        for (size_t i = 0; i < n; i++) {
                AUTO_FREE char *dir = file_join(root, sections[i]);
                size_t files_len = 0;
                char **files = list(dir, &files_len);

                for (size_t k = 0; k < files_len; k++) {
                        AUTO_FREE char *path = file_join(dir, files[k]);

                        run_file(sections[i], path);
                        free(files[k]);
                }
                free(files);
                free(sections[i]);
        }
        free(sections);
}

static void check_docs(void)
{
        AUTO_FREE char *path = file_join(top, DOCS);
        AUTO_FREE char *text = NULL;
        AUTO_FREE char *expected =
                xasprintf("# Known deviations from the Compose Specification\n\n"
                          "Made from the cases of tests/conformance that carry a reason "
                          "(tests/unit/schema/conformance_test, UPDATE=1 writes it).\n\n"
                          "| Section | Case | What differs, and why |\n|---|---|---|\n%s",
                          strbuf_str(&deviations));

        if (getenv("UPDATE"))
                ok(file_write_atomic(path, expected, strlen(expected), 0644, NULL) == 0, "docs");
        if (ok(file_read(path, TEXT_MAX, &text, NULL, NULL) == 0, DOCS " is there"))
                ok(streq(text, expected), DOCS " has the deviations of the cases");
}

int main(void)
{
        top = getcwd(NULL, 0);
        if (access(ROOT, R_OK) < 0) {
                ok(true, "# " ROOT " is not below this folder");
                return tap_done();
        }
        fixture_enter();
        run_all();
        check_docs();
        ok(cases >= CASES_MIN, "%d cases", cases);
        strbuf_release(&deviations);
        free(top);
        return tap_done();
}
