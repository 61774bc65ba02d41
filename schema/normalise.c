/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/normalise.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "schema/assemble.h"
#include "schema/attach.h"
#include "schema/built_image.h"
#include "schema/dotenv.h"
#include "schema/kinds.h"

/* A finding about one key of a service. */
static void fault_key(struct reader *r, const struct service_draft *draft, const char *key,
                      const char *problem)
{
        const struct node *at = node_get(draft->node, key);

        diags_add(r->diags, DIAG_CONFLICT, at ? &at->mark : &draft->mark,
                  arena_printf(r->arena, "services.%s.%s", draft->service.name, key), "%s",
                  problem);
}

static void fold_restart(struct service_draft *draft)
{
        struct service *s = &draft->service;

        switch ((enum restart_condition)draft->condition) {
        case CONDITION_UNSET:
                if (!node_get(node_get(draft->node, "deploy"), "restart_policy"))
                        return;
                s->restart = RESTART_ALWAYS;
                break;
        case CONDITION_NONE:
                s->restart = RESTART_NO;
                break;
        case CONDITION_ON_FAILURE:
                s->restart = RESTART_ON_FAILURE;
                break;
        case CONDITION_ANY:
                s->restart = RESTART_ALWAYS;
                break;
        }
        s->restart_max_attempts = s->restart == RESTART_NO ? 0 : draft->max_attempts;
}

static void check_probe(struct reader *r, const struct service_draft *draft)
{
        const struct service *s = &draft->service;

        if (s->probe.tcp && s->probe.http_port)
                fault_key(r, draft, "x-berth",
                          "healthcheck has both tcp and http; keep the one that tells more");
        if ((s->probe.tcp || s->probe.http_port) && s->healthcheck.test.len > 0)
                fault_key(r, draft, "healthcheck",
                          "there is a test here, and one in x-berth.healthcheck; keep one");
}

/* deploy.* and the flat keys say the same thing twice: both may be there when they agree. */
static void fold_deploy(struct reader *r, struct service_draft *draft)
{
        struct service *s = &draft->service;

        if (draft->deploy_replicas >= 0) {
                if (node_find(draft->node, "scale") && s->replicas != draft->deploy_replicas)
                        fault_key(r, draft, "scale", "differs from deploy.replicas; keep one");
                s->replicas = (unsigned)draft->deploy_replicas;
        }
        if (draft->deploy_memory_bytes >= 0) {
                if (s->mem_limit_bytes >= 0 && s->mem_limit_bytes != draft->deploy_memory_bytes)
                        fault_key(r, draft, "mem_limit",
                                  "differs from deploy.resources.limits.memory; keep one");
                s->mem_limit_bytes = draft->deploy_memory_bytes;
        }
        if (draft->deploy_cpus > 0) {
                if (s->cpus > 0 && (s->cpus < draft->deploy_cpus || s->cpus > draft->deploy_cpus))
                        fault_key(r, draft, "cpus",
                                  "differs from deploy.resources.limits.cpus; keep one");
                s->cpus = draft->deploy_cpus;
        }
        if (draft->deploy_pids >= 0) {
                if (s->pids_limit >= 0 && s->pids_limit != draft->deploy_pids)
                        fault_key(r, draft, "pids_limit",
                                  "differs from deploy.resources.limits.pids; keep one");
                s->pids_limit = draft->deploy_pids;
        }
        fold_restart(draft);
        if (draft->restart_delay_ms >= 0)
                s->delays.first_ms = draft->restart_delay_ms;
        if (draft->restart_window_ms >= 0)
                s->delays.window_ms = draft->restart_window_ms;
        check_probe(r, draft);
}

static void read_env_file(struct reader *r, const struct env_file *file, struct env *into)
{
        struct err err = ERR_INIT;
        AUTO_FREE char *text = NULL;

        if (file_read(file->path, DOTENV_SIZE_MAX, &text, NULL, &err) == 0)
                (void)dotenv_read(assemble_shown(r->arena, file->path), file->where, text,
                                  file->raw, into, r->diags); /* errors are findings */
        else if (file->required || err.code != ENOENT)
                diags_add(r->diags, DIAG_BAD_FILE, &file->mark, file->where, "%s%s", err.msg,
                          err.code == ENOENT ? "; create it, or write {path, required: false}"
                                             : "");
}

