/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/validate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "schema/sharing.h"
#include "schema/suggest.h"

static bool ref_exists(const struct stack_draft *draft, const struct ref *ref)
{
        const struct stack *stack = &draft->stack;

        switch (ref->kind) {
        case REF_SERVICE:
                return draft_find(draft, ref->name) != NULL;
        case REF_NETWORK:
                return streq(ref->name, "default") || stack_find_network(stack, ref->name);
        case REF_VOLUME:
                return stack_find_volume(stack, ref->name) != NULL;
        case REF_CONFIG:
                return stack_find_config(stack, ref->name) != NULL;
        case REF_SECRET:
                return stack_find_secret(stack, ref->name) != NULL;
        }
        bug("ref kind");
}

static void offer_all(struct suggestion *s, const void *items, size_t len, size_t size)
{
        for (size_t i = 0; i < len; i++)
                suggest_offer(s,
                              *(const char *const *)(const void *)((const char *)items + i * size));
}

static const char *closest(const struct stack_draft *draft, const struct ref *ref)
{
        const struct stack *stack = &draft->stack;
        struct suggestion s = SUGGESTION_INIT(ref->name);

        switch (ref->kind) {
        case REF_SERVICE:
                offer_all(&s, draft->drafts, draft->drafts_len, sizeof(*draft->drafts));
                break;
        case REF_NETWORK:
                offer_all(&s, stack->networks, stack->networks_len, sizeof(*stack->networks));
                break;
        case REF_VOLUME:
                offer_all(&s, stack->volumes, stack->volumes_len, sizeof(*stack->volumes));
                break;
        case REF_CONFIG:
                offer_all(&s, stack->configs, stack->configs_len, sizeof(*stack->configs));
                break;
        case REF_SECRET:
                offer_all(&s, stack->secrets, stack->secrets_len, sizeof(*stack->secrets));
                break;
        }
        return s.best;
}

static void refuse_ref(struct reader *r, const struct stack_draft *draft, const struct ref *ref)
{
        static const char *const names[] = {"service", "network", "volume", "config", "secret"};
        const char *best = diags_full(r->diags) ? NULL : closest(draft, ref);
        const char *name = names[ref->kind];

        if (best)
                diags_add(r->diags, DIAG_UNDEFINED, &ref->mark, ref->path,
                          "%s '%.60s' does not exist; did you mean '%s'?", name, ref->name, best);
        else if (ref->kind == REF_SERVICE)
                diags_add(
                        r->diags, DIAG_UNDEFINED, &ref->mark, ref->path,
                        "service '%.60s' does not exist; add it, or name the file that has it with "
                        "another -f",
                        ref->name);
        else
                diags_add(r->diags, DIAG_UNDEFINED, &ref->mark, ref->path,
                          "%s '%.60s' is not declared; add it to '%ss' at the top level", name,
                          ref->name, name);
}

static void check_refs(struct reader *r, const struct stack_draft *draft)
{
        for (size_t i = 0; i < r->refs_len; i++) {
                const struct ref *ref = &r->refs[i];
                const struct service_draft *target;

                if (draft->drafts[ref->service].disabled || ref->optional || r->partial)
                        continue;
                if (!ref_exists(draft, ref)) {
                        refuse_ref(r, draft, ref);
                        continue;
                }
                target = ref->kind == REF_SERVICE ? draft_find(draft, ref->name) : NULL;
                if (target && target->disabled)
                        diags_add(r->diags, DIAG_UNDEFINED, &ref->mark, ref->path,
                                  "service '%.60s' is off, as none of its profiles is on; add "
                                  "--profile %.60s, or required: false",
                                  ref->name, target->profiles.items[0]);
        }
}

static const char *claim_address(const struct claim *claim)
{
        return claim->host_ip ? claim->host_ip : "127.0.0.1";
}

