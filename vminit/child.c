/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vminit/launch.h"
#include "vminit/port_probe.h"
#include "vminit/reaper.h"
#include "vminit/rootfs.h"
#include "vminit/sys.h"
#include "vminit/user.h"

/*
 * Between clone and exec. Everything that fails ends in a report; the order matters:
 * namespaces and mounts need all privileges, stdio and the working folder are prepared as root for
 * the user, then privileges go, and the search for the program happens with the user's rights.
 */

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ENV_MAX      (2 * CONFIG_ENV_MAX + 8)

/* What Docker hides or protects in /proc. In a VM of its own it saves a service from itself, no
 * more. */
static int protect_proc(struct fail *f)
{
        static const char *const hidden[] = {"/proc/kcore", "/proc/keys", "/proc/timer_list",
                                             "/proc/latency_stats"};
        static const char *const frozen[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                             "/proc/sysrq-trigger"};
        for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
                if (mount("/dev/null", hidden[i], NULL, MS_BIND, NULL) && errno != ENOENT)
                        return fail_set(f, errno, "hide %s", hidden[i]);
        }
        for (size_t i = 0; i < sizeof(frozen) / sizeof(frozen[0]); i++) {
                if (mount(frozen[i], frozen[i], NULL, MS_BIND, NULL) == 0) {
                        if (mount(NULL, frozen[i], NULL,
                                  MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV |
                                          MS_NOEXEC,
                                  NULL))
                                return fail_set(f, errno, "protect %s", frozen[i]);
                } else if (errno != ENOENT) {
                        return fail_set(f, errno, "protect %s", frozen[i]);
                }
        }
        return 0;
}

static int enter_new(const struct launch *l, struct fail *f)
{
        const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
        if (chdir(ROOTFS_ROOT) || sys_pivot_root(".", ".") || umount2(".", MNT_DETACH) ||
            chdir("/"))
                return fail_set(f, errno, "enter the root file system");
        if (mount("proc", "/proc", "proc", flags, NULL))
                return fail_set(f, errno, "mount /proc");
        if (mount("cgroup", "/sys/fs/cgroup", "cgroup2", flags | (l->privileged ? 0 : MS_RDONLY),
                  NULL) &&
            errno != ENOENT)
                return fail_set(f, errno, "mount /sys/fs/cgroup");
        return l->privileged ? 0 : protect_proc(f);
}

static int enter(const struct launch *l, struct fail *f)
{
        if (l->join >= 0) {
                if (setns(l->join, CLONE_NEWNS | CLONE_NEWCGROUP) || chdir("/"))
                        return fail_set(f, errno, "join the service");
                return 0;
        }
        return enter_new(l, f);
}

static int take_stdio(const struct launch *l, const struct user *u, struct fail *f)
{
        (void)setsid(); /* a fresh child is no group leader */
        for (int i = 0; i < 3; i++) {
                /* /dev/stdout must open for the user too, as it does with Docker. Not /dev/null:
                 * that is everyone's. */
                struct stat st;
                if (fstat(l->stdio[i], &st) == 0 && (l->tty || S_ISFIFO(st.st_mode)) &&
                    fchown(l->stdio[i], u->uid, (gid_t)-1))
                        return fail_set(f, errno, "give standard streams to the user");
                /* The descriptors are above 2: vminit's own 0, 1, 2 are taken. */
                if (dup2(l->stdio[i], i) < 0)
                        return fail_set(f, errno, "set up standard streams");
        }
        if (l->tty && ioctl(0, TIOCSCTTY, 0))
                return fail_set(f, errno, "set up the terminal");
        return 0;
}

