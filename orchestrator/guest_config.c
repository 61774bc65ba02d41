/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/guest_config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/guest_devices.h"
#include "orchestrator/linux_names.h"

/* In extra_hosts: the host, whatever its address is. */
#define HOST_GATEWAY "host-gateway"

struct guest_setup {
        struct guest_config config;
        struct guest_disk *disks;
        char **shares;
        size_t shares_len;
        struct guest_mount *mounts;
        size_t mounts_len;
        struct guest_file *files;
        size_t files_len;
        struct guest_interface *interfaces;
        struct guest_rlimit *rlimits;
        size_t rlimits_len;
        char **env, **argv, **hosts, **sysctls, **nameservers, **search, **resolv_options;
        size_t env_len, argv_len, hosts_len, sysctls_len, nameservers_len, search_len,
                resolv_options_len;
        char **owned; /* single strings that config points to */
        size_t owned_len;
};

static const char *own(struct guest_setup *s, char *text)
{
        *array_push(&s->owned, &s->owned_len) = text;
        return text;
}

static void list_add(char ***list, size_t *len, char *text)
{
        *array_push(list, len) = text;
}

static void list_free(char **list, size_t len)
{
        for (size_t i = 0; i < len; i++)
                free(list[i]);
        free(list);
}

void guest_mac(const struct network_ref *ref, uint32_t ip, uint8_t ret_mac[VALUE_MAC_BYTES])
{
        const uint8_t mac[VALUE_MAC_BYTES] = {
                0x02,       0xbe, (uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8),
                (uint8_t)ip};

        if (!ref || !ref->mac_address || value_mac(ref->mac_address, ret_mac, NULL) < 0)
                memcpy(ret_mac, mac, sizeof(mac));
}

/* Set KEY=value, over an earlier value of KEY. */
static void env_set(struct guest_setup *s, const char *key, size_t key_len, const char *value)
{
        char *pair = xasprintf("%.*s=%s", (int)key_len, key, value);

        for (size_t i = 0; i < s->env_len; i++)
                if (strncmp(s->env[i], pair, key_len + 1) == 0) {
                        free(s->env[i]);
                        s->env[i] = pair;
                        return;
                }
        list_add(&s->env, &s->env_len, pair);
}

static void build_env(struct guest_setup *s, const struct guest_input *in)
{
        for (size_t i = 0; i < in->image->env_len; i++) {
                const char *eq = strchr(in->image->env[i], '=');

                if (eq)
                        env_set(s, in->image->env[i], (size_t)(eq - in->image->env[i]), eq + 1);
        }
        for (size_t i = 0; i < in->service->environment.len; i++) {
                const struct kv *kv = &in->service->environment.items[i];

                if (kv->value)
                        env_set(s, kv->key, strlen(kv->key), kv->value);
        }
}

static int build_argv(struct guest_setup *s, const struct guest_input *in, struct err *err)
{
        const struct service *sv = in->service;
        const struct image *im = in->image;
        bool own_entrypoint = sv->entrypoint.set;

        if (own_entrypoint)
                for (size_t i = 0; i < sv->entrypoint.len; i++)
                        list_add(&s->argv, &s->argv_len, xstrdup(sv->entrypoint.items[i]));
        else
                for (size_t i = 0; i < im->entrypoint_len; i++)
                        list_add(&s->argv, &s->argv_len, xstrdup(im->entrypoint[i]));
        if (sv->command.set)
                for (size_t i = 0; i < sv->command.len; i++)
                        list_add(&s->argv, &s->argv_len, xstrdup(sv->command.items[i]));
        else if (!own_entrypoint)
                for (size_t i = 0; i < im->cmd_len; i++)
                        list_add(&s->argv, &s->argv_len, xstrdup(im->cmd[i]));
        if (s->argv_len == 0)
                return err_set(err, EINVAL,
                               "neither the service nor the image %s says what to run; set "
                               "`command:`",
                               sv->image);
        return 0;
}