/* By port, then by address: 0.0.0.0, which is all of them, comes first. */
static int compare_claims(const void *a, const void *b)
{
        const struct claim *x = a, *y = b;
        int r;

        if (x->protocol != y->protocol)
                return x->protocol < y->protocol ? -1 : 1;
        if (x->published != y->published)
                return x->published < y->published ? -1 : 1;
        r = strcmp(claim_address(x), claim_address(y));
        if (r == 0 && x->mark.line != y->mark.line)
                r = x->mark.line < y->mark.line ? -1 : 1;
        return r ? r : strcmp(x->path, y->path);
}

static void refuse_clash(struct reader *r, const struct claim *a, const struct claim *b)
{
        bool later = a->mark.line > b->mark.line ||
                     (a->mark.line == b->mark.line && a->mark.column > b->mark.column);
        const struct claim *first = later ? b : a, *second = later ? a : b;

        diags_add(r->diags, DIAG_CONFLICT, &second->mark, second->path,
                  "host port %u is published by %s already; choose another one%s",
                  second->published, first->path,
                  a->service == b->service ? "" : ", or give one of the services a profile");
}

/* n > 0 claims of one port and protocol. The same port of two addresses is fine. */
static void check_group(struct reader *r, const struct claim *group, size_t n)
{
        bool all = streq(claim_address(group), "0.0.0.0");

        for (size_t i = 1; i < n; i++)
                if (all || streq(claim_address(&group[i]), claim_address(&group[i - 1])))
                        refuse_clash(r, all ? group : &group[i - 1], &group[i]);
}

static void check_ports(struct reader *r, const struct stack_draft *draft)
{
        size_t n = 0;

        for (size_t i = 0; i < r->claims_len; i++) {
                const struct claim *claim = &r->claims[i];
                const struct service_draft *d = &draft->drafts[claim->service];

                if (d->disabled)
                        continue;
                r->claims[n++] = *claim;
        }
        if (n)
                qsort(r->claims, n, sizeof(*r->claims), compare_claims);
        for (size_t i = 0, k; i < n; i = k) {
                for (k = i + 1; k < n && r->claims[k].published == r->claims[i].published &&
                                r->claims[k].protocol == r->claims[i].protocol;)
                        k++;
                check_group(r, &r->claims[i], k - i);
        }
}

/* "imagee" has its finding: that there is no image is the same mistake. */
static bool misspells_image(const struct node *service)
{
        for (size_t i = 0; service->kind == NODE_MAP && i < service->len && i < 100; i++) {
                struct suggestion s = SUGGESTION_INIT(service->entries[i].key);

                if (field_find(service_fields, service->entries[i].key))
                        continue;
                suggest_offer(&s, "image");
                if (s.best)
                        return true;
        }
        return false;
}

/* Not given, or empty: a value of another type has its finding already. */
static bool lacks_image(const struct reader *r, const struct service_draft *d)
{
        const struct node *image = node_get(d->node, "image");

        return !d->service.image && d->node->kind == NODE_MAP && !d->build && !r->partial &&
               !node_find(d->node, "provider") &&
               !(r->diags->errors > 0 && node_find(d->node, "extends")) &&
               (!image || image->kind == NODE_NULL || image->kind == NODE_STRING);
}

static void check_service(struct reader *r, const struct service_draft *d)
{
        const struct service *s = &d->service;
        const char *path = arena_printf(r->arena, "services.%s", s->name);
        const struct node *mode = node_get(d->node, "network_mode");

        if (lacks_image(r, d) && !misspells_image(d->node))
                diags_add(r->diags, DIAG_MISSING_KEY, &d->mark, path,
                          "'image' is missing: the image that the service runs");
        if (s->network_none && s->networks_len > 0)
                diags_add(r->diags, DIAG_CONFLICT, mode ? &mode->mark : &d->mark, path,
                          "network_mode and networks exclude each other; remove one");
        if (s->network_none && s->ports_len > 0)
                diags_add(r->diags, DIAG_CONFLICT, mode ? &mode->mark : &d->mark, path,
                          "without a network no port can be published; remove 'ports' or "
                          "network_mode");
}

static int compare_caseless(const void *a, const void *b)
{
        const struct service_draft *const *x = a, *const *y = b;
        int r = strcasecmp((*x)->service.name, (*y)->service.name);

        return r ? r : strcmp((*x)->service.name, (*y)->service.name);
}

