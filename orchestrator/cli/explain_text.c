/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/explain_text.h"

#include <string.h>

#include "base/auto.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/cli/draw.h"
#include "orchestrator/cli/replicas.h"
#include "orchestrator/cli/table.h"

/* Columns of a line of a test's output that are shown. */
#define PROBE_COLUMNS 200

void explain_probe(const json_t *replica, struct strbuf *out)
{
        const char *text = json_str(json_object_get(replica, "last_probe"), "output", "");
        size_t lines = 0, skip;

        for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
                lines++;
        skip = lines > EXPLAIN_PROBE_LINES ? lines - EXPLAIN_PROBE_LINES : 0;
        if (skip)
                strbuf_addf(out, "    | ... (%zu more, see `berth inspect`)\n", skip);
        while (*text) {
                size_t n = strcspn(text, "\n");
                AUTO_FREE char *line = xstrndup(text, n);
                AUTO_FREE char *safe = text_safe(line);

                if (skip)
                        skip--;
                else
                        strbuf_addf(out, "    | %.*s%s\n", (int)text_fit(safe, PROBE_COLUMNS), safe,
                                    text_width(safe) > PROBE_COLUMNS ? "..." : "");
                text += n + (text[n] == '\n');
        }
}

/* Of a test that could not run, or was cut off, the reason tells all. */
static void explain_test(const json_t *probe, struct strbuf *out)
{
        const char *output = json_str(probe, "output", "");
        char ago[16];

        if (!probe || (!*output && json_int(probe, "exit_code", 0) < 0))
                return;
        since_text(json_str(probe, "end", NULL), ago);
        strbuf_adds(out, "; its last test");
        if (json_object_get(probe, "end"))
                strbuf_addf(out, " %s ago", ago);
        strbuf_adds(out, *output ? " said:" : " said nothing");
}

static void explain_replica(const json_t *replica, const char *why, struct strbuf *out)
{
        AUTO_FREE char *state = replica_state(replica);
        AUTO_FREE char *message = text_safe(json_str(replica, "message", ""));
        long long restarts = (long long)json_int(replica, "restarts", 0);
        char span[16];

        strbuf_addf(out, "  %s: %s", json_str(replica, "name", "?"), state);
        since_text(json_str(replica, "since", NULL), span);
        if (json_object_get(replica, "since"))
                strbuf_addf(out, " for %s", span);
        if (restarts)
                strbuf_addf(out, ", %lld restart%s", restarts, restarts == 1 ? "" : "s");
        if (*message && !strstr(why, message))
                strbuf_addf(out, ": %s", message);
        explain_test(json_object_get(replica, "last_probe"), out);
        strbuf_addc(out, '\n');
        explain_probe(replica, out);
}

/* Of a replica without a VM, the line of its service says all; unless there are several. */
static void explain_service(const json_t *service, struct strbuf *out)
{
        const json_t *replicas = json_object_get(service, "replicas"), *replica;
        AUTO_FREE char *name = text_safe(json_str(service, "service", "?"));
        AUTO_FREE char *text = service_text(service);
        size_t i;

        strbuf_addf(out, "%s: %s\n", name, text);
        json_array_foreach(replicas, i, replica)
                if (json_array_size(replicas) > 1 || json_object_get(replica, "id"))
                        explain_replica(replica, text, out);
}

static const json_t *find_service(const json_t *status, const char *name)
{
        const json_t *service;
        size_t i;

        json_array_foreach(json_object_get(status, "services"), i, service)
                if (streq(json_str(service, "service", ""), name))
                        return service;
        return NULL;
}

/* A service, and the chain of those that it waits for: as long as there are services at most. */
static bool explain_chain(const json_t *status, const char *name, struct strbuf *out)
{
        const json_t *service = find_service(status, name);
        size_t left = json_array_size(json_object_get(status, "services"));
        bool found = service != NULL;

        for (; service && left > 0; left--) {
                explain_service(service, out);
                name = json_str(service, "waits_for", NULL);
                service = name ? find_service(status, name) : NULL;
        }
        return found;
}

bool explain_status(const json_t *status, const char *service, struct strbuf *out)
{
        const json_t *services = json_object_get(status, "services"), *one;
        size_t i;

        if (service)
                return explain_chain(status, service, out);
        json_array_foreach(services, i, one)
                explain_service(one, out);
        return json_array_size(services) > 0;
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
