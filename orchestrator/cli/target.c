/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/target.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/value.h"
#include "orchestrator/cli/client.h"
#include "schema/manifest.h"

/* Room for the list of candidates in an error. */
#define CANDIDATES_MAX 300

static bool name_ok(const char *name)
{
        return *name && strlen(name) <= 255 && !strpbrk(name, "?#%") && name[0] != '.';
}

int target_parse(const char *text, struct target *ret, struct err *err)
{
        AUTO_FREE char *copy = xstrdup(text);
        char *service = strchr(copy, '/'), *number = NULL;
        int64_t replica = 0;

        if (service) {
                *service++ = '\0';
                number = strchr(service, '/');
        }
        if (number)
                *number++ = '\0';
        if (number && value_int(number, 1, SERVICE_REPLICAS_MAX, &replica, NULL) < 0)
                return err_set(err, EINVAL, "'%.100s': '%.20s' is not the number of a replica",
                               text, number);
        if (!name_ok(copy) || (service && !name_ok(service)))
                return err_set(err, EINVAL,
                               "'%.100s' names nothing; write STACK, STACK/SERVICE or "
                               "STACK/SERVICE/N",
                               text);
        *ret = (struct target){xstrdup(copy), xstrdup(service), (unsigned)replica};
        return 0;
}

void target_release(struct target *target)
{
        free(target->stack);
        free(target->service);
        *target = (struct target){0};
}

/* Stacks that have a service of this name; more than one is an error that lists them. */
static int find_service(struct cli *cli, const char *service, char **ret_stack, struct err *err)
{
        AUTO_STRBUF struct strbuf list = STRBUF_INIT(CANDIDATES_MAX);
        AUTO_JSON json_t *replicas = NULL;
        const json_t *replica;
        const char *found = NULL;
        bool several = false;
        size_t i;
        int r = client_call(cli, "GET", "/v1/ps?all=1", NULL, &replicas, err);

        if (r < 0)
                return r;
        json_array_foreach(replicas, i, replica) {
                const char *stack = json_str(replica, "stack", "");

                if (!streq(json_str(replica, "service", ""), service) || streq(stack, found))
                        continue;
                several = several || found;
                found = stack;
                strbuf_addf(&list, "%s%s/%s", list.len ? ", " : "", stack, service);
        }
        if (!found)
                return err_set(err, ENOENT,
                               "no stack and no service is called '%.100s'; 'berth ps -a' lists "
                               "what there is",
                               service);
        if (several)
                return err_set(err, EEXIST, "'%.100s' is ambiguous: %s; name the stack", service,
                               strbuf_str(&list));
        *ret_stack = xstrdup(found);
        return 0;
}

int target_service(struct cli *cli, const char *text, struct target *ret, struct err *err)
{
        struct target target = {0};
        int r = target_parse(text, &target, err);

        if (r == 0 && !target.service) {
                target.service = STEAL(target.stack);
                r = find_service(cli, target.service, &target.stack, err);
        }
        if (r < 0) {
                target_release(&target);
                return r;
        }
        *ret = target;
        return 0;
}

int target_any(struct cli *cli, const char *text, struct target *ret, struct err *err)
{
        AUTO_FREE char *name = NULL, *path = NULL;
        struct target target = {0};
        int r = target_parse(text, &target, err);

        if (r < 0)
                return r;
        if (!target.service) {
                name = http_escape(target.stack);
                path = xasprintf("/v1/stacks/%s", name);
                r = client_call(cli, "GET", path, NULL, NULL, err);
        }
        if (r == -ENOENT) {
                target.service = STEAL(target.stack);
                r = find_service(cli, target.service, &target.stack, err);
        }
        if (r < 0) {
                target_release(&target);
                return r;
        }
        *ret = target;
        return 0;
}

char *target_path(const struct target *target)
{
        AUTO_FREE char *stack = http_escape(target->stack);
        AUTO_FREE char *service = http_escape(target->service);

        if (target->replica)
                return xasprintf("/v1/services/%s/%s/%u", stack, service, target->replica);
        return xasprintf("/v1/services/%s/%s", stack, service);
}
