/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/draft.h"

void str_list_release(struct str_list *list)
{
        for (size_t i = 0; i < list->len; i++)
                free(list->items[i]);
        free(list->items);
        *list = (struct str_list){0};
}

void kv_list_release(struct kv_list *list)
{
        for (size_t i = 0; i < list->len; i++) {
                free(list->items[i].key);
                free(list->items[i].value);
        }
        free(list->items);
        *list = (struct kv_list){0};
}

static void hooks_release(struct hooks *hooks)
{
        for (size_t i = 0; i < hooks->len; i++) {
                str_list_release(&hooks->items[i].command);
                kv_list_release(&hooks->items[i].environment);
                free(hooks->items[i].user);
                free(hooks->items[i].working_dir);
        }
        free(hooks->items);
}

static void release_arrays(struct service *s)
{
        for (size_t i = 0; i < s->depends_on_len; i++)
                free(s->depends_on[i].service);
        free(s->depends_on);
        for (size_t i = 0; i < s->ports_len; i++)
                free(s->ports[i].host_ip);
        free(s->ports);
        for (size_t i = 0; i < s->volumes_len; i++) {
                free(s->volumes[i].source);
                free(s->volumes[i].target);
                free(s->volumes[i].subpath);
        }
        free(s->volumes);
        for (size_t i = 0; i < s->networks_len; i++) {
                free(s->networks[i].network);
                str_list_release(&s->networks[i].aliases);
                free(s->networks[i].ipv4_address);
                free(s->networks[i].mac_address);
                str_list_release(&s->networks[i].link_local_ips);
        }
        free(s->networks);
        hooks_release(&s->post_start);
        hooks_release(&s->pre_stop);
        for (size_t i = 0; i < s->ulimits_len; i++)
                free(s->ulimits[i].name);
        free(s->ulimits);
        for (size_t i = 0; i < s->devices_len; i++) {
                free(s->devices[i].source);
                free(s->devices[i].target);
                free(s->devices[i].permissions);
        }
        free(s->devices);
}

static void release_files(struct file_mount *files, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                free(files[i].source);
                free(files[i].target);
                free(files[i].uid);
                free(files[i].gid);
        }
        free(files);
}

void service_release(struct service *s)
{
        free(s->name);
        free(s->image);
        str_list_release(&s->command);
        str_list_release(&s->entrypoint);
        kv_list_release(&s->environment);
        free(s->working_dir);
        free(s->user);
        free(s->hostname);
        free(s->domainname);
        str_list_release(&s->group_add);
        str_list_release(&s->cap_add);
        str_list_release(&s->cap_drop);
        release_arrays(s);
        release_files(s->configs, s->configs_len);
        release_files(s->secrets, s->secrets_len);
        str_list_release(&s->dns);
        str_list_release(&s->dns_search);
        str_list_release(&s->dns_opt);
        str_list_release(&s->extra_hosts);
        str_list_release(&s->healthcheck.test);
        free(s->stop_signal);
        free(s->probe.http_path);
        kv_list_release(&s->labels);
        kv_list_release(&s->sysctls);
        free(s->place.file);
        *s = (struct service){0};
}

static void release_sources(struct file_source *sources, size_t len)
{
        for (size_t i = 0; i < len; i++) {
                free(sources[i].name);
                if (sources[i].content)
                        explicit_bzero(sources[i].content, sources[i].content_len);
                free(sources[i].content);
                free(sources[i].place.file);
        }
        free(sources);
}

static void stack_release(struct stack *stack)
{
        free(stack->name);
        for (size_t i = 0; i < stack->services_len; i++)
                service_release(&stack->services[i]);
        free(stack->services);
        for (size_t i = 0; i < stack->networks_len; i++) {
                free(stack->networks[i].name);
                free(stack->networks[i].real_name);
                free(stack->networks[i].subnet);
                kv_list_release(&stack->networks[i].labels);
                free(stack->networks[i].place.file);
        }
        free(stack->networks);
        for (size_t i = 0; i < stack->volumes_len; i++) {
                free(stack->volumes[i].name);
                free(stack->volumes[i].real_name);
                free(stack->volumes[i].device);
                kv_list_release(&stack->volumes[i].labels);
                free(stack->volumes[i].place.file);
        }
        free(stack->volumes);
        release_sources(stack->configs, stack->configs_len);
        release_sources(stack->secrets, stack->secrets_len);
        *stack = (struct stack){0};
}

