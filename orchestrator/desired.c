/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/desired.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "schema/load.h"

/* Among the wishes of services, the member that is about the stack: no service has such a name. */
#define OF_STACK "@stack"

static json_t *diagnostics_json(const struct diags *diags)
{
        json_t *list = json_array();

        for (size_t i = 0; i < diags->len; i++) {
                AUTO_FREE char *text =
                        xasprintf("%s: %s", diags->items[i].path, diags->items[i].message);

                if (diags->items[i].severity == DIAG_ERROR)
                        (void)json_array_append_new(list, json_string(text)); /* invalid UTF-8:
                                                                                 left out */
        }
        return list;
}

int desired_new(const json_t *manifest, struct desired **ret, json_t **ret_diagnostics,
                struct err *err)
{
        AUTO(desired) struct desired *d = xnew(struct desired);
        struct diags diags = {0};
        int r;

        d->refs = 1;
        r = stack_from_json(manifest, &d->stack, &diags, err);
        if (r < 0 && ret_diagnostics)
                *ret_diagnostics = diagnostics_json(&diags);
        diags_release(&diags);
        if (r < 0)
                return r;
        d->wishes.services_len = d->stack->services_len;
        d->wishes.services = xcalloc(d->stack->services_len, sizeof(*d->wishes.services));
        desired_hash(d);
        *ret = STEAL(d);
        return 0;
}

json_t *desired_manifest(const struct desired *d)
{
        return stack_to_json(d->stack);
}

bool desired_same_manifest(const struct desired *a, const struct desired *b)
{
        AUTO_JSON json_t *one = desired_manifest(a);
        AUTO_JSON json_t *other = desired_manifest(b);

        return json_equal(one, other);
}

void desired_hash(struct desired *d)
{
        stack_hashes_free(d->hashes);
        d->hashes = stack_hashes_new(d->stack, &d->wishes);
}

void desired_pin(struct desired *d, size_t i, const char *digest)
{
        const char *ref = d->stack->services[i].image;
        struct service_wish *wish = &d->wishes.services[i];

        free(wish->image);
        wish->image = image_pinned(ref, digest);
}

const char *desired_image(const struct desired *d, size_t i)
{
        const char *pinned = d->wishes.services[i].image;

        return pinned ? pinned : d->stack->services[i].image;
}

char *image_pinned(const char *ref, const char *digest)
{
        return strchr(ref, '@') ? xstrdup(ref) : xasprintf("%s@%s", ref, digest);
}

static unsigned read_count(const json_t *j, const char *key)
{
        int64_t n = json_int(j, key, 0);

        return n > 0 && n <= UINT_MAX ? (unsigned)n : 0;
}

struct service_wish *desired_wish(struct desired *d, const char *service)
{
        const struct service *found = stack_find_service(d->stack, service);

        return found ? &d->wishes.services[found - d->stack->services] : NULL;
}

bool desired_is_once(const struct desired *d)
{
        for (size_t i = 0; i < d->wishes.services_len; i++)
                if (!d->wishes.services[i].once)
                        return false;
        return d->wishes.services_len > 0;
}

void desired_inherit(struct desired *d, const struct desired *from, bool keep_stopped)
{
        for (size_t i = 0; i < d->wishes.services_len; i++) {
                struct service_wish *wish = &d->wishes.services[i];
                const struct service *then =
                        stack_find_service(from->stack, d->stack->services[i].name);
                const struct service_wish *old;

                if (!then)
                        continue;
                old = &from->wishes.services[then - from->stack->services];
                wish->generation = old->generation;
                wish->once = keep_stopped && old->once; /* an apply of its own wants it to stay */
                wish->stopped = keep_stopped && old->stopped;
                free(wish->image); /* another name means another image */
                wish->image = streq(then->image, d->stack->services[i].image) ? xstrdup(old->image)
                                                                              : NULL;
                free(wish->good);
                wish->good = xstrdup(old->good);
                wish->good_revision = old->good_revision;
                wish->undoing = keep_stopped && old->undoing;
        }
        desired_hash(d);
}

void desired_renew(struct desired *d, size_t i, const char *cause)
{
        struct service_wish *wish = &d->wishes.services[i];

        wish->generation++;
        free(wish->cause);
        wish->cause = xstrdup(cause);
        desired_hash(d);
}

json_t *desired_wishes_json(const struct desired *d)
{
        json_t *all = json_object();

        for (size_t i = 0; i < d->wishes.services_len; i++) {
                const struct service_wish *wish = &d->wishes.services[i];
                json_t *j = json_object();

                if (wish->stopped)
                        json_set_bool(j, "stopped", true);
                if (wish->generation)
                        json_set_int(j, "generation", wish->generation);
                json_set_str(j, "image", wish->image);
                json_set_str(j, "cause", wish->cause);
                json_set_str(j, "good", wish->good);
                if (wish->good)
                        json_set_int(j, "good_revision", wish->good_revision);
                if (wish->undoing)
                        json_set_bool(j, "undoing", true);
                if (wish->once)
                        json_set_bool(j, "once", true);
                json_object_set_new(all, d->stack->services[i].name, j);
        }
        if (d->undoes)
                json_object_set_new(all, OF_STACK, json_pack("{s:i}", "undoes", (int)d->undoes));
        return all;
}

void desired_read_wishes(struct desired *d, const json_t *all)
{
        for (size_t i = 0; i < d->wishes.services_len; i++) {
                const json_t *j = json_object_get(all, d->stack->services[i].name);
                struct service_wish *wish = &d->wishes.services[i];

                wish->stopped = json_bool(j, "stopped", false);
                wish->generation = read_count(j, "generation");
                wish->image = xstrdup(json_str(j, "image", NULL));
                wish->cause = xstrdup(json_str(j, "cause", NULL));
                wish->good = xstrdup(json_str(j, "good", NULL));
                wish->good_revision = read_count(j, "good_revision");
                wish->undoing = json_bool(j, "undoing", false);
                wish->once = json_bool(j, "once", false);
        }
        d->undoes = read_count(json_object_get(all, OF_STACK), "undoes");
        desired_hash(d);
}

struct desired *desired_ref(struct desired *desired)
{
        desired->refs++;
        return desired;
}

void desired_unref(struct desired *desired)
{
        if (!desired || --desired->refs)
                return;
        stack_hashes_free(desired->hashes);
        for (size_t i = 0; i < desired->wishes.services_len; i++) {
                free(desired->wishes.services[i].image);
                free(desired->wishes.services[i].cause);
                free(desired->wishes.services[i].good);
        }
        free(desired->wishes.services);
        stack_free(desired->stack);
        free(desired->source);
        free(desired);
}
