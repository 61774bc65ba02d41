/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded into the QEMU of every clone (LD_PRELOAD), so that the memory of its guest costs the host
 * no more than the guest uses. A clone's memory is a private mapping of its template, a sealed
 * memory file that is full of holes, and three calls are different for such a file:
 *
 * fallocate  QEMU gives up what its guest has freed in two steps: it punches a hole into the file,
 *            then it drops its own pages (madvise MADV_DONTNEED), and when the first step fails it
 *            does not come to the second. A sealed file has nothing to give up, and a clone nothing
 *            but its copies of pages, which is the second step. So the first one is a success here,
 *            and does nothing.
 * mmap       The kernel fills a hole of the file when a clone first touches a page there, and gives
 *            the clone a copy: twice the memory, of which the file's stays for ever. So holes are
 *            mapped as memory without a file. They are zeroes, as the holes were.
 * madvise    QEMU wants huge pages for memory without a file: a guest would hold 2 MiB for each
 *            page that it touches. The file has none, and neither get its holes.
 *
 * Files that are not sealed, so disks, are as ever. The template is protected by its seals and not
 * by this file: without it the first call fails in the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A hole that is smaller stays one: each piece is a mapping of its own (a template has about 10).
 */
#define HOLE_MIN (64 << 10)

/* The memory of the guest; QEMU maps it once. */
static struct {
        char *start;
        size_t len;
} ram;

static bool is_sealed(int fd)
{
        int saved = errno;
        int seals = fcntl(fd, F_GET_SEALS);

        errno = saved; /* of a file that cannot have seals: EINVAL */
        return seals >= 0 && (seals & F_SEAL_WRITE);
}

static int discard(int fd, int mode, off64_t offset, off64_t len)
{
        if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) && is_sealed(fd))
                return 0;
        return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

static void *map(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
        return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}

/* Nobody uses the position of the file. <0: errno tells, and some of it may be mapped no more. */
static int map_holes(char *start, size_t len, int prot, int flags, int fd, off64_t offset)
{
        off64_t end = offset + (off64_t)len, hole, data = offset;

        while (data < end && (hole = lseek64(fd, data, SEEK_HOLE)) >= 0 && hole < end) {
                data = lseek64(fd, hole, SEEK_DATA);
                if (data < 0 || data > end)
                        data = end;
                if (data - hole >= HOLE_MIN &&
                    map(start + (hole - offset), (size_t)(data - hole), prot,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | (flags & MAP_NORESERVE), -1,
                        0) == MAP_FAILED)
                        return -1;
        }
        return 0;
}

static void *map_file(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
        void *at = map(addr, len, prot, flags, fd, offset);

        if (at == MAP_FAILED || fd < 0 || !(flags & MAP_PRIVATE) || !(prot & PROT_WRITE) ||
            !is_sealed(fd))
                return at;
        ram.start = at;
        ram.len = len;
        /* QEMU ends then, and with it what is left of the mapping. */
        return map_holes(at, len, prot, flags, fd, offset) < 0 ? MAP_FAILED : at;
}

/*
 * What QEMU calls. Debian's calls the names with 64; they are the same where off_t has 64 bits.
 */

int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
        return discard(fd, mode, offset, len);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
        return discard(fd, mode, offset, len);
}

void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
        return map_file(addr, len, prot, flags, fd, offset);
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
        return map_file(addr, len, prot, flags, fd, offset);
}

int madvise(void *addr, size_t len, int advice)
{
        const char *at = addr;

        if (advice == MADV_HUGEPAGE && at >= ram.start && at < ram.start + ram.len)
                return 0;
        return (int)syscall(SYS_madvise, addr, len, advice);
}
