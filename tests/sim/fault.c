/* SPDX-License-Identifier: Apache-2.0 */
/* Faults, deaths of the daemon, the trace, and the system calls that all of them hang on. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/sim/sim.h"

struct world *sim;
struct daemon *sim_daemon;
const char *sim_root;
bool sim_verbose;

const char *sim_call_name(enum sim_call call)
{
        static const char *const names[] = {
                [CALL_VM_START] = "vm-start",
                [CALL_GUEST_CONNECT] = "guest-connect",
                [CALL_GUEST_CONFIGURE] = "guest-configure",
                [CALL_GUEST_RUN] = "guest-run",
                [CALL_GUEST_STOP] = "guest-stop",
                [CALL_GUEST_POWEROFF] = "guest-poweroff",
                [CALL_GUEST_EXEC] = "guest-exec",
                [CALL_NET_START] = "net-start",
                [CALL_NET_TAP] = "net-tap",
                [CALL_NET_ZONE] = "net-zone",
                [CALL_NET_FORWARDS] = "net-forwards",
                [CALL_JOB] = "job",
                [CALL_EXT4] = "ext4",
                [CALL_FSYNC] = "fsync",
        };

        static_assert(ARRAY_SIZE(names) == CALL_COUNT, "each has a name");
        return names[call];
}

const char *sim_how_name(enum sim_how how)
{
        static const char *const names[] = {
                [HOW_FINE] = "fine", [HOW_ERROR] = "error",     [HOW_HANG] = "hang",
                [HOW_SLOW] = "slow", [HOW_PARTIAL] = "partial", [HOW_DOUBLE] = "double",
        };

        static_assert(ARRAY_SIZE(names) == HOW_COUNT, "each has a name");
        return names[how];
}

unsigned sim_roll(uint64_t *state, unsigned n)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return (unsigned)(*state >> 33) % n;
}

void sim_trace(const char *fmt, ...)
{
        char line[512];
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(line, sizeof(line), fmt, ap); /* cut is fine */
        va_end(ap);
        for (const char *p = line; *p; p++)
                sim->trace = (sim->trace ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
        if (sim_verbose)
                (void)fprintf(stderr, "%lld %s\n", (long long)sim->mono_ms, line);
}

void sim_broken(const char *fmt, ...)
{
        va_list ap;

        if (sim->broken[0])
                return;
        va_start(ap, fmt);
        (void)vsnprintf(sim->broken, sizeof(sim->broken), fmt, ap); /* cut is fine */
        va_end(ap);
        sim_trace("BROKEN %s", sim->broken);
}

/* Whether the next effect is the daemon's last: then it does not happen any more. */
static bool dies_now(const char *what)
{
        if (!sim || !sim_daemon)
                return false;
        sim->effects++;
        if (sim->crash_in == 0 || --sim->crash_in > 0)
                return false;
        sim->crashes++;
        sim_trace("the daemon dies at %s", what);
        return true;
}

void sim_effect(const char *what)
{
        if (dies_now(what))
                _exit(LIFE_CRASHED);
}

enum sim_how sim_fault(enum sim_call call)
{
        enum sim_how how;

        sim->calls++;
        if (sim->armed[call].in == 0 || --sim->armed[call].in > 0)
                return HOW_FINE;
        how = sim->armed[call].how;
        sim->faults[how]++;
        sim_trace("%s: %s", sim_call_name(call), sim_how_name(how));
        return how;
}

/* ------------------------------------------------- system calls, wrapped by the linker (--wrap) */

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
ssize_t __real_getrandom(void *buf, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *buf, size_t n, unsigned flags);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __real_remove(const char *path);
int __wrap_remove(const char *path);
ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

void __wrap_log_line(int level, const char *subsystem, const char *object, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

/* Shown with the trace, but no part of it: names of temporary files have pids. */
void __wrap_log_line(int level, const char *subsystem, const char *object, const char *fmt, ...)
{
        char text[300];
        va_list ap;

        (void)level;
        if (!sim_verbose)
                return;
        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
        va_end(ap);
        (void)fprintf(stderr, "        %s %s: %s\n", subsystem, object, text);
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
        int64_t ms;

        if (!sim || !sim_daemon)
                return __real_clock_gettime(id, ts);
        ms = sim->mono_ms + (id == CLOCK_REALTIME ? sim->wall_offset_ms : 0);
        *ts = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
        return 0;
}

ssize_t __wrap_getrandom(void *buf, size_t n, unsigned flags)
{
        uint8_t *p = buf;

        if (!sim || !sim_daemon)
                return __real_getrandom(buf, n, flags);
        for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t)sim_roll(&sim->random, 256);
        return (ssize_t)n;
}

static bool is_full(void)
{
        if (!sim || !sim_daemon || !sim->full)
                return false;
        errno = ENOSPC;
        return true;
}

int __wrap_rename(const char *from, const char *to)
{
        sim_effect("rename");
        return __real_rename(from, to);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
        struct stat st;

        if (!sim || !sim_daemon)
                return __real_mkdir(path, mode);
        if (stat(path, &st) == 0) {
                errno = EEXIST;
                return -1;
        }
        sim_effect("mkdir");
        return is_full() ? -1 : __real_mkdir(path, mode);
}

int __wrap_unlink(const char *path)
{
        sim_effect("unlink");
        return __real_unlink(path);
}

int __wrap_remove(const char *path)
{
        sim_effect("remove");
        return __real_remove(path);
}

ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
        struct stat st;

        if (!sim || !sim_daemon || fd <= 2 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return __real_write(fd, buf, n);
        if (dies_now("write")) {
                (void)!__real_write(fd, buf, n / 2);
                _exit(LIFE_CRASHED);
        }
        return is_full() ? -1 : __real_write(fd, buf, n);
}

/* A process that dies loses nothing that it has written: no need to wait for a disk. */
int __wrap_fsync(int fd)
{
        if (!sim || !sim_daemon)
                return __real_fsync(fd);
        sim_effect("fsync");
        if (sim_fault(CALL_FSYNC) == HOW_FINE)
                return 0;
        errno = EIO;
        return -1;
}

int __wrap_open(const char *path, int flags, ...)
{
        struct stat st;
        mode_t mode = 0;
        va_list ap;

        va_start(ap, flags);
        if (flags & O_CREAT)
                mode = va_arg(ap, mode_t);
        va_end(ap);
        if ((flags & O_CREAT) && sim && sim_daemon && stat(path, &st) < 0) {
                sim_effect("create");
                if (is_full())
                        return -1;
        }
        return __real_open(path, flags, mode);
}
