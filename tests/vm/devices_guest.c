/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service does with its devices (73-devices.t):
 *
 *   devices_guest make NAME     make the tunnel NAME, which stays
 *   devices_guest tun NAME      answer each ping that comes out of the tunnel NAME
 *   devices_guest fuse FOLDER   mount a file system there that has one file, hello, and serve it
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELLO "from a program\n"

static int fail(const char *what)
{
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        return 1;
}

/* ICMP over IPv4: the addresses change places, the request (8) becomes an answer (0). */
static void answer(int fd, uint8_t *packet, size_t len)
{
        size_t head = (packet[0] & 15u) * 4u;
        uint8_t address[4];

        if (packet[0] >> 4 != 4 || packet[9] != 1 || head + 8 > len || packet[head] != 8)
                return;
        memcpy(address, packet + 12, 4);
        memcpy(packet + 12, packet + 16, 4);
        memcpy(packet + 16, address, 4);
        packet[head] = 0;
        unsigned sum = (unsigned)packet[head + 2] << 8 | packet[head + 3];
        sum += 0x800;
        sum = (sum & 0xffff) + (sum >> 16);
        packet[head + 2] = (uint8_t)(sum >> 8);
        packet[head + 3] = (uint8_t)sum;
        (void)!write(fd, packet, len);
}

static int open_tun(const char *name)
{
        struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
        int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

        (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
        return fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 ? -1 : fd;
}

static int make_tun(const char *name)
{
        int fd = open_tun(name);

        return fd < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0 ? fail("make a tunnel") : 0;
}

static int serve_tun(const char *name)
{
        uint8_t packet[2048];
        ssize_t n;
        int fd = open_tun(name);

        if (fd < 0)
                return fail("open the tunnel");
        while ((n = read(fd, packet, sizeof(packet))) > 0)
                if (n >= 20)
                        answer(fd, packet, (size_t)n);
        return fail("read");
}

/* ---- A file system of two inodes: / is 1, /hello is 2 ---- */

static struct fuse_attr attributes(uint64_t inode)
{
        struct fuse_attr a = {.ino = inode, .nlink = 1, .mode = S_IFDIR | 0755};

        if (inode == 2) {
                a.mode = S_IFREG | 0444;
                a.size = strlen(HELLO);
        }
        return a;
}

static void reply(int fd, const struct fuse_in_header *in, int error, const void *body, size_t len)
{
        struct fuse_out_header out = {(uint32_t)(sizeof(out) + len), error, in->unique};
        uint8_t frame[256];

        memcpy(frame, &out, sizeof(out));
        if (len)
                memcpy(frame + sizeof(out), body, len);
        (void)!write(fd, frame, out.len);
}

static void serve_one(int fd, const struct fuse_in_header *in, const char *body)
{
        struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
                                     .minor = FUSE_KERNEL_MINOR_VERSION,
                                     .max_write = 4096};
        struct fuse_attr_out attr = {.attr = attributes(in->nodeid)};
        struct fuse_entry_out entry = {.nodeid = 2, .attr = attributes(2)};
        struct fuse_open_out opened = {.fh = 1, .open_flags = FOPEN_DIRECT_IO};
        const struct fuse_read_in *asked = (const void *)body;

        switch (in->opcode) {
        case FUSE_INIT:
                reply(fd, in, 0, &init, sizeof(init));
                return;
        case FUSE_GETATTR:
                reply(fd, in, 0, &attr, sizeof(attr));
                return;
        case FUSE_LOOKUP:
                if (strcmp(body, "hello") == 0)
                        reply(fd, in, 0, &entry, sizeof(entry));
                else
                        reply(fd, in, -ENOENT, NULL, 0);
                return;
        case FUSE_OPEN:
                reply(fd, in, 0, &opened, sizeof(opened));
                return;
        case FUSE_READ:
                reply(fd, in, 0, HELLO, asked->offset ? 0 : strlen(HELLO));
                return;
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT:
                return;
        default:
                reply(fd, in, -ENOSYS, NULL, 0);
        }
}

static int serve_fuse(const char *folder)
{
        static char frame[64 << 10] __attribute__((aligned(8)));
        char options[80];
        ssize_t n;
        int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return fail("/dev/fuse");
        (void)snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
        if (mount("hello", folder, "fuse", MS_NOSUID | MS_NODEV, options))
                return fail("mount");
        while ((n = read(fd, frame, sizeof(frame) - 1)) > 0) {
                frame[n] = '\0';
                serve_one(fd, (const void *)frame, frame + sizeof(struct fuse_in_header));
        }
        return fail("read");
}

int main(int argc, char **argv)
{
        if (argc == 3 && strcmp(argv[1], "make") == 0)
                return make_tun(argv[2]);
        if (argc == 3 && strcmp(argv[1], "tun") == 0)
                return serve_tun(argv[2]);
        if (argc == 3 && strcmp(argv[1], "fuse") == 0)
                return serve_fuse(argv[2]);
        return 2;
}