/* What the list says, with `KEY` alone resolved; what nothing gives a value is left out. */
static void add_variables(struct reader *r, const struct service_draft *draft, struct kv_list *list)
{
        size_t n = 0;

        for (size_t i = 0; i < list->len; i++) {
                struct kv *kv = &list->items[i];
                const char *value = !kv->value && r->env ? env_get(r->env, kv->key) : NULL;

                if (value)
                        kv->value = xstrdup(value);
                if (kv->value && !text_valid(kv->value, strlen(kv->value)))
                        fault_key(r, draft, "environment", "a value is not UTF-8 text");
                if (kv->value)
                        list->items[n++] = *kv;
                else
                        free(kv->key);
        }
        list->len = n;
}

/* What files say goes below what the manifest says; where, is noted. */
static void put_below(struct reader *r, const struct service_draft *draft, const char *field,
                      const struct env *files, struct kv_list *list)
{
        struct kv_list own = *list;
        struct kv_list all = {0};

        for (size_t i = 0; i < files->vars.len; i++) {
                const struct kv *kv = &files->vars.items[i];

                kv_list_add(&all, kv->key, kv->value);
                reader_note(r, draft->node, field, kv->key, 0,
                            node_new(r->arena, NODE_STRING, &files->marks[i]));
        }
        for (size_t i = 0; i < own.len; i++)
                kv_list_add(&all, own.items[i].key, own.items[i].value);
        kv_list_release(&own);
        kv_list_sort(&all);
        *list = all;
}

static void resolve_environment(struct reader *r, struct service_draft *draft)
{
        struct kv_list *list = &draft->service.environment;
        struct env given = {.vars = *list};
        struct env files = {.parent = &given};

        for (size_t i = 0; i < draft->env_files_len; i++) {
                given.parent = draft->env_files[i].env;
                read_env_file(r, &draft->env_files[i], &files);
        }
        if (draft->env_files_len > 0)
                put_below(r, draft, "environment", &files, list);
        env_release(&files);
        add_variables(r, draft, list);
}

/* Labels of files go below those of the manifest; variables in them are replaced. */
static void read_labels(struct reader *r, struct service_draft *draft)
{
        struct env files = {0};

        for (size_t i = 0; i < draft->label_files_len; i++) {
                files.parent = draft->label_files[i].env;
                read_env_file(r, &draft->label_files[i], &files);
        }
        if (draft->label_files_len > 0)
                put_below(r, draft, "labels", &files, &draft->service.labels);
        env_release(&files);
}

static int compare_networks(const void *a, const void *b)
{
        const struct network_ref *x = a, *y = b;

        return strcmp(x->network, y->network);
}

static int compare_depends(const void *a, const void *b)
{
        const struct depends *x = a, *y = b;

        return strcmp(x->service, y->service);
}

static int compare_ulimits(const void *a, const void *b)
{
        const struct ulimit *x = a, *y = b;

        return strcmp(x->name, y->name);
}

static void sort_service(struct service *s)
{
        if (s->networks_len)
                qsort(s->networks, s->networks_len, sizeof(*s->networks), compare_networks);
        if (s->depends_on_len)
                qsort(s->depends_on, s->depends_on_len, sizeof(*s->depends_on), compare_depends);
        if (s->ulimits_len)
                qsort(s->ulimits, s->ulimits_len, sizeof(*s->ulimits), compare_ulimits);
}

/* network: NULL: all of the service's. */
static void add_alias(struct service *s, const char *network, const char *alias)
{
        for (size_t i = 0; i < s->networks_len; i++) {
                struct str_list *aliases = &s->networks[i].aliases;
                bool known = streq(alias, s->name);

                if (network && !streq(network, s->networks[i].network))
                        continue;
                for (size_t k = 0; k < aliases->len; k++)
                        known = known || streq(aliases->items[k], alias);
                if (!known)
                        str_list_add(aliases, alias);
        }
}

/* "" and "." say that there is nothing to search. */
static void drop_empty_domains(struct str_list *list)
{
        size_t n = 0;

        for (size_t i = 0; i < list->len; i++)
                if (streq(list->items[i], "") || streq(list->items[i], "."))
                        free(list->items[i]);
                else
                        list->items[n++] = list->items[i];
        list->len = n;
}

