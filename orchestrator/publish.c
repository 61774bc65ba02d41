/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From endpoints to what each netd must know: the zone (names its clients may see) and the
 * forwards. Both are rebuilt whole and sent when their digest differs from what netd was told last.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/value.h"
#include "orchestrator/networks_internal.h"
#include "reconciler/reconcile.h"

/* Enough for the text of the largest zone (thousands of names); only its digest is kept. */
#define FINGERPRINT_MAX (16u << 20)

/* A zone under construction and the arrays that it points into. */
struct zone_build {
        struct zone_record *records;
        size_t records_len;
        struct zone_client *clients;
        size_t clients_len;
        char **texts; /* owned names */
        size_t texts_len;
        const char ***lists; /* owned arrays of names */
        size_t lists_len;
};

static void zone_build_release(struct zone_build *zb)
{
        for (size_t i = 0; i < zb->texts_len; i++)
                free(zb->texts[i]);
        for (size_t i = 0; i < zb->lists_len; i++)
                free(zb->lists[i]);
        free(zb->texts);
        free(zb->lists);
        free(zb->records);
        free(zb->clients);
}

static const char *keep_text(struct zone_build *zb, char *text)
{
        *array_push(&zb->texts, &zb->texts_len) = text;
        return text;
}

static const char **keep_list(struct zone_build *zb, size_t n)
{
        const char **list = xcalloc(n, sizeof(*list));

        *array_push(&zb->lists, &zb->lists_len) = list;
        return list;
}

static bool nic_is_on(const struct endpoint_nic *nic, const char *stack, const char *network)
{
        return streq(nic->network, network) && streq(nic->stack, stack);
}

static const struct endpoint_nic *nic_on(const struct endpoint *ep, const struct network_entry *net)
{
        for (size_t i = 0; i < ep->nics_len; i++)
                if (nic_is_on(&ep->nics[i], net->stack, net->name))
                        return &ep->nics[i];
        return NULL;
}

/* What a network is called towards the netd of another: see struct zone_record. */
static const char *network_id(struct zone_build *zb, const struct network_entry *to,
                              const struct endpoint_nic *nic)
{
        if (streq(nic->stack, to->stack))
                return nic->network;
        return keep_text(zb, xasprintf("%s/%s", nic->stack, nic->network));
}

static void add_record(struct zone_build *zb, const struct network_entry *to,
                       const struct endpoint *ep, const struct endpoint_nic *nic)
{
        size_t aliases = nic->aliases ? nic->aliases->len : 0;
        const char **names = keep_list(zb, 2 + aliases);
        struct zone_record *record = array_push(&zb->records, &zb->records_len);

        names[0] = ep->service;
        names[1] = keep_text(zb, xasprintf("%s-%u", ep->service, ep->replica));
        for (size_t i = 0; i < aliases; i++)
                names[2 + i] = nic->aliases->items[i];
        record->names = names;
        record->names_len = 2 + aliases;
        record->ip = nic->ip;
        record->network = network_id(zb, to, nic);
        record->stack = ep->stack;
        record->shared = streq(nic->stack, STACK_SHARED);
        record->ready = ep->ready;
}

/* Loopback is the VM itself. Without a way out only those of the network can be asked. */
static void add_servers(struct zone_client *client, const struct network_entry *to,
                        const struct endpoint *ep)
{
        uint32_t mask = UINT32_MAX << (32 - to->bits), ip;

        for (size_t i = 0; ep->dns && i < ep->dns->len; i++) {
                if (client->servers_len == ZONE_SERVERS_MAX ||
                    value_ip4(ep->dns->items[i], &ip, NULL) < 0)
                        continue;
                if (ip >> 24 == 127)
                        ip = client->ip;
                if (client->egress || (ip & mask) == (to->subnet & mask))
                        client->servers[client->servers_len++] = ip;
        }
}

static void add_client(struct zone_build *zb, const struct network_entry *to,
                       const struct endpoint *ep, uint32_t ip, bool egress)
{
        const char **networks = keep_list(zb, ep->nics_len);
        struct zone_client *client = array_push(&zb->clients, &zb->clients_len);

        for (size_t i = 0; i < ep->nics_len; i++)
                networks[i] = network_id(zb, to, &ep->nics[i]);
        client->ip = ip;
        client->networks = networks;
        client->networks_len = ep->nics_len;
        client->egress = egress;
        add_servers(client, to, ep);
}

