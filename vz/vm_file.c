/* SPDX-License-Identifier: Apache-2.0 */
#include "vz/vm_file.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

#define FILE_MAX     (64 << 10)
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

int vm_file_boot_id(char ret[VM_BOOT_ID_MAX], struct err *err)
{
        AUTO_CLOSE int fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, ret, VM_BOOT_ID_MAX - 1);

        if (n <= 0)
                return err_errno(err, errno ? errno : EIO, "%s", BOOT_ID_PATH);
        ret[n] = 0;
        ret[strcspn(ret, "\n")] = 0;
        return 0;
}

int vm_file_write(const char *dir, const struct vm_file *file, struct err *err)
{
        AUTO_FREE char *path = file_join(dir, "vm.json");
        AUTO_JSON json_t *j = json_object();
        AUTO_FREE char *text = NULL;

        json_set_int(j, "version", VM_FILE_VERSION);
        json_set_str(j, "boot_id", file->boot_id);
        json_set_int(j, "pid", file->pid);
        json_set_int(j, "start_time", (int64_t)file->start_time);
        json_set_str(j, "accel", vm_accel_name(file->accel));
        json_set_int(j, "memory_bytes", file->memory_bytes);
        json_set_int(j, "cpus", file->cpus);
        json_set_int(j, "spawned_ns", file->spawned_ns);
        json_set_str(j, "birth", vm_birth_name(file->birth));
        text = json_pretty(j);
        return file_write_atomic(path, text, strlen(text), 0600, err);
}

static int fill(const json_t *j, const char *path, struct vm_file *f, struct err *err)
{
        const char *boot_id = "", *accel = "";
        int64_t version = 0, pid = 0, start = 0, cpus = 0;
        int r = json_need_int(j, "version", VM_FILE_VERSION, VM_FILE_VERSION, path, &version, err);

        if (r == 0)
                r = json_need_str(j, "boot_id", path, &boot_id, err);
        if (r == 0)
                r = json_need_str(j, "accel", path, &accel, err);
        if (r == 0)
                r = json_need_int(j, "pid", 0, 1 << 22, path, &pid, err);
        if (r == 0)
                r = json_need_int(j, "start_time", 0, INT64_MAX, path, &start, err);
        if (r == 0)
                r = json_need_int(j, "memory_bytes", 0, INT64_MAX, path, &f->memory_bytes, err);
        if (r == 0)
                r = json_need_int(j, "cpus", 1, 1024, path, &cpus, err);
        if (r == 0)
                r = json_need_int(j, "spawned_ns", 0, INT64_MAX, path, &f->spawned_ns, err);
        if (r < 0)
                return r;
        if (strlen(boot_id) >= sizeof(f->boot_id))
                return err_set(err, EINVAL, "%s: boot_id is too long", path);
        if (!streq(accel, "tcg") && !streq(accel, "kvm"))
                return err_set(err, EINVAL, "%s: accel is neither tcg nor kvm", path);
        memcpy(f->boot_id, boot_id, strlen(boot_id) + 1);
        f->accel = streq(accel, "kvm") ? ACCEL_KVM : ACCEL_TCG;
        f->pid = (pid_t)pid;
        f->start_time = (uint64_t)start;
        f->cpus = (unsigned)cpus;
        for (int birth = VM_BOOT; birth <= VM_POOL; birth++)
                if (streq(json_str(j, "birth", ""), vm_birth_name((enum vm_birth)birth)))
                        f->birth = (enum vm_birth)birth;
        return 0;
}

int vm_file_read(const char *dir, struct vm_file *ret, struct err *err)
{
        AUTO_FREE char *path = file_join(dir, "vm.json");
        AUTO_FREE char *text = NULL;
        AUTO_JSON json_t *j = NULL;
        struct vm_file f = {.pid = 0};
        size_t len;
        int r = file_read(path, FILE_MAX, &text, &len, err);

        if (r == 0)
                r = json_parse(text, len, FILE_MAX, path, &j, err);
        if (r == 0)
                r = fill(j, path, &f, err);
        if (r == 0)
                *ret = f;
        return r;
}
