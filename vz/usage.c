/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/usage.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"

/* QEMU has about 500 mappings of 700 bytes of text each; vm.max_map_count is 65530. */
#define SMAPS_MAX (64u << 20)
#define STAT_MAX  4096
/* utime and stime are fields 14 and 15; the name before them may contain blanks and brackets. */
#define STAT_UTIME_AFTER_NAME 12

static int gone_or(struct err *err, pid_t pid)
{
        if (err->code == ENOENT)
                return err_set(err, ESRCH, "process %d is gone", (int)pid);
        return -err->code;
}

static int read_cpu(pid_t pid, struct vm_usage *ret, struct err *err)
{
        AUTO_FREE char *path = xasprintf("/proc/%d/stat", (int)pid);
        AUTO_FREE char *text = NULL;
        unsigned long long user, kernel;
        const char *p;

        if (file_read(path, STAT_MAX, &text, NULL, err) < 0)
                return gone_or(err, pid);
        p = strrchr(text, ')');
        for (int i = 0; p && i < STAT_UTIME_AFTER_NAME; i++) {
                p = strchr(p, ' ');
                p = p ? p + 1 : NULL;
        }
        if (!p || sscanf(p, "%llu %llu", &user, &kernel) != 2)
                return err_set(err, EBADMSG, "%s: not understood", path);
        ret->cpu_usec = (int64_t)((user + kernel) * 1000000 / (unsigned long)sysconf(_SC_CLK_TCK));
        return 0;
}

/* One mapping's lines, until its last is in. */
struct mapping {
        bool of_template;
        int64_t rss, anonymous, private_clean, private_dirty;
};

static void add_mapping(const struct mapping *m, struct vm_usage *ret)
{
        int64_t own = m->private_clean + m->private_dirty;

        if (m->of_template) {
                ret->private_bytes += m->anonymous;
                ret->template_bytes += m->rss - m->anonymous;
        } else {
                ret->private_bytes += own;
                ret->shared_bytes += m->rss - own;
        }
}

static void take_line(const char *line, struct mapping *m)
{
        static const struct {
                const char *key;
                size_t offset;
        } keys[] = {
                {"Rss:", offsetof(struct mapping, rss)},
                {"Anonymous:", offsetof(struct mapping, anonymous)},
                {"Private_Clean:", offsetof(struct mapping, private_clean)},
                {"Private_Dirty:", offsetof(struct mapping, private_dirty)},
        };

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (has_prefix(line, keys[i].key))
                        *(int64_t *)((char *)m + keys[i].offset) =
                                strtoll(line + strlen(keys[i].key), NULL, 10) << 10;
}

/* "7f00-7f80 rw-p 00000000 00:01 7  /memfd:..." begins a mapping; "Key:  12 kB" belongs to it. */
static bool begins_mapping(const char *line)
{
        size_t digits = strspn(line, "0123456789abcdef");

        return digits > 0 && line[digits] == '-';
}

static int read_memory(pid_t pid, struct vm_usage *ret, struct err *err)
{
        AUTO_FREE char *path = xasprintf("/proc/%d/smaps", (int)pid);
        AUTO_FREE char *text = NULL;
        struct mapping m = {0};
        char *rest, *line;

        if (file_read(path, SMAPS_MAX, &text, NULL, err) < 0)
                return gone_or(err, pid);
        rest = text;
        while ((line = strsep(&rest, "\n")) != NULL) {
                if (!begins_mapping(line)) {
                        take_line(line, &m);
                        continue;
                }
                add_mapping(&m, ret);
                m = (struct mapping){.of_template = strstr(line, "/memfd:") != NULL};
        }
        add_mapping(&m, ret);
        return 0;
}

int vm_usage(pid_t pid, struct vm_usage *ret, struct err *err)
{
        struct vm_usage usage = {0};
        int r = read_cpu(pid, &usage, err);

        if (r == 0)
                r = read_memory(pid, &usage, err);
        if (r == 0)
                *ret = usage;
        return r;
}