/* Networks that VMs on one network are on: their names matter to its netd. */
struct neighbours {
        const struct endpoint_nic **nics; /* one of each */
        size_t len;
};

static bool neighbours_have(const struct neighbours *nb, const struct endpoint_nic *nic)
{
        for (size_t i = 0; i < nb->len; i++)
                if (nic_is_on(nic, nb->nics[i]->stack, nb->nics[i]->network))
                        return true;
        return false;
}

static void build_zone(struct zone_build *zb, const struct network_entry *net,
                       const struct endpoint *eps, size_t n)
{
        struct neighbours nb = {0};

        for (size_t i = 0; i < n; i++) {
                const struct endpoint_nic *here = nic_on(&eps[i], net);

                if (!here)
                        continue;
                add_client(zb, net, &eps[i], here->ip, here->egress);
                for (size_t k = 0; k < eps[i].nics_len; k++)
                        if (!neighbours_have(&nb, &eps[i].nics[k]))
                                *array_push(&nb.nics, &nb.len) = &eps[i].nics[k];
        }
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; eps[i].named && eps[i].serving && k < eps[i].nics_len; k++)
                        if (neighbours_have(&nb, &eps[i].nics[k]))
                                add_record(zb, net, &eps[i], &eps[i].nics[k]);
        free(nb.nics);
}

static void zone_fingerprint(const struct zone_build *zb, char *ret)
{
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(FINGERPRINT_MAX);

        for (size_t i = 0; i < zb->records_len; i++) {
                strbuf_addf(&text, "r %u %s %s %d", zb->records[i].ip, zb->records[i].stack,
                            zb->records[i].network, zb->records[i].ready);
                for (size_t k = 0; k < zb->records[i].names_len; k++)
                        strbuf_addf(&text, " %s", zb->records[i].names[k]);
                strbuf_addc(&text, '\n');
        }
        for (size_t i = 0; i < zb->clients_len; i++) {
                strbuf_addf(&text, "c %u %d", zb->clients[i].ip, zb->clients[i].egress);
                for (size_t k = 0; k < zb->clients[i].networks_len; k++)
                        strbuf_addf(&text, " %s", zb->clients[i].networks[k]);
                for (size_t k = 0; k < zb->clients[i].servers_len; k++)
                        strbuf_addf(&text, " %u", zb->clients[i].servers[k]);
                strbuf_addc(&text, '\n');
        }
        digest_text(strbuf_str(&text), text.len, ret);
}

void networks_tell_anew(struct network_state *n)
{
        n->zone_digest[0] = n->forwards_digest[0] = '\0';
        n->zone_failures = n->ports_failures = 0;
        n->entry.zone_retry_ms = n->entry.ports_retry_ms = 0;
}

/* What failed once more is tried at *ret_retry_ms; what succeeded is not. */
static void plan_retry(const struct network_state *n, bool failed, unsigned *failures,
                       int64_t *ret_retry_ms)
{
        const struct networks_env *env = &n->owner->env;

        *failures = failed ? *failures + 1 : 0;
        *ret_retry_ms = failed ? env->now_ms(env->ctx) + backoff_delay_ms(0, 0, *failures, 0) : 0;
}

static void publish_zone(struct network_state *n, const struct endpoint *eps, size_t len)
{
        struct zone_build zb = {0};
        char digest[DIGEST_TEXT_MAX];
        struct err err = ERR_INIT;

        build_zone(&zb, &n->entry, eps, len);
        zone_fingerprint(&zb, digest);
        if (!streq(digest, n->zone_digest)) {
                const struct zone zone = {zb.records, zb.records_len, zb.clients, zb.clients_len};
                int r = net_set_zone(n->net, &zone, &err);

                if (r < 0)
                        log_warn("network", n->entry.name, "zone not sent: %s", err.msg);
                else
                        memcpy(n->zone_digest, digest, sizeof(digest));
                plan_retry(n, r < 0, &n->zone_failures, &n->entry.zone_retry_ms);
        } else if (n->zone_failures) { /* it is as netd knows it again */
                plan_retry(n, false, &n->zone_failures, &n->entry.zone_retry_ms);
        }
        zone_build_release(&zb);
}