/* Files of the host come out of one share: each tag once. */
static void add_share(struct guest_setup *s, const char *tag)
{
        for (size_t i = 0; i < s->shares_len; i++)
                if (streq(s->shares[i], tag))
                        return;
        list_add(&s->shares, &s->shares_len, xstrdup(tag));
}

static int build_mounts(struct guest_setup *s, const struct guest_input *in, struct err *err)
{
        const struct service *sv = in->service;

        s->disks = xcalloc(2 + sv->volumes_len, sizeof(*s->disks));
        s->disks[s->config.n_disks++] = (struct guest_disk){WIRE_DISK_IMAGE, WIRE_SERIAL_IMAGE};
        s->disks[s->config.n_disks++] = (struct guest_disk){WIRE_DISK_SCRATCH, WIRE_SERIAL_SCRATCH};
        for (size_t i = 0; i < sv->volumes_len; i++) {
                const struct mount *m = &sv->volumes[i];
                struct guest_mount *g = array_push(&s->mounts, &s->mounts_len);
                bool volume = m->type == MOUNT_VOLUME && !(in->mount_shared && in->mount_shared[i]);
                const char *name = NULL;

                if (m->type != MOUNT_TMPFS) {
                        if (!in->mount_names[i])
                                return err_set(err, EINVAL, "%s: nothing to mount", m->target);
                        name = own(s, xstrdup(in->mount_names[i]));
                }
                if (volume)
                        s->disks[s->config.n_disks++] = (struct guest_disk){WIRE_DISK_VOLUME, name};
                else if (name)
                        add_share(s, name);
                g->kind = volume ? WIRE_MOUNT_DISK : name ? WIRE_MOUNT_SHARE : WIRE_MOUNT_TMPFS;
                g->path = m->target;
                g->name = name;
                g->subpath = in->mount_subpaths && in->mount_subpaths[i]
                                     ? own(s, xstrdup(in->mount_subpaths[i]))
                                     : m->subpath;
                g->flags = m->read_only ? WIRE_M_READ_ONLY : 0;
                if (in->mount_seed && in->mount_seed[i])
                        g->flags |= WIRE_M_SEED;
                g->size = m->size_bytes > 0 ? (uint64_t)m->size_bytes : 0;
                g->mode = m->mode > 0 ? (unsigned)m->mode : 0;
                g->uid = m->uid;
                g->gid = m->gid;
        }
        guest_devices_add(sv, &s->mounts, &s->mounts_len);
        return 0;
}

static int add_file(struct guest_setup *s, const struct file_mount *fm,
                    const struct file_source *source, struct err *err)
{
        struct guest_file *f;
        int64_t uid = 0, gid = 0;

        if (!source)
                return err_set(err, EINVAL, "config or secret '%s' is not declared", fm->source);
        if (source->content_len > GUEST_FILE_MAX)
                return err_set(err, EFBIG, "config or secret '%s': %zu bytes; at most %u fit",
                               fm->source, source->content_len, GUEST_FILE_MAX);
        if (fm->uid && value_int(fm->uid, 0, UINT32_MAX, &uid, err) < 0)
                return err_wrap(err, "uid of '%s'", fm->source);
        if (fm->gid && value_int(fm->gid, 0, UINT32_MAX, &gid, err) < 0)
                return err_wrap(err, "gid of '%s'", fm->source);
        f = array_push(&s->files, &s->files_len);
        f->path = fm->target;
        f->mode = fm->mode >= 0 ? (unsigned)fm->mode : 0444;
        f->uid = (uint32_t)uid;
        f->gid = (uint32_t)gid;
        f->content = source->content;
        f->content_size = source->content_len;
        return 0;
}

