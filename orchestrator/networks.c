/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/networks.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/value.h"
#include "network/net.h"
#include "network/taps.h"
#include "orchestrator/networks_internal.h"
#include "reconciler/reconcile.h"

#define DESCRIPTION_MAX 4096

static void close_namespace(struct network_state *n)
{
        if (n->netns_fd >= 0)
                (void)close(steal_fd(&n->netns_fd)); /* a namespace has nothing to flush */
}

static void network_free(void *p)
{
        struct network_state *n = p;

        free(n->entry.stack);
        free(n->entry.name);
        free(n->entry.message);
        free(n->entry.egress_error);
        free(n->dir);
        for (size_t i = 0; i < n->slots_len; i++) {
                free(n->slots[i].id);
                free(n->slots[i].error);
        }
        free(n->slots);
        close_namespace(n);
        free(n);
}

static struct network_state *find(const struct networks *ns, const char *stack, const char *name)
{
        for (size_t i = 0; i < ns->len; i++)
                if (streq(ns->items[i]->entry.stack, stack) &&
                    streq(ns->items[i]->entry.name, name))
                        return ns->items[i];
        return NULL;
}

const struct network_entry *networks_find(const struct networks *ns, const char *stack,
                                          const char *name)
{
        const struct network_state *n = find(ns, stack, name);

        return n ? &n->entry : NULL;
}

const struct network_entry *networks_at(const struct networks *ns, size_t index)
{
        return index < ns->len ? &ns->items[index]->entry : NULL;
}

static void note_failure(struct network_state *n, const struct err *err)
{
        n->entry.failures++;
        n->entry.failed_ms = n->owner->env.now_ms(n->owner->env.ctx);
        free(n->entry.message);
        n->entry.message = xstrdup(err->msg);
}

/* The VMs on its taps are cut off for good: the daemon replaces them. */
static void tell_lost(struct network_state *n, const struct err *err)
{
        n->owner->env.on_event(n->owner->env.ctx, n->entry.stack, "network-lost", err->msg);
}

static void on_net_ready(void *ctx)
{
        struct network_state *n = ctx;

        if (n->inherited && !net_adopted(n->net)) {
                const struct err gone = {.code = ENETDOWN,
                                         .msg = "netd ended while no daemon was running"};

                note_failure(n, &gone);
                tell_lost(n, &gone);
        }
        if (n->inherited) /* while no daemon looked */
                n->owner->env.on_link_gone(n->owner->env.ctx);
        n->inherited = false;
        n->entry.up = true;
        n->entry.failures = 0;
        n->entry.failed_ms = 0;
        n->entry.pid = net_pid(n->net);
        free(n->entry.message);
        n->entry.message = NULL;
        n->owner->env.on_change(n->owner->env.ctx);
}

/* netd died: the VMs on its taps have lost their network, so they are replaced with it. */
static void on_net_lost(void *ctx, const struct err *err)
{
        struct network_state *n = ctx;

        n->net = NULL;
        close_namespace(n);
        n->entry.up = false;
        n->entry.pid = 0;
        networks_tell_anew(n);
        note_failure(n, err);
        tell_lost(n, err);
        n->owner->env.on_change(n->owner->env.ctx);
}

/* Told when it changes; services run on without a way out. */
static void on_net_egress(void *ctx, const char *error)
{
        struct network_state *n = ctx;
        struct networks *ns = n->owner;
        AUTO_FREE char *text = NULL;

        if (error)
                text = xasprintf("network %s has no way out: %s%s", n->entry.name, error,
                                 strstr(error, "not installed")
                                         ? "; install it (Debian: apt install slirp4netns), or "
                                           "make the network `internal: true`"
                                         : "; it is tried again");
        else if (n->entry.egress_error)
                text = xasprintf("network %s has a way out again", n->entry.name);
        if (text)
                ns->env.on_event(ns->env.ctx, n->entry.stack,
                                 error ? "egress-failed" : "egress-restored", text);
        free(n->entry.egress_error);
        n->entry.egress_error = xstrdup(error);
}

static void on_net_link_gone(void *ctx)
{
        const struct network_state *n = ctx;

        n->owner->env.on_link_gone(n->owner->env.ctx);
}

static int start_net(struct network_state *n, struct err *err)
{
        const struct net_spec spec = {.netd = n->owner->netd,
                                      .dir = n->dir,
                                      .stack = n->entry.stack,
                                      .name = n->entry.name,
                                      .subnet = n->entry.subnet,
                                      .bits = n->entry.bits,
                                      .egress = n->entry.egress};
        const struct net_events events = {on_net_ready, on_net_lost, on_net_egress,
                                          on_net_link_gone, n};

        return net_start(n->owner->env.loop, &spec, &events, &n->net, err);
}