static struct forward_slot *slot_of(const struct network_state *n, const char *id)
{
        for (size_t i = 0; i < n->slots_len; i++)
                if (streq(n->slots[i].id, id))
                        return &n->slots[i];
        return NULL;
}

static void on_forwards_set(void *ctx, const struct forward_result *results, size_t n,
                            const struct err *err)
{
        struct network_state *net = ctx;
        bool failed = err != NULL;

        for (size_t i = 0; !err && i < n; i++) {
                struct forward_slot *slot = slot_of(net, results[i].id);

                if (!slot)
                        continue;
                slot->state = results[i].bound ? FORWARD_BOUND : FORWARD_FAILED;
                slot->host_port = results[i].host_port;
                free(slot->error);
                slot->error = xstrdup(results[i].error);
                failed = failed || !results[i].bound;
        }
        plan_retry(net, failed, &net->ports_failures, &net->entry.ports_retry_ms);
        net->owner->env.on_change(net->owner->env.ctx);
}

/* Make the slots match the wanted forwards; a slot that stays keeps what is known of it. */
static void renew_slots(struct network_state *n, const struct forward *forwards, size_t len)
{
        struct forward_slot *slots = xcalloc(len, sizeof(*slots));

        for (size_t i = 0; i < len; i++) {
                struct forward_slot *old = slot_of(n, forwards[i].id);

                if (old && old->state == FORWARD_BOUND) {
                        slots[i] = *old;
                        memset(old, 0, sizeof(*old));
                } else {
                        slots[i].id = xstrdup(forwards[i].id);
                }
                slots[i].target_ip = forwards[i].target_ip;
        }
        for (size_t i = 0; i < n->slots_len; i++) {
                free(n->slots[i].id);
                free(n->slots[i].error);
        }
        free(n->slots);
        n->slots = slots;
        n->slots_len = len;
}

/*
 * A port that netd picks is a replica's own; a fixed one is shared by all of the service. Where
 * services of several stacks have ports, the stack comes first.
 */
static char *forward_id(const struct network_entry *net, const char *stack, const char *service,
                        unsigned replica, const struct port *p)
{
        bool fixed = p->published && !p->published_last;
        bool own = streq(net->stack, stack);

        return xasprintf("%s%s%s/%u/%s:%u-%u/%u/%s", own ? "" : stack, own ? "" : "//", service,
                         fixed ? 0 : replica, p->host_ip ? p->host_ip : "", p->published,
                         p->published_last, p->target, p->protocol == PORT_UDP ? "udp" : "tcp");
}

/* The forwards under construction, and beside each how good its target is. */
struct forward_build {
        struct network_state *net;
        struct forward *list;
        int *ranks;
        size_t len, ranks_len;
};

/*
 * Where connections are led to: the VM that stands for its replica, a ready one, rather the same as
 * before than another. A VM that does not serve yet has a port for itself that only it has: it is
 * not started before its ports are bound.
 */
static int target_rank(const struct network_state *n, const struct endpoint *ep, const char *id)
{
        const struct forward_slot *slot = slot_of(n, id);
        bool same = slot && slot->target_ip == ep->nics[0].ip;

        return (ep->serving ? 8 : 0) + (ep->ready ? 4 : 0) + (ep->named ? 2 : 0) + (same ? 1 : 0);
}

static struct forward *forward_of(struct forward_build *fb, const struct endpoint *ep,
                                  const struct port *p)
{
        AUTO_FREE char *id = forward_id(&fb->net->entry, ep->stack, ep->service, ep->replica, p);
        int rank = target_rank(fb->net, ep, id);
        struct forward *f;

        for (size_t i = 0; i < fb->len; i++) {
                if (!streq(fb->list[i].id, id))
                        continue;
                if (rank <= fb->ranks[i])
                        return NULL;
                fb->ranks[i] = rank;
                return &fb->list[i];
        }
        f = array_push(&fb->list, &fb->len);
        f->id = STEAL(id);
        *array_push(&fb->ranks, &fb->ranks_len) = rank;
        return f;
}