static int build_files(struct guest_setup *s, const struct guest_input *in, struct err *err)
{
        const struct service *sv = in->service;
        int r = 0;

        for (size_t i = 0; r == 0 && i < sv->configs_len; i++)
                r = add_file(s, &sv->configs[i],
                             stack_find_config(in->stack, sv->configs[i].source), err);
        for (size_t i = 0; r == 0 && i < sv->secrets_len; i++)
                r = add_file(s, &sv->secrets[i],
                             stack_find_secret(in->stack, sv->secrets[i].source), err);
        return r;
}

/* Unless the service brings one of its own, or mounts all of /etc. */
static void build_machine_id(struct guest_setup *s, const struct guest_input *in)
{
        static const char path[] = "/etc/machine-id";
        struct guest_file *f;
        const char *text;

        for (size_t i = 0; i < s->files_len; i++)
                if (streq(s->files[i].path, path))
                        return;
        for (size_t i = 0; i < in->service->volumes_len; i++)
                if (streq(in->service->volumes[i].target, path) ||
                    streq(in->service->volumes[i].target, "/etc"))
                        return;
        text = own(s, xasprintf("%s\n", in->machine_id));
        f = array_push(&s->files, &s->files_len);
        f->path = path;
        f->mode = 0444;
        f->content = text;
        f->content_size = strlen(text);
}

/* Of the networks with a way out, this one has the default route; NULL: there is none. */
static const struct guest_nic *way_out(const struct guest_input *in)
{
        const struct guest_nic *best = NULL;

        for (size_t i = 0; i < in->nics_len; i++)
                if (in->nics[i].egress && (!best || in->nics[i].gw_priority > best->gw_priority))
                        best = &in->nics[i];
        return best;
}

static_assert(NETWORK_LINK_LOCAL_MAX + 1 <= GUEST_ADDRESSES_MAX, "what schema/ allows fits");

static void build_interfaces(struct guest_setup *s, const struct guest_input *in)
{
        s->interfaces = xcalloc(in->nics_len, sizeof(*s->interfaces));
        for (size_t i = 0; i < in->nics_len; i++) {
                const struct guest_nic *nic = &in->nics[i];
                struct guest_interface *g = &s->interfaces[i];
                char ip[VALUE_IP4_MAX], gateway[VALUE_IP4_MAX], mac[VALUE_MAC_MAX];

                value_ip4_text(nic->ip, ip);
                value_ip4_text(nic->gateway, gateway);
                value_mac_text(nic->mac, mac);
                g->mac = own(s, xstrdup(mac));
                g->addresses[0] = own(s, xasprintf("%s/%u", ip, nic->bits));
                for (size_t k = 0; nic->link_local && k < nic->link_local->len; k++)
                        g->addresses[1 + k] = own(s, xasprintf("%s/16", nic->link_local->items[k]));
                if (nic == way_out(in))
                        g->gateways[0] = own(s, xstrdup(gateway));
        }
}

/*
 * The network whose gateway is asked: it knows the names of all of them, and goes on to the
 * service's own name servers. One of these that is on a network can be asked from there only.
 */
static const struct guest_nic *resolver_of(const struct guest_input *in)
{
        const struct guest_nic *out = way_out(in);

        for (size_t i = 0; i < in->service->dns.len; i++)
                for (size_t k = 0; k < in->nics_len; k++) {
                        uint32_t ip, mask = UINT32_MAX << (32 - in->nics[k].bits);

                        if (value_ip4(in->service->dns.items[i], &ip, NULL) == 0 &&
                            (ip & mask) == (in->nics[k].gateway & mask))
                                return &in->nics[k];
                }
        return out ? out : &in->nics[0];
}

