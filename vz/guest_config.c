/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/auto.h"
#include "base/mem.h"
#include "vz/guest_impl.h"

/*
 * struct guest_config as frames, one item a frame: the guest takes any division, and one that does
 * not fit is easily named.
 */

struct encoder {
        struct strbuf *frames;
        struct wire_writer w;
        uint8_t *data;
        struct err *err;
        int rc; /* first failure; sticky */
};

static void fail(struct encoder *e, int code, const char *what, const char *which)
{
        if (e->rc == 0)
                e->rc = err_set(e->err, code, "%s%s%.100s: %s", what, which[0] ? " " : "", which,
                                code == E2BIG ? "too long" : "missing or malformed");
}

static void begin(struct encoder *e)
{
        wire_writer_init(&e->w, e->data, WIRE_FRAME_MAX);
        wire_begin(&e->w, WIRE_CONFIG, 0);
}

static void end(struct encoder *e, const char *what, const char *which)
{
        if (!wire_end(&e->w))
                fail(e, E2BIG, what, which);
        else
                strbuf_add(e->frames, e->data, e->w.len);
}

static void put_number(struct encoder *e, enum wire_config tag, uint64_t value)
{
        begin(e);
        wire_put_u64(&e->w, (uint16_t)tag, value);
        end(e, "number", "");
}

/* Numbers whose 0 means: as the guest has it. */
static void put_number_if(struct encoder *e, enum wire_config tag, uint64_t value)
{
        if (value)
                put_number(e, tag, value);
}

static void put_string(struct encoder *e, enum wire_config tag, const char *what, const char *value)
{
        if (!value)
                return;
        begin(e);
        wire_put_str(&e->w, (uint16_t)tag, value);
        end(e, what, value);
}

static void put_list(struct encoder *e, enum wire_config tag, const char *what,
                     const char *const *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                put_string(e, tag, what, list[i]);
}

static void put_item(struct encoder *e, enum wire_item tag, const char *value)
{
        if (value)
                wire_put_str(&e->w, (uint16_t)tag, value);
}

static void put_disks(struct encoder *e, const struct guest_config *c)
{
        bool image = false;
        for (size_t i = 0; i < c->n_disks; i++) {
                const struct guest_disk *d = &c->disks[i];
                if (!d->serial || strlen(d->serial) > 20)
                        fail(e, EINVAL, "disk serial", d->serial ? d->serial : "");
                image = image || d->role == WIRE_DISK_IMAGE;
                begin(e);
                size_t mark = wire_nest(&e->w, WIRE_C_DISK);
                wire_put_u64(&e->w, WIRE_I_ROLE, d->role);
                put_item(e, WIRE_I_SERIAL, d->serial);
                wire_nest_end(&e->w, mark);
                end(e, "disk", d->serial ? d->serial : "");
        }
        if (!image)
                fail(e, EINVAL, "image disk", "");
}

static void put_mounts(struct encoder *e, const struct guest_config *c)
{
        for (size_t i = 0; i < c->n_mounts; i++) {
                const struct guest_mount *m = &c->mounts[i];
                if (!m->path || m->path[0] != '/')
                        fail(e, EINVAL, "mount path", m->path ? m->path : "");
                begin(e);
                size_t mark = wire_nest(&e->w, WIRE_C_MOUNT);
                wire_put_u64(&e->w, WIRE_I_KIND, m->kind);
                put_item(e, WIRE_I_PATH, m->path);
                put_item(e, WIRE_I_NAME, m->name);
                put_item(e, WIRE_I_SUBPATH, m->subpath);
                wire_put_u64(&e->w, WIRE_I_FLAGS, m->flags);
                wire_put_u64(&e->w, WIRE_I_SIZE, m->size);
                wire_put_u64(&e->w, WIRE_I_MODE, m->mode);
                wire_put_u64(&e->w, WIRE_I_UID, m->uid);
                wire_put_u64(&e->w, WIRE_I_GID, m->gid);
                wire_nest_end(&e->w, mark);
                end(e, "mount", m->path ? m->path : "");
        }
}

static void put_content(struct encoder *e, const struct guest_file *f)
{
        const uint8_t *p = f->content;
        for (size_t done = 0; done < f->content_size;) {
                size_t left = f->content_size - done;
                size_t n = wire_clean_length(p + done, left < WIRE_CHUNK ? left : WIRE_CHUNK);
                wire_writer_init(&e->w, e->data, WIRE_FRAME_MAX);
                wire_begin(&e->w, WIRE_FILE_DATA, 0);
                wire_put_raw(&e->w, p + done, n);
                end(e, "file", f->path);
                done += n;
        }
}

static void put_files(struct encoder *e, const struct guest_config *c)
{
        for (size_t i = 0; i < c->n_files; i++) {
                const struct guest_file *f = &c->files[i];
                if (!f->path || f->path[0] != '/')
                        fail(e, EINVAL, "file path", f->path ? f->path : "");
                else if (f->content_size > GUEST_FILE_MAX)
                        fail(e, E2BIG, "file", f->path);
                if (e->rc)
                        return;
                begin(e);
                size_t mark = wire_nest(&e->w, WIRE_C_FILE);
                put_item(e, WIRE_I_PATH, f->path);
                wire_put_u64(&e->w, WIRE_I_MODE, f->mode);
                wire_put_u64(&e->w, WIRE_I_UID, f->uid);
                wire_put_u64(&e->w, WIRE_I_GID, f->gid);
                wire_nest_end(&e->w, mark);
                end(e, "file", f->path);
                put_content(e, f);
        }
}

