/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that waits becomes that of a service. Its guest runs and has no driver on its disks, so
 * what is behind them can be exchanged: three commands a disk, sent at once.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "vz/qmp.h"
#include "vz/spec.h"
#include "vz/vm_impl.h"

/* Of the sets of the command line the numbers are the descriptors', which are lower. */
#define FDSET_FIRST 40

static void answered(struct vm *vm, const json_t *value, const struct err *err)
{
        if (vm->step != VM_CLAIMED)
                return;
        if (!value)
                vm_kill_because(vm, "its disks could not be exchanged: %.110s", err->msg);
        else if (--vm->swaps == 0)
                vm_happen(vm, VM_SWAPPED);
}

static void on_swap_answer(void *ctx, const json_t *value, const struct err *err)
{
        answered(ctx, value, err);
}

/* The node as on the command line (machine.c). */
static json_t *describe_node(const char *node, int fdset, const struct vm_disk *disk)
{
        AUTO_FREE char *path = xasprintf("/dev/fdset/%d", fdset);
        json_t *j = json_object(), *file = json_object(), *cache = json_object();

        json_set_str(file, "driver", "file");
        json_set_str(file, "filename", path);
        json_set_str(file, "locking", "off");
        json_set_str(j, "driver", "raw");
        json_set_str(j, "node-name", node);
        json_set_bool(j, "read-only", disk->read_only);
        if (!disk->read_only) {
                json_set_str(j, "discard", "unmap");
                json_set_str(j, "detect-zeroes", "unmap");
        }
        json_set_bool(cache, "no-flush", disk->transient);
        json_object_set_new(j, "cache", cache);
        json_object_set_new(j, "file", file);
        return j;
}

static int swap_disk(struct vm *vm, size_t i, const struct vm_disk *disk, struct err *err)
{
        AUTO_FREE char *node = xasprintf("claimed%zu", i);
        AUTO_FREE char *device = xasprintf("/machine/peripheral/blk%zu", i);
        int fdset = FDSET_FIRST + (int)i, r;
        json_t *add = json_object(), *set = json_object();

        json_set_int(add, "fdset-id", fdset);
        r = qmp_execute_fd(vm->qmp, "add-fd", add, disk->fd, VM_COMMAND_MS, on_swap_answer, vm,
                           err);
        if (r == 0)
                r = qmp_execute(vm->qmp, "blockdev-add", describe_node(node, fdset, disk),
                                VM_COMMAND_MS, on_swap_answer, vm, err);
        json_set_str(set, "path", device);
        json_set_str(set, "property", "drive");
        json_set_str(set, "value", node);
        if (r == 0)
                r = qmp_execute(vm->qmp, "qom-set", set, VM_COMMAND_MS, on_swap_answer, vm, err);
        else
                json_decref(set);
        if (r == 0)
                vm->swaps += 3;
        return r;
}

int vm_claim(struct vm *vm, const struct vm_spec *spec, const struct vm_events *events,
             struct err *err)
{
        struct vm_spec *again = NULL;
        int r = 0;

        if (vm->step != VM_UP || !vm->qmp)
                return err_set(err, EPIPE, "QEMU hung up");
        if (rename(vm->dir, spec->dir) < 0) /* onto an empty folder, or none */
                return err_errno(err, errno, "move %s to %s", vm->dir, spec->dir);
        vm_set_dir(vm, spec->dir);
        for (size_t i = 0; r == 0 && i < spec->disks_len; i++)
                r = swap_disk(vm, i, &spec->disks[i], err);
        if (r == 0)
                r = spec_copy(spec, &again, err);
        if (r < 0)
                return r;
        vm->process.spawned_ns = clock_mono_ns(); /* the service's start, not the machine's */
        vm->again = again;
        vm->events = *events;
        vm->step = VM_CLAIMED;
        ev_timer_start(vm->loop, &vm->doubt);
        process_hurry(vm->process.pid);
        leash_let_go(&vm->leash);
        return 0;
}
