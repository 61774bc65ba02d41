/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/etc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vminit/sys.h"

#define ETC_FILE_MAX (32u << 10) /* 256 host lines of 128 characters */

struct text {
        size_t len;
        bool cut;
        char data[ETC_FILE_MAX];
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        int n = vsnprintf(t->data + t->len, sizeof(t->data) - t->len, fmt, args);
        va_end(args);
        if (n < 0 || (size_t)n >= sizeof(t->data) - t->len)
                t->cut = true;
        else
                t->len += (size_t)n;
}

static int save(const struct text *t, const char *folder, const char *name, struct fail *f)
{
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
        if (t->cut)
                return fail_set(f, E2BIG, "/etc/%s", name);
        int rc = sys_create_file(path, t->data, t->len, 0644);
        return rc ? fail_set(f, -rc, "write /etc/%s", name) : 0;
}

static void add_hosts(struct text *t, const struct config *c)
{
        add(t, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
               "fe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\n"
               "ff02::2\tip6-allrouters\n");
        bool own = false;
        for (size_t i = 0; i < c->n_interfaces; i++) {
                for (size_t j = 0; j < c->interfaces[i].n_addresses; j++) {
                        const char *address = c->interfaces[i].addresses[j];
                        add(t, "%.*s\t", (int)strcspn(address, "/"), address);
                        if (c->domainname && c->domainname[0])
                                add(t, "%s.%s ", c->hostname, c->domainname);
                        add(t, "%s\n", c->hostname);
                        own = true;
                }
        }
        if (!own)
                add(t, "127.0.1.1\t%s\n", c->hostname);
        for (size_t i = 0; i < c->hosts.n; i++)
                add(t, "%s\n", c->hosts.at[i]);
}

static void add_words(struct text *t, const char *key, const struct config_list *words)
{
        if (words->n == 0)
                return;
        add(t, "%s", key);
        for (size_t i = 0; i < words->n; i++)
                add(t, " %s", words->at[i]);
        add(t, "\n");
}

int etc_write(const struct config *c, const char *folder, struct fail *f)
{
        static struct text t;
        t.len = 0;
        t.cut = false;
        add_hosts(&t, c);
        int rc = save(&t, folder, "hosts", f);
        t.len = 0;
        add(&t, "%s\n", c->hostname);
        if (rc == 0)
                rc = save(&t, folder, "hostname", f);
        t.len = 0;
        add_words(&t, "search", &c->search);
        for (size_t i = 0; i < c->nameservers.n; i++)
                add(&t, "nameserver %s\n", c->nameservers.at[i]);
        add_words(&t, "options", &c->resolv_options);
        return rc ? rc : save(&t, folder, "resolv.conf", f);
}
