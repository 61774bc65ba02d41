/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/template.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "vz/process.h"
#include "vz/program.h"
#include "vz/template_build.h"

/* A shape whose template could not be built, or whose clones did not live, is not tried for ever.
 */
#define FAILURES_MAX 3

#define KEY_MAX    512
#define REASON_MAX 200

struct template
{
        struct templates *owner;
        int64_t memory_bytes;
        unsigned cpus;
        enum template_state state;
        struct template_build *build;
        struct template_files files; /* READY */
        char key[KEY_MAX];           /* of what it is made of */
        char reason[REASON_MAX];
        int64_t began_ms, build_ms, used_ms;
        unsigned failures, clones;
};

struct templates {
        struct templates_env env;
        char *qemu, *kernel, *initrd, *preload, *dir;
        struct template *all[TEMPLATES_MAX];
        size_t len;
        unsigned builds; /* names folders */
        char reason[REASON_MAX];
};

static const int64_t sizes_mib[] = {64,  96,   128,  192,  256,  384, 512,
                                    768, 1024, 1536, 2048, 3072, 4096};

int64_t templates_round_memory(int64_t bytes)
{
        for (size_t i = 0; i < sizeof(sizes_mib) / sizeof(sizes_mib[0]); i++)
                if (bytes <= sizes_mib[i] << 20)
                        return sizes_mib[i] << 20;
        return (bytes + (2 << 20) - 1) / (2 << 20) * (2 << 20);
}

const char *template_state_name(enum template_state state)
{
        static const char *const names[] = {[TEMPLATE_NONE] = "none",
                                            [TEMPLATE_BUILDING] = "building",
                                            [TEMPLATE_READY] = "ready",
                                            [TEMPLATE_FAILED] = "failed"};

        return names[state];
}

/*
 * What invalidates a template while this process lives: another QEMU (a package upgrade), kernel or
 * initramfs (`make install`). The host's kernel, CPU and our own command line cannot change.
 */