static void put_interfaces(struct encoder *e, const struct guest_config *c)
{
        for (size_t i = 0; i < c->n_interfaces; i++) {
                const struct guest_interface *n = &c->interfaces[i];
                if (!n->mac)
                        fail(e, EINVAL, "interface's mac", "");
                begin(e);
                size_t mark = wire_nest(&e->w, WIRE_C_INTERFACE);
                put_item(e, WIRE_I_MAC, n->mac);
                for (size_t j = 0; j < GUEST_ADDRESSES_MAX && n->addresses[j]; j++)
                        put_item(e, WIRE_I_ADDRESS, n->addresses[j]);
                for (size_t j = 0; j < GUEST_ADDRESSES_MAX && n->gateways[j]; j++)
                        put_item(e, WIRE_I_GATEWAY, n->gateways[j]);
                if (n->mtu)
                        wire_put_u64(&e->w, WIRE_I_MTU, n->mtu);
                wire_nest_end(&e->w, mark);
                end(e, "interface", n->mac ? n->mac : "");
        }
}

static void put_rlimits(struct encoder *e, const struct guest_config *c)
{
        for (size_t i = 0; i < c->n_rlimits; i++) {
                begin(e);
                size_t mark = wire_nest(&e->w, WIRE_C_RLIMIT);
                wire_put_u64(&e->w, WIRE_I_RESOURCE, (uint64_t)c->rlimits[i].resource);
                wire_put_u64(&e->w, WIRE_I_SOFT, c->rlimits[i].soft);
                wire_put_u64(&e->w, WIRE_I_HARD, c->rlimits[i].hard);
                wire_nest_end(&e->w, mark);
                end(e, "limit", "");
        }
}

static void put_machine(struct encoder *e, const struct guest_config *c)
{
        struct timespec now = {0};
        (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
        begin(e);
        wire_put_bytes(&e->w, WIRE_C_SEED, c->seed, sizeof(c->seed));
        end(e, "seed", "");
        put_number(e, WIRE_C_CLOCK_NS,
                   c->clock_ns ? c->clock_ns
                               : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
        if (!c->hostname || !c->hostname[0] || strlen(c->hostname) > 64)
                fail(e, EINVAL, "hostname", c->hostname ? c->hostname : "");
        put_string(e, WIRE_C_HOSTNAME, "hostname", c->hostname);
        put_string(e, WIRE_C_DOMAINNAME, "domain name", c->domainname);
        put_disks(e, c);
        put_list(e, WIRE_C_SHARE, "share", c->shares, c->n_shares);
        put_mounts(e, c);
        put_files(e, c);
        put_number_if(e, WIRE_C_SHM_SIZE, c->shm_size);
        put_interfaces(e, c);
        put_list(e, WIRE_C_NAMESERVER, "nameserver", c->nameservers, c->n_nameservers);
        put_list(e, WIRE_C_SEARCH, "search domain", c->search, c->n_search);
        put_list(e, WIRE_C_RESOLV_OPTION, "resolver option", c->resolv_options,
                 c->n_resolv_options);
        put_list(e, WIRE_C_HOST, "host", c->hosts, c->n_hosts);
        put_list(e, WIRE_C_SYSCTL, "sysctl", c->sysctls, c->n_sysctls);
}

static void put_process(struct encoder *e, const struct guest_config *c)
{
        unsigned flags = (c->read_only ? WIRE_F_READ_ONLY : 0) |
                         (c->no_new_privs ? WIRE_F_NO_NEW_PRIVS : 0) | (c->tty ? WIRE_F_TTY : 0) |
                         (c->stdin_open ? WIRE_F_STDIN : 0) |
                         (c->privileged ? WIRE_F_PRIVILEGED : 0) | (c->init ? WIRE_F_INIT : 0);
        if (c->n_argv == 0)
                fail(e, EINVAL, "command", "");
        put_string(e, WIRE_C_USER, "user", c->user);
        put_list(e, WIRE_C_GROUP, "group", c->groups, c->n_groups);
        put_list(e, WIRE_C_ENV, "environment variable", c->env, c->n_env);
        put_list(e, WIRE_C_ARG, "argument", c->argv, c->n_argv);
        put_string(e, WIRE_C_WORKDIR, "working directory", c->workdir);
        put_rlimits(e, c);
        if (c->caps_set)
                put_number(e, WIRE_C_CAPS, c->caps);
        put_number(e, WIRE_C_FLAGS, flags);
        put_number_if(e, WIRE_C_STOP_SIGNAL, (uint64_t)c->stop_signal);
        put_number_if(e, WIRE_C_MEMORY_MAX, c->memory_max);
        put_number_if(e, WIRE_C_PIDS_MAX, c->pids_max);
        put_number_if(e, WIRE_C_CPU_WEIGHT, c->cpu_weight);
        put_number_if(e, WIRE_C_OOM_SCORE_ADJ, (uint64_t)(int64_t)c->oom_score_adj);
}

int guest_config_encode(const struct guest_config *c, struct strbuf *frames, struct err *err)
{
        AUTO_FREE uint8_t *data = xcalloc(1, WIRE_FRAME_MAX);
        struct encoder e = {.frames = frames, .data = data, .err = err};
        put_machine(&e, c);
        put_process(&e, c);
        wire_writer_init(&e.w, e.data, WIRE_FRAME_MAX);
        (void)wire_send_empty(&e.w, WIRE_CONFIG_END, 0); /* fits */
        strbuf_add(frames, e.data, e.w.len);
        if (e.rc == 0 && strbuf_failed(frames))
                e.rc = err_set(err, E2BIG, "configs and secrets exceed %zu MiB", frames->max >> 20);
        return e.rc;
}