static void add_forwards(struct forward_build *fb, const struct endpoint *ep)
{
        for (size_t i = 0; i < ep->ports_len; i++) {
                const struct port *p = &ep->ports[i];
                struct forward *f = forward_of(fb, ep, p);

                if (!f)
                        continue;
                f->host_ip = UINT32_C(0x7f000001);
                f->ip6 = p->host_ip && value_ip6(p->host_ip, f->host_ip6, NULL) == 0;
                if (p->host_ip && !f->ip6 && value_ip4(p->host_ip, &f->host_ip, NULL) < 0)
                        f->host_ip = UINT32_C(0x7f000001); /* validated by schema/ */
                f->host_port = p->published;
                f->host_port_last = p->published_last;
                f->target_ip = ep->nics[0].ip;
                f->target_port = p->target;
                f->udp = p->protocol == PORT_UDP;
        }
}

static bool ports_retry_is_due(const struct network_state *n)
{
        const struct networks_env *env = &n->owner->env;

        return n->entry.ports_retry_ms && env->now_ms(env->ctx) >= n->entry.ports_retry_ms;
}

static void send_forwards(struct forward_build *fb)
{
        AUTO_STRBUF struct strbuf text = STRBUF_INIT(FINGERPRINT_MAX);
        struct network_state *n = fb->net;
        char digest[DIGEST_TEXT_MAX];
        struct err err = ERR_INIT;

        for (size_t i = 0; i < fb->len; i++) {
                const struct forward *f = &fb->list[i];

                strbuf_addf(&text, "%s %u %u %u %u %d\n", f->id, f->host_ip, f->host_port,
                            f->target_ip, f->target_port, f->udp);
        }
        digest_text(strbuf_str(&text), text.len, digest);
        if (streq(digest, n->forwards_digest) && !ports_retry_is_due(n))
                return;
        renew_slots(n, fb->list, fb->len);
        n->entry.ports_retry_ms = 0; /* the answer says */
        if (net_set_forwards(n->net, fb->list, fb->len, on_forwards_set, n, &err) == 0) {
                memcpy(n->forwards_digest, digest, sizeof(digest));
                return;
        }
        log_warn("network", n->entry.name, "forwards not sent: %s", err.msg);
        n->forwards_digest[0] = '\0'; /* the slots are others now */
        plan_retry(n, true, &n->ports_failures, &n->entry.ports_retry_ms);
}

static void publish_forwards(struct network_state *n, const struct endpoint *eps, size_t eps_len)
{
        struct forward_build fb = {.net = n};

        for (size_t i = 0; i < eps_len; i++)
                if (eps[i].nics_len && nic_is_on(&eps[i].nics[0], n->entry.stack, n->entry.name))
                        add_forwards(&fb, &eps[i]);
        send_forwards(&fb);
        for (size_t i = 0; i < fb.len; i++)
                free((void *)(uintptr_t)fb.list[i].id); /* ours, const only for net.h */
        free(fb.list);
        free(fb.ranks);
}

void networks_publish(struct networks *ns, const struct endpoint *endpoints, size_t n)
{
        for (size_t i = 0; i < ns->len; i++) {
                if (!ns->items[i]->net || !ns->items[i]->entry.up)
                        continue;
                publish_zone(ns->items[i], endpoints, n);
                publish_forwards(ns->items[i], endpoints, n);
        }
}

int64_t networks_wake_ms(const struct networks *ns)
{
        int64_t wake = 0;

        for (size_t i = 0; i < ns->len; i++) {
                const struct network_entry *entry = &ns->items[i]->entry;
                const int64_t at[] = {entry->zone_retry_ms, entry->ports_retry_ms};

                for (size_t k = 0; entry->up && k < ARRAY_SIZE(at); k++)
                        if (at[k] && (!wake || at[k] < wake))
                                wake = at[k];
        }
        return wake;
}

enum forward_state networks_forward(const struct networks *ns, const char *stack,
                                    const char *service, unsigned replica, const struct port *port,
                                    uint16_t *ret_host_port, const char **ret_error)
{
        for (size_t i = 0; i < ns->len; i++) {
                const struct network_entry *net = &ns->items[i]->entry;
                AUTO_FREE char *id = NULL;
                const struct forward_slot *slot;

                if (!streq(net->stack, stack) && !streq(net->stack, STACK_SHARED))
                        continue;
                id = forward_id(net, stack, service, replica, port);
                slot = slot_of(ns->items[i], id);
                if (!slot)
                        continue;
                *ret_host_port = slot->host_port;
                *ret_error = slot->error;
                return slot->state;
        }
        return FORWARD_PENDING;
}
