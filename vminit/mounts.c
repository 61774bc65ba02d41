/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vminit/etc.h"
#include "vminit/rootfs.h"
#include "vminit/seed.h"
#include "vminit/sys.h"

/* /sys/block is walked by name: readdir would allocate, and virtio disks are called vda to vdz. */
static char find_disk(const char *serial)
{
        for (int letter = 'a'; letter <= 'z'; letter++) {
                char path[64], found[64];
                (void)snprintf(path, sizeof(path), "/sys/block/vd%c/serial", letter);
                if (sys_read_file(path, found, sizeof(found)) > 0 && strcmp(found, serial) == 0)
                        return (char)letter;
        }
        return '\0';
}

int mounts_disk(const char *serial, const char *path, bool read_only, struct fail *f)
{
        char letter = find_disk(serial);
        if (!letter)
                return fail_set(f, ENODEV, "disk %s", serial);
        char device[16];
        (void)snprintf(device, sizeof(device), "/dev/vd%c", letter);
        if (mount(device, path, "ext4", read_only ? MS_RDONLY : 0,
                  read_only ? "noload" : "discard"))
                return fail_set(f, errno, "mount disk %s (%s) as ext4", serial, device);
        return 0;
}

/* The name of the folder where disk or share number `i` is mounted. */
static void source_path(char *buf, size_t size, const char *parent, size_t i)
{
        (void)snprintf(buf, size, "%s/%zu", parent, i);
}

static bool volume_is_read_only(const struct config *c, const char *serial)
{
        for (size_t i = 0; i < c->n_mounts; i++) {
                const struct config_mount *m = &c->mounts[i];
                if (m->kind == WIRE_MOUNT_DISK && strcmp(m->name, serial) == 0 &&
                    !(m->flags & WIRE_M_READ_ONLY))
                        return false;
        }
        return true;
}

static int mount_sources(const struct config *c, struct fail *f)
{
        char path[64];
        for (size_t i = 0; i < c->n_disks; i++) {
                if (c->disks[i].role != WIRE_DISK_VOLUME)
                        continue;
                source_path(path, sizeof(path), "/vol", i);
                if (mkdir(path, 0755))
                        return fail_set(f, errno, "mkdir %s", path);
                int rc = mounts_disk(c->disks[i].serial, path,
                                     volume_is_read_only(c, c->disks[i].serial), f);
                if (rc)
                        return rc;
        }
        for (size_t i = 0; i < c->shares.n; i++) {
                source_path(path, sizeof(path), "/share", i);
                if (mkdir(path, 0755) ||
                    mount(c->shares.at[i], path, "9p", MS_NODEV,
                          "trans=virtio,version=9p2000.L,msize=512000,cache=mmap,"
                          "access=user"))
                        return fail_set(f, errno, "mount share %s", c->shares.at[i]);
        }
        return 0;
}

/* Where the mount's source is in vminit's view. */
static int find_source(const struct config *c, const struct config_mount *m, char *buf, size_t size,
                       struct fail *f)
{
        if (m->kind == CONFIG_MOUNT_FILE) {
                source_path(buf, size, ROOTFS_FILES, m->file);
                return 0;
        }
        if (m->kind == WIRE_MOUNT_DISK) {
                for (size_t i = 0; i < c->n_disks; i++) {
                        if (c->disks[i].role == WIRE_DISK_VOLUME &&
                            strcmp(c->disks[i].serial, m->name) == 0)
                                return source_path(buf, size, "/vol", i), 0;
                }
                return fail_set(f, 0, "mount %s: disk %s is not among the volumes", m->path,
                                m->name);
        }
        for (size_t i = 0; i < c->shares.n; i++) {
                if (strcmp(c->shares.at[i], m->name) == 0)
                        return source_path(buf, size, "/share", i), 0;
        }
        return fail_set(f, 0, "mount %s: share %s is not declared", m->path, m->name);
}

static int open_source(const struct config *c, const struct config_mount *m, struct fail *f)
{
        char source[64];
        int rc = find_source(c, m, source, sizeof(source), f);
        if (rc)
                return rc;
        int fd = open(source, O_PATH | O_CLOEXEC);
        if (fd < 0)
                return fail_set(f, errno, "mount %s: source", m->path);
        if (!m->subpath || !m->subpath[0])
                return fd;
        int sub = sys_openat_in_root(fd, m->subpath, O_PATH, 0);
        if (sub < 0 && errno == ENOENT && m->kind == WIRE_MOUNT_DISK &&
            !(m->flags & WIRE_M_READ_ONLY))
                sub = rootfs_make(fd, m->subpath, false, f);
        else if (sub < 0)
                (void)fail_set(f, errno, "mount %s: %s in %s", m->path, m->subpath, m->name);
        close(fd);
        return sub < 0 ? -f->code : sub;
}

