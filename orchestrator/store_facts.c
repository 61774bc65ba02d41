/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of replicas, and leases of subnets and addresses, in the store. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/store_db.h"

/* ------------------------------------------------------------------------------------ replicas */

static bool count_valid(int64_t n)
{
        return n >= 0 && n <= UINT_MAX;
}

static const char *key_wrong(sqlite3_stmt *row, int stack, int service, int replica)
{
        if (!value_name_valid(row_text(row, stack)))
                return "the stack's name is none";
        if (!value_name_valid(row_text(row, service)))
                return "the service's name is none";
        if (row_int(row, replica) < 1 || row_int(row, replica) > SERVICE_REPLICAS_MAX)
                return "the replica's number is out of range";
        return NULL;
}

static int exit_reason_find(const char *name)
{
        for (int i = EXIT_NONE; i <= EXIT_STOPPED; i++)
                if (strcmp(exit_reason_name((enum exit_reason)i), name) == 0)
                        return i;
        return -1;
}

static const char *parse_replica(sqlite3_stmt *row, void *result)
{
        struct stored_replicas *replicas = result;
        const char *wrong = key_wrong(row, 0, 1, 2);
        int exit = exit_reason_find(row_text(row, 6));
        struct replica_fact *fact;

        if (wrong)
                return wrong;
        if (!count_valid(row_int(row, 3)) || !count_valid(row_int(row, 4)) ||
            !count_valid(row_int(row, 10)))
                return "a counter is out of range";
        if (exit < 0)
                return "unknown exit reason";
        fact = array_push(&replicas->items, &replicas->len);
        fact->stack = xstrdup(row_text(row, 0));
        fact->service = xstrdup(row_text(row, 1));
        fact->replica = (unsigned)row_int(row, 2);
        fact->failures = (unsigned)row_int(row, 3);
        fact->restarts = (unsigned)row_int(row, 4);
        fact->last_end_ms = row_int(row, 5);
        fact->last_exit = (enum exit_reason)exit;
        fact->last_exit_code = (int)row_int(row, 7);
        fact->last_spec_hash = xstrdup((const char *)sqlite3_column_text(row, 8));
        fact->completed = row_int(row, 9) != 0;
        fact->own_failures = (unsigned)row_int(row, 10);
        fact->started_ms = row_int(row, 11);
        fact->last_message = xstrdup((const char *)sqlite3_column_text(row, 12));
        return NULL;
}

int store_list_replicas(struct store *store, struct stored_replicas *ret, struct err *err)
{
        static const struct row_reader reader = {STMT_REPLICA_LIST, STMT_REPLICA_DROP, "replicas",
                                                 parse_replica, 3};
        struct stored_replicas replicas = {0};
        int r = store_read(store, &reader, store_bind(store, STMT_REPLICA_LIST, ""), &replicas,
                           err);

        if (r < 0)
                stored_replicas_release(&replicas);
        else
                *ret = replicas;
        return r;
}

void stored_replicas_release(struct stored_replicas *replicas)
{
        for (size_t i = 0; i < replicas->len; i++) {
                free(replicas->items[i].stack);
                free(replicas->items[i].service);
                free(replicas->items[i].last_spec_hash);
                free(replicas->items[i].last_message);
        }
        free(replicas->items);
        *replicas = (struct stored_replicas){0};
}

int store_put_replica(struct store *store, const struct replica_fact *fact, struct err *err)
{
        return store_run(store, STMT_REPLICA_PUT, "write a replica", err, "ssiiiisisiiis",
                         fact->stack, fact->service, (int64_t)fact->replica,
                         (int64_t)fact->failures, (int64_t)fact->restarts, fact->last_end_ms,
                         exit_reason_name(fact->last_exit), (int64_t)fact->last_exit_code,
                         fact->last_spec_hash, (int64_t)fact->completed,
                         (int64_t)fact->own_failures, fact->started_ms, fact->last_message);
}

int store_delete_replica(struct store *store, const char *stack, const char *service,
                         unsigned replica, struct err *err)
{
        return store_run(store, STMT_REPLICA_DELETE, "delete a replica", err, "ssi", stack, service,
                         (int64_t)replica);
}

/* -------------------------------------------------------------------------------------- leases */

static const char *parse_subnet(sqlite3_stmt *row, void *result)
{
        struct stored_leases *leases = result;
        struct stored_subnet *subnet;

        if (*row_text(row, 0) && !value_name_valid(row_text(row, 0)))
                return "the stack's name is none";
        if (!value_name_valid(row_text(row, 1)))
                return "the network's name is none";
        if (row_int(row, 2) < 1 || row_int(row, 2) > UINT32_MAX)
                return "the subnet is not an address";
        if (row_int(row, 3) < 1 || row_int(row, 3) > 32)
                return "the prefix length is out of range";
        subnet = array_push(&leases->subnets, &leases->subnets_len);
        subnet->stack = xstrdup(row_text(row, 0));
        subnet->network = xstrdup(row_text(row, 1));
        subnet->subnet = (uint32_t)row_int(row, 2);
        subnet->bits = (unsigned)row_int(row, 3);
        return NULL;
}

