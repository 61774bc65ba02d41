/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a spec that leave its VM as it is: what berth holds of the service on the host. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "orchestrator/instance_internal.h"

static bool same_port(const struct port *a, const struct port *b)
{
        return a->target == b->target && a->published == b->published &&
               a->published_last == b->published_last && a->protocol == b->protocol &&
               streq(a->host_ip, b->host_ip);
}

void instance_free_ports(struct instance *in)
{
        for (size_t i = 0; i < in->ports_len; i++)
                free(in->ports[i].host_ip);
        free(in->ports);
        in->ports = NULL;
        in->ports_len = 0;
}

void instance_set_ports(struct instance *in, const struct service *service, bool auto_ports)
{
        instance_free_ports(in);
        for (size_t i = 0; i < service->ports_len; i++) {
                struct port *port = array_push(&in->ports, &in->ports_len);

                *port = service->ports[i];
                if (auto_ports)
                        port->published = port->published_last = 0;
                port->host_ip = auto_ports ? NULL : xstrdup(service->ports[i].host_ip);
        }
}

static bool follow_ports(struct instance *in, const struct service *service, bool auto_ports)
{
        bool same = in->ports_len == service->ports_len;

        for (size_t i = 0; same && i < in->ports_len; i++) {
                struct port wanted = service->ports[i];

                if (auto_ports) {
                        wanted.published = wanted.published_last = 0;
                        wanted.host_ip = NULL;
                }
                same = same_port(&wanted, &in->ports[i]);
        }
        if (!same)
                instance_set_ports(in, service, auto_ports);
        return !same;
}

void str_list_clear(struct str_list *list)
{
        for (size_t i = 0; i < list->len; i++)
                free(list->items[i]);
        free(list->items);
        *list = (struct str_list){0};
}

static bool same_names(const struct str_list *a, const struct str_list *b)
{
        bool same = a->len == b->len;

        for (size_t i = 0; same && i < a->len; i++)
                same = streq(a->items[i], b->items[i]);
        return same;
}

static bool follow_aliases(struct instance_nic *nic, const struct service *service)
{
        for (size_t i = 0; i < service->networks_len; i++) {
                const struct network_ref *ref = &service->networks[i];

                if (!streq(ref->network, nic->network) || same_names(&ref->aliases, &nic->aliases))
                        continue;
                str_list_clear(&nic->aliases);
                for (size_t k = 0; k < ref->aliases.len; k++)
                        *array_push(&nic->aliases.items, &nic->aliases.len) =
                                xstrdup(ref->aliases.items[k]);
                return true;
        }
        return false;
}

static bool follow_signal(struct instance *in, const struct service *service)
{
        const struct image_entry *entry = images_find(in->env->images, in->image);
        const char *wanted = service->stop_signal;

        if (!wanted && entry && entry->image)
                wanted = entry->image->stop_signal;
        if (streq(in->stop_signal, wanted) || (!wanted && !entry))
                return false;
        free(in->stop_signal);
        in->stop_signal = xstrdup(wanted);
        return true;
}

void instance_follow(struct instance *in, const struct service *service, bool auto_ports)
{
        bool changed = follow_ports(in, service, auto_ports);

        for (size_t i = 0; i < in->nics_len; i++)
                changed = follow_aliases(&in->nics[i], service) || changed;
        if (in->stop_grace_ms != service->stop_grace_period_ms) {
                in->stop_grace_ms = service->stop_grace_period_ms;
                changed = true;
        }
        changed = follow_signal(in, service) || changed;
        if (!changed || !in->vm)
                return;
        instance_emit(in, "updated", "", "in place, the VM stays");
        instance_note(in);
}

/* Of several, one that failed; pending: some are not known yet. */
static char *failed_port(const struct instance *in, bool *ret_pending)
{
        *ret_pending = false;
        for (size_t i = 0; i < in->ports_len; i++) {
                const struct port *p = &in->ports[i];
                const char *why = NULL;
                uint16_t host_port;

                switch (networks_forward(in->env->networks, in->stack, in->service, in->replica, p,
                                         &host_port, &why)) {
                case FORWARD_FAILED:
                        return xasprintf("port %u cannot be published: %s; stop what uses it, or "
                                         "publish another port",
                                         p->published ? p->published : p->target,
                                         why ? why : "unknown");
                case FORWARD_PENDING:
                        *ret_pending = true;
                        break;
                case FORWARD_BOUND:
                        break;
                }
        }
        return NULL;
}

bool instance_ports_pending(const struct instance *in)
{
        bool pending = false;

        if (in->state == VM_RUNNING && in->nics_len)
                free(failed_port(in, &pending));
        return pending;
}

void instance_check_ports(struct instance *in)
{
        bool runs = in->state == VM_RUNNING && in->nics_len, pending = false;
        char *trouble = runs ? failed_port(in, &pending) : NULL;

        if (streq(trouble, in->trouble) || (pending && !trouble)) { /* pending: the answer says */
                free(trouble);
                return;
        }
        free(in->trouble);
        in->trouble = trouble;
        if (runs)
                instance_emit(in, trouble ? "port-failed" : "port-published", "", "%s",
                              trouble ? trouble : "all ports are published");
}
