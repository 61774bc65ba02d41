/* SPDX-License-Identifier: Apache-2.0 */
/* The object that clones' QEMUs load first, as it was built. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "tests/tap.h"

#define BESIDE "../../../../lib/berth/clone-memory.so"
#define PUNCH  (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define SIZE   (64 << 10)

#define MEMORY (1 << 20)

typedef int (*fallocate_fn)(int fd, int mode, off_t offset, off_t len);
typedef void *(*mmap_fn)(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
typedef int (*madvise_fn)(void *addr, size_t len, int advice);

static char text[SIZE];

static void *open_object(void)
{
        AUTO_FREE char *self = realpath("/proc/self/exe", NULL);
        AUTO_FREE char *path = NULL;
        void *object;

        *strrchr(self, '/') = '\0';
        path = xasprintf("%s/" BESIDE, self);
        object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!object)
                printf("# %s\n", dlerror());
        return object;
}

static int make_file(unsigned seals)
{
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        memset(text, 'x', sizeof(text));
        if (fd < 0 || write(fd, text, sizeof(text)) != sizeof(text) ||
            (seals && fcntl(fd, F_ADD_SEALS, seals) < 0))
                perror("# memfd");
        return fd;
}

/* How many of the file's bytes are still there. */
static int count(int fd)
{
        static char now[SIZE];
        int n = 0;

        if (pread(fd, now, sizeof(now), 0) != sizeof(now))
                return -1;
        for (size_t i = 0; i < sizeof(now); i++)
                n += now[i] == 'x';
        return n;
}

