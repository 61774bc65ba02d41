/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/built_image.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"

#define COMMAND_MAX 1000

/* Text that a shell takes as it is: the command is there to be copied. */
static bool is_plain(const char *text)
{
        return text[0] && text[0] != '-' &&
               strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "_./:@%+=-") == strlen(text);
}

static bool is_url(const char *context)
{
        return strstr(context, "://") || strncmp(context, "git@", 4) == 0;
}

/* The text of a key of build; NULL: it is not there, or not a text. */
static const char *text_of(const struct node *build, const char *key)
{
        const struct node *node = build->kind == NODE_MAP ? node_get(build, key) : NULL;

        return node && node->kind == NODE_STRING && node->text[0] ? node->text : NULL;
}

/* Whether `docker build` with a folder, a file and a stage does all that is asked for. */
static bool is_simple(const struct node *build)
{
        static const char *const known[] = {"context", "dockerfile", "target"};
        static const char *const told[] = {"cache_from", "cache_to", "tags", "labels", "pull"};

        for (size_t i = 0; build->kind == NODE_MAP && i < build->len; i++) {
                bool fine = false;

                for (size_t k = 0; k < ARRAY_SIZE(known); k++)
                        fine = fine || streq(build->entries[i].key, known[k]);
                for (size_t k = 0; k < ARRAY_SIZE(told); k++)
                        fine = fine || streq(build->entries[i].key, told[k]);
                if (!fine)
                        return false;
        }
        return true;
}

/* The folder as seen from here: the manifest may be in another one. */
static char *folder_of(const struct node *build, const char *context)
{
        const char *file = build->mark.file ? build->mark.file : "";
        const char *slash = strrchr(file, '/');

        if (!slash || context[0] == '/' || context[0] == '~' || is_url(context))
                return xstrdup(context);
        if (streq(context, ".") || streq(context, "./"))
                return xstrndup(file, slash > file ? (size_t)(slash - file) : 1);
        context += strncmp(context, "./", 2) == 0 ? 2 : 0;
        return xasprintf("%.*s/%s", (int)(slash - file), file, context);
}

/* A Dockerfile is looked for in the context, `docker build -f` looks for it here. */
static char *dockerfile_of(const char *folder, const char *dockerfile)
{
        bool here = dockerfile[0] == '/' || is_url(folder) || streq(folder, ".");
        size_t n = strlen(folder);

        if (strncmp(dockerfile, "./", 2) == 0)
                dockerfile += 2;
        return here ? xstrdup(dockerfile)
                    : xasprintf("%s%s%s", folder, folder[n - 1] == '/' ? "" : "/", dockerfile);
}

/* false: Compose has to do it. */
static bool add_docker_build(struct strbuf *out, const struct node *build, const char *image)
{
        const char *context = build->kind == NODE_MAP ? text_of(build, "context") : build->text;
        const char *dockerfile = text_of(build, "dockerfile");
        const char *target = text_of(build, "target");
        AUTO_FREE char *folder = folder_of(build, context && context[0] ? context : ".");
        AUTO_FREE char *file = dockerfile ? dockerfile_of(folder, dockerfile) : NULL;

        if (!is_simple(build) || !is_plain(folder) || (file && !is_plain(file)) ||
            (target && !is_plain(target)))
                return false;
        strbuf_addf(out, "docker build -t %s", image);
        if (file && !streq(dockerfile, "Dockerfile"))
                strbuf_addf(out, " -f %s", file);
        if (target)
                strbuf_addf(out, " --target %s", target);
        strbuf_addf(out, " %s", folder);
        return true;
}

/* Compose finds the files that have its names here by itself. */
static void add_compose_build(struct strbuf *out, const struct node *build, const char *stack,
                              const char *service)
{
        static const char *const found[] = {"compose.yaml", "compose.yml", "docker-compose.yml",
                                            "docker-compose.yaml"};
        const char *file = build->mark.file ? build->mark.file : "";
        bool named = is_plain(file);

        for (size_t i = 0; i < ARRAY_SIZE(found); i++)
                named = named && !streq(file, found[i]);
        strbuf_addf(out, "docker compose%s%s -p %s build %s", named ? " -f " : "",
                    named ? file : "", stack ? stack : "", service);
}

void built_image_name(struct reader *r, const char *stack, struct service_draft *draft)
{
        struct service *s = &draft->service;
        const char *path = arena_printf(r->arena, "services.%s.build", s->name);
        AUTO_STRBUF struct strbuf command = STRBUF_INIT(COMMAND_MAX);

        if (s->image) {
                diags_add(r->diags, DIAG_IGNORED_KEY, &draft->build->mark, path,
                          "ignored: images are not built here; the one that 'image' names is run "
                          "as it was loaded, or else pulled");
                return;
        }
        s->image = xasprintf("%s-%s", stack ? stack : "", s->name);
        for (char *p = s->image; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        if (s->pull_policy == PULL_MISSING)
                s->pull_policy = PULL_NEVER;
        if (!add_docker_build(&command, draft->build, s->image))
                add_compose_build(&command, draft->build, stack, s->name);
        diags_add_about(
                r->diags, DIAG_IGNORED_KEY, &draft->build->mark, path, s->image,
                "images are not built here; load %s: `%s && docker save %s | berth image load`",
                s->image, strbuf_str(&command), s->image);
}
