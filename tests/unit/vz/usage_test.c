/* SPDX-License-Identifier: Apache-2.0 */
/* What a process costs, on this one: memory of its own, and of a file it maps as clones do. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/tap.h"
#include "vz/usage.h"

/* Large beside what moves by itself: pages of libraries become shared, or private again, as other
 * processes come and go (16 MiB of them with sanitizers). */
#define PIECE (INT64_C(96) << 20)

static struct vm_usage now(void)
{
        struct vm_usage usage = {0};
        struct err err = ERR_INIT;

        if (vm_usage(getpid(), &usage, &err) < 0)
                printf("# %s\n", err.msg);
        return usage;
}

static bool grew(int64_t before, int64_t after, int64_t by)
{
        return after - before > by - PIECE / 4 && after - before < by + PIECE / 4;
}

/* Without the sanitizer's own memory, an eighth of what is touched. */
__attribute__((no_sanitize("address"))) static void touch(char *memory, size_t n, bool write)
{
        volatile char *p = memory;

        for (size_t i = 0; i < n; i += 4096)
                if (write)
                        p[i] = 1;
                else
                        (void)p[i];
}

int main(void)
{
        int fd = memfd_create("template", MFD_CLOEXEC);
        struct vm_usage before = now(), after;
        struct err err = ERR_INIT;
        char *own, *file;

        ok(before.cpu_usec >= 0 && before.private_bytes > 0 && before.shared_bytes > 0, "figures");
        own = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        touch(own, PIECE, true);
        after = now();
        ok(grew(before.private_bytes, after.private_bytes, PIECE), "memory of its own is private");

        is_int(ftruncate(fd, 2 * PIECE), 0, "a memory file");
        file = mmap(NULL, 2 * PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        before = now();
        touch(file, 2 * PIECE, false);
        after = now();
        ok(grew(before.template_bytes, after.template_bytes, 2 * PIECE),
           "what is only read of it is the template's");
        ok(grew(before.private_bytes, after.private_bytes, 0), "and not private");
        before = now();
        touch(file, PIECE, true);
        after = now();
        ok(grew(before.private_bytes, after.private_bytes, PIECE), "what is written is private");
        ok(grew(after.template_bytes, before.template_bytes, PIECE), "and no longer shared");

        is_int(vm_usage(INT32_MAX, &after, &err), -ESRCH, "a process that is gone");
        return tap_done();
}