/* Domain names have no case. */
static void check_case(struct reader *r, const struct stack_draft *draft)
{
        const struct service_draft **all = xcalloc(draft->drafts_len + 1, sizeof(const void *));
        size_t n = 0;

        for (size_t i = 0; i < draft->drafts_len; i++)
                if (!draft->drafts[i].disabled)
                        all[n++] = &draft->drafts[i];
        if (n)
                qsort(all, n, sizeof(const void *), compare_caseless);
        for (size_t i = 1; i < n; i++)
                if (strcasecmp(all[i]->service.name, all[i - 1]->service.name) == 0)
                        diags_add(r->diags, DIAG_CONFLICT, &all[i]->mark,
                                  arena_printf(r->arena, "services.%s", all[i]->service.name),
                                  "differs from service '%s' in nothing but upper and lower case, "
                                  "which domain names do not have; rename one",
                                  all[i - 1]->service.name);
        free(all);
}

static void check_sources(struct reader *r, const char *section, const struct file_source *sources,
                          size_t len)
{
        for (size_t i = 0; i < len; i++) {
                const struct mark mark = {sources[i].place.file, sources[i].place.line,
                                          sources[i].place.column};

                if (!sources[i].content && !r->partial)
                        diags_add(r->diags, DIAG_MISSING_KEY, &mark,
                                  arena_printf(r->arena, "%s.%s", section, sources[i].name),
                                  "has no content; add file, environment or content");
        }
}

static int compare_shared(const void *a, const void *b)
{
        const struct network *const *x = a, *const *y = b;
        int r = strcmp(network_shared_name(*x), network_shared_name(*y));

        return r ? r : strcmp((*x)->name, (*y)->name);
}

/* A VM is on a network once. */
static void check_networks(struct reader *r, const struct stack *stack)
{
        const struct network **all = xcalloc(stack->networks_len + 1, sizeof(const void *));
        size_t n = 0;

        for (size_t i = 0; i < stack->networks_len; i++)
                if (network_shared_name(&stack->networks[i]))
                        all[n++] = &stack->networks[i];
        if (n)
                qsort(all, n, sizeof(const void *), compare_shared);
        for (size_t i = 1; i < n; i++) {
                const struct place *place = &all[i]->place;
                const struct mark mark = {place->file, place->line, place->column};

                if (streq(network_shared_name(all[i]), network_shared_name(all[i - 1])))
                        diags_add(r->diags, DIAG_CONFLICT, &mark,
                                  arena_printf(r->arena, "networks.%s", all[i]->name),
                                  "is network %s, as '%s' is; use one of the two",
                                  network_shared_name(all[i]), all[i - 1]->name);
        }
        free(all);
}

/* Nothing runs then, which is seldom what was meant. */
static void warn_all_off(struct reader *r, const struct stack_draft *draft)
{
        const struct service_draft *first = draft->drafts;

        for (size_t i = 0; i < draft->drafts_len; i++)
                if (!draft->drafts[i].disabled)
                        return;
        if (draft->drafts_len && first->profiles.len)
                diags_add(r->diags, DIAG_SUSPICIOUS, &first->mark, "services",
                          "all services are off, as none of their profiles is on; add --profile "
                          "%.60s, for example",
                          first->profiles.items[0]);
}

void validate(struct reader *r, struct stack_draft *draft)
{
        warn_all_off(r, draft);
        for (size_t i = 0; i < draft->drafts_len; i++)
                if (!draft->drafts[i].disabled)
                        check_service(r, &draft->drafts[i]);
        check_refs(r, draft);
        check_case(r, draft);
        check_ports(r, draft);
        validate_addresses(r, draft);
        check_networks(r, &draft->stack);
        check_sources(r, "configs", draft->stack.configs, draft->stack.configs_len);
        check_sources(r, "secrets", draft->stack.secrets, draft->stack.secrets_len);
        settle_sharing(r, draft);
        validate_cycles(r, draft);
}
