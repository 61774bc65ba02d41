/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One QEMU process. It outlives the daemon and is adopted again; what it needs is passed by
 * descriptor, so it runs with -sandbox fully on and has no network and no paths of its own.
 *
 *   DIR/vm.json       pid, start time, accelerator, memory, CPUs, when it started
 *   DIR/qmp.sock      QMP, served by QEMU
 *   DIR/guest.sock    the guest channel (virtio-serial port berth.ctl), served by QEMU; see guest.h
 *   DIR/console.log   what the guest kernel and vminit print, bounded
 *
 * QEMU ends itself when the guest resets (-no-reboot); a guest that powers off or panics is ended
 * by the daemon or found ended by the next one: its reason is not lost.
 *
 *   STARTING --QMP ready--> UP --vm_kill/exit--> GONE
 *
 * With a template at hand (template.h) it is a clone of that, and RESTORING before it is UP. Until
 * its owner said vm_confirm() a clone that ends or keeps silent is replaced by a cold boot in the
 * same folder; only vm_birth() tells the difference. One that waited in the pool (pool.h) runs
 * already and is CLAIMED, given its disks, before it is UP; if that fails a clone takes its place,
 * as it does when the owner says vm_replace().
 */
#ifndef VZ_VM_H
#define VZ_VM_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/spawn.h"

enum vm_accel { ACCEL_TCG, ACCEL_KVM };

#define VM_DISKS_MAX   6
#define VM_NICS_MAX    4
#define VM_SHARES_MAX  4
#define VM_DEVICES_MAX 7 /* of all three: eight virtio-mmio slots, one is berth's channel */
#define VM_MEMORY_MIN  (INT64_C(64) << 20)

struct vm_disk {
        int fd; /* of the image file, borrowed; opened read-only or read-write */
        bool read_only;
        const char
                *serial; /* names the disk to the guest: "root", "scratch", "vol0", <= 20 bytes */
        bool transient;  /* nobody reads it after the VM's end: nothing waits for the host's disk */
};

struct vm_nic {
        int tap_fd; /* borrowed; IFF_TAP | IFF_NO_PI | IFF_VNET_HDR */
        uint8_t mac[6];
};

struct vm_share {
        const char *tag;  /* 9p mount tag */
        const char *path; /* host folder */
        bool read_only;
};

struct templates;
struct pool_member;

struct vm_spec {
        const char *id;     /* for the process title: -name */
        const char *dir;    /* exists; its path is shorter than 90 bytes */
        const char *qemu;   /* program; NULL: qemu-system-x86_64 */
        const char *kernel; /* PVH vmlinux */
        const char *initrd;
        enum vm_accel accel;
        int64_t memory_bytes; /* rounded up to 2 MiB; at least VM_MEMORY_MIN */
        unsigned cpus;        /* 1..64 */
        struct vm_disk disks[VM_DISKS_MAX];
        size_t disks_len;
        struct vm_nic nics[VM_NICS_MAX];
        size_t nics_len;
        struct vm_share shares[VM_SHARES_MAX];
        size_t shares_len;
        const struct spawn_bind *binds; /* what QEMU alone sees, in the shares */
        size_t binds_len;
        struct templates *templates; /* outlives the VM's start; NULL: always a cold boot */
        /* A machine that waits (pool.h), taken in any case; NULL: none. Then the taps of nics are
         * its own. */
        struct pool_member *member;
        const char *reason; /* why there is no member, for vm_birth_reason(); NULL: no wish */
        bool background;    /* nobody waits for it until vm_hurry() */
};

/* How a VM came to life; each falls back to the one before. */
enum vm_birth { VM_BOOT, VM_CLONE, VM_POOL };

enum vm_end {
        VM_END_POWEROFF, /* the guest powered off or reset: asked for */
        VM_END_PANIC,    /* guest kernel panic */
        VM_END_KILLED,   /* QEMU died of a signal or error: message says */
};

struct vm;

struct vm_events {
        void (*on_up)(struct vm *vm, void *ctx); /* QMP answers; for phases only */
        /* The process is gone, its descriptors closed. Called once; free the vm (deferred inside).
         */
        void (*on_end)(struct vm *vm, enum vm_end end, const char *message, void *ctx);
        void *ctx;
};

/**
 * Start QEMU. EINVAL: a spec that no machine can have (too many devices: says how many fit), other
 * codes: the process could not be started. Descriptors stay the caller's.
 */
int vm_start(struct ev_loop *loop, const struct vm_spec *spec, const struct vm_events *events,
             struct vm **ret_vm, struct err *err);

/** Take over the QEMU described in dir/vm.json. ESRCH: it is gone (its reason, if known, in err).
 */
int vm_adopt(struct ev_loop *loop, const char *dir, const struct vm_events *events,
             struct vm **ret_vm, struct err *err);

/** Kill QEMU at once; on_end tells when it is gone. */
void vm_kill(struct vm *vm);

/** Let go without touching QEMU (the daemon ends), or after on_end. NULL is fine. */
void vm_free(struct vm *vm);
AUTO_TYPE(vm)

/**
 * The guest works, and is about to do what cannot be done twice: nothing takes its place any more.
 * false: something does already, and it must not; the guest of that says hello.
 */
bool vm_confirm(struct vm *vm);

/**
 * Before vm_confirm(): end QEMU, and start what comes next, with tap_fds for its cards and
 * scratch_fd for its transient disk (all borrowed); vm_birth_reason() has why. <0: nothing can
 * come; err is why.
 */
int vm_replace(struct vm *vm, const int *tap_fds, int scratch_fd, const char *why, struct err *err);

/** One that was started in the background counts as others do. */
void vm_hurry(struct vm *vm);

/** QMP answers, and a claimed machine has its disks: the guest may be configured. */
bool vm_is_up(const struct vm *vm);

/** As it is now; final after vm_confirm(). */
enum vm_birth vm_birth(const struct vm *vm);

/** Why it is no better than that; "" when there was no wish. Borrowed, the VM's. */
const char *vm_birth_reason(const struct vm *vm);

/** "boot", "clone" or "pool". */
const char *vm_birth_name(enum vm_birth birth);

/** What is known of a VM: QEMU's pid, its accelerator, its folder (borrowed). */
pid_t vm_pid(const struct vm *vm);
enum vm_accel vm_accel(const struct vm *vm);
const char *vm_dir(const struct vm *vm);

/**
 * Whether a tap that a process holds has been removed (from /proc/PID/fdinfo, where the kernel
 * names the device of each tap): its network card is dead. false for a process that is gone.
 */
bool vm_tap_lost(pid_t pid);

/** CLOCK_MONOTONIC of the host when QEMU was spawned, and when QMP answered (0: not yet). */
int64_t vm_spawned_ns(const struct vm *vm);
int64_t vm_up_ns(const struct vm *vm);

/** Name for display: "tcg", "kvm". */
const char *vm_accel_name(enum vm_accel accel);

#endif