static void build_names(struct guest_setup *s, const struct guest_input *in)
{
        const struct service *sv = in->service;

        if (in->nics_len) {
                char gateway[VALUE_IP4_MAX];

                value_ip4_text(resolver_of(in)->gateway, gateway);
                list_add(&s->nameservers, &s->nameservers_len, xstrdup(gateway));
        }
        for (size_t i = 0; i < sv->dns_opt.len; i++)
                list_add(&s->resolv_options, &s->resolv_options_len, xstrdup(sv->dns_opt.items[i]));
        for (size_t i = 0; i < sv->dns_search.len; i++)
                list_add(&s->search, &s->search_len, xstrdup(sv->dns_search.items[i]));
        for (size_t i = 0; i < sv->extra_hosts.len; i++) {
                const char *eq = strchr(sv->extra_hosts.items[i], '=');
                const char *address = eq ? eq + 1 : NULL;

                if (address && streq(address, HOST_GATEWAY))
                        address = in->host_address;
                if (address)
                        list_add(&s->hosts, &s->hosts_len,
                                 xasprintf("%s %.*s", address, (int)(eq - sv->extra_hosts.items[i]),
                                           sv->extra_hosts.items[i]));
        }
        for (size_t i = 0; i < sv->sysctls.len; i++)
                list_add(&s->sysctls, &s->sysctls_len,
                         xasprintf("%s=%s", sv->sysctls.items[i].key,
                                   sv->sysctls.items[i].value ? sv->sysctls.items[i].value : ""));
}

/* As Docker's default: servers size their tables by it. */
#define NOFILE_DEFAULT 1048576

static int build_rlimits(struct guest_setup *s, const struct service *sv, struct err *err)
{
        *array_push(&s->rlimits, &s->rlimits_len) =
                (struct guest_rlimit){RLIMIT_NOFILE, NOFILE_DEFAULT, NOFILE_DEFAULT};
        for (size_t i = 0; i < sv->ulimits_len; i++) {
                const struct ulimit *u = &sv->ulimits[i];
                int resource = linux_limit(u->name);
                struct guest_rlimit *g;

                if (resource < 0)
                        return err_set(err, EINVAL, "ulimits.%s is not a limit of Linux", u->name);
                g = array_push(&s->rlimits, &s->rlimits_len);
                g->resource = resource;
                g->soft = u->soft < 0 ? UINT64_MAX : (uint64_t)u->soft;
                g->hard = u->hard < 0 ? UINT64_MAX : (uint64_t)u->hard;
        }
        return 0;
}

static int capability_mask(const struct str_list *list, const char *key, uint64_t *ret,
                           struct err *err)
{
        uint64_t mask;

        *ret = 0;
        for (size_t i = 0; i < list->len; i++) {
                if (linux_capabilities(list->items[i], &mask, err) < 0)
                        return err_wrap(err, "%s", key);
                *ret |= mask;
        }
        return 0;
}

/* As Docker: what is added goes above what is dropped, but when one of both is ALL. */
static int build_capabilities(struct guest_setup *s, const struct service *sv, struct err *err)
{
        uint64_t add, drop, basic = GUEST_CAPS_DOCKER;
        int r = capability_mask(&sv->cap_add, "cap_add", &add, err);

        if (r == 0)
                r = capability_mask(&sv->cap_drop, "cap_drop", &drop, err);
        if (r < 0)
                return r;
        s->config.caps_set = true;
        if (add == CAPABILITIES_ALL)
                s->config.caps = drop == CAPABILITIES_ALL ? add : add & ~drop;
        else
                s->config.caps = (basic & ~drop) | add;
        return 0;
}