static int save_description(const struct network_state *n, struct err *err)
{
        AUTO_JSON json_t *j = json_object();
        AUTO_FREE char *path = file_join(n->dir, "network.json");
        AUTO_FREE char *text = NULL;

        json_set_int(j, "version", 1);
        json_set_str(j, "stack", n->entry.stack);
        json_set_str(j, "network", n->entry.name);
        json_set_str(j, "hash", n->entry.hash);
        json_set_int(j, "subnet", n->entry.subnet);
        json_set_int(j, "bits", n->entry.bits);
        json_set_bool(j, "egress", n->entry.egress);
        text = json_text(j);
        return file_write_atomic(path, text, strlen(text), 0600, err);
}

static struct network_state *add(struct networks *ns, const char *stack, const char *name)
{
        struct network_state *n = xnew(struct network_state);
        AUTO_FREE char *key = xasprintf("%s/%s", stack, name);
        char digest[DIGEST_TEXT_MAX];

        digest_text(key, strlen(key), digest);
        n->owner = ns;
        n->entry.stack = xstrdup(stack);
        n->entry.name = xstrdup(name);
        n->netns_fd = -1;
        n->dir = xasprintf("%s/net/%.12s", ns->run_dir, digest + strlen("sha256:"));
        *array_push(&ns->items, &ns->len) = n;
        return n;
}

static void drop(struct network_state *n)
{
        struct networks *ns = n->owner;

        for (size_t i = 0; i < ns->len; i++)
                if (ns->items[i] == n) {
                        memmove(&ns->items[i], &ns->items[i + 1],
                                (ns->len - i - 1) * sizeof(struct network_state *));
                        ns->len--;
                        break;
                }
        loop_defer_free(ns->env.loop, network_free, n);
}

void networks_create(struct networks *ns, const char *stack, const struct network *spec)
{
        struct network_state *n = find(ns, stack, spec->name);
        struct err err = ERR_INIT;
        int r;

        if (!n)
                n = add(ns, stack, spec->name);
        if (n->net)
                return;
        n->entry.failed_ms = 0;
        r = networks_choose_subnet(ns, stack, spec, &n->entry.subnet, &n->entry.bits, &err);
        if (r == 0) {
                network_hash(spec, n->entry.hash);
                n->entry.egress = !spec->internal && !spec->no_egress;
                n->entry.gateway = net_gateway(n->entry.subnet, n->entry.bits);
                r = file_mkdir_p(n->dir, 0700, &err);
        }
        if (r == 0)
                r = save_description(n, &err);
        if (r == 0)
                r = start_net(n, &err);
        if (r < 0) {
                note_failure(n, &err);
                ns->env.on_event(ns->env.ctx, stack, "network-failed", err.msg);
                ns->env.on_change(ns->env.ctx); /* its next try has a time now */
        }
}

void networks_retry(struct networks *ns, const char *stack)
{
        for (size_t i = 0; i < ns->len; i++) {
                struct network_entry *entry = &ns->items[i]->entry;

                if (!streq(entry->stack, stack) && !streq(entry->stack, STACK_SHARED))
                        continue;
                networks_tell_anew(ns->items[i]); /* ports that failed are asked for again */
                if (entry->failed_ms) {
                        entry->failures = 0;
                        entry->failed_ms = 1; /* long ago */
                }
        }
}

void networks_remove(struct networks *ns, const char *stack, const char *name)
{
        struct network_state *n = find(ns, stack, name);
        struct err err = ERR_INIT;

        if (!n)
                return;
        if (!n->net && n->inherited && start_net(n, &err) < 0) {
                log_warn("network", stack, "%s is not removed yet: its netd may run: %s", name,
                         err.msg);
                return; /* the next turn tries again */
        }
        if (n->net)
                net_stop(STEAL(n->net));
        if (file_remove_tree(n->dir, &err) < 0)
                log_warn("network", stack, "%s", err.msg);
        drop(n);
        ns->env.on_change(ns->env.ctx);
}

int networks_open_tap(struct networks *ns, const char *stack, const char *name,
                      void (*cb)(void *ctx, int tap_fd, const struct err *err), void *ctx,
                      struct err *err)
{
        struct network_state *n = find(ns, stack, name);

        if (!n || !n->net || !n->entry.up)
                return err_set(err, ENETDOWN, "network %s is not up", name);
        return net_open_tap(n->net, cb, ctx, err);
}

/* A tap that waits for the namespace it is moved to; nobody else knows of it. */
struct tap_move {
        struct networks *networks;
        char *stack, *name, *tap;
        void (*cb)(void *ctx, int none, const struct err *err);
        void *ctx;
};

static void tap_move_free(struct tap_move *m)
{
        free(m->stack);
        free(m->name);
        free(m->tap);
        free(m);
}

