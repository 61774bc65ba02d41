/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/config.h"

#include <errno.h>
#include <string.h>

/*
 * Items are declared in tables: what they are and where they go. A struct with strings carries its
 * arena; `struct into` names both for the code that fills either.
 */
enum kind {
        STRING,  /* const char * */
        STRINGS, /* const char *[max + 1] with a size_t counter */
        NUMBER,  /* uint64_t */
        NESTED,  /* one more element of an array, filled by its own table */
};

struct field {
        uint16_t tag;
        enum kind kind;
        const char *name;
        size_t offset;
        size_t count; /* offset of the counter */
        size_t max;
        const struct field *nested;
        size_t size; /* of one element */
};

struct into {
        char *base; /* the struct that offsets are of */
        char *text;
        size_t *text_len;
        size_t text_max;
};

#define STR(s, tag, field)                                                    \
        {                                                                     \
                tag, STRING, #field, offsetof(struct s, field), 0, 0, NULL, 0 \
        }
#define NUM(s, tag, field)                                                    \
        {                                                                     \
                tag, NUMBER, #field, offsetof(struct s, field), 0, 0, NULL, 0 \
        }
#define LIST(s, tag, field, counter, max)                                                          \
        {                                                                                          \
                tag, STRINGS, #field, offsetof(struct s, field), offsetof(struct s, counter), max, \
                        NULL, 0                                                                    \
        }
#define NEST(s, tag, field, counter, max, table, element)                                         \
        {                                                                                         \
                tag, NESTED, #field, offsetof(struct s, field), offsetof(struct s, counter), max, \
                        table, sizeof(struct element)                                             \
        }
#define END                                       \
        {                                         \
                0, STRING, NULL, 0, 0, 0, NULL, 0 \
        }

static const struct field disk_fields[] = {
        NUM(config_disk, WIRE_I_ROLE, role),
        STR(config_disk, WIRE_I_SERIAL, serial),
        END,
};

static const struct field mount_fields[] = {
        NUM(config_mount, WIRE_I_KIND, kind),   STR(config_mount, WIRE_I_PATH, path),
        STR(config_mount, WIRE_I_NAME, name),   STR(config_mount, WIRE_I_SUBPATH, subpath),
        NUM(config_mount, WIRE_I_FLAGS, flags), NUM(config_mount, WIRE_I_SIZE, size),
        NUM(config_mount, WIRE_I_MODE, mode),   NUM(config_mount, WIRE_I_UID, uid),
        NUM(config_mount, WIRE_I_GID, gid),     END,
};

static const struct field interface_fields[] = {
        STR(config_interface, WIRE_I_MAC, mac),
        LIST(config_interface, WIRE_I_ADDRESS, addresses, n_addresses, CONFIG_ADDR_MAX),
        LIST(config_interface, WIRE_I_GATEWAY, gateways, n_gateways, CONFIG_ADDR_MAX),
        NUM(config_interface, WIRE_I_MTU, mtu),
        END,
};

static const struct field rlimit_fields[] = {
        NUM(config_rlimit, WIRE_I_RESOURCE, resource),
        NUM(config_rlimit, WIRE_I_SOFT, soft),
        NUM(config_rlimit, WIRE_I_HARD, hard),
        END,
};