static int set_limits(const struct launch *l, struct fail *f)
{
        char text[32];
        const struct config *c = l->config;
        for (size_t i = 0; i < c->n_rlimits; i++) {
                const struct config_rlimit *r = &c->rlimits[i];
                struct rlimit limit = {.rlim_cur = r->soft, .rlim_max = r->hard};
                if (setrlimit((int)r->resource, &limit))
                        return fail_set(f, errno, "set limit %d", (int)r->resource);
        }
        if (c->oom_score_adj) {
                (void)snprintf(text, sizeof(text), "%lld", (long long)c->oom_score_adj);
                int rc = sys_write_file("/proc/self/oom_score_adj", text);
                if (rc)
                        return fail_set(f, -rc, "set oom_score_adj to %s", text);
        }
        return 0;
}

static int enter_workdir(const struct launch *l, struct fail *f)
{
        const char *dir = l->workdir && l->workdir[0] ? l->workdir : "/";
        if (l->make_workdir) {
                int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
                int fd = rootfs_make(root, dir, false, f);
                /* A read-only root may hold the folder already: chdir decides. */
                if (fd >= 0)
                        close(fd);
                close(root);
        }
        if (chdir(dir))
                return fail_status(f, errno, 126, "working directory %.200s: %s", dir,
                                   strerror(errno));
        return 0;
}

static int drop_privileges(const struct launch *l, const struct user *u, struct fail *f)
{
        uint64_t caps = l->privileged ? ~0ull : l->config->caps;
        uint64_t known = 0;
        for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap) >= 0; cap++) {
                known |= 1ull << cap;
                if (!(caps >> cap & 1) && prctl(PR_CAPBSET_DROP, cap))
                        return fail_set(f, errno, "drop capability %d", cap);
        }
        if (setgroups(u->n_groups, u->groups) || setresgid(u->gid, u->gid, u->gid) ||
            setresuid(u->uid, u->uid, u->uid))
                return fail_set(f, errno, "become user %u", (unsigned)u->uid);
        if (sys_capset(u->uid == 0 ? caps & known : 0))
                return fail_set(f, errno, "set capabilities");
        if (l->config->flags & WIRE_F_NO_NEW_PRIVS && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
                return fail_set(f, errno, "set no_new_privs");
        return 0;
}

/* ---- environment ---- */

struct env {
        size_t n;
        const char *at[ENV_MAX + 1];
};

static const char *env_find(const struct env *env, const char *key, size_t len)
{
        for (size_t i = 0; i < env->n; i++) {
                if (strncmp(env->at[i], key, len) == 0 && env->at[i][len] == '=')
                        return env->at[i] + len + 1;
        }
        return NULL;
}

/* Later entries replace earlier ones of the same name. */
static void env_add(struct env *env, const char *entry)
{
        size_t len = strcspn(entry, "=");
        for (size_t i = 0; i < env->n; i++) {
                if (strncmp(env->at[i], entry, len + 1) == 0) {
                        env->at[i] = entry;
                        return;
                }
        }
        if (env->n < ENV_MAX)
                env->at[env->n++] = entry;
}

static void env_default(struct env *env, const char *key, const char *value, char *buf, size_t size)
{
        if (env_find(env, key, strlen(key)))
                return;
        (void)snprintf(buf, size, "%s=%s", key, value);
        env_add(env, buf);
}

static void env_build(struct env *env, const struct launch *l, const struct user *u)
{
        static char home[300], host[300], path[100], term[20];
        for (const char *const *p = l->env; *p; p++)
                env_add(env, *p);
        for (const char *const *p = l->extra_env; p && *p; p++)
                env_add(env, *p);
        env_default(env, "PATH", DEFAULT_PATH, path, sizeof(path));
        env_default(env, "HOSTNAME", l->config->hostname, host, sizeof(host));
        env_default(env, "HOME", u->home, home, sizeof(home));
        if (l->tty)
                env_default(env, "TERM", "xterm", term, sizeof(term));
        env->at[env->n] = NULL;
}

/* ---- finding the program ---- */

/* execve takes char *const[]; it does not write to the strings. */
static void try_exec(const char *path, const struct launch *l, const struct env *env)
{
        union {
                const char *const *in;
                char *const *out;
        } argv = {.in = l->args}, envp = {.in = env->at};

        (void)execve(path, argv.out, envp.out); /* returns on failure only; errno tells */
}

