/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/source.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/mem.h"
#include "schema/draft.h"
#include "schema/kinds.h"
#include "schema/mount.h"
#include "schema/shapes.h"

/* Takes content. */
static void set_content(struct reader *r, const struct mark *mark, struct file_source *source,
                        char *content, size_t len)
{
        if (source->content)
                reader_fault(r, DIAG_CONFLICT, mark,
                             "the content is given twice; keep one of file, environment, "
                             "content");
        if (len > SOURCE_SIZE_MAX)
                reader_fault(r, DIAG_LIMIT, mark, "%zu bytes; the most is %d", len,
                             SOURCE_SIZE_MAX);
        free(source->content);
        source->content = content;
        source->content_len = len;
}

static void file_read_kind(struct reader *r, const struct field *field, const struct node *node,
                           void *value)
{
        const char *text = reader_string(r, field, node);
        struct err err = ERR_INIT;
        const char *path;
        char *content = NULL;
        size_t len = 0;

        if (!text)
                return;
        if (!r->env) {
                reader_fault(r, DIAG_UNSUPPORTED_KEY, &node->mark,
                             "files are read by the command line, not from JSON");
                return;
        }
        path = reader_resolve_path(r, &node->mark, text);
        if (file_read(path, SOURCE_SIZE_MAX, &content, &len, &err) < 0)
                reader_fault(r, DIAG_BAD_FILE, &node->mark, "%s", err.msg);
        set_content(r, &node->mark, value, content ? content : xstrdup(""), len);
}

const struct kind kind_source_file = {
        .schema = SHAPE_STRING, .form = "a string", .read = file_read_kind};

static void environment_read(struct reader *r, const struct field *field, const struct node *node,
                             void *value)
{
        const char *text = reader_string(r, field, node);
        const char *content = text && r->env ? env_get(reader_env(r, &node->mark), text) : NULL;

        if (!text)
                return;
        if (!content)
                reader_fault(r, DIAG_BAD_VARIABLE, &node->mark,
                             "variable %.60s is not set; set it in the environment "
                             "or in .env",
                             text);
        set_content(r, &node->mark, value, xstrdup(content ? content : ""),
                    content ? strlen(content) : 0);
}

const struct kind kind_source_environment = {
        .schema = SHAPE_STRING, .form = "a string", .read = environment_read};

static void content_read(struct reader *r, const struct field *field, const struct node *node,
                         void *value)
{
        const char *text = reader_string(r, field, node);

        if (text)
                set_content(r, &node->mark, value, xstrdup(text), strlen(text));
}

static json_t *content_write(const struct field *field, const void *value)
{
        const struct file_source *source = value;

        (void)field;
        if (!source->content || !text_valid(source->content, source->content_len))
                return NULL;
        return json_stringn(source->content, source->content_len);
}

const struct kind kind_source_content = {
        .schema = SHAPE_STRING, .form = "a string", .read = content_read, .write = content_write};

static void base64_read(struct reader *r, const struct field *field, const struct node *node,
                        void *value)
{
        const char *text = reader_string(r, field, node);
        char *content = NULL;
        size_t len = 0;

        if (!text)
                return;
        if (strlen(text) > (size_t)SOURCE_SIZE_MAX * 3 / 2 ||
            base64_decode(text, &content, &len) < 0)
                reader_error(r, &node->mark, "is not base64, or too long");
        set_content(r, &node->mark, value, content ? content : xstrdup(""), len);
}

static json_t *base64_write(const struct field *field, const void *value)
{
        const struct file_source *source = value;
        AUTO_FREE char *text = NULL;

        (void)field;
        if (!source->content || text_valid(source->content, source->content_len))
                return NULL;
        text = base64_encode(source->content, source->content_len);
        return json_string(text);
}

const struct kind kind_source_base64 = {
        .schema = SHAPE_STRING, .form = "a string", .read = base64_read, .write = base64_write};