static const struct field config_fields[] = {
        NUM(config, WIRE_C_CLOCK_NS, clock_ns),
        STR(config, WIRE_C_HOSTNAME, hostname),
        STR(config, WIRE_C_DOMAINNAME, domainname),
        NEST(config, WIRE_C_DISK, disks, n_disks, CONFIG_DISK_MAX, disk_fields, config_disk),
        LIST(config, WIRE_C_SHARE, shares.at, shares.n, CONFIG_SHARE_MAX),
        NEST(config, WIRE_C_MOUNT, mounts, n_mounts, CONFIG_MOUNT_MAX, mount_fields, config_mount),
        NEST(config, WIRE_C_FILE, mounts, n_mounts, CONFIG_MOUNT_MAX, mount_fields, config_mount),
        NEST(config, WIRE_C_INTERFACE, interfaces, n_interfaces, CONFIG_IF_MAX, interface_fields,
             config_interface),
        LIST(config, WIRE_C_NAMESERVER, nameservers.at, nameservers.n, CONFIG_LIST_MAX),
        LIST(config, WIRE_C_SEARCH, search.at, search.n, CONFIG_LIST_MAX),
        LIST(config, WIRE_C_RESOLV_OPTION, resolv_options.at, resolv_options.n, CONFIG_LIST_MAX),
        LIST(config, WIRE_C_HOST, hosts.at, hosts.n, CONFIG_LIST_MAX),
        STR(config, WIRE_C_USER, user),
        LIST(config, WIRE_C_GROUP, groups.at, groups.n, CONFIG_LIST_MAX),
        LIST(config, WIRE_C_ENV, env, n_env, CONFIG_ENV_MAX),
        LIST(config, WIRE_C_ARG, args, n_args, CONFIG_ARG_MAX),
        STR(config, WIRE_C_WORKDIR, workdir),
        NEST(config, WIRE_C_RLIMIT, rlimits, n_rlimits, CONFIG_RLIMIT_MAX, rlimit_fields,
             config_rlimit),
        NUM(config, WIRE_C_CAPS, caps),
        NUM(config, WIRE_C_FLAGS, flags),
        NUM(config, WIRE_C_STOP_SIGNAL, stop_signal),
        NUM(config, WIRE_C_MEMORY_MAX, memory_max),
        NUM(config, WIRE_C_PIDS_MAX, pids_max),
        NUM(config, WIRE_C_SHM_SIZE, shm_size),
        LIST(config, WIRE_C_SYSCTL, sysctls.at, sysctls.n, CONFIG_LIST_MAX),
        NUM(config, WIRE_C_CPU_WEIGHT, cpu_weight),
        NUM(config, WIRE_C_OOM_SCORE_ADJ, oom_score_adj), /* two's complement */
        END,
};

static const struct field exec_fields[] = {
        LIST(config_exec, WIRE_E_ARG, args, n_args, CONFIG_ARG_MAX),
        LIST(config_exec, WIRE_E_ENV, env, n_env, CONFIG_ENV_MAX),
        STR(config_exec, WIRE_E_USER, user),
        STR(config_exec, WIRE_E_WORKDIR, workdir),
        NUM(config_exec, WIRE_E_TTY, tty),
        NUM(config_exec, WIRE_E_ROWS, rows),
        NUM(config_exec, WIRE_E_COLS, cols),
        NUM(config_exec, WIRE_E_PRIVILEGED, privileged),
        END,
};

static const struct field *find(const struct field *table, uint16_t tag)
{
        for (; table->name; table++) {
                if (table->tag == tag)
                        return table;
        }
        return NULL;
}

static const char *keep(const struct into *into, const struct wire_tlv *tlv)
{
        char *to = into->text + *into->text_len;
        size_t room = into->text_max - *into->text_len;
        if (room == 0 || !wire_str(tlv, to, room))
                return NULL;
        *into->text_len += tlv->len + 1;
        return to;
}

static int fill(const struct into *into, const struct field *table, const uint8_t *body, size_t len,
                struct fail *f);

/* NOLINTBEGIN(misc-no-recursion): as deep as the tables, two */
static int fill_one(const struct into *into, const struct field *field, const struct wire_tlv *tlv,
                    struct fail *f)
{
        char *at = into->base + field->offset;
        size_t *count = (size_t *)(void *)(into->base + field->count);
        if ((field->kind == STRINGS || field->kind == NESTED) && *count >= field->max)
                return fail_set(f, E2BIG, "configuration: more than %zu %s", field->max,
                                field->name);
        switch (field->kind) {
        case NUMBER:
                if (!wire_u64(tlv, (uint64_t *)(void *)at))
                        return fail_set(f, 0, "configuration: %s is not a number", field->name);
                return 0;
        case STRING:
        case STRINGS: {
                const char *string = keep(into, tlv);
                if (!string)
                        return fail_set(f, 0, "configuration: %s has a NUL in it or is too long",
                                        field->name);
                if (field->kind == STRINGS)
                        ((const char **)(void *)at)[(*count)++] = string;
                else
                        *(const char **)(void *)at = string;
                return 0;
        }
        case NESTED:
                break;
        }
        struct into element = *into;
        element.base = at + (*count)++ * field->size;
        return fill(&element, field->nested, tlv->value, tlv->len, f);
}

static int fill(const struct into *into, const struct field *table, const uint8_t *body, size_t len,
                struct fail *f)
{
        struct wire_reader r = wire_read(body, len);
        struct wire_tlv tlv;
        while (wire_next(&r, &tlv)) {
                const struct field *field = find(table, tlv.tag);
                if (!field)
                        return fail_set(f, 0, "configuration: item %u is unknown to this vminit",
                                        tlv.tag);
                int rc = fill_one(into, field, &tlv, f);
                if (rc)
                        return rc;
        }
        return r.bad ? fail_set(f, 0, "configuration: malformed item") : 0;
}