static int build_process(struct guest_setup *s, const struct guest_input *in, struct err *err)
{
        const struct service *sv = in->service;
        struct guest_config *c = &s->config;
        const char *stop = sv->stop_signal ? sv->stop_signal : in->image->stop_signal;

        c->hostname = sv->hostname ? sv->hostname
                                   : own(s, in->service->replicas > 1
                                                    ? xasprintf("%s-%u", sv->name, in->replica)
                                                    : xstrdup(sv->name));
        c->domainname = sv->domainname;
        c->user = sv->user ? sv->user : in->image->user;
        c->groups = (const char *const *)sv->group_add.items;
        c->n_groups = sv->group_add.len;
        c->workdir = sv->working_dir ? sv->working_dir : in->image->working_dir;
        c->privileged = sv->privileged;
        c->read_only = sv->read_only;
        c->tty = sv->tty;
        c->init = sv->init;
        c->no_new_privs = sv->no_new_privs;
        c->oom_score_adj = sv->oom_score_adj;
        c->stdin_open = sv->stdin_open;
        c->shm_size = sv->shm_size_bytes > 0 ? (uint64_t)sv->shm_size_bytes : 0;
        c->memory_max = sv->mem_limit_bytes > 0 ? (uint64_t)sv->mem_limit_bytes : 0;
        c->pids_max = sv->pids_limit > 0 ? (uint64_t)sv->pids_limit : 0;
        if (stop) {
                c->stop_signal = linux_signal(stop);
                if (c->stop_signal == 0)
                        return err_set(err, EINVAL, "%s '%.60s' is not a signal",
                                       sv->stop_signal ? "stop_signal" : "the image's stop signal",
                                       stop);
        }
        return 0;
}

/* Let the configuration point at the lists once they do not grow any more. */
static void seal(struct guest_setup *s, size_t nics_len)
{
        struct guest_config *c = &s->config;

        c->disks = s->disks;
        c->shares = (const char *const *)s->shares;
        c->n_shares = s->shares_len;
        c->mounts = s->mounts;
        c->n_mounts = s->mounts_len;
        c->files = s->files;
        c->n_files = s->files_len;
        c->interfaces = s->interfaces;
        c->n_interfaces = nics_len;
        c->nameservers = (const char *const *)s->nameservers;
        c->n_nameservers = s->nameservers_len;
        c->search = (const char *const *)s->search;
        c->n_search = s->search_len;
        c->resolv_options = (const char *const *)s->resolv_options;
        c->n_resolv_options = s->resolv_options_len;
        c->hosts = (const char *const *)s->hosts;
        c->n_hosts = s->hosts_len;
        c->sysctls = (const char *const *)s->sysctls;
        c->n_sysctls = s->sysctls_len;
        c->env = (const char *const *)s->env;
        c->n_env = s->env_len;
        c->argv = (const char *const *)s->argv;
        c->n_argv = s->argv_len;
        c->rlimits = s->rlimits;
        c->n_rlimits = s->rlimits_len;
}

int guest_setup_new(const struct guest_input *input, struct guest_setup **ret, struct err *err)
{
        AUTO(guest_setup) struct guest_setup *s = xnew(struct guest_setup);
        int r;

        build_env(s, input);
        build_interfaces(s, input);
        build_names(s, input);
        r = build_argv(s, input, err);
        if (r == 0)
                r = build_mounts(s, input, err);
        if (r == 0)
                r = build_files(s, input, err);
        if (r == 0)
                build_machine_id(s, input);
        if (r == 0)
                r = build_rlimits(s, input->service, err);
        if (r == 0)
                r = build_capabilities(s, input->service, err);
        if (r == 0)
                r = build_process(s, input, err);
        if (r < 0)
                return r;
        seal(s, input->nics_len);
        *ret = STEAL(s);
        return 0;
}

void guest_setup_free(struct guest_setup *s)
{
        if (!s)
                return;
        list_free(s->shares, s->shares_len);
        list_free(s->env, s->env_len);
        list_free(s->argv, s->argv_len);
        list_free(s->hosts, s->hosts_len);
        list_free(s->sysctls, s->sysctls_len);
        list_free(s->nameservers, s->nameservers_len);
        list_free(s->search, s->search_len);
        list_free(s->resolv_options, s->resolv_options_len);
        list_free(s->owned, s->owned_len);
        free(s->disks);
        free(s->mounts);
        free(s->files);
        free(s->interfaces);
        free(s->rlimits);
        free(s);
}

const struct guest_config *guest_setup_config(const struct guest_setup *setup)
{
        return &setup->config;
}
