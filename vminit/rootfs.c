/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vminit/mounts.h"
#include "vminit/sys.h"

/* The service's /dev, made before there is a service: it is the same for all. */
#define DEVICES     "/service-dev"
#define SHM_SIZE    (UINT64_C(64) << 20) /* when the configuration does not say */
#define SHM_OPTIONS "mode=1777,size=64m"

static int make_devices(struct fail *f);

int rootfs_boot(struct fail *f)
{
        static const char *const folders[] = {"proc",    "sys",    "dev",        "image",
                                              "scratch", "root",   "vol",        "share",
                                              "files",   "cgroup", "service-dev"};
        (void)mkdir("/t", 0700); /* exists when vminit is started twice, which is fine */
        if (mount("vminit", "/t", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") || chdir("/t"))
                return fail_set(f, errno, "mount tmpfs");
        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
                if (mkdir(folders[i], 0755))
                        return fail_set(f, errno, "mkdir %s", folders[i]);
        }
        /* pivot_root of a service needs a root that is not the initramfs itself. */
        if (mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
                return fail_set(f, errno, "leave the initramfs");
        if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) ||
            mount("sys", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
                return fail_set(f, errno, "mount /proc and /sys");
        if (mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=0755"))
                return fail_set(f, errno, "mount devtmpfs");
        return make_devices(f);
}

/* The folder `path` (with its parent existing) below root. Returns an O_PATH descriptor, or -1 with
 * errno. */
static int make_folder(int root_fd, const char *path)
{
        char parent[PATH_MAX] = "/";
        const char *slash = strrchr(path, '/');
        if (slash && slash > path) {
                memcpy(parent, path, (size_t)(slash - path));
                parent[slash - path] = '\0';
        }
        const char *name = slash ? slash + 1 : path;
        int dir = sys_openat_in_root(root_fd, parent, O_PATH | O_DIRECTORY, 0);
        if (dir < 0)
                return -1;
        int fd = mkdirat(dir, name, 0755) ? -1 : openat(dir, name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
        int code = errno;
        close(dir);
        errno = code;
        return fd;
}

int rootfs_make(int root_fd, const char *path, bool is_file, struct fail *f)
{
        char buf[PATH_MAX];
        size_t len = strlen(path);
        if (len == 0 || len >= sizeof(buf))
                return fail_set(f, ENAMETOOLONG, "%.64s", path);
        for (size_t end = 1; end <= len; end++) {
                if (path[end] != '/' && path[end] != '\0')
                        continue;
                bool last = strspn(path + end, "/") == len - end;
                memcpy(buf, path, end);
                buf[end] = '\0';
                int fd = sys_openat_in_root(root_fd, buf, O_PATH, 0);
                if (fd < 0 && errno == ENOENT)
                        fd = last && is_file ? sys_openat_in_root(root_fd, buf,
                                                                  O_CREAT | O_WRONLY | O_EXCL, 0644)
                                             : make_folder(root_fd, buf);
                if (fd < 0)
                        return fail_set(f, errno, "create %s", buf);
                if (last)
                        return fd;
                close(fd);
        }
        return fail_set(f, EINVAL, "path %s", path);
}

static int file_name(char *buf, size_t size, size_t file)
{
        return snprintf(buf, size, ROOTFS_FILES "/%zu", file);
}

int rootfs_file_add(size_t file, const void *bytes, size_t len, struct fail *f)
{
        char name[64];
        (void)file_name(name, sizeof(name), file); /* fits by far */
        int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        struct stat st;
        if (fd < 0 || fstat(fd, &st)) {
                int code = errno;
                if (fd >= 0)
                        close(fd);
                return fail_set(f, code, "create file %zu of the configuration", file);
        }
        ssize_t n = (size_t)st.st_size + len > CONFIG_FILE_SIZE ? (errno = EFBIG, -1)
                                                                : write(fd, bytes, len);
        int code = n < 0 ? errno : (size_t)n < len ? ENOSPC : 0;
        close(fd);
        return code ? fail_set(f, code, "write file %zu of the configuration", file) : 0;
}

void rootfs_files_reset(void)
{
        char name[64];
        for (size_t i = 0; i < CONFIG_FILE_MAX; i++) {
                (void)file_name(name, sizeof(name), i);
                (void)unlink(name); /* most were never there */
        }
}

static int mount_overlay(const struct config *c, struct fail *f)
{
        const char *image = NULL;
        const char *scratch = NULL;
        for (size_t i = 0; i < c->n_disks; i++) {
                if (c->disks[i].role == WIRE_DISK_IMAGE)
                        image = c->disks[i].serial;
                else if (c->disks[i].role == WIRE_DISK_SCRATCH)
                        scratch = c->disks[i].serial;
        }
        if (!image)
                return fail_set(f, 0, "configuration: no image disk");
        int rc = mounts_disk(image, "/image", true, f);
        if (rc)
                return rc;
        if (scratch)
                rc = mounts_disk(scratch, "/scratch", false, f);
        else if (mount("scratch", "/scratch", "tmpfs", 0, "mode=0755"))
                rc = fail_set(f, errno, "mount a tmpfs for the root file system's changes");
        if (rc)
                return rc;
        if ((mkdir("/scratch/upper", 0755) && errno != EEXIST) ||
            (mkdir("/scratch/work", 0700) && errno != EEXIST))
                return fail_set(f, errno, "prepare the scratch disk");
        struct stat st;
        if (stat("/image", &st) == 0)
                (void)chmod("/scratch/upper",
                            st.st_mode & 07777); /* / as the image has it, if it can be */
        if (mount("overlay", ROOTFS_ROOT, "overlay", 0,
                  "lowerdir=/image,upperdir=/scratch/upper,workdir=/scratch/work"))
                return fail_set(f, errno, "mount the root overlay");
        return 0;
}

static int make_nodes(struct fail *f)
{
        static const struct {
                const char *path;
                mode_t mode;
                unsigned major, minor;
        } nodes[] = {
                {DEVICES "/null", 0666, 1, 3},    {DEVICES "/zero", 0666, 1, 5},
                {DEVICES "/full", 0666, 1, 7},    {DEVICES "/random", 0666, 1, 8},
                {DEVICES "/urandom", 0666, 1, 9}, {DEVICES "/tty", 0666, 5, 0},
        };

        static const struct {
                const char *target, *path;
        } links[] = {
                {"/proc/self/fd", DEVICES "/fd"},       {"/proc/self/fd/0", DEVICES "/stdin"},
                {"/proc/self/fd/1", DEVICES "/stdout"}, {"/proc/self/fd/2", DEVICES "/stderr"},
                {"pts/ptmx", DEVICES "/ptmx"},
        };

        for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
                if (mknod(nodes[i].path, S_IFCHR | nodes[i].mode,
                          makedev(nodes[i].major, nodes[i].minor)))
                        return fail_set(f, errno, "mknod %s", nodes[i].path);
        }
        for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
                if (symlink(links[i].target, links[i].path))
                        return fail_set(f, errno, "symlink %s", links[i].path);
        }
        return 0;
}

/* /dev and /sys of the service. */
static int mount_system(const struct config *c, struct fail *f)
{
        static const char *const folders[] = {"/proc", "/sys", "/dev", "/etc"};
        int root = open(ROOTFS_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
                int fd = rootfs_make(root, folders[i], false, f);
                if (fd < 0) {
                        close(root);
                        return fd;
                }
                close(fd);
        }
        close(root);
        bool privileged = c->flags & WIRE_F_PRIVILEGED;
        if (mount("sys", ROOTFS_ROOT "/sys", "sysfs",
                  MS_NOSUID | MS_NODEV | MS_NOEXEC | (privileged ? 0 : MS_RDONLY), NULL))
                return fail_set(f, errno, "mount /sys");
        if (mount(DEVICES, ROOTFS_ROOT "/dev", NULL, MS_MOVE, NULL))
                return fail_set(f, errno, "mount /dev");
        char options[64];
        (void)snprintf(options, sizeof(options), "mode=1777,size=%llu",
                       (unsigned long long)c->shm_size);
        if (c->shm_size != SHM_SIZE &&
            mount(NULL, ROOTFS_ROOT "/dev/shm", NULL, MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                  options))
                return fail_set(f, errno, "set the size of /dev/shm");
        return 0;
}

/* A kernel or a service's /dev without POSIX queues is no reason to refuse a service. */
static int make_devices(struct fail *f)
{
        if (mount("dev", DEVICES, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=1m"))
                return fail_set(f, errno, "mount a /dev");
        int rc = make_nodes(f);
        if (rc)
                return rc;
        if (mkdir(DEVICES "/pts", 0755) || mkdir(DEVICES "/shm", 01777) ||
            mount("devpts", DEVICES "/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                  "newinstance,ptmxmode=0666,mode=0620,gid=5"))
                return fail_set(f, errno, "mount /dev/pts");
        if (mount("shm", DEVICES "/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, SHM_OPTIONS))
                return fail_set(f, errno, "mount /dev/shm");
        if (mkdir(DEVICES "/mqueue", 01777) == 0 &&
            mount("mqueue", DEVICES "/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
                sys_say("mount /dev/mqueue: %s", strerror(errno));
        return 0;
}

int rootfs_build(const struct config *c, struct fail *f)
{
        int rc = mount_overlay(c, f);
        if (rc == 0)
                rc = mount_system(c, f);
        if (rc == 0)
                rc = mounts_apply(c, f);
        return rc;
}

void rootfs_unmount(void)
{
        sync();
        (void)umount2(ROOTFS_ROOT,
                      MNT_DETACH); /* lets go of all binds; was never mounted in the worst case */
        mounts_release();
        /* Busy ones stay mounted, synced and, if the kernel agrees, read-only. */
        if (umount2("/scratch", 0) && errno == EBUSY)
                (void)mount(NULL, "/scratch", NULL, MS_REMOUNT | MS_RDONLY, NULL);
        (void)umount2("/image", 0);
        sync();
}
