/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/port.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Port 0 of the controller is the console's. */
#define DEVICE "/dev/vport0p1"

static int try_open(void)
{
        return open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

int port_open(struct port *p, struct fail *f)
{
        int watch = inotify_init1(IN_CLOEXEC);
        if (watch < 0 || inotify_add_watch(watch, "/dev", IN_CREATE | IN_ATTRIB) < 0)
                return fail_set(f, errno, "watch /dev");
        int fd = try_open();
        while (fd < 0 && errno == ENOENT) {
                _Alignas(8) char events[1024];
                if (read(watch, events, sizeof(events)) < 0 && errno != EINTR)
                        break;
                fd = try_open();
        }
        int code = errno;
        close(watch);
        if (fd < 0)
                return fail_set(f, code, "open " DEVICE);
        port_init(p, fd);
        return 0;
}

void port_init(struct port *p, int fd)
{
        p->fd = fd;
        p->readable = p->writable = true;
        wire_rx_init(&p->rx, p->rx_data, sizeof(p->rx_data), wire_attach_magic, true);
        wire_writer_init(&p->tx, p->tx_data, sizeof(p->tx_data));
        p->tx_start = 0;
}

int port_next(struct port *p, struct wire_frame *ret_frame)
{
        for (;;) {
                int rc = wire_rx_next(&p->rx, ret_frame);
                if (rc > 0)
                        return 1;
                if (rc < 0)
                        continue; /* searches for the next connection from here on */
                if (!p->readable)
                        return 0;
                size_t room;
                uint8_t *to = wire_rx_space(&p->rx, &room);
                ssize_t n = read(p->fd, to, room < PORT_READ ? room : PORT_READ);
                if (n > 0)
                        wire_rx_fill(&p->rx, (size_t)n);
                else if (n == 0 || errno != EINTR)
                        p->readable = false; /* 0: no host is connected; the driver wakes us when
                                                one is */
        }
}

struct wire_writer *port_writer(struct port *p, size_t need)
{
        if (p->tx.size - p->tx.len < need && p->tx_start > 0) {
                memmove(p->tx_data, p->tx_data + p->tx_start, p->tx.len - p->tx_start);
                p->tx.len -= p->tx_start;
                p->tx_start = 0;
        }
        return p->tx.size - p->tx.len < need ? NULL : &p->tx;
}

bool port_flush(struct port *p)
{
        bool moved = false;
        while (p->writable && p->tx_start < p->tx.len) {
                ssize_t n = write(p->fd, p->tx_data + p->tx_start, p->tx.len - p->tx_start);
                if (n > 0) {
                        p->tx_start += (size_t)n;
                        moved = true;
                } else if (n == 0 || errno != EINTR) {
                        p->writable = false;
                }
        }
        if (p->tx_start == p->tx.len)
                p->tx_start = p->tx.len = 0;
        return moved;
}

void port_drop_tx(struct port *p)
{
        p->tx_start = p->tx.len = 0;
}
