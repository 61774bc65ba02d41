/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/pull.h"

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/client.h"
#include "orchestrator/cli/layers.h"
#include "orchestrator/cli/registry.h"

struct pulling {
        struct layers layers;
        json_t *last; /* the line with the images */
};

static int on_pull_item(void *arg, json_t *item)
{
        struct pulling *pulling = arg;

        if (!json_object_get(item, "images")) {
                layers_update(&pulling->layers, item);
                return 0;
        }
        json_decref(pulling->last);
        pulling->last = json_incref(item);
        return 0;
}

int pull_image(struct cli *cli, const char *path, const char *ref, const char *platform, bool quiet,
               json_t **ret_last, struct err *err)
{
        AUTO_FREE char *auth_file = registry_login_file();
        AUTO_JSON json_t *body = json_pack("{s:s, s:s*, s:s*}", "ref", ref, "auth_file", auth_file,
                                           "platform", platform);
        struct pulling pulling = {
                .layers = {.live = cli->err_tty && cli->colour_err, .quiet = quiet}};
        const struct client_stream stream = {
                .path = path, .on_item = on_pull_item, .arg = &pulling, .body = body};
        AUTO_JSON json_t *last = NULL;
        int r;

        if (!body)
                return err_set(err, EINVAL, "the name is not valid UTF-8");
        r = client_follow(cli, &stream, err);
        last = pulling.last;
        layers_clear(&pulling.layers);
        layers_release(&pulling.layers);
        if (r < 0)
                return r;
        if (!last)
                return err_set(err, EPIPE, "%s: berthd ended before it was done", ref);
        if (ret_last)
                *ret_last = STEAL(last);
        return 0;
}