static void fd_path(char *buf, size_t size, int fd)
{
        (void)snprintf(buf, size, "/proc/self/fd/%d", fd);
}

static int mount_tmpfs(const struct config_mount *m, const char *target, struct fail *f)
{
        char options[96];
        int n = snprintf(options, sizeof(options), "mode=%o,uid=%u,gid=%u",
                         m->mode ? (unsigned)m->mode & 07777 : 01777, (unsigned)m->uid,
                         (unsigned)m->gid);
        if (m->size)
                (void)snprintf(options + n, sizeof(options) - (size_t)n, ",size=%llu",
                               (unsigned long long)m->size);
        unsigned long flags = MS_NOSUID | MS_NODEV | (m->flags & WIRE_M_READ_ONLY ? MS_RDONLY : 0) |
                              (m->flags & WIRE_M_NOEXEC ? MS_NOEXEC : 0);
        if (mount("tmpfs", target, "tmpfs", flags, options))
                return fail_set(f, errno, "mount a tmpfs at %s", m->path);
        return 0;
}

static int bind(int source, int root, const struct config_mount *m, unsigned long flags,
                struct fail *f)
{
        char from[32], to[32];
        struct stat st;
        if (fstat(source, &st))
                return fail_set(f, errno, "mount %s: source", m->path);
        bool is_file = !S_ISDIR(st.st_mode);
        int target = rootfs_make(root, m->path, is_file, f);
        if (target < 0)
                return target;
        fd_path(from, sizeof(from), source);
        fd_path(to, sizeof(to), target);
        int rc = 0;
        if (m->flags & WIRE_M_SEED && !is_file && (rc = seed_folder(target, source, f)) < 0) {
                close(target);
                return rc;
        }
        if (mount(from, to, NULL, MS_BIND, NULL))
                rc = fail_set(f, errno, "mount at %s", m->path);
        close(target);
        if (rc || !flags)
                return rc;
        /* The target's descriptor is of what lies below the mount: resolve again to reach the
         * mount. */
        target = sys_openat_in_root(root, m->path, O_PATH, 0);
        fd_path(to, sizeof(to), target);
        if (target < 0 || mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | flags, NULL))
                rc = fail_set(f, errno, "set the flags of %s", m->path);
        if (target >= 0)
                close(target);
        return rc;
}

static int finish_file(const struct config_mount *m, struct fail *f)
{
        char path[64];
        int rc = rootfs_file_add(m->file, "", 0, f); /* an empty file had no content frame */
        if (rc)
                return rc;
        source_path(path, sizeof(path), ROOTFS_FILES, m->file);
        if (chown(path, (uid_t)m->uid, (gid_t)m->gid) || chmod(path, (mode_t)m->mode & 07777))
                return fail_set(f, errno, "set owner and mode of %s", m->path);
        return 0;
}

/* Devices that services may ask for: what is not here is made for nobody. */
static dev_t find_device(const char *name)
{
        static const struct {
                const char *name;
                unsigned major, minor;
        } devices[] = {{"net/tun", 10, 200}, {"fuse", 10, 229}};

        for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
                if (strcmp(devices[i].name, name) == 0)
                        return makedev(devices[i].major, devices[i].minor);
        }
        return 0;
}

/* The node may be there, in the image. Another thing in its place is not replaced. */
static int make_device(const struct config_mount *m, int root, struct fail *f)
{
        char parent[PATH_MAX] = "/";
        const char *name = strrchr(m->path, '/') + 1;
        size_t len = (size_t)(name - m->path);
        dev_t device = find_device(m->name);
        struct stat st;
        if (!device)
                return fail_set(f, ENODEV, "device %s", m->name);
        if (len >= sizeof(parent))
                return fail_set(f, ENAMETOOLONG, "%.64s", m->path);
        memcpy(parent, m->path, len);
        int dir = rootfs_make(root, parent, false, f);
        if (dir < 0)
                return dir;
        int rc = mknodat(dir, name, S_IFCHR | 0666, device) ? errno : 0;
        if (rc == EEXIST && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISCHR(st.st_mode) && st.st_rdev == device)
                rc = 0;
        close(dir);
        return rc ? fail_set(f, rc, "make the device %s", m->path) : 0;
}