void stack_free(struct stack *stack)
{
        if (!stack)
                return;
        stack_release(stack);
        free(stack);
}

void draft_release(struct stack_draft *draft)
{
        for (size_t i = 0; i < draft->drafts_len; i++) {
                service_release(&draft->drafts[i].service);
                str_list_release(&draft->drafts[i].profiles);
                free(draft->drafts[i].container_name);
                free(draft->drafts[i].mac_address);
                free(draft->drafts[i].platform);
        }
        free(draft->drafts);
        stack_release(&draft->stack);
}

/* Objects are sorted by name, which is their first member. */
static const void *find_sorted(const void *items, size_t len, size_t size, const char *name)
{
        size_t low = 0, high = len;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const char *element = (const char *)items + middle * size;
                int r = strcmp(name, *(const char *const *)(const void *)element);

                if (r == 0)
                        return element;
                if (r < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

/* Stacks that were made by hand (tests) may be unsorted: look at all when the search fails. */
static const void *find_any(const void *items, size_t len, size_t size, const char *name)
{
        const void *found = find_sorted(items, len, size, name);

        for (size_t i = 0; i < len && !found; i++) {
                const char *element = (const char *)items + i * size;

                if (streq(*(const char *const *)(const void *)element, name))
                        found = element;
        }
        return found;
}

#define FIND(array) find_any(stack->array, stack->array##_len, sizeof(*stack->array), name)

const struct service *stack_find_service(const struct stack *stack, const char *name)
{
        return FIND(services);
}

const char *network_shared_name(const struct network *network)
{
        if (network->real_name)
                return network->real_name;
        return network->external ? network->name : NULL;
}

bool stack_uses_network(const struct stack *stack, const char *name)
{
        for (size_t i = 0; i < stack->services_len; i++)
                for (size_t k = 0; k < stack->services[i].networks_len; k++)
                        if (streq(stack->services[i].networks[k].network, name))
                                return true;
        return false;
}

const struct network *stack_find_network(const struct stack *stack, const char *name)
{
        return FIND(networks);
}

const struct volume *stack_find_volume(const struct stack *stack, const char *name)
{
        return FIND(volumes);
}

const struct file_source *stack_find_config(const struct stack *stack, const char *name)
{
        return FIND(configs);
}

const struct file_source *stack_find_secret(const struct stack *stack, const char *name)
{
        return FIND(secrets);
}

struct service_draft *draft_find(const struct stack_draft *draft, const char *name)
{
        const struct service_draft *found =
                find_sorted(draft->drafts, draft->drafts_len, sizeof(*draft->drafts), name);

        return found ? &draft->drafts[found - draft->drafts] : NULL;
}

struct mount_counts {
        size_t named, anonymous; /* that would be disks */
        bool share;              /* something comes from the host's file system */
};

static struct mount_counts count_mounts(const struct stack *stack, const struct service *service)
{
        struct mount_counts n = {.named = 0};

        for (size_t i = 0; i < service->volumes_len; i++) {
                const struct mount *m = &service->volumes[i];
                const struct volume *v = NULL;

                if (m->type == MOUNT_VOLUME && m->source)
                        v = stack_find_volume(stack, m->source);
                if (m->type == MOUNT_BIND || (v && v->volume_class == VOLUME_SHARED))
                        n.share = true;
                else if (m->type == MOUNT_VOLUME)
                        *(m->source ? &n.named : &n.anonymous) += 1;
        }
        return n;
}

size_t service_disk_room(const struct stack *stack, const struct service *service)
{
        struct mount_counts n = count_mounts(stack, service);
        size_t taken = service->networks_len + n.share;
        size_t room = taken < SERVICE_DEVICES_MAX ? SERVICE_DEVICES_MAX - taken : 0;

        /* What finds no room becomes a shared folder, which needs a place, too. */
        return n.named + n.anonymous > room && !n.share && room > 0 ? room - 1 : room;
}

bool service_anonymous_is_disk(const struct stack *stack, const struct service *service,
                               size_t index)
{
        size_t before = count_mounts(stack, service).named;

        for (size_t i = 0; i < index; i++)
                before += service->volumes[i].type == MOUNT_VOLUME && !service->volumes[i].source;
        return before < service_disk_room(stack, service);
}
