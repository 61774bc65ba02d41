/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack while it is being read: the final structs, and beside each service what its manifest says
 * in other words (deploy, env_file, links...), which normalise.c folds into the final form. The
 * extra parts live in the reader's arena.
 */
#ifndef SCHEMA_DRAFT_H
#define SCHEMA_DRAFT_H

#include "schema/field.h"

/* Smallest memory that Docker accepts: below, a program does not start. */
#define MEM_LIMIT_MIN (INT64_C(6) << 20)
#define MEM_LIMIT_MAX (INT64_C(1) << 50)

struct env_file {
        const char *path;      /* absolute */
        const struct env *env; /* of the file that names it */
        bool required, raw;
        struct mark mark;
        const char *where; /* path for messages */
};

struct link {
        const char *service, *alias;
        const struct node *node;
};

enum restart_condition { CONDITION_UNSET, CONDITION_NONE, CONDITION_ON_FAILURE, CONDITION_ANY };

struct service_draft {
        struct service service; /* first: tables use its offsets */
        const struct node *node;
        struct mark mark; /* of its key */
        struct env_file *env_files;
        size_t env_files_len;
        struct env_file *label_files;
        size_t label_files_len;
        struct link *links;
        size_t links_len;
        struct str_list profiles; /* heap, as all str_lists */
        char *container_name;     /* heap */
        char *platform;           /* heap; only checked */
        char *mac_address;        /* heap; moves to one of its networks */
        const struct node *build; /* NULL: none */
        int64_t deploy_replicas;  /* -1: not given */
        int64_t deploy_memory_bytes, deploy_pids;
        double deploy_cpus;
        int condition;
        unsigned max_attempts;
        int64_t restart_delay_ms, restart_window_ms; /* -1: not given */
        bool disabled;                               /* by its profiles */
};

struct stack_draft {
        struct stack stack; /* first; its services are filled at the end */
        struct service_draft *drafts;
        size_t drafts_len;
        char *raw_name;
};

extern const struct field stack_fields[];
extern const struct field service_fields[];
extern const struct field deploy_fields[];
extern const struct field network_fields[];
extern const struct field volume_fields[];
extern const struct field config_fields[];
extern const struct field secret_fields[];

/** The draft of that name by binary search (drafts are sorted), or NULL. */
struct service_draft *draft_find(const struct stack_draft *draft, const char *name);

/** Free all; services that were taken must have been zeroed. */
void draft_release(struct stack_draft *draft);

/** Release what the service holds. */
void service_release(struct service *service);
void str_list_release(struct str_list *list);
void kv_list_release(struct kv_list *list);

/** Whether n bytes are UTF-8 without NUL: what JSON can carry. */
bool text_valid(const char *s, size_t n);

#endif
