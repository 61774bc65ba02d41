/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/rehearse.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vminit/apply.h"
#include "vminit/cgroup.h"
#include "vminit/devices.h"
#include "vminit/net.h"
#include "vminit/rootfs.h"
#include "vminit/sys.h"

/* What is played with of what the host's pool puts into a machine: the second card is as the first.
 */
#define DISKS 3
#define CARDS 1

/* The service that is played: it has what most have. */
static void compose(struct config *c)
{
        static const struct config_interface interface = {
                .mac = WIRE_PLACEHOLDER_MAC_1,
                .addresses = {"192.0.2.2/24"},
                .gateways = {"192.0.2.1"},
                .n_addresses = 1,
                .n_gateways = 1,
                .mtu = 1500,
        };
        static const struct config_mount volume = {
                .kind = WIRE_MOUNT_DISK, .path = "/volume", .name = WIRE_SERIAL_VOLUME};
        config_reset(c);
        c->hostname = "rehearsal";
        c->disks[0] = (struct config_disk){WIRE_DISK_IMAGE, WIRE_SERIAL_IMAGE};
        c->disks[1] = (struct config_disk){WIRE_DISK_SCRATCH, WIRE_SERIAL_SCRATCH};
        c->disks[2] = (struct config_disk){WIRE_DISK_VOLUME, WIRE_SERIAL_VOLUME};
        c->n_disks = DISKS;
        c->mounts[c->n_mounts++] = volume;
        c->interfaces[0] = interface;
        c->n_interfaces = CARDS;
        c->nameservers.at[c->nameservers.n++] = "192.0.2.1";
        c->args[c->n_args++] = "/proc/self/exe";
        c->args[c->n_args++] = REHEARSE_ARGUMENT;
}

/* Start the program and wait for its end. */
static int play(struct init *in, struct fail *f)
{
        struct session *s = &in->sessions[0];
        struct launch l = {
                .config = &in->config,
                .args = in->config.args,
                .env = in->config.env,
                .make_workdir = true,
                .cgroup = cgroup_open(),
                .join = -1,
                .own_pid_ns = in->own_pid_ns,
        };
        int status;
        int rc = session_start(s, 0, &l, false, 0, 0);
        if (rc) {
                *f = s->fail;
                return rc;
        }
        if (waitpid(s->pid, &status, 0) != s->pid)
                return fail_set(f, errno, "wait for the program");
        rc = launch_report(s->report, f);
        if (rc < 0)
                return rc;
        return status ? fail_set(f, EIO, "the program ended with status 0x%x", (unsigned)status)
                      : 0;
}

/* The host exchanges the disks: nothing may use them any more. */
static int let_go(unsigned slots, struct fail *f)
{
        static const char *const disks[DISKS] = {"/dev/vda", "/dev/vdb", "/dev/vdc"};
        rootfs_unmount();
        rootfs_files_reset();
        for (size_t i = 0; i < DISKS; i++) {
                int fd = open(disks[i], O_RDONLY | O_EXCL | O_CLOEXEC);
                if (fd < 0)
                        return fail_set(f, errno, "let go of %s", disks[i]);
                close(fd);
        }
        return devices_unbind(slots, f);
}

static int perform(struct init *in, struct fail *f)
{
        struct wire_slots slots = {.mask = 0};
        compose(&in->config);
        (void)wire_slots_of(DISKS, CARDS, 0, &slots); /* they fit */
        int rc = devices_bind(slots.mask, f);
        if (rc == 0)
                rc = net_unshare(WIRE_PLACEHOLDER_MAC_1, f);
        if (rc == 0)
                rc = apply_service(&in->config, f);
        if (rc == 0)
                rc = play(in, f);
        return rc ? rc : let_go(slots.mask, f);
}

static void ended(struct init *in, const struct fail *f)
{
        in->rehearsal = 0;
        in->rehearsal_fail = *f;
        in->tell_rehearsed = true;
        if (f->code)
                sys_say("rehearsal: %s", f->text);
}

void rehearse_start(struct init *in)
{
        struct fail f = {0};
        int report[2];
        if (pipe2(report, O_CLOEXEC | O_NONBLOCK)) {
                (void)fail_set(&f, errno, "create a pipe");
                ended(in, &f);
                return;
        }
        pid_t pid = sys_clone(CLONE_NEWNS | CLONE_NEWUTS, -1);
        if (pid == 0) {
                int rc = perform(in, &f);
                if (rc)
                        (void)!write(report[1], &f, sizeof(f)); /* our status tells it, too */
                _exit(rc ? 1 : 0);
        }
        close(report[1]);
        in->rehearsal_report = report[0];
        in->rehearsal = pid;
        if (pid > 0)
                return;
        (void)fail_set(&f, errno, "start a process");
        close(report[0]);
        ended(in, &f);
}

void rehearse_reaped(struct init *in, pid_t pid, int status)
{
        struct fail f = {0};
        if (pid != in->rehearsal)
                return;
        int rc = launch_report(in->rehearsal_report, &f);
        close(in->rehearsal_report);
        if (rc > 0 && status)
                (void)fail_set(&f, EIO, "it ended with status 0x%x", (unsigned)status);
        else if (rc > 0)
                (void)cgroup_renew(&f);
        ended(in, &f);
}
