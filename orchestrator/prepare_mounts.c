/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/prepare_mounts.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/value.h"
#include "orchestrator/instance_internal.h"
#include "storage/volume.h"

static_assert(SERVICE_DEVICES_MAX + 2 <= VM_DEVICES_MAX, "with the image and the scratch disk");
static_assert(SERVICE_DEVICES_MAX + 1 <= VM_DISKS_MAX, "all but the network can be disks");

/* WIRE_SERIAL_VOLUME is the first. */
#define SERIAL_VOLUME "vol%zu"

/* The volume that a mount names; NULL: one without a name. */
static const struct volume *volume_of(const struct stack *stack, const struct mount *m)
{
        return m->source ? stack_find_volume(stack, m->source) : NULL;
}

/* Its name on this host; one without a name belongs to the replica. */
static char *volume_name(const struct instance *in, const struct mount *m, size_t index)
{
        const struct volume *volume = volume_of(in->desired->stack, m);

        if (volume && volume->real_name)
                return xstrdup(volume->real_name);
        if (m->source)
                return xasprintf("%s_%s", in->stack, m->source);
        return xasprintf("%s_%s-%u-vol%zu", in->stack, in->service, in->replica, index);
}

static bool is_shared(const struct stack *stack, const struct service *service, size_t index)
{
        const struct volume *volume = volume_of(stack, &service->volumes[index]);

        return volume ? volume->volume_class == VOLUME_SHARED
                      : !service_anonymous_is_disk(stack, service, index);
}

bool prepare_is_disk(const struct stack *stack, const struct service *service, size_t index)
{
        return service->volumes[index].type == MOUNT_VOLUME && !is_shared(stack, service, index);
}

int prepare_volumes_free(const struct instance *in, const struct service *service, struct err *err)
{
        for (size_t i = 0; i < service->volumes_len; i++) {
                const struct mount *m = &service->volumes[i];
                AUTO_FREE char *name = NULL;
                const struct instance *holder;

                if (!prepare_is_disk(in->desired->stack, service, i))
                        continue;
                name = volume_name(in, m, i);
                holder = in->env->volume_holder(in->env, in, name);
                if (holder && streq(holder->stack, in->stack))
                        return 1;
                if (holder)
                        return err_set(err, EBUSY,
                                       "volume %s is a disk that %s/%s/%u has; stop that one, or "
                                       "set the volume's x-berth.class to shared in both stacks",
                                       name, holder->stack, holder->service, holder->replica);
        }
        return 0;
}

void attachments_release(struct attachments *at)
{
        for (size_t i = 0; i < at->fds_len; i++)
                (void)close(at->fds[i]); /* QEMU has its own copies */
        for (size_t i = 0; i < at->owned_len; i++)
                free(at->owned[i]);
}

/* Its descriptor is theirs from now on. */
static void hand_disk(struct attachments *at, struct vm_disk disk)
{
        assert(at->vm.disks_len < VM_DISKS_MAX); /* as schema/ settles it */
        at->fds[at->fds_len++] = disk.fd;
        at->vm.disks[at->vm.disks_len++] = disk;
}

static int add_disk(struct attachments *at, const char *path, bool read_only, const char *serial,
                    struct err *err)
{
        int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);

        if (fd < 0)
                return err_errno(err, errno, "%s", path);
        hand_disk(at, (struct vm_disk){fd, read_only, serial, false});
        return 0;
}

static char *keep(struct attachments *at, char *text)
{
        at->owned[at->owned_len++] = text;
        return text;
}

#define SHARE_TAG "binds"

/* All that comes from the host's file system is in one folder, which the VM has as one device: what
 * is in it only its QEMU sees, and the folder itself cannot be written. */
static int begin_share(struct instance *in, struct attachments *at, struct err *err)
{
        char *folder;

        if (at->vm.shares_len > 0)
                return 0;
        folder = keep(at, file_join(in->dir, SHARE_TAG));
        at->vm.shares[at->vm.shares_len++] = (struct vm_share){SHARE_TAG, folder, false};
        at->binds[at->vm.binds_len++] = (struct spawn_bind){folder, folder, true};
        at->vm.binds = at->binds;
        return file_mkdir_p(folder, 0700, err);
}

/* A place for the bind, of the same kind. */
static int make_target(const char *path, bool folder, struct err *err)
{
        AUTO_CLOSE int fd = -1;

        if (folder)
                return file_mkdir_p(path, 0700, err);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        return fd < 0 ? err_errno(err, errno, "%s", path) : 0;
}