/* On a network that is nobody's alone it is STACK/SERVICE. */
static bool tenant_valid(const char *stack, const char *service)
{
        const char *slash = strchr(service, '/');
        AUTO_FREE char *guest = NULL;

        if (*stack)
                return value_name_valid(stack) && value_name_valid(service);
        guest = slash ? xstrndup(service, (size_t)(slash - service)) : NULL;
        return guest && value_name_valid(guest) && value_name_valid(slash + 1);
}

static const char *parse_lease(sqlite3_stmt *row, void *result)
{
        struct stored_leases *leases = result;
        struct stored_lease *lease;

        if (!tenant_valid(row_text(row, 0), row_text(row, 2)))
                return "the name of stack or service is none";
        if (row_int(row, 3) < 1 || row_int(row, 3) > INT64_C(2) * SERVICE_REPLICAS_MAX)
                return "the replica's number is out of range";
        if (!value_name_valid(row_text(row, 1)))
                return "the network's name is none";
        if (row_int(row, 4) < 1 || row_int(row, 4) > UINT32_MAX)
                return "the lease is not an address";
        lease = array_push(&leases->leases, &leases->leases_len);
        lease->stack = xstrdup(row_text(row, 0));
        lease->network = xstrdup(row_text(row, 1));
        lease->service = xstrdup(row_text(row, 2));
        lease->replica = (unsigned)row_int(row, 3);
        lease->ip = (uint32_t)row_int(row, 4);
        return NULL;
}

int store_list_leases(struct store *store, struct stored_leases *ret, struct err *err)
{
        static const struct row_reader subnet_reader = {STMT_SUBNET_LIST, STMT_SUBNET_DROP,
                                                        "subnets", parse_subnet, 2};
        static const struct row_reader lease_reader = {STMT_LEASE_LIST, STMT_LEASE_DROP, "leases",
                                                       parse_lease, 4};
        struct stored_leases leases = {0};
        int r = store_read(store, &subnet_reader, store_bind(store, STMT_SUBNET_LIST, ""), &leases,
                           err);

        if (r == 0)
                r = store_read(store, &lease_reader, store_bind(store, STMT_LEASE_LIST, ""),
                               &leases, err);
        if (r < 0)
                stored_leases_release(&leases);
        else
                *ret = leases;
        return r;
}

void stored_leases_release(struct stored_leases *leases)
{
        for (size_t i = 0; i < leases->subnets_len; i++) {
                free(leases->subnets[i].stack);
                free(leases->subnets[i].network);
        }
        for (size_t i = 0; i < leases->leases_len; i++) {
                free(leases->leases[i].stack);
                free(leases->leases[i].network);
                free(leases->leases[i].service);
        }
        free(leases->subnets);
        free(leases->leases);
        *leases = (struct stored_leases){0};
}

int store_put_subnet(struct store *store, const char *stack, const char *network, uint32_t subnet,
                     unsigned bits, struct err *err)
{
        char text[VALUE_IP4_MAX];
        int r = store_run(store, STMT_SUBNET_PUT, "write a subnet", err, "ssii", stack, network,
                          (int64_t)subnet, (int64_t)bits);

        if (r != -EEXIST)
                return r;
        value_ip4_text(subnet, text);
        return err_set(err, EEXIST, "subnet %s/%u is another network's already", text, bits);
}

int store_delete_subnet(struct store *store, const char *stack, const char *network,
                        struct err *err)
{
        int r = store_tx_begin(store, err);

        if (r < 0)
                return r;
        r = store_run(store, STMT_LEASE_DELETE_NETWORK, "delete leases", err, "ss", stack, network);
        if (r == 0)
                r = store_run(store, STMT_SUBNET_DELETE, "delete a subnet", err, "ss", stack,
                              network);
        return store_tx_end(store, r, err);
}

int store_put_lease(struct store *store, const char *stack, const char *network,
                    const char *service, unsigned replica, uint32_t ip, struct err *err)
{
        char text[VALUE_IP4_MAX];
        int r = store_run(store, STMT_LEASE_PUT, "write a lease", err, "sssii", stack, network,
                          service, (int64_t)replica, (int64_t)ip);

        if (r != -EEXIST)
                return r;
        value_ip4_text(ip, text);
        return err_set(err, EEXIST, "address %s on %s/%s is another replica's already", text, stack,
                       network);
}

int store_delete_lease(struct store *store, const char *stack, const char *service,
                       unsigned replica, struct err *err)
{
        return store_run(store, STMT_LEASE_DELETE, "delete a lease", err, "ssi", stack, service,
                         (int64_t)replica);
}
