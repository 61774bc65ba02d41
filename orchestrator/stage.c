/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"

static int copy(const char *path, const char *source, struct err *err)
{
        AUTO_FREE char *data = NULL;
        struct stat st;
        size_t len = 0;
        int r;

        if (stat(source, &st) < 0)
                return err_errno(err, errno, "%s", source);
        r = file_read(source, STAGE_COPY_MAX, &data, &len, err);
        if (r == 0)
                r = file_write_atomic(path, data, len, st.st_mode & 07777, err);
        if (r == 0 && chown(path, st.st_uid, st.st_gid) < 0 && errno != EPERM)
                r = err_errno(err, errno, "%s", path);
        return r;
}

int stage_file(const char *folder, const char *name, const char *source, struct err *err)
{
        AUTO_FREE char *path = file_join(folder, name);
        AUTO_FREE char *real = realpath(source, NULL);
        int r = file_mkdir_p(folder, 0700, err);

        if (r < 0)
                return r;
        if (!real)
                return err_errno(err, errno, "bind mount %s", source);
        if (unlink(path) < 0 && errno != ENOENT)
                return err_errno(err, errno, "%s", path);
        if (link(real, path) == 0)
                return 0;
        if (errno != EXDEV && errno != EPERM && errno != EMLINK)
                return err_errno(err, errno, "bind mount %s", source);
        r = copy(path, real, err);
        return r < 0 ? r : 1;
}