static int exec_failed(struct fail *f, const char *name, int code)
{
        if (code == ENOENT || code == ENOTDIR)
                return fail_status(f, code, 127, "exec: \"%.200s\": no such file or directory",
                                   name);
        return fail_status(f, code, 126, "exec: \"%.200s\": %s", name,
                           code == ENOEXEC ? "exec format error" : strerror(code));
}

static int exec_program(const struct launch *l, const struct env *env, struct fail *f)
{
        const char *name = l->args[0];
        const char *path = env_find(env, "PATH", 4);
        int code = 0;
        if (strchr(name, '/')) {
                try_exec(name, l, env);
                return exec_failed(f, name, errno);
        }
        for (const char *dir = path; dir && *name;) {
                char file[PATH_MAX];
                int len = (int)strcspn(dir, ":");
                int n = snprintf(file, sizeof(file), "%.*s/%s", len, len ? dir : ".", name);
                struct stat st;
                if (n > 0 && n < (int)sizeof(file) && stat(file, &st) == 0 &&
                    !S_ISDIR(st.st_mode)) {
                        try_exec(file, l, env);
                        /* ENOENT of a file that is there: its interpreter is missing. */
                        if (errno != EACCES)
                                return fail_status(f, errno, errno == ENOENT ? 127 : 126,
                                                   "exec: \"%s\": %s", file,
                                                   errno == ENOENT
                                                           ? "its interpreter does not exist"
                                                           : strerror(errno));
                        code = EACCES;
                }
                dir = dir[len] ? dir + len + 1 : NULL;
        }
        if (code)
                return fail_status(f, code, 126, "exec: \"%.200s\": permission denied", name);
        return fail_status(f, ENOENT, 127, "exec: \"%.200s\": executable file not found in $PATH",
                           name);
}

static void reset_signals(void)
{
        sigset_t none;
        struct sigaction sa = {.sa_handler = SIG_DFL};
        for (int i = 1; i < NSIG; i++)
                (void)sigaction(i, &sa, NULL); /* KILL, STOP and the libc's own refuse, rightly */
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail */
}

static int run(const struct launch *l, struct fail *f)
{
        static struct user u;
        static struct env env;
        const char *const *groups = l->config->groups.at;
        int rc = enter(l, f);
        if (rc == 0)
                rc = user_resolve(l->user, groups, l->config->groups.n, "/etc/passwd", "/etc/group",
                                  &u, f);
        if (rc == 0)
                rc = take_stdio(l, &u, f);
        if (rc == 0)
                rc = set_limits(l, f);
        if (rc == 0)
                rc = enter_workdir(l, f);
        if (rc == 0 && l->join < 0 && l->config->flags & WIRE_F_READ_ONLY &&
            mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
                rc = fail_set(f, errno, "make the root file system read-only");
        if (rc == 0 && launch_is_kept(l))
                rc = reaper_keep(l->tty, l->cgroup, f);
        if (rc == 0)
                rc = drop_privileges(l, &u, f);
        if (rc)
                return rc;
        if (l->join >= 0 && strcmp(l->args[0], PORT_PROBE) == 0)
                port_probe(l->args);
        if (l->join < 0 && l->config->flags & WIRE_F_INIT)
                rc = reaper_become(l->tty, f);
        if (rc)
                return rc;
        env_build(&env, l, &u);
        (void)umask(022);
        reset_signals();
        (void)sys_close_range_cloexec(
                3); /* all of vminit's are close-on-exec already: belt and braces */
        return exec_program(l, &env, f);
}

_Noreturn void launch_child(const struct launch *l, int report)
{
        struct fail f = {0};
        (void)run(l, &f);
        if (f.code == 0)
                f.code = EINVAL;
        (void)!write(report, &f, sizeof(f)); /* if vminit cannot read it, nobody can */
        _exit(f.status);
}
