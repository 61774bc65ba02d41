/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/spec.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"

void spec_free(struct vm_spec *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < s->disks_len; i++) {
                free((void *)(uintptr_t)s->disks[i].serial);
                (void)close(s->disks[i].fd); /* what is unwritten is QEMU's, with its own copy */
        }
        for (size_t i = 0; i < s->nics_len; i++)
                (void)close(s->nics[i].tap_fd); /* a tap has no data to lose */
        for (size_t i = 0; i < s->shares_len; i++) {
                free((void *)(uintptr_t)s->shares[i].tag);
                free((void *)(uintptr_t)s->shares[i].path);
        }
        for (size_t i = 0; i < s->binds_len; i++) {
                free((void *)(uintptr_t)s->binds[i].source);
                free((void *)(uintptr_t)s->binds[i].target);
        }
        free((void *)(uintptr_t)s->binds);
        free((void *)(uintptr_t)s->id);
        free((void *)(uintptr_t)s->dir);
        free((void *)(uintptr_t)s->qemu);
        free((void *)(uintptr_t)s->kernel);
        free((void *)(uintptr_t)s->initrd);
        free(s);
}

/* The same open file under a number of ours. */
static int keep_fd(int fd, const char *what, int *ret, struct err *err)
{
        *ret = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        return *ret < 0 ? err_errno(err, errno, "keep %s open", what) : 0;
}

int spec_copy(const struct vm_spec *from, struct vm_spec **ret, struct err *err)
{
        struct spawn_bind *binds = xcalloc(from->binds_len + 1, sizeof(*binds));
        struct vm_spec *s = xmemdup(from, sizeof(*from));
        int r = 0;

        s->member = NULL;
        s->reason = NULL;
        s->id = xstrdup(from->id);
        s->dir = xstrdup(from->dir);
        s->qemu = xstrdup(from->qemu);
        s->kernel = xstrdup(from->kernel);
        s->initrd = xstrdup(from->initrd);
        for (size_t i = 0; i < s->shares_len; i++) {
                s->shares[i].tag = xstrdup(from->shares[i].tag);
                s->shares[i].path = xstrdup(from->shares[i].path);
        }
        for (size_t i = 0; i < s->binds_len; i++)
                binds[i] = (struct spawn_bind){xstrdup(from->binds[i].source),
                                               xstrdup(from->binds[i].target),
                                               from->binds[i].read_only};
        s->binds = binds;
        for (size_t i = 0; i < s->disks_len; i++) {
                s->disks[i].serial = xstrdup(from->disks[i].serial);
                s->disks[i].fd = -1;
        }
        for (size_t i = 0; i < s->nics_len; i++)
                s->nics[i].tap_fd = -1;
        for (size_t i = 0; r == 0 && i < s->disks_len; i++)
                r = keep_fd(from->disks[i].fd, s->disks[i].serial, &s->disks[i].fd, err);
        for (size_t i = 0; r == 0 && i < s->nics_len; i++)
                r = keep_fd(from->nics[i].tap_fd, "a tap", &s->nics[i].tap_fd, err);
        if (r < 0)
                spec_free(s);
        else
                *ret = s;
        return r;
}
