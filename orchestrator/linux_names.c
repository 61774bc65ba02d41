/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/linux_names.h"

#include <assert.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "base/auto.h"
#include "base/mem.h"
#include "base/value.h"

int linux_signal(const char *name)
{
        int64_t n;

        if (value_int(name, 1, 64, &n, NULL) == 0)
                return (int)n;
        if (strncasecmp(name, "SIG", 3) == 0)
                name += 3;
        for (int i = 1; i < 32; i++)
                if (sigabbrev_np(i) && strcasecmp(name, sigabbrev_np(i)) == 0)
                        return i;
        if (strncasecmp(name, "RTMIN+", 6) == 0 && value_int(name + 6, 0, 30, &n, NULL) == 0)
                return 34 + (int)n;
        return 0;
}

static const struct {
        const char *name;
        int resource;
} ulimit_names[] = {
        {"as", RLIMIT_AS},
        {"core", RLIMIT_CORE},
        {"cpu", RLIMIT_CPU},
        {"data", RLIMIT_DATA},
        {"fsize", RLIMIT_FSIZE},
        {"locks", RLIMIT_LOCKS},
        {"memlock", RLIMIT_MEMLOCK},
        {"msgqueue", RLIMIT_MSGQUEUE},
        {"nice", RLIMIT_NICE},
        {"nofile", RLIMIT_NOFILE},
        {"nproc", RLIMIT_NPROC},
        {"rss", RLIMIT_RSS},
        {"rtprio", RLIMIT_RTPRIO},
        {"rttime", RLIMIT_RTTIME},
        {"sigpending", RLIMIT_SIGPENDING},
        {"stack", RLIMIT_STACK},
};

int linux_limit(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(ulimit_names); i++)
                if (streq(name, ulimit_names[i].name))
                        return ulimit_names[i].resource;
        return -1;
}

/* Linux capability names by number (capability.h of Linux 6.1). */
static const char *const capability_names[] = {
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
        "MAC_OVERRIDE",
        "MAC_ADMIN",
        "SYSLOG",
        "WAKE_ALARM",
        "BLOCK_SUSPEND",
        "AUDIT_READ",
        "PERFMON",
        "BPF",
        "CHECKPOINT_RESTORE",
};

static_assert(CAPABILITIES_ALL == (UINT64_C(1) << ARRAY_SIZE(capability_names)) - 1,
              "a bit for each name");

int linux_capabilities(const char *name, uint64_t *ret, struct err *err)
{
        if (strncasecmp(name, "CAP_", 4) == 0)
                name += 4;
        if (strcasecmp(name, "ALL") == 0) {
                *ret = CAPABILITIES_ALL;
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(capability_names); i++)
                if (strcasecmp(name, capability_names[i]) == 0) {
                        *ret = UINT64_C(1) << i;
                        return 0;
                }
        return err_set(err, EINVAL, "'%s' is not a capability; see capabilities(7)", name);
}