static int apply_one(const struct config *c, const struct config_mount *m, int root, struct fail *f)
{
        if (m->kind == WIRE_MOUNT_TMPFS) {
                char to[32];
                int target = rootfs_make(root, m->path, false, f);
                if (target < 0)
                        return target;
                fd_path(to, sizeof(to), target);
                int rc = mount_tmpfs(m, to, f);
                close(target);
                return rc;
        }
        if (m->kind == WIRE_MOUNT_DEVICE)
                return make_device(m, root, f);
        int rc = m->kind == CONFIG_MOUNT_FILE ? finish_file(m, f) : 0;
        if (rc)
                return rc;
        unsigned long flags =
                m->kind == CONFIG_MOUNT_FILE || m->flags & WIRE_M_READ_ONLY ? MS_RDONLY : 0;
        flags |= m->flags & WIRE_M_NOEXEC ? MS_NOEXEC : 0;
        int source = open_source(c, m, f);
        if (source < 0)
                return source;
        rc = bind(source, root, m, flags, f);
        close(source);
        return rc;
}

static int bind_etc(int root, const char *name, struct fail *f)
{
        char source[64], path[64];
        (void)snprintf(source, sizeof(source), ROOTFS_FILES "/%s", name);
        (void)snprintf(path, sizeof(path), "/etc/%s", name);
        struct config_mount m = {.path = path};
        int fd = open(source, O_PATH | O_CLOEXEC);
        if (fd < 0)
                return fail_set(f, errno, "open %s", source);
        int rc = bind(fd, root, &m, 0, f);
        close(fd);
        return rc;
}

int mounts_apply(const struct config *c, struct fail *f)
{
        static const char *const etc[] = {"hosts", "hostname", "resolv.conf"};
        int rc = etc_write(c, ROOTFS_FILES, f);
        if (rc == 0)
                rc = mount_sources(c, f);
        int root = open(ROOTFS_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return fail_set(f, errno, "open the root file system");
        for (size_t i = 0; rc == 0 && i < sizeof(etc) / sizeof(etc[0]); i++)
                rc = bind_etc(root, etc[i], f);
        for (size_t i = 0; rc == 0 && i < c->n_mounts; i++)
                rc = apply_one(c, &c->mounts[i], root, f);
        close(root);
        return rc;
}

static bool holds_mount(const struct config *c, const char *path)
{
        size_t len = strlen(path);
        for (size_t i = 0; i < c->n_mounts; i++) {
                if (strncmp(c->mounts[i].path, path, len) == 0 && c->mounts[i].path[len] == '/')
                        return true;
        }
        return false;
}

static int detach(int root, const char *path, struct fail *f)
{
        char name[32];
        int fd = sys_openat_in_root(root, path, O_PATH, 0);
        if (fd < 0)
                return fail_set(f, errno, "renew %s", path);
        fd_path(name, sizeof(name), fd);
        int rc = umount2(name, MNT_DETACH) ? fail_set(f, errno, "unmount %s", path) : 0;
        close(fd);
        return rc;
}

int mounts_renew(const struct config *c, struct fail *f)
{
        const struct config_mount shm = {.kind = WIRE_MOUNT_TMPFS,
                                         .path = "/dev/shm",
                                         .size = c->shm_size,
                                         .flags = WIRE_M_NOEXEC};
        int root = open(ROOTFS_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return fail_set(f, errno, "open the root file system");
        int rc = 0;
        for (size_t i = 0; rc == 0 && i <= c->n_mounts; i++) {
                const struct config_mount *m = i < c->n_mounts ? &c->mounts[i] : &shm;
                if (m->kind != WIRE_MOUNT_TMPFS || holds_mount(c, m->path))
                        continue;
                rc = detach(root, m->path, f);
                if (rc == 0)
                        rc = apply_one(c, m, root, f);
        }
        close(root);
        return rc;
}

static void release(const char *parent, size_t max)
{
        char path[64];
        for (size_t i = 0; i < max; i++) {
                source_path(path, sizeof(path), parent, i);
                if (umount2(path, 0) == 0 || errno != EBUSY) {
                        (void)rmdir(path); /* most were never there */
                        continue;
                }
                if (mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL))
                        sys_say("%s is still busy: %s", path, strerror(errno));
        }
}

void mounts_release(void)
{
        release("/vol", CONFIG_DISK_MAX);
        release("/share", CONFIG_SHARE_MAX);
}
