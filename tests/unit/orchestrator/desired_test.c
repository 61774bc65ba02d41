/* SPDX-License-Identifier: Apache-2.0 */
/* A revision: what is wished beside the manifest, where it goes, and that it survives the store. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/desired.h"
#include "tests/tap.h"

#define DIGEST "sha256:0123456789012345678901234567890123456789012345678901234567890123"

static struct desired *desired_of(const char *text)
{
        AUTO_JSON json_t *manifest = NULL, *diagnostics = NULL;
        struct desired *desired = NULL;
        struct err err = ERR_INIT;

        if (json_parse(text, strlen(text), strlen(text), "manifest", &manifest, &err) < 0 ||
            desired_new(manifest, &desired, &diagnostics, &err) < 0)
                printf("# %s\n", err.msg);
        return desired;
}

/* The same revision as the next daemon reads it. */
static struct desired *stored(const struct desired *desired)
{
        AUTO_JSON json_t *wishes = desired_wishes_json(desired);
        AUTO_JSON json_t *json = desired_manifest(desired);
        AUTO_FREE char *manifest = json_text(json);
        struct desired *read = desired_of(manifest);

        desired_read_wishes(read, wishes);
        return read;
}

static const char web1[] = "{\"name\": \"shop\", \"services\": {\"web\": {\"image\": \"web:1\"}}}";
static const char web2[] = "{\"name\": \"shop\", \"services\": {\"web\": {\"image\": \"web:2\"}}}";

static void test_wishes_survive(void)
{
        AUTO(desired) struct desired *first = desired_of(web1), *again = NULL;
        struct service_wish *wish = &first->wishes.services[0];

        desired_pin(first, 0, DIGEST);
        desired_renew(first, 0, "image changed");
        wish->stopped = wish->undoing = wish->once = true;
        wish->good = xstrdup("sha256:good");
        wish->good_revision = 3;
        first->undoes = 4;
        again = stored(first);
        wish = &again->wishes.services[0];
        ok(again->undoes == 4, "the revision that it takes back");
        is_str(wish->image, "web:1@" DIGEST, "the pinned image");
        is_str(wish->cause, "image changed", "the cause of the generation");
        ok(wish->stopped && wish->undoing && wish->generation == 1, "what commands asked");
        ok(wish->once && desired_is_once(again), "that it is for once");
        ok(streq(wish->good, "sha256:good") && wish->good_revision == 3, "what was good");
        is_str(again->hashes->services[0], first->hashes->services[0], "the same hash");
}

static void test_inherit(void)
{
        AUTO(desired)
        struct desired *first = desired_of(web1), *same = desired_of(web1),
                       *other = desired_of(web2);

        is_str(desired_image(first, 0), "web:1", "an image that is not known yet");
        desired_pin(first, 0, DIGEST);
        is_str(desired_image(first, 0), "web:1@" DIGEST, "and one that is");
        desired_inherit(same, first, true);
        is_str(desired_image(same, 0), "web:1@" DIGEST, "the next revision means the same");
        desired_inherit(other, first, true);
        is_str(desired_image(other, 0), "web:2", "unless it names another");
}

static void test_pinned_name(void)
{
        AUTO_FREE char *plain = image_pinned("web", DIGEST);
        AUTO_FREE char *digested = image_pinned("web@" DIGEST, DIGEST);

        is_str(plain, "web@" DIGEST, "a name without a tag");
        is_str(digested, "web@" DIGEST, "a name with a digest stays");
}

int main(void)
{
        test_wishes_survive();
        test_inherit();
        test_pinned_name();
        return tap_done();
}
