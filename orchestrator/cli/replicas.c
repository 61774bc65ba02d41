/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/cli/replicas.h"

#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/cli/table.h"

/* Longest text of one cell. */
#define CELL_MAX 4096

char *replica_state(const json_t *replica)
{
        const char *state = json_str(replica, "state", ""),
                   *health = json_str(replica, "health", "");
        const json_t *code = json_object_get(replica, "exit_code");
        const char *reason = json_str(replica, "exit_reason", "");

        if (streq(state, "exited") && json_is_integer(code))
                return xasprintf("exited (%lld)", (long long)json_integer_value(code));
        if (streq(state, "failed") && streq(reason, "exit-code") && json_is_integer(code))
                return xasprintf("failed (exit %lld)", (long long)json_integer_value(code));
        if (streq(state, "failed") && *reason && !streq(reason, "none"))
                return xasprintf("failed (%s)", reason);
        if (*health && !streq(health, "none") && streq(state, "running"))
                return xasprintf("running (%s)", health);
        if (!*state)
                return xstrdup(json_str(replica, "phase", ""));
        return xstrdup(state);
}

char *replica_addresses(const json_t *replica)
{
        json_t *addresses = json_object_get(replica, "addresses");
        struct strbuf out = STRBUF_INIT(CELL_MAX);
        bool several = json_object_size(addresses) > 1;
        const char *network;
        json_t *ip;

        json_object_foreach(addresses, network, ip)
                strbuf_addf(&out, "%s%s%s%s", out.len ? ", " : "", several ? network : "",
                            several ? " " : "", json_is_string(ip) ? json_string_value(ip) : "?");
        return strbuf_take(&out);
}

/* "127.0.0.1:80", "[::1]:80" */
static char *host_and_port(const char *ip, long long port)
{
        return strchr(ip, ':') ? xasprintf("[%s]:%lld", ip, port) : xasprintf("%s:%lld", ip, port);
}

char *replica_ports(const json_t *replica)
{
        const json_t *ports = json_object_get(replica, "ports"), *port;
        struct strbuf out = STRBUF_INIT(CELL_MAX);
        size_t i;

        json_array_foreach(ports, i, port) {
                long long host_port = (long long)json_int(port, "host_port", 0);
                AUTO_FREE char *at =
                        host_and_port(json_str(port, "host_ip", "127.0.0.1"), host_port);

                strbuf_adds(&out, i ? ", " : "");
                if (host_port)
                        strbuf_addf(&out, "%s->", at);
                strbuf_addf(&out, "%lld/%s", (long long)json_int(port, "target", 0),
                            json_str(port, "protocol", "tcp"));
        }
        return strbuf_take(&out);
}

void since_text(const char *time, char *ret)
{
        static const struct {
                int64_t seconds;
                char unit;
        } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};

        int64_t then, seconds;

        if (!time || clock_parse(time, &then) < 0) {
                (void)snprintf(ret, 16, "-"); /* fits */
                return;
        }
        seconds = (clock_wall_ns() - then) / 1000000000;
        seconds = seconds < 0 ? 0 : seconds;
        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
                if (seconds >= units[i].seconds || i + 1 == ARRAY_SIZE(units)) {
                        (void)snprintf(ret, 16, "%lld%c", (long long)(seconds / units[i].seconds),
                                       units[i].unit); /* fits: days of 2^63 ns are few */
                        return;
                }
}

static void add_row(struct table *table, const json_t *replica, bool wide)
{
        AUTO_FREE char *state = replica_state(replica);
        AUTO_FREE char *addresses = replica_addresses(replica);
        AUTO_FREE char *ports = replica_ports(replica);
        char since[16];

        since_text(json_str(replica, "since", NULL), since);
        table_add(table, json_str(replica, "name", NULL));
        table_add(table, state);
        table_add(table, since);
        if (wide) {
                table_addf(table, "%lld", (long long)json_int(replica, "restarts", 0));
                table_addf(table, "%lld", (long long)json_int(replica, "pid", 0));
        }
        table_add(table, json_str(replica, "isolation", NULL));
        table_add(table, addresses);
        table_add(table, ports);
        table_add(table, json_str(replica, "image", NULL)); /* last: a narrow terminal cuts it */
}

