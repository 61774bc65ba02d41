/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Desired state as plain data: what a manifest asks for after interpolation, merging, defaults and
 * validation. No hidden state; freed by stack_free(). Names follow the Compose Specification.
 *
 * Rules of the representation:
 *   - strings are heap strings; NULL means "not set" (the image's or the default value applies);
 *   - times are milliseconds, sizes bytes; -1 means "not set" where 0 is a meaningful value;
 *   - everything that selects an order in a file keeps it; services are sorted by name.
 *   - `struct str_list` and `struct kv_list` are arrays; a kv value may be NULL (key without
 * value).
 */
#ifndef SCHEMA_MANIFEST_H
#define SCHEMA_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"

/* Bounds; each is far above real files (the largest public ones have some hundred services). */
#define STACK_SERVICES_MAX   10000
#define SERVICE_REPLICAS_MAX 1000
#define STACK_MOUNTS_MAX     64 /* volumes of one service */

/* A VM has room for five devices: its networks, the volumes that are disks, and one for all that
 * comes from the host's file system (binds, shared volumes). */
#define SERVICE_DEVICES_MAX  5
#define SERVICE_NETWORKS_MAX 4

struct str_list {
        char **items;
        size_t len;
        bool set; /* written in the manifest, also when empty (`command: []`) */
};

struct kv {
        char *key;
        char *value;
};

struct kv_list {
        struct kv *items;
        size_t len;
};

/* Where a value stands in a file: for messages and for `diff`. File NULL: a default. */
struct place {
        char *file;
        unsigned line, column;
};

enum depends_condition { DEPENDS_STARTED, DEPENDS_HEALTHY, DEPENDS_COMPLETED };

struct depends {
        char *service;
        enum depends_condition condition;
        bool required; /* default true: false ignores a service that does not exist */
        bool restart;  /* replaced together with the service it depends on */
};

enum port_protocol { PORT_TCP, PORT_UDP };

struct port {
        char *host_ip;           /* NULL: 127.0.0.1; IPv6 for tcp only */
        uint16_t published;      /* 0: any free port */
        uint16_t published_last; /* not 0: any free port from published to this one */
        uint16_t target;
        enum port_protocol protocol;
};

enum mount_type { MOUNT_VOLUME, MOUNT_BIND, MOUNT_TMPFS };

struct mount {
        enum mount_type type;
        char *source; /* volume name within the stack, absolute host path; NULL: tmpfs, anonymous */
        char *target; /* absolute path in the guest */
        bool read_only;
        bool nocopy;           /* volume: do not seed from the image */
        bool create_host_path; /* bind: default true for the short form */
        char *subpath;         /* volume */
        int64_t size_bytes;    /* tmpfs: -1 none */
        int mode;              /* tmpfs: -1 = 01777 */
        unsigned uid, gid;     /* tmpfs */
};

/* A config or secret that is put into a service as a file. */
struct file_mount {
        char *source;    /* name of the top-level config or secret */
        char *target;    /* absolute path in the guest */
        char *uid, *gid; /* numeric text; NULL: 0 */
        int mode;        /* -1: 0444 */
};

struct healthcheck {
        struct str_list
                test; /* {"CMD", ...}, {"CMD-SHELL", text}, {"NONE"}; not set: the image's */
        int64_t interval_ms, timeout_ms, start_period_ms, start_interval_ms; /* -1: default */
        int retries;                                                         /* -1: default */
        bool disable;
};

enum restart_policy { RESTART_NO, RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_UNLESS_STOPPED };

/* How its restarts are delayed; -1: the default. */
struct restart_delays {
        int64_t first_ms;  /* after the first failure in a row; doubles from there */
        int64_t max_ms;    /* at most */
        int64_t window_ms; /* a service that was well for so long has no failures */
};

/* A health test of berth's own: no program of the image is needed. At most one is set. */
struct port_probe {
        unsigned tcp;         /* this port accepts a connection; 0: not asked */
        unsigned http_port;   /* GET there is answered; 0: not asked */
        char *http_path;      /* NULL: "/" */
        unsigned http_status; /* that is the answer; 0: any of 200 to 399 */
};

enum on_unhealthy { UNHEALTHY_NONE, UNHEALTHY_RESTART };

enum update_failure { UPDATE_PAUSE, UPDATE_CONTINUE, UPDATE_ROLLBACK };

enum update_order { UPDATE_STOP_FIRST, UPDATE_START_FIRST };

/* How the VMs of a service are replaced when its spec changes: deploy.update_config. */
struct update_config {
        unsigned parallelism; /* replicas at a time; 0: all; default 1 */
        int64_t delay_ms;     /* between one batch and the next; default 0 */
        int64_t monitor_ms;   /* a new VM must have been well for so long; -1: 0, or the drain */
        double max_failure_ratio;
        enum update_failure failure_action;
        enum update_order order;
};

/* Link-local addresses of a VM on a network: it has room for so many beside its own. */
#define NETWORK_LINK_LOCAL_MAX 3

struct network_ref {
        char *network; /* name within the stack */
        struct str_list aliases;
        char *ipv4_address; /* NULL: chosen */
        char *mac_address;  /* as value_mac_text() writes it; NULL: chosen */
        struct str_list link_local_ips;
        int priority;    /* while a manifest is read: where the service's mac_address goes */
        int gw_priority; /* of those with a way out, the highest has the default route */
};

struct ulimit {
        char *name;         /* "nofile" */
        int64_t soft, hard; /* -1: unlimited */
};

/* What the guest's kernel makes (schema/device.h). */
struct device {
        char *source;      /* "/dev/net/tun" or "/dev/fuse" */
        char *target;      /* path in the guest */
        char *permissions; /* "rwm", "rw" */
};

/* Most commands of post_start, and of pre_stop. */
#define SERVICE_HOOKS_MAX 64

/* A command that runs in the guest beside the service. */
struct hook {
        struct str_list command;
        char *user, *working_dir;   /* NULL: the service's */
        struct kv_list environment; /* over the service's */
        bool privileged;
};

struct hooks {
        struct hook *items;
        size_t len;
};

enum pull_policy { PULL_MISSING, PULL_ALWAYS, PULL_NEVER, PULL_EVERY };

struct service {
        char *name;
        char *image;
        enum pull_policy pull_policy;
        int64_t pull_every_ms; /* EVERY: an apply asks the registry again after that long */
        struct str_list command, entrypoint;
        struct kv_list environment; /* sorted by key; values resolved */
        char *working_dir, *user, *hostname, *domainname;
        struct str_list group_add;
        struct str_list cap_add, cap_drop;
        bool read_only, tty, stdin_open, init, privileged, no_new_privs;
        int oom_score_adj;
        struct depends *depends_on;
        size_t depends_on_len;
        struct port *ports;
        size_t ports_len;
        struct mount *volumes;
        size_t volumes_len;
        struct file_mount *configs, *secrets;
        size_t configs_len, secrets_len;
        struct network_ref *networks; /* never empty unless network_none */
        size_t networks_len;
        bool network_none;
        struct str_list dns, dns_search, dns_opt, extra_hosts; /* extra_hosts: "name=address" */
        struct healthcheck healthcheck;
        bool has_healthcheck;
        struct hooks post_start, pre_stop; /* in order */
        enum restart_policy restart;
        unsigned restart_max_attempts; /* on-failure:N; 0: no limit */
        struct restart_delays delays;
        struct port_probe probe;
        int on_unhealthy;  /* enum on_unhealthy */
        unsigned replicas; /* default 1; from deploy.replicas or scale */
        struct update_config update, rollback;
        char *stop_signal;            /* NULL: the image's, else SIGTERM */
        int64_t stop_grace_period_ms; /* default 10000 */
        int64_t mem_limit_bytes;      /* cgroup limit in the guest; -1 none */
        double cpus;                  /* 0 none */
        int64_t pids_limit;           /* -1 none */
        int64_t shm_size_bytes;       /* -1: 64 MiB */
        struct kv_list labels, sysctls;
        struct ulimit *ulimits;
        size_t ulimits_len;
        struct device *devices;
        size_t devices_len;
        int64_t vm_memory_bytes; /* x-berth.memory: RAM of the VM; -1: derived */
        unsigned vm_cpus;        /* x-berth.cpus: virtual CPUs; 0: derived */
        bool oneshot;            /* x-berth.oneshot: a job; it is as wanted once it exited with 0 */
        bool no_egress;          /* x-berth.egress: false: it may not leave its networks */
        bool isolation_required; /* x-berth.isolation: required: refuse software emulation */
        struct place place;
};

struct network {
        char *name;      /* key within the stack; "default" is implied when used */
        char *real_name; /* `name:`; NULL: none, see network_shared_name() */
        bool external;   /* it was made for itself, or by another stack */
        bool internal;
        bool no_egress; /* x-berth.egress: false: as internal, by our name */
        char *subnet;   /* "10.1.2.0/24"; NULL: chosen */
        struct kv_list labels;
        struct place place;
};

/* What a volume is: a disk of one VM, or a folder of the host that several share over 9p. Not
 * given: shared when several VMs mount it and one of them writes, else a disk. */
enum volume_class { VOLUME_UNSET, VOLUME_DISK, VOLUME_SHARED };

struct volume {
        char *name;      /* key within the stack */
        char *real_name; /* `name:`; NULL: STACK_NAME */
        char *device;   /* of driver_opts, while a manifest is read: its mounts are binds of that */
        bool in_memory; /* likewise: its mounts are tmpfs */
        bool external;
        int volume_class;   /* x-berth.class: enum volume_class */
        int64_t size_bytes; /* x-berth.size; -1: default */
        struct kv_list labels;
        struct place place;
};

/* Content of a config or secret; it never appears in plans, events or logs when secret. */
struct file_source {
        char *name;
        char *content;
        size_t content_len;
        bool secret;
        struct place place;
};

/* Networks that stacks share are those of a stack without a name and without services. */
#define STACK_SHARED ""

struct stack {
        char *name;
        struct service *services;
        size_t services_len;
        struct network *networks;
        size_t networks_len;
        struct volume *volumes;
        size_t volumes_len;
        struct file_source *configs, *secrets;
        size_t configs_len, secrets_len;
};

/** Free the stack and all it holds. NULL is fine. */
void stack_free(struct stack *stack);
AUTO_TYPE(stack)

/** The object of that name, or NULL. */
const struct service *stack_find_service(const struct stack *stack, const char *name);
const struct network *stack_find_network(const struct stack *stack, const char *name);
const struct volume *stack_find_volume(const struct stack *stack, const char *name);
const struct file_source *stack_find_config(const struct stack *stack, const char *name);
const struct file_source *stack_find_secret(const struct stack *stack, const char *name);

/**
 * The name that stacks share the network under: `name:`, or the key of an external one. NULL: it is
 * the stack's alone.
 */
const char *network_shared_name(const struct network *network);

/** Whether a service of the stack is on its network of that name. */
bool stack_uses_network(const struct stack *stack, const char *name);

/** How many volumes of a service, named and anonymous, can be disks of its VM. */
size_t service_disk_room(const struct stack *stack, const struct service *service);

/** Whether a volume without a name is a disk: those that find no room are shared folders. */
bool service_anonymous_is_disk(const struct stack *stack, const struct service *service,
                               size_t index);

#endif