static void on_namespace(void *ctx, int netns_fd, const struct err *why)
{
        struct tap_move *m = ctx;
        struct network_state *n = find(m->networks, m->stack, m->name);
        AUTO_CLOSE int fd = netns_fd;
        struct err err = ERR_INIT;
        int r;

        if (why)
                r = err_set(&err, why->code, "%s", why->msg);
        else if (!n || !m->networks->taps)
                r = err_set(&err, ENETDOWN, "network %s is gone", m->name);
        else
                r = taps_move(m->networks->taps, m->tap, fd, m->cb, m->ctx, &err);
        if (r == 0 && n->netns_fd < 0)
                n->netns_fd = steal_fd(&fd);
        if (r < 0)
                m->cb(m->ctx, -1, &err);
        tap_move_free(m);
}

int networks_move_tap(struct networks *ns, const char *stack, const char *name, const char *tap,
                      void (*cb)(void *ctx, int none, const struct err *err), void *ctx,
                      struct err *err)
{
        const struct network_state *n = find(ns, stack, name);
        struct tap_move *m;
        int r;

        if (!ns->taps || !n || !n->net || !n->entry.up)
                return err_set(err, ENETDOWN, "network %s is not up", name);
        if (n->netns_fd >= 0)
                return taps_move(ns->taps, tap, n->netns_fd, cb, ctx, err);
        m = xnew(struct tap_move);
        *m = (struct tap_move){ns, xstrdup(stack), xstrdup(name), xstrdup(tap), cb, ctx};
        r = net_open_namespace(n->net, on_namespace, m, err);
        if (r < 0)
                tap_move_free(m);
        return r;
}

void networks_set_taps(struct networks *ns, struct taps *taps)
{
        ns->taps = taps;
}

/* A network that a former daemon started: its description says what, netd says whether it lives. */
static int adopt(struct networks *ns, const char *dir, struct err *err)
{
        AUTO_FREE char *path = file_join(dir, "network.json");
        AUTO_FREE char *text = NULL;
        AUTO_JSON json_t *j = NULL;
        const char *stack, *name, *hash;
        int64_t subnet, bits;
        struct network_state *n;
        size_t len;

        if (file_read(path, DESCRIPTION_MAX, &text, &len, err) < 0 ||
            json_parse(text, len, DESCRIPTION_MAX, path, &j, err) < 0 ||
            json_need_str(j, "stack", path, &stack, err) < 0 ||
            json_need_str(j, "network", path, &name, err) < 0 ||
            json_need_str(j, "hash", path, &hash, err) < 0 ||
            json_need_int(j, "subnet", 0, UINT32_MAX, path, &subnet, err) < 0 ||
            json_need_int(j, "bits", 8, 30, path, &bits, err) < 0)
                return -err->code;
        n = add(ns, stack, name);
        (void)snprintf(n->entry.hash, sizeof(n->entry.hash), "%s", hash); /* compared, no more */
        n->entry.subnet = (uint32_t)subnet;
        n->entry.bits = (unsigned)bits;
        n->entry.egress = json_bool(j, "egress", false);
        n->entry.gateway = net_gateway(n->entry.subnet, n->entry.bits);
        n->inherited = true;
        if (start_net(n, err) < 0)
                note_failure(n, err);
        return 0;
}

static void adopt_all(struct networks *ns)
{
        AUTO_FREE char *base = file_join(ns->run_dir, "net");
        AUTO_DIR DIR *dir = opendir(base);
        const struct dirent *de;

        while (dir && (de = readdir(dir))) {
                AUTO_FREE char *path = file_join(base, de->d_name);
                struct err err = ERR_INIT;

                if (de->d_name[0] == '.')
                        continue;
                if (adopt(ns, path, &err) == 0)
                        continue;
                if (err.code == ENOENT)                     /* a daemon died before it had begun */
                        (void)file_remove_tree(path, &err); /* the next one tries again */
                else
                        log_warn("network", de->d_name, "cannot be adopted: %s", err.msg);
        }
}

int networks_new(const struct networks_env *env, struct networks **ret, struct err *err)
{
        struct networks *ns = xnew(struct networks);
        int r;

        ns->env = *env;
        ns->run_dir = xstrdup(env->run_dir);
        ns->netd = xstrdup(env->netd);
        r = store_list_leases(env->store, &ns->leases, err);
        if (r < 0) {
                networks_free(ns);
                return r;
        }
        adopt_all(ns);
        *ret = ns;
        return 0;
}

void networks_free(struct networks *ns)
{
        if (!ns)
                return;
        for (size_t i = 0; i < ns->len; i++) {
                if (ns->items[i]->net)
                        net_detach(ns->items[i]->net);
                network_free(ns->items[i]);
        }
        free(ns->items);
        stored_leases_release(&ns->leases);
        free(ns->run_dir);
        free(ns->netd);
        free(ns);
}
