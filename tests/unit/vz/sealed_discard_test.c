/* SPDX-License-Identifier: Apache-2.0 */
/* The object that clones' QEMUs load first, as it was built. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/mem.h"
#include "tests/tap.h"

#define BESIDE "../../../../lib/berth/sealed-discard.so"
#define PUNCH  (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define SIZE   (64 << 10)

typedef int (*fallocate_fn)(int fd, int mode, off_t offset, off_t len);

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

static void test_call(fallocate_fn call, const char *name)
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
static void test_mapping(fallocate_fn call)
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

int main(void)
{
        void *object = open_object();
        static const char *const names[] = {"fallocate64", "fallocate"};

        if (!ok(object != NULL, "it can be loaded"))
                return tap_done();
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                fallocate_fn call;

                *(void **)&call = dlsym(object, names[i]);
                if (ok(call != NULL, "%s is there", names[i]))
                        test_call(call, names[i]);
                if (call)
                        test_mapping(call);
        }
        (void)dlclose(object);
        return tap_done();
}
