/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/explain_text.h"

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/table.h"

static void explain_replica(const json_t *replica, struct strbuf *out)
{
        AUTO_FREE char *state = replica_state(replica);
        AUTO_FREE char *message = text_safe(json_str(replica, "message", ""));
        long long restarts = (long long)json_int(replica, "restarts", 0);
        char since[16];

        since_text(json_str(replica, "since", NULL), since);
        strbuf_addf(out, "  %s: %s for %s", json_str(replica, "name", "?"), state, since);
        if (restarts)
                strbuf_addf(out, ", %lld restart%s", restarts, restarts == 1 ? "" : "s");
        if (*message)
                strbuf_addf(out, ": %s", message);
        strbuf_addc(out, '\n');
}

void explain_service(const json_t *service, struct strbuf *out)
{
        AUTO_FREE char *why = text_safe(json_str(service, "why", ""));
        const json_t *replica;
        size_t i;

        strbuf_addf(out, "%s: %s%s%s\n", json_str(service, "service", "?"),
                    json_str(service, "phase", "?"), *why ? ": " : "", why);
        json_array_foreach(json_object_get(service, "replicas"), i, replica)
                explain_replica(replica, out);
}

static char *event_object(const json_t *event)
{
        const char *service = json_str(event, "service", "");
        long long replica = (long long)json_int(event, "replica", 0);

        if (!*service)
                return xstrdup(json_str(event, "stack", ""));
        if (!replica)
                return xasprintf("%s/%s", json_str(event, "stack", ""), service);
        return xasprintf("%s/%s/%lld", json_str(event, "stack", ""), service, replica);
}

void explain_event(const json_t *event, struct strbuf *out)
{
        AUTO_FREE char *object = event_object(event);
        AUTO_FREE char *name = text_safe(object);
        AUTO_FREE char *reason = text_safe(json_str(event, "reason", ""));
        AUTO_FREE char *message = text_safe(json_str(event, "message", ""));

        strbuf_addf(out, "%.19sZ  %-20s %-14s %s%s%s\n", json_str(event, "time", ""), name,
                    json_str(event, "type", ""), reason, *reason && *message ? ": " : "", message);
}
