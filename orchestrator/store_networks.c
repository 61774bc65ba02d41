/* SPDX-License-Identifier: Apache-2.0 */
/* Networks that stacks share, in the store. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/store_db.h"

#define LABELS_MAX (1u << 20)

static bool labels_valid(const char *text)
{
        AUTO_JSON json_t *j = NULL;
        const char *key;
        json_t *value;

        if (json_parse(text, strlen(text), LABELS_MAX, "labels", &j, NULL) < 0 ||
            !json_is_object(j))
                return false;
        json_object_foreach(j, key, value)
                if (!json_is_string(value))
                        return false;
        return true;
}

static const char *parse_network(sqlite3_stmt *row, void *result)
{
        struct stored_networks *networks = result;
        const char *subnet = (const char *)sqlite3_column_text(row, 1), *maker = row_text(row, 5);
        struct stored_network *network;
        unsigned bits;
        uint32_t ip;

        if (!value_name_valid(row_text(row, 0)))
                return "the network's name is none";
        if (subnet && value_cidr4(subnet, &ip, &bits, NULL) < 0)
                return "the subnet is none";
        if (!labels_valid(row_text(row, 4)))
                return "the labels are not a JSON object of texts";
        if (*maker && !value_stack_name_valid(maker))
                return "the stack's name is none";
        network = array_push(&networks->items, &networks->len);
        network->name = xstrdup(row_text(row, 0));
        network->subnet = xstrdup(subnet);
        network->internal = row_int(row, 2);
        network->egress = row_int(row, 3);
        network->labels = xstrdup(row_text(row, 4));
        network->maker = xstrdup(maker);
        network->created_ms = row_int(row, 6);
        return NULL;
}

void stored_networks_release(struct stored_networks *networks)
{
        for (size_t i = 0; i < networks->len; i++) {
                free(networks->items[i].name);
                free(networks->items[i].subnet);
                free(networks->items[i].labels);
                free(networks->items[i].maker);
        }
        free(networks->items);
        *networks = (struct stored_networks){0};
}

int store_put_network(struct store *store, const struct stored_network *network, struct err *err)
{
        return store_run(store, STMT_NETWORK_PUT, "write a network", err, "ssiissi", network->name,
                         network->subnet, (int64_t)network->internal, (int64_t)network->egress,
                         network->labels, network->maker, network->created_ms);
}

int store_list_networks(struct store *store, struct stored_networks *ret, struct err *err)
{
        static const struct row_reader reader = {STMT_NETWORK_LIST, STMT_NETWORK_DROP, "networks",
                                                 parse_network, 1};
        struct stored_networks networks = {0};
        int r = store_read(store, &reader, store_bind(store, STMT_NETWORK_LIST, ""), &networks,
                           err);

        if (r < 0)
                stored_networks_release(&networks);
        else
                *ret = networks;
        return r;
}

int store_delete_network(struct store *store, const char *name, struct err *err)
{
        int r = store_tx_begin(store, err);

        if (r < 0)
                return r;
        r = store_run(store, STMT_NETWORK_DELETE, "delete a network", err, "s", name);
        if (r == 0)
                r = store_run(store, STMT_LEASE_DELETE_NETWORK, "delete leases", err, "ss",
                              STACK_SHARED, name);
        if (r == 0)
                r = store_run(store, STMT_SUBNET_DELETE, "delete a subnet", err, "ss", STACK_SHARED,
                              name);
        return store_tx_end(store, r, err);
}