static int make_key(const struct templates *ts, char key[KEY_MAX], struct err *err)
{
        const char *const paths[] = {ts->qemu, ts->kernel, ts->initrd};
        size_t len = 0;

        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
                struct stat st;

                if (stat(paths[i], &st) < 0)
                        return err_errno(err, errno, "%s", paths[i]);
                len += (size_t)snprintf(key + len, KEY_MAX - len, "%llu.%llu.%lld.%lld.%ld ",
                                        (unsigned long long)st.st_dev,
                                        (unsigned long long)st.st_ino, (long long)st.st_size,
                                        (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        }
        return 0;
}

static void drop_files(struct template *t)
{
        if (t->files.memory_fd >= 0)
                (void)close(t->files.memory_fd); /* sealed memory: nothing to flush */
        if (t->files.state_fd >= 0)
                (void)close(t->files.state_fd);
        t->files.memory_fd = t->files.state_fd = -1;
        free(STEAL(t->files.boot_log));
}

static void template_free(struct template *t)
{
        template_build_free(STEAL(t->build));
        drop_files(t);
        free(t);
}

static struct template *find(const struct templates *ts, int64_t memory_bytes, unsigned cpus)
{
        for (size_t i = 0; i < ts->len; i++)
                if (ts->all[i]->memory_bytes == memory_bytes && ts->all[i]->cpus == cpus)
                        return ts->all[i];
        return NULL;
}

/* The one that was used longest ago; builds are left alone. NULL: all are being built. */
static struct template **find_oldest(struct templates *ts)
{
        struct template **oldest = NULL;

        for (size_t i = 0; i < ts->len; i++)
                if (ts->all[i]->state != TEMPLATE_BUILDING &&
                    (!oldest || ts->all[i]->used_ms < (*oldest)->used_ms))
                        oldest = &ts->all[i];
        return oldest;
}

static struct template *add(struct templates *ts, int64_t memory_bytes, unsigned cpus)
{
        struct template *t = xnew(struct template);
        struct template **slot = &ts->all[ts->len];

        if (ts->len == TEMPLATES_MAX) {
                slot = find_oldest(ts);
                if (slot)
                        template_free(*slot);
        } else {
                ts->len++;
        }
        if (!slot) {
                free(t);
                return NULL;
        }
        t->owner = ts;
        t->memory_bytes = memory_bytes;
        t->cpus = cpus;
        t->files.memory_fd = t->files.state_fd = -1;
        *slot = t;
        return t;
}

static void failed(struct template *t, const char *why)
{
        drop_files(t);
        t->state = TEMPLATE_FAILED;
        t->failures++;
        (void)snprintf(t->reason, sizeof(t->reason), "%.190s", why);
}

static void on_built(void *ctx, const struct template_files *files, const struct err *err)
{
        struct template *t = ctx;
        const struct templates *ts = t->owner;

        t->build_ms = clock_mono_ms() - t->began_ms;
        if (files) {
                t->files = *files;
                t->state = TEMPLATE_READY;
        } else {
                failed(t, err->msg);
        }
        template_build_free(STEAL(t->build));
        if (ts->env.on_change)
                ts->env.on_change(ts->env.ctx);
}

static void build(struct template *t)
{
        struct templates *ts = t->owner;
        AUTO_FREE char *dir = xasprintf("%s/%u", ts->dir, ++ts->builds);
        const struct vm_spec spec = {.id = "template",
                                     .dir = dir,
                                     .qemu = ts->qemu,
                                     .kernel = ts->kernel,
                                     .initrd = ts->initrd,
                                     .accel = ts->env.accel,
                                     .memory_bytes = t->memory_bytes,
                                     .cpus = t->cpus};
        struct err err = ERR_INIT;

        t->began_ms = clock_mono_ms();
        t->reason[0] = '\0';
        t->state = TEMPLATE_BUILDING;
        if (make_key(ts, t->key, &err) < 0 ||
            template_build_start(ts->env.loop, &spec, on_built, t, &t->build, &err) < 0)
                failed(t, err.msg);
}

/* A template that is made of what is there no more is none. */
static void check_key(struct template *t)
{
        char key[KEY_MAX];

        if (t->state == TEMPLATE_READY &&
            (make_key(t->owner, key, NULL) < 0 || !streq(key, t->key))) {
                drop_files(t);
                t->state = TEMPLATE_NONE;
                (void)snprintf(t->reason, sizeof(t->reason),
                               "QEMU, kernel or initramfs changed since it was built");
        }
}

enum template_state templates_want(struct templates *ts, int64_t memory_bytes, unsigned cpus,
                                   const char **ret_reason)
{
        struct template *t = find(ts, memory_bytes, cpus);
        const char *reason = "";
        enum template_state state = TEMPLATE_FAILED;

        if (memory_bytes > TEMPLATE_MEMORY_MAX)
                reason = "more memory than templates are made for";
        else if (!t && !(t = add(ts, memory_bytes, cpus)))
                reason = "too many templates are being built";
        if (!*reason) {
                check_key(t);
                if (t->state == TEMPLATE_NONE ||
                    (t->state == TEMPLATE_FAILED && t->failures < FAILURES_MAX))
                        build(t);
                t->used_ms = clock_mono_ms();
                reason = t->reason;
                state = t->state;
        }
        if (ret_reason)
                *ret_reason = reason;
        return state;
}

/* Every clone reads the state through an open file of its own: they have one position each. */
static int open_state(const struct template *t, int *ret, struct err *err)
{
        char path[32];

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", t->files.state_fd);
        *ret = open(path, O_RDONLY | O_CLOEXEC);
        return *ret < 0 ? err_errno(err, errno, "open a template's state") : 0;
}

int templates_clone(struct templates *ts, const struct vm_spec *spec, struct process_mode *ret,
                    const char **ret_reason)
{
        struct template *t = find(ts, spec->memory_bytes, spec->cpus);
        struct process_mode mode = {.role = MACHINE_CLONE, .memory_fd = -1, .state_fd = -1};
        struct err err = ERR_INIT;

        if (t)
                check_key(t);
        if (!t || t->state != TEMPLATE_READY) {
                (void)snprintf(ts->reason, sizeof(ts->reason), "no template: %.180s",
                               t && *t->reason ? t->reason
                               : t             ? template_state_name(t->state)
                                               : "none for this shape");
                *ret_reason = ts->reason;
                return TEMPLATE_NOT_READY;
        }
        mode.memory_fd = fcntl(t->files.memory_fd, F_DUPFD_CLOEXEC, 0);
        if (mode.memory_fd < 0 || open_state(t, &mode.state_fd, &err) < 0) {
                if (mode.memory_fd >= 0)
                        (void)close(mode.memory_fd); /* sealed memory */
                *ret_reason = "no file descriptor for a template";
                return TEMPLATE_NOT_READY;
        }
        mode.tsc_khz = t->files.tsc_khz;
        mode.boot_log = t->files.boot_log;
        mode.preload = ts->preload;
        t->used_ms = clock_mono_ms();
        t->clones++;
        *ret = mode;
        return 0;
}

void templates_distrust(struct templates *ts, int64_t memory_bytes, unsigned cpus, const char *why)
{
        struct template *t = find(ts, memory_bytes, cpus);

        if (t && t->state == TEMPLATE_READY)
                failed(t, why);
}

static int64_t resident(int fd)
{
        struct stat st;

        return fd < 0 || fstat(fd, &st) < 0 ? 0 : st.st_blocks * 512;
}

bool templates_at(const struct templates *ts, size_t i, struct template_info *ret)
{
        const struct template *t;

        if (i >= ts->len)
                return false;
        t = ts->all[i];
        *ret = (struct template_info){.memory_bytes = t->memory_bytes,
                                      .cpus = t->cpus,
                                      .state = t->state,
                                      .build_ms = t->build_ms,
                                      .resident_bytes = resident(t->files.memory_fd) +
                                                        resident(t->files.state_fd),
                                      .clones = t->clones,
                                      .reason = t->reason};
        return true;
}

int templates_new(const struct templates_env *env, struct templates **ret, struct err *err)
{
        struct templates *ts;
        AUTO_FREE char *qemu = program_find(env->qemu ? env->qemu : PROGRAM_QEMU);

        if (!qemu)
                return err_set(err, ENOENT, "%s: not found: apt-get install qemu-system-x86",
                               env->qemu ? env->qemu : PROGRAM_QEMU);
        if (file_remove_tree(env->dir, err) < 0 || file_mkdir_p(env->dir, 0700, err) < 0)
                return -err->code;
        ts = xnew(struct templates);
        ts->env = *env;
        ts->qemu = STEAL(qemu);
        ts->kernel = xstrdup(env->kernel);
        ts->initrd = xstrdup(env->initrd);
        ts->preload = env->preload ? xstrdup(env->preload) : NULL;
        ts->dir = xstrdup(env->dir);
        *ret = ts;
        return 0;
}

void templates_free(struct templates *ts)
{
        if (!ts)
                return;
        for (size_t i = 0; i < ts->len; i++)
                template_free(ts->all[i]);
        free(ts->qemu);
        free(ts->kernel);
        free(ts->initrd);
        free(ts->preload);
        free(ts->dir);
        free(ts);
}