/* As Compose: on the network with the highest priority, unless that one has one of its own. */
static void place_mac(struct reader *r, struct service_draft *draft)
{
        struct service *s = &draft->service;
        struct network_ref *first = s->networks;

        if (!draft->mac_address)
                return;
        if (!first) {
                fault_key(
                        r, draft, "mac_address",
                        "there is no network that it could be used on; remove it, or network_mode");
                return;
        }
        for (size_t i = 1; i < s->networks_len; i++)
                if (s->networks[i].priority > first->priority ||
                    (s->networks[i].priority == first->priority &&
                     strcmp(s->networks[i].network, first->network) < 0))
                        first = &s->networks[i];
        if (!first->mac_address)
                first->mac_address = STEAL(draft->mac_address);
}

static void drop_ip6(struct str_list *list)
{
        size_t n = 0;

        for (size_t i = 0; i < list->len; i++)
                if (strchr(list->items[i], ':'))
                        free(list->items[i]);
                else
                        list->items[n++] = list->items[i];
        list->len = n;
}

static void normalise_service(struct reader *r, const char *stack, struct service_draft *draft)
{
        struct service *s = &draft->service;

        if (draft->build)
                built_image_name(r, stack, draft);
        drop_empty_domains(&s->dns_search);
        drop_ip6(&s->dns);
        for (size_t i = 0; i < s->networks_len; i++)
                drop_ip6(&s->networks[i].link_local_ips);
        fold_deploy(r, draft);
        resolve_environment(r, draft);
        read_labels(r, draft);
        if (s->networks_len == 0 && !s->network_none)
                (void)service_add_network(s, "default");
        place_mac(r, draft);
        if (draft->container_name)
                add_alias(s, NULL, draft->container_name);
}

/* `links: [db:database]` gives db the name "database" on the networks that both are on. */
static void apply_links(struct reader *r, struct stack_draft *stack,
                        const struct service_draft *draft)
{
        for (size_t i = 0; i < draft->links_len; i++) {
                struct service_draft *target = draft_find(stack, draft->links[i].service);

                for (size_t k = 0; target && k < draft->service.networks_len; k++) {
                        const char *network = draft->service.networks[k].network;

                        add_alias(&target->service, network, draft->links[i].alias);
                        reader_note(r, target->node, "networks",
                                    arena_printf(r->arena, "%s.aliases", network), 0,
                                    draft->links[i].node);
                }
        }
}

static int compare_network_names(const void *a, const void *b)
{
        const struct network *x = a, *y = b;

        return strcmp(x->name, y->name);
}

static void imply_default_network(struct stack_draft *draft)
{
        struct stack *stack = &draft->stack;
        bool used = false;

        for (size_t i = 0; i < draft->drafts_len; i++) {
                const struct service_draft *d = &draft->drafts[i];

                for (size_t k = 0; k < d->service.networks_len && !d->disabled; k++)
                        used = used || streq(d->service.networks[k].network, "default");
        }
        if (used && !stack_find_network(stack, "default")) {
                struct network *network = array_push(&stack->networks, &stack->networks_len);

                network->name = xstrdup("default");
                qsort(stack->networks, stack->networks_len, sizeof(*stack->networks),
                      compare_network_names);
        }
}

/* Volumes that are a folder of the host or memory: their mounts are what they are. */
static void apply_devices(const struct stack *stack, struct service *s)
{
        for (size_t i = 0; i < s->volumes_len; i++) {
                struct mount *m = &s->volumes[i];
                const struct volume *volume = m->type == MOUNT_VOLUME && m->source
                                                      ? stack_find_volume(stack, m->source)
                                                      : NULL;

                if (!volume || (!volume->device && !volume->in_memory))
                        continue;
                free(m->source);
                m->source = NULL;
                if (volume->device)
                        m->source = m->subpath ? file_join(volume->device, m->subpath)
                                               : xstrdup(volume->device);
                free(STEAL(m->subpath));
                m->type = volume->device ? MOUNT_BIND : MOUNT_TMPFS;
                m->size_bytes = volume->device ? -1 : volume->size_bytes;
                m->nocopy = false;
        }
}

void normalise(struct reader *r, struct stack_draft *draft)
{
        for (size_t i = 0; i < draft->drafts_len; i++)
                if (!draft->drafts[i].disabled)
                        normalise_service(r, draft->stack.name, &draft->drafts[i]);
        for (size_t i = 0; i < draft->drafts_len; i++)
                if (!draft->drafts[i].disabled)
                        apply_links(r, draft, &draft->drafts[i]);
        for (size_t i = 0; i < draft->drafts_len; i++) {
                apply_devices(&draft->stack, &draft->drafts[i].service);
                sort_service(&draft->drafts[i].service);
        }
        imply_default_network(draft);
}
