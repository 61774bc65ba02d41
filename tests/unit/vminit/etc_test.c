/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tap.h"
#include "vminit/etc.h"
#include "vminit/sys.h"

static char dir[] = "/tmp/berth-etc-XXXXXX";
static struct config c;

static const char *get(const char *name)
{
        static char text[40000];
        char path[64];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
        (void)sys_read_file(path, text, sizeof(text));
        return text;
}

static void test_etc(void)
{
        struct fail f = {0};
        struct stat st;
        char path[64];
        config_reset(&c);
        c.hostname = "web-1";
        ok(etc_write(&c, dir, &f) == 0, "a host without network");
        has_str(get("hosts"), "127.0.1.1\tweb-1", "knows its own name");
        is_str(get("resolv.conf"), "", "and no resolver");
        c.domainname = "shop.test";
        c.n_interfaces = 1;
        c.interfaces[0].addresses[0] = "10.1.2.3/24";
        c.interfaces[0].addresses[1] = "fd00::3/64";
        c.interfaces[0].n_addresses = 2;
        c.hosts.at[c.hosts.n++] = "10.9.9.9 other";
        c.nameservers.at[c.nameservers.n++] = "10.1.2.1";
        c.search.at[c.search.n++] = "shop.test";
        c.search.at[c.search.n++] = "test";
        c.resolv_options.at[c.resolv_options.n++] = "ndots:0";
        ok(etc_write(&c, dir, &f) == 0, "one with everything");
        is_str(get("hostname"), "web-1", "hostname");
        is_str(get("resolv.conf"), "search shop.test test\nnameserver 10.1.2.1\noptions ndots:0",
               "resolv.conf");
        has_str(get("hosts"),
                "\n10.1.2.3\tweb-1.shop.test web-1\nfd00::3\tweb-1.shop.test web-1\n10.9.9.9 other",
                "hosts");
        (void)snprintf(path, sizeof(path), "%s/hosts", dir);
        ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0644, "readable for all");
}

static void test_too_much(void)
{
        static char line[300];
        struct fail f = {0};
        memset(line, 'x', sizeof(line) - 1);
        while (c.hosts.n < CONFIG_LIST_MAX)
                c.hosts.at[c.hosts.n++] = line;
        ok(etc_write(&c, dir, &f) < 0, "hosts of 75 KB are refused");
        has_str(f.text, "/etc/hosts", "by name");
}

static void test_sys(void)
{
        uint64_t v = 0;
        ok(sys_find_value("low 0\noom 3\noom_kill 7\n", "oom_kill", &v) && v == 7,
           "a cgroup's value");
        ok(sys_find_value("MemTotal:   52264 kB\n", "MemTotal", &v) && v == 52264, "meminfo's");
        ok(sys_find_value("VmHWM:\t 5 kB\nVmRSS:\t     471 kB\n", "VmRSS", &v) && v == 471,
           "status's");
        ok(!sys_find_value("oom_kill x\n", "oom_kill", &v), "no number, no value");
        ok(!sys_find_value("oom_kill_all 5\n", "oom_kill", &v), "a longer key is another one");
        ok(sys_parse_u64("18446744073709551615", &v) && v == UINT64_MAX, "the largest number");
        ok(!sys_parse_u64("18446744073709551616", &v), "and one more");
        ok(!sys_parse_u64("", &v) && !sys_parse_u64("1 ", &v) && !sys_parse_u64("+1", &v),
           "nothing else");
}

int main(void)
{
        char path[64];
        if (!mkdtemp(dir))
                return 1;
        test_etc();
        test_too_much();
        test_sys();
        static const char *const names[] = {"hosts", "hostname", "resolv.conf"};
        for (int i = 0; i < 3; i++) {
                (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
                unlink(path);
        }
        rmdir(dir);
        return tap_done();
}