void replicas_print(const struct cli *cli, const json_t *replicas, bool wide)
{
        static const char *const plain[] = {"NAME",    "STATE", "SINCE", "ISOLATION",
                                            "ADDRESS", "PORTS", "IMAGE", NULL};
        static const char *const more[] = {"NAME",      "STATE",   "SINCE", "RESTARTS", "PID",
                                           "ISOLATION", "ADDRESS", "PORTS", "IMAGE",    NULL};
        struct table table;
        const json_t *replica;
        unsigned columns = 0, rows;
        size_t i;

        table_init(&table, wide ? more : plain);
        json_array_foreach(replicas, i, replica)
                add_row(&table, replica, wide);
        if (cli->out_tty)
                terminal_size(1, &columns, &rows);
        table_print(&table, stdout, columns);
        table_release(&table);
}

char *port_url(const json_t *port)
{
        const char *ip = json_str(port, "host_ip", "127.0.0.1");
        long long number = (long long)json_int(port, "host_port", 0);
        AUTO_FREE char *at = NULL;

        if (!streq(json_str(port, "protocol", "tcp"), "tcp") || number <= 0 || number > 65535)
                return NULL;
        if (streq(ip, "0.0.0.0") || !*ip)
                ip = "127.0.0.1"; /* "everywhere" is no address to go to */
        if (streq(ip, "::"))
                ip = "::1";
        at = host_and_port(ip, number);
        return xasprintf("http://%s", at);
}

void replicas_print_urls(const json_t *replicas, FILE *out)
{
        const json_t *replica, *port;
        bool first = true;
        size_t i, j;

        json_array_foreach(replicas, i, replica) {
                json_array_foreach(json_object_get(replica, "ports"), j, port) {
                        AUTO_FREE char *url = port_url(port);
                        AUTO_FREE char *name = text_safe(json_str(replica, "service", "?"));

                        if (!url)
                                continue;
                        (void)fprintf(out, "%s%-12s %s\n", first ? "\n" : "", name, url);
                        first = false; /* the caller flushes and checks */
                }
        }
}

void size_text(int64_t bytes, char *ret)
{
        static const char units[] = "BKMGT";
        double size = (double)bytes;
        size_t u = 0;

        while (size >= 1024 && u + 2 < sizeof(units)) {
                size /= 1024;
                u++;
        }
        (void)snprintf(ret, 16, u && size < 10 ? "%.1f%c" : "%.0f%c", size, units[u]); /* fits */
}

void replicas_print_phases(const json_t *replicas)
{
        static const char *const headings[] = {"START",    "BORN AS", "PREPARE",   "QEMU",
                                               "KERNEL",   "VMINIT",  "CONFIGURE", "EXEC",
                                               "TOTAL MS", NULL};
        static const char *const phases[] = {"prepare",   "qemu", "kernel", "vminit",
                                             "configure", "exec", "total"};
        struct table table;
        const json_t *replica;
        size_t i;

        table_init(&table, headings);
        json_array_foreach(replicas, i, replica) {
                const json_t *ms = json_object_get(replica, "phases_ms");
                const char *reason = json_str(replica, "birth_reason", NULL);
                AUTO_FREE char *birth =
                        xasprintf("%s%s%s%s", json_str(replica, "birth", "-"), reason ? " (" : "",
                                  reason ? reason : "", reason ? ")" : "");

                table_add(&table, json_str(replica, "name", NULL));
                table_add(&table, birth);
                for (size_t k = 0; k < ARRAY_SIZE(phases); k++)
                        if (json_object_get(ms, phases[k]))
                                table_addf(&table, "%lld", (long long)json_int(ms, phases[k], 0));
                        else
                                table_add(&table, NULL);
        }
        (void)printf("\n"); /* main() flushes and checks */
        table_print(&table, stdout, 0);
        table_release(&table);
}