/* source: kept as long as at. */
static int add_share(struct instance *in, struct attachments *at, const struct mount *m,
                     const char *source, bool folder, size_t index, struct err *err)
{
        bool volume = m->type == MOUNT_VOLUME;
        int r = begin_share(in, at, err);
        char *target;

        if (r < 0)
                return r;
        target = keep(at, xasprintf("%s/%zu", at->vm.shares[0].path, index));
        at->binds[at->vm.binds_len++] = (struct spawn_bind){source, target, m->read_only};
        at->names[index] = SHARE_TAG;
        at->subpaths[index] = keep(at, volume && m->subpath ? xasprintf("%zu/%s", index, m->subpath)
                                                            : xasprintf("%zu", index));
        return make_target(target, folder, err);
}

/* A volume that several VMs write to: a folder of the host. */
static int add_shared_volume(struct instance *in, struct attachments *at, const struct mount *m,
                             char *name, size_t index, struct err *err)
{
        bool created = false;
        int r = volume_ensure_shared(in->env->volumes_dir, name, in->stack, &created, err);

        at->shared[index] = true;
        at->seed[index] = !m->nocopy && !m->read_only && !m->subpath;
        if (r == 0)
                r = add_share(in, at, m,
                              keep(at, xasprintf("%s/%s/data", in->env->volumes_dir, name)), true,
                              index, err);
        if (r == 0 && created)
                instance_emit(in, "volume-created", "", "volume %s, shared", name);
        if (r < 0)
                free(name);
        else
                *array_push(&in->volumes.items, &in->volumes.len) = name;
        return r;
}

static int add_volume(struct instance *in, struct attachments *at, const struct service *service,
                      size_t index, struct err *err)
{
        const struct mount *m = &service->volumes[index];
        const struct volume *volume = volume_of(in->desired->stack, m);
        AUTO_FREE char *name = volume_name(in, m, index);
        AUTO_FREE char *path = NULL;
        bool created = false;
        int r;

        path = xasprintf("%s/%s/volume.json", in->env->volumes_dir, name);
        if (volume && volume->external && access(path, F_OK) < 0)
                return err_set(err, ENOENT,
                               "external volume %s does not exist; create it by another stack, or "
                               "leave `external` out",
                               name);
        if (is_shared(in->desired->stack, service, index))
                return add_shared_volume(in, at, m, STEAL(name), index, err);
        r = volume_ensure(in->env->volumes_dir, name, in->stack,
                          volume && volume->size_bytes > 0 ? volume->size_bytes : DISK_SIZE_DEFAULT,
                          m->nocopy ? NULL : in->rootfs, m->target, &created, err);
        if (r < 0)
                return r;
        if (created)
                instance_emit(in, "volume-created", "", "volume %s", name);
        *array_push(&in->volumes.items, &in->volumes.len) = STEAL(name);
        free(path);
        path = xasprintf("%s/%s/disk.ext4", in->env->volumes_dir,
                         in->volumes.items[in->volumes.len - 1]);
        at->names[index] = keep(at, xasprintf(SERIAL_VOLUME, at->vm.disks_len - 2));
        return add_disk(at, path, m->read_only, at->names[index], err);
}

static int add_bind(struct instance *in, struct attachments *at, const struct mount *m,
                    size_t index, struct err *err)
{
        bool folder = true;
        struct stat st;

        if (stat(m->source, &st) < 0) {
                if (errno != ENOENT || !m->create_host_path)
                        return err_errno(err, errno, "bind mount %s", m->source);
                if (file_mkdir_p(m->source, 0755, err) < 0)
                        return -err->code;
        } else if (S_ISREG(st.st_mode)) {
                folder = false;
        } else if (!S_ISDIR(st.st_mode)) {
                return err_set(err, EINVAL,
                               "bind mount %s: neither a file nor a folder; sockets and devices of "
                               "the host have no meaning in a VM",
                               m->source);
        }
        return add_share(in, at, m, m->source, folder, index, err);
}

int prepare_scratch(const struct instance *in, int *ret_fd, struct err *err)
{
        int r = scratch_create(in->scratch, DISK_SIZE_DEFAULT, err);

        if (r < 0)
                return r;
        *ret_fd = open(in->scratch, O_RDWR | O_CLOEXEC);
        return *ret_fd < 0 ? err_errno(err, errno, "%s", in->scratch) : 0;
}

int prepare_attach(struct instance *in, struct attachments *at, const struct service *service,
                   struct err *err)
{
        int fd = -1, r = add_disk(at, in->rootfs, true, WIRE_SERIAL_IMAGE, err);

        if (r == 0)
                r = prepare_scratch(in, &fd, err);
        if (r == 0)
                hand_disk(at, (struct vm_disk){fd, false, WIRE_SERIAL_SCRATCH, true});
        for (size_t i = 0; r == 0 && i < service->volumes_len; i++) {
                const struct mount *m = &service->volumes[i];

                if (m->type == MOUNT_BIND)
                        r = add_bind(in, at, m, i, err);
                if (m->type != MOUNT_VOLUME)
                        continue;
                r = add_volume(in, at, service, i, err);
        }
        return r;
}