static void test_punch(fallocate_fn call, const char *name)
{
        AUTO_CLOSE int open = make_file(0);
        AUTO_CLOSE int grow = make_file(F_SEAL_GROW);
        AUTO_CLOSE int sealed = make_file(F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
        int pipes[2] = {-1, -1};
        struct stat st;

        errno = 0;
        is_int(call(sealed, PUNCH, 4096, 8192), 0, "%s: a hole in a sealed file: fine", name);
        is_int(count(sealed), SIZE, "and not made");
        is_int(errno, 0, "errno is left alone");
        is_int(call(sealed, 0, 0, SIZE + 1), -1, "other modes are the kernel's to refuse");
        is_int(errno, EPERM, "and it says why");
        is_int(call(sealed, FALLOC_FL_ZERO_RANGE, 0, 4096), -1, "zeroes, too");
        is_int(count(sealed), SIZE, "and nothing has changed");
        is_int(call(open, PUNCH, 4096, 8192), 0, "%s: a hole in an open file", name);
        is_int(count(open), SIZE - 8192, "is made");
        is_int(call(open, 0, SIZE, 4096), 0, "room behind it");
        is_int(fstat(open, &st) == 0 ? st.st_size : -1, SIZE + 4096, "is made");
        is_int(call(grow, PUNCH, 0, 4096), 0, "a file that is sealed otherwise");
        is_int(count(grow), SIZE - 4096, "gets its hole");
        is_int(call(-1, PUNCH, 0, 4096), -1, "no file");
        is_int(errno, EBADF, "is none");
        is_int(pipe2(pipes, O_CLOEXEC), 0, "a pipe");
        is_int(call(pipes[0], PUNCH, 0, 4096), -1, "has no holes");
        (void)close(pipes[0]);
        (void)close(pipes[1]);
}

/* A private mapping of a sealed file: what QEMU does afterwards gives up the copies alone. */
static void test_discard(fallocate_fn call)
{
        AUTO_CLOSE int fd = make_file(F_SEAL_WRITE);
        char *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

        memset(at, 'y', SIZE);
        is_int(call(fd, PUNCH, 0, SIZE), 0, "a clone frees all it has");
        is_int(madvise(at, SIZE, MADV_DONTNEED), 0, "and drops its pages");
        ok(memcmp(at, text, SIZE) == 0, "what it sees now is the template");
        is_int(count(fd), SIZE, "which is as it was");
        (void)munmap(at, SIZE);
}

static int64_t held(int fd)
{
        struct stat st = {0};

        (void)fstat(fd, &st); /* it is open */
        return st.st_blocks * 512;
}

/* Three pieces of data in a megabyte: the ends, and one close to the first. */
static int make_holes(unsigned seals)
{
        static const off_t at[] = {0, 32 << 10, MEMORY - 4096};
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        bool good = fd >= 0 && ftruncate(fd, MEMORY) == 0;

        memset(text, 'x', sizeof(text));
        for (size_t i = 0; i < ARRAY_SIZE(at); i++)
                good = good && pwrite(fd, text, 4096, at[i]) == 4096;
        if (!good || (seals && fcntl(fd, F_ADD_SEALS, seals) < 0))
                perror("# memfd");
        return fd;
}

static bool same(const char *at, int fd)
{
        static char bytes[MEMORY];

        return pread(fd, bytes, MEMORY, 0) == MEMORY && memcmp(at, bytes, MEMORY) == 0;
}

static void test_map(mmap_fn call, const char *name)
{
        AUTO_CLOSE int fd = make_holes(F_SEAL_WRITE);
        AUTO_CLOSE int open = make_holes(0);
        const int both = PROT_READ | PROT_WRITE;
        int64_t before = held(fd);
        char *at = call(NULL, MEMORY, both, MAP_PRIVATE, fd, 0);

        ok(same(at, fd), "%s: a template is seen as it is", name);
        memset(at, 'y', MEMORY);
        is_int(held(fd), before + (28 << 10), "a large hole stays one when it is written to");
        is_int(madvise(at, MEMORY, MADV_DONTNEED), 0, "all of it is given up");
        ok(same(at, fd), "and is the template again");
        (void)munmap(at, MEMORY);

        at = call(NULL, MEMORY - 8192, both, MAP_PRIVATE, fd, 4096);
        ok(at != MAP_FAILED && at[0] == 0 && at[28 << 10] == 'x', "a part of it");
        (void)munmap(at, MEMORY - 8192);
        at = call(NULL, MEMORY, PROT_READ, MAP_PRIVATE, fd, 0);
        ok(same(at, fd), "to be read only");
        (void)munmap(at, MEMORY);

        at = call(NULL, MEMORY, both, MAP_SHARED, open, 0);
        memset(at, 'z', MEMORY);
        ok(same(at, open), "an open file is shared");
        (void)munmap(at, MEMORY);
        at = call(NULL, 4096, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ok(at != MAP_FAILED && *at == 0, "memory without a file");
        (void)munmap(at, 4096);
        errno = 0;
        ok(call(NULL, 0, both, MAP_PRIVATE, fd, 0) == MAP_FAILED, "nothing is refused");
        is_int(errno, EINVAL, "and it says why");
}

static void test_advice(mmap_fn map, madvise_fn advise)
{
        AUTO_CLOSE int fd = make_holes(F_SEAL_WRITE);
        char *at = map(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

        is_int(advise(at, MEMORY, MADV_HUGEPAGE), 0, "no huge pages for a guest");
        at[MEMORY / 2] = 'y';
        is_int(advise(at + MEMORY / 2, 4096, MADV_DONTNEED), 0, "other advice");
        is_int(at[MEMORY / 2], 0, "is taken");
        is_int(advise(at, MEMORY, -1), -1, "or refused");
        is_int(errno, EINVAL, "with a reason");
        (void)munmap(at, MEMORY);
}

int main(void)
{
        static const char *const punches[] = {"fallocate64", "fallocate"};
        static const char *const maps[] = {"mmap64", "mmap"};
        void *object = open_object();
        mmap_fn map = NULL;
        madvise_fn advise;

        if (!ok(object != NULL, "it can be loaded"))
                return tap_done();
        for (size_t i = 0; i < ARRAY_SIZE(punches); i++) {
                fallocate_fn call;

                *(void **)&call = dlsym(object, punches[i]);
                if (!ok(call != NULL, "%s is there", punches[i]))
                        continue;
                test_punch(call, punches[i]);
                test_discard(call);
        }
        for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
                *(void **)&map = dlsym(object, maps[i]);
                if (ok(map != NULL, "%s is there", maps[i]))
                        test_map(map, maps[i]);
        }
        *(void **)&advise = dlsym(object, "madvise");
        if (ok(map && advise, "madvise is there"))
                test_advice(map, advise);
        (void)dlclose(object);
        return tap_done();
}
