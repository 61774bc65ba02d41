/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded into the QEMU of every clone (LD_PRELOAD), so that memory which its guest frees goes back
 * to the host.
 *
 * A clone's memory is a private mapping of its template, a sealed memory file. QEMU gives free
 * memory up in two steps: it punches a hole into the file, then it drops its own pages with
 * madvise(MADV_DONTNEED); when the first fails it does not come to the second. Of a sealed file
 * nothing can be given up, and of a clone nothing but its own copies of pages should be, which is
 * what the second step does. So the first one succeeds here without doing anything.
 *
 * Nothing else that QEMU has open is sealed: holes of disks are punched as ever. The seals are the
 * protection of the template, not this file: without it the call fails in the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* QEMU as Debian builds it calls this one; they are the same where off_t has 64 bits. */
int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
        return discard(fd, mode, offset, len);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
        return discard(fd, mode, offset, len);
}
