/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_CONFIG_H
#define VMINIT_CONFIG_H

/*
 * What the host told us to be: the decoded CONFIG frames, as plain data of fixed size. All strings
 * point into `text`, which is static memory and touched only as far as it is used. Decoding does no
 * I/O and decides nothing; which combinations make sense is found out by those who apply it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vminit/fail.h"
#include "vminit/wire.h"

#define CONFIG_TEXT_MAX \
        (384u << 10) /* all strings together; Linux allows about 2 MiB for argv and env */
#define CONFIG_ENV_MAX    1024
#define CONFIG_ARG_MAX    1024
#define CONFIG_DISK_MAX   26 /* vda to vdz */
#define CONFIG_SHARE_MAX  32
#define CONFIG_MOUNT_MAX  192 /* mounts and files */
#define CONFIG_FILE_MAX   128
#define CONFIG_IF_MAX     8
#define CONFIG_ADDR_MAX   4
#define CONFIG_LIST_MAX   256 /* hosts, groups, sysctls, resolver */
#define CONFIG_RLIMIT_MAX 16
#define CONFIG_FILE_SIZE  (4u << 20) /* content of one file */

/* Docker's default capabilities, by number: 0 1 3 4 5 6 7 8 10 13 18 27 29 31. */
#define CONFIG_CAPS_DEFAULT 0xa80425fbull

struct config_list {
        size_t n;
        const char *at[CONFIG_LIST_MAX + 1];
};

struct config_disk {
        uint64_t role; /* enum wire_role */
        const char *serial;
};

#define CONFIG_MOUNT_FILE \
        100u /* kind beside enum wire_mount: name is a path in vminit's own view */

struct config_mount {
        uint64_t kind;
        const char *path;
        const char *name;
        const char *subpath;
        uint64_t flags;
        uint64_t size;
        uint64_t mode;
        uint64_t uid, gid;
        size_t file; /* CONFIG_MOUNT_FILE: its number */
};

struct config_interface {
        const char *mac;
        const char *addresses[CONFIG_ADDR_MAX];
        const char *gateways[CONFIG_ADDR_MAX];
        size_t n_addresses, n_gateways;
        uint64_t mtu;
};

struct config_rlimit {
        uint64_t resource, soft, hard;
};

struct config {
        bool seeded;
        uint8_t seed[32];
        uint64_t clock_ns;
        const char *hostname, *domainname, *user, *workdir;
        struct config_disk disks[CONFIG_DISK_MAX];
        size_t n_disks;
        struct config_list shares, nameservers, search, resolv_options, hosts, groups, sysctls;
        struct config_mount mounts[CONFIG_MOUNT_MAX];
        size_t n_mounts, n_files;
        struct config_interface interfaces[CONFIG_IF_MAX];
        size_t n_interfaces;
        struct config_rlimit rlimits[CONFIG_RLIMIT_MAX];
        size_t n_rlimits;
        size_t n_env, n_args;
        const char *env[CONFIG_ENV_MAX + 1]; /* NULL ends */
        const char *args[CONFIG_ARG_MAX + 1];
        uint64_t caps, flags, stop_signal, memory_max, pids_max, shm_size, cpu_weight;
        int64_t oom_score_adj;
        size_t text_len;
        char text[CONFIG_TEXT_MAX];
};

/* One EXEC request, decoded. */
struct config_exec {
        size_t n_args, n_env;
        const char *args[CONFIG_ARG_MAX + 1];
        const char *env[CONFIG_ENV_MAX + 1];
        const char *user, *workdir;
        uint64_t tty, rows, cols, privileged;
        size_t text_len;
        char text[WIRE_BODY_MAX];
};

/**
 * Forget everything; defaults are in place.
 */
void config_reset(struct config *c);

/**
 * Take the items of one CONFIG frame's body. <0: an item is malformed, unknown or one too many; c
 * is then only good for config_reset.
 */
int config_add(struct config *c, const uint8_t *body, size_t len, struct fail *f);

/**
 * All frames are here: what must be there is there, and mounts are in the order to make them
 * (parents first).
 */
int config_finish(struct config *c, struct fail *f);

/**
 * Decode an EXEC frame's body into *x, which is overwritten.
 */
int config_exec(struct config_exec *x, const uint8_t *body, size_t len, struct fail *f);

#endif
