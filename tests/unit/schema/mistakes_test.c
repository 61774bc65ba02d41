/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mistakes that newcomers make (tests/mistakes) and what berth says, in docs/mistakes.md. UPDATE=1
 * writes it.
 */
#include <string.h>

#include "base/strbuf.h"
#include "tests/unit/schema/fixture.h"

#define ROOT "tests/mistakes"
#define DOCS "docs/mistakes.md"

static const char *const names[] = {
        "01-misspelled-key",
        "02-indentation",
        "03-tab",
        "04-list-without-dash",
        "05-undeclared-volume",
        "06-missing-variable",
        "07-duration",
        "08-port-twice",
        "09-wrong-name",
        "10-docker-only",
        "11-variables",
        "12-blank",
        "13-service-at-the-top",
        "14-dashes",
        "15-healthcheck",
        "16-wrong-place",
        "17-alias",
        "18-image",
        "19-colon",
        "20-dependencies",
};

static char *shown(const struct diags *diags)
{
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);

        diags_show(diags, f);
        (void)fclose(f); /* a memstream */
        return text;
}

static void add_indented(struct strbuf *out, const char *text)
{
        while (*text) {
                size_t n = strcspn(text, "\n");

                strbuf_addf(out, "    %.*s\n", (int)n, text);
                text += n + (text[n] == '\n');
        }
}

/* A case's file begins with a comment, its title. */
static void add_case(struct strbuf *out, const char *text, unsigned number)
{
        const struct load_options options = {.files = (const char *const[]){"stack.yaml"},
                                             .file_count = 1};
        const char *body = strchr(text, '\n') + 1;
        AUTO(stack) struct stack *stack = NULL;
        AUTO_FREE char *said = NULL;
        struct diags diags = {0};

        fixture_write("stack.yaml", body);
        ok(manifest_load(&options, &stack, &diags, NULL) < 0, "%.*s is refused",
           (int)strcspn(text, "\n"), text);
        said = shown(&diags);
        strbuf_addf(out, "\n## %u. %.*s\n\n", number, (int)strcspn(text + 2, "\n"), text + 2);
        add_indented(out, body);
        strbuf_addf(out, "\nis answered with\n\n");
        add_indented(out, said);
        diags_release(&diags);
}

int main(void)
{
        AUTO_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
        AUTO_FREE char *top = getcwd(NULL, 0);
        AUTO_FREE char *docs = file_join(top, DOCS);
        AUTO_FREE char *had = NULL;

        if (access(ROOT, R_OK) < 0) {
                ok(true, "# " ROOT " is not below this folder");
                return tap_done();
        }
        fixture_enter();
        strbuf_adds(&out,
                    "# Twenty mistakes\n\nWhat berth says to manifests of tests/mistakes, made by "
                    "tests/unit/schema/mistakes_test (UPDATE=1 writes it).\n");
        for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
                AUTO_FREE char *path = xasprintf("%s/" ROOT "/%s.yaml", top, names[i]);
                AUTO_FREE char *text = NULL;

                if (ok(file_read(path, 1 << 16, &text, NULL, NULL) == 0, "%s", names[i]))
                        add_case(&out, text, i + 1);
        }
        if (getenv("UPDATE"))
                ok(file_write_atomic(docs, strbuf_str(&out), out.len, 0644, NULL) == 0, "written");
        if (ok(file_read(docs, 1 << 20, &had, NULL, NULL) == 0, DOCS " is there"))
                ok(streq(had, strbuf_str(&out)), DOCS " is what berth says");
        return tap_done();
}