void config_reset(struct config *c)
{
        /* Not the text: clearing it would make all its pages resident. */
        memset(c, 0, offsetof(struct config, text));
        c->caps = CONFIG_CAPS_DEFAULT;
        c->shm_size = 64u << 20;
        c->stop_signal = 15;
}

/* NOLINTEND(misc-no-recursion) */

static int add_item(struct config *c, const struct wire_tlv *tlv, struct fail *f)
{
        struct into into = {(char *)c, c->text, &c->text_len, sizeof(c->text)};
        if (tlv->tag == WIRE_C_SEED) {
                if (tlv->len != sizeof(c->seed))
                        return fail_set(f, 0, "configuration: the seed has %u bytes", tlv->len);
                memcpy(c->seed, tlv->value, sizeof(c->seed));
                c->seeded = true;
                return 0;
        }
        const struct field *field = find(config_fields, tlv->tag);
        if (!field)
                return fail_set(f, 0, "configuration: item %u is unknown to this vminit", tlv->tag);
        int rc = fill_one(&into, field, tlv, f);
        if (rc || tlv->tag != WIRE_C_FILE)
                return rc;
        if (c->n_files >= CONFIG_FILE_MAX)
                return fail_set(f, E2BIG, "configuration: more than %d files", CONFIG_FILE_MAX);
        struct config_mount *m = &c->mounts[c->n_mounts - 1];
        m->kind = CONFIG_MOUNT_FILE;
        m->file = c->n_files++;
        return 0;
}

int config_add(struct config *c, const uint8_t *body, size_t len, struct fail *f)
{
        struct wire_reader r = wire_read(body, len);
        struct wire_tlv tlv;
        while (wire_next(&r, &tlv)) {
                int rc = add_item(c, &tlv, f);
                if (rc)
                        return rc;
        }
        return r.bad ? fail_set(f, 0, "configuration: malformed item") : 0;
}

static size_t depth(const char *path)
{
        size_t n = 0;
        for (; *path; path++)
                n += path[0] == '/' && path[1] != '/' && path[1] != '\0';
        return n;
}

/* Parents before children; equal depth keeps its order. Insertion sort: the list is short and
 * nearly sorted. */
static void sort_mounts(struct config *c)
{
        for (size_t i = 1; i < c->n_mounts; i++) {
                struct config_mount m = c->mounts[i];
                size_t j = i;
                for (; j > 0 && depth(c->mounts[j - 1].path) > depth(m.path); j--)
                        c->mounts[j] = c->mounts[j - 1];
                c->mounts[j] = m;
        }
}

static const char *missing_in_mount(const struct config_mount *m)
{
        if (!m->path || m->path[0] != '/')
                return "path";
        bool named = m->kind == WIRE_MOUNT_DISK || m->kind == WIRE_MOUNT_SHARE ||
                     m->kind == WIRE_MOUNT_DEVICE;
        if (named && !m->name)
                return "name";
        bool known = named || m->kind == WIRE_MOUNT_TMPFS || m->kind == CONFIG_MOUNT_FILE;
        return known ? NULL : "kind";
}

int config_finish(struct config *c, struct fail *f)
{
        if (!c->seeded)
                return fail_set(f, 0, "configuration: no seed");
        if (!c->hostname)
                return fail_set(f, 0, "configuration: no hostname");
        if (c->n_args == 0)
                return fail_set(f, 0, "configuration: no command");
        for (size_t i = 0; i < c->n_disks; i++) {
                if (!c->disks[i].serial)
                        return fail_set(f, 0, "configuration: disk %zu has no serial", i);
        }
        for (size_t i = 0; i < c->n_interfaces; i++) {
                if (!c->interfaces[i].mac)
                        return fail_set(f, 0, "configuration: interface %zu has no mac", i);
        }
        for (size_t i = 0; i < c->n_mounts; i++) {
                const char *what = missing_in_mount(&c->mounts[i]);
                if (what)
                        return fail_set(f, 0, "configuration: mount %zu has no usable %s", i, what);
        }
        sort_mounts(c);
        return 0;
}

int config_exec(struct config_exec *x, const uint8_t *body, size_t len, struct fail *f)
{
        memset(x, 0, offsetof(struct config_exec, text));
        struct into into = {(char *)x, x->text, &x->text_len, sizeof(x->text)};
        int rc = fill(&into, exec_fields, body, len, f);
        if (rc)
                return rc;
        return x->n_args ? 0 : fail_set(f, 0, "exec: no command");
}
