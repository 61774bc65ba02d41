/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VZ_GUEST_H
#define VZ_GUEST_H

/*
 * The host's end of the guest channel: one `struct guest` speaks with the vminit of one VM over the
 * unix socket behind its virtio-serial port (docs/wire.md).
 *
 *      guest_connect ──▶ CONNECTING ──guest's HELLO──▶ LIVE ──socket gone, protocol broken──▶ LOST
 *                                                                                    on_lost, then
 * guest_free
 *
 * The guest keeps the truth, this object is only a conversation: a daemon that lost its memory
 * connects again and learns from on_hello what the service is doing. Output has an absolute byte
 * offset per stream for the whole life of the VM. The guest holds what was not acknowledged (64 KiB
 * a stream) and stops reading from the service when that is full, so: persist, then guest_ack().
 *
 * Normal course:   guest_connect -> on_hello (WIRE_S_NEW) -> guest_configure -> on_configured
 *                  -> guest_run -> on_started -> on_output... -> on_exited, and on_output_end twice
 *                  -> guest_run again, or guest_poweroff and wait for QEMU to end
 *
 * Everything the guest sends is hostile input: lengths are bounded, strings have no control
 * characters left in them, numbers are checked, and at the first violation the conversation ends
 * with on_lost. Nothing is promised about the truth of what a guest says.
 *
 * All calls are non-blocking. Callbacks come from the loop, never from inside a guest_* call, and
 * may call any guest_* function including guest_free. This module knows neither QEMU nor manifests.
 */

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vminit/wire.h"

/* ------------------------------------------------------------------------------------------------
 * Configuration: plain data, everything borrowed for the time of guest_configure(). Pointers may be
 * NULL and counts 0 where a comment gives a default.
 */

/* A virtio-blk disk, recognised in the guest by its `serial=` (at most 20 characters). */
struct guest_disk {
        enum wire_role role; /* image (one, required), scratch (at most one), volume */
        const char *serial;
};

/* What appears at `path` in the service's file system. Order does not matter: parents are mounted
 * first. */
struct guest_mount {
        enum wire_mount kind;
        const char *path;    /* absolute, in the service; created if missing */
        const char *name;    /* disk: its serial; share: the 9p mount tag; tmpfs: NULL; device:
                                "net/tun" or "fuse" */
        const char *subpath; /* folder or file inside the source, or NULL. A file is bound onto a
                                file */
        unsigned flags;      /* WIRE_M_READ_ONLY, WIRE_M_SEED, WIRE_M_NOEXEC */
        uint64_t size;       /* tmpfs, bytes; 0: half of the memory */
        unsigned mode;       /* tmpfs; 0: 01777 */
        uint32_t uid, gid;   /* tmpfs */
};

/* A configuration or secret: lives in guest memory only, bound read-only at path. */
struct guest_file {
        const char *path; /* absolute */
        unsigned mode;    /* permission bits, taken as they are */
        uint32_t uid, gid;
        const void *content;
        size_t content_size; /* at most GUEST_FILE_MAX */
};

#define GUEST_FILE_MAX      (4u << 20)
#define GUEST_ADDRESSES_MAX 4

struct guest_interface {
        const char *mac; /* aa:bb:cc:dd:ee:ff; becomes eth0, eth1... in order */
        const char *addresses[GUEST_ADDRESSES_MAX]; /* "10.88.0.5/24", "fd00::5/64"; NULL ends */
        const char *gateways[GUEST_ADDRESSES_MAX];  /* default routes; NULL: none. At most one a
                                                       family */
        unsigned mtu;                               /* 0: leave it */
};

struct guest_rlimit {
        int resource;        /* RLIMIT_NOFILE ... */
        uint64_t soft, hard; /* UINT64_MAX: unlimited */
};

struct guest_config {
        uint8_t seed[32];  /* random, fresh for every boot and every restored clone */
        uint64_t clock_ns; /* CLOCK_REALTIME; 0: guest_configure takes it from the host's clock */
        const char *hostname;   /* required */
        const char *domainname; /* NULL: none */

        const struct guest_disk *disks;
        size_t n_disks;
        const char *const *shares; /* 9p mount tags */
        size_t n_shares;
        const struct guest_mount *mounts;
        size_t n_mounts;
        const struct guest_file *files;
        size_t n_files;
        uint64_t shm_size; /* bytes of /dev/shm; 0: 64 MiB */

        const struct guest_interface *interfaces;
        size_t n_interfaces;
        const char *const *nameservers; /* resolv.conf; none of the three: an empty file */
        size_t n_nameservers;
        const char *const *search;
        size_t n_search;
        const char *const *resolv_options;
        size_t n_resolv_options;
        const char *const *hosts; /* more lines for /etc/hosts: "10.88.0.9 api" */
        size_t n_hosts;
        const char *const *sysctls; /* "net.core.somaxconn=1024" */
        size_t n_sysctls;

        const char *user; /* "name|uid[:group|gid]", looked up in the image; NULL or "": root */
        const char *const *groups; /* additional groups, names or numbers */
        size_t n_groups;
        const char *const
                *env; /* KEY=value; PATH, HOME, HOSTNAME (and TERM with tty) are added if missing */
        size_t n_env;
        const char *const
                *argv; /* at least one; argv[0] is looked up in env's PATH inside the image */
        size_t n_argv;
        const char *workdir; /* absolute, created if missing; NULL: / */

        const struct guest_rlimit *rlimits;
        size_t n_rlimits;
        bool caps_set;   /* false: Docker's default capabilities */
        uint64_t caps;   /* bit n: capability n; bounding set, and what root has */
        bool privileged; /* all capabilities, /proc and /sys writable */
        bool no_new_privs;
        bool init;       /* pid 1 passes signals on and buries zombies; argv is its child */
        bool read_only;  /* root file system; mounts keep their own flag */
        bool tty;        /* a pty: all output is stdout, stdin is open */
        bool stdin_open; /* guest_exec_write(0) feeds the service; otherwise it reads /dev/null */
        int stop_signal; /* 0: SIGTERM. Used when guest_stop gets 0 */
        uint64_t memory_max; /* bytes, of the service; 0: no limit but the VM's memory */
        uint64_t pids_max;   /* 0: no limit */
        unsigned cpu_weight; /* cgroup cpu.weight; 0: default */
        int oom_score_adj;
};

/* Linux capability numbers 0,1,3,4,5,6,7,8,10,13,18,27,29,31: what Docker gives by default. */
#define GUEST_CAPS_DOCKER 0xa80425fbull

/* ------------------------------------------------------------------------------------------------
 * What the guest tells
 */

enum guest_stream {
        GUEST_STDIN = 0,
        GUEST_STDOUT = 1,
        GUEST_STDERR = 2,
};

/* How a process ended. */
struct guest_exit {
        int code;   /* 0-255; 128+signal when a signal ended it; 126/127 when it did not start */
        int signal; /* or 0 */
        bool core;
        bool oom;          /* the kernel killed for memory during this run */
        bool start_failed; /* text says why; code is 126 (not executable) or 127 (not found) or 125
                              (setup) */
        const char *text;  /* "" or one line for people, e.g. exec: "redis": executable file not
                              found in $PATH */
};

#define GUEST_PHASES_MAX 16

struct guest_phase {
        char name[24];     /* "vminit", "configured", "exec", ... */
        uint64_t guest_ns; /* CLOCK_MONOTONIC of the guest: 0 is about the kernel's first
                              instruction */
};

/* State of the guest when the conversation starts. */
struct guest_hello {
        unsigned version;
        char boot_id[40]; /* "" before the guest is configured: see guest_boot_id() */
        enum wire_state state;
        uint64_t run;           /* RUN requests the guest has seen; 0: none */
        int pid;                /* main process as vminit sees it, when running */
        struct guest_exit exit; /* when WIRE_S_EXITED, WIRE_S_START_FAILED, WIRE_S_BROKEN (text) */
        struct guest_phase phases[GUEST_PHASES_MAX];
        size_t n_phases;
};

struct guest_stats {
        uint64_t memory_bytes, memory_peak_bytes, memory_file_bytes;
        uint64_t cpu_usec, pids, oom_kills;
        uint64_t net_rx_bytes, net_tx_bytes;
        uint64_t io_read_bytes, io_write_bytes;
        uint64_t guest_memory_bytes, guest_memory_free_bytes; /* the whole VM */
        uint64_t init_rss_bytes;                              /* vminit */
};

struct guest;

/*
 * Told from the loop; `arg` is guest_connect's. Any may be NULL except on_lost. Pointers are
 * borrowed for the call. After on_lost nothing more is told; exec sessions have had their
 * on_exec_exited before it.
 */
struct guest_callbacks {
        /* The conversation is live; first callback of all. */
        void (*on_hello)(void *arg, const struct guest_hello *hello);
        void (*on_phase)(void *arg, const struct guest_phase *phase);
        /* guest_configure is done. text: NULL on success, else what failed (the VM is of no more
         * use). */
        void (*on_configured)(void *arg, const char *text);
        void (*on_started)(void *arg, uint64_t run, int pid);
        /* The run ended, or did not start (exit->start_failed). Output may still follow. */
        void (*on_exited)(void *arg, uint64_t run, const struct guest_exit *exit);
        /* Output in order, without gaps or doubles. The host owns it after guest_ack. */
        void (*on_output)(void *arg, enum guest_stream stream, uint64_t offset, const void *bytes,
                          size_t len);
        /* The run closed this stream, and all it wrote was given to on_output. Comes once a run and
         * stream, mostly before on_exited, but after it when the host was slow to acknowledge. */
        void (*on_output_end)(void *arg, enum guest_stream stream, uint64_t offset);
        void (*on_oom)(void *arg, uint64_t count);
        void (*on_log)(void *arg, const char *text);
        void (*on_stats)(void *arg, const struct guest_stats *stats);
        void (*on_pong)(void *arg);
        /* guest_rehearse is done. text: NULL on success, else what failed. */
        void (*on_rehearsed)(void *arg, const char *text);

        /* Exec sessions; `exec` is what guest_exec_open got as its arg. */
        void (*on_exec_started)(void *arg, void *exec);
        void (*on_exec_output)(void *arg, void *exec, enum guest_stream stream, const void *bytes,
                               size_t len);
        /* guest_exec_write would take more now, after it had taken less than offered. */
        void (*on_exec_writable)(void *arg, void *exec);
        /* Last word on the session, after all of its output; its id is invalid from here on. */
        void (*on_exec_exited)(void *arg, void *exec, const struct guest_exit *exit);

        /* The conversation ended; err says why (EPROTO: the guest broke the protocol). Call
         * guest_free, now or later; connect again if QEMU still lives. */
        void (*on_lost)(void *arg, const struct err *err);
};

/* ------------------------------------------------------------------------------------------------
 * The conversation
 */

/**
 * Connect to the unix socket `path` of a VM's guest channel and say hello. The guest may still be
 * booting: the socket keeps what we say until it listens. loop, cb: borrowed until guest_free.
 * stdout_from, stderr_from: next byte wanted, i.e. one past the last one persisted (0 for a new
 * VM). The guest clips them to what it still has; on_output tells the real offset. 0: *ret_guest is
 * the caller's, on_hello or on_lost follows. <0: err set.
 */
int guest_connect(struct ev_loop *loop, const char *path, uint64_t stdout_from,
                  uint64_t stderr_from, const struct guest_callbacks *cb, void *arg,
                  struct guest **ret_guest, struct err *err);

/**
 * As guest_connect, on a stream socket that is already connected (fd: taken, also on failure).
 */
int guest_attach_fd(struct ev_loop *loop, int fd, uint64_t stdout_from, uint64_t stderr_from,
                    const struct guest_callbacks *cb, void *arg, struct guest **ret_guest,
                    struct err *err);

/**
 * Hang up. No callback comes from here on. The service goes on; its exec sessions are killed by the
 * guest when the next host attaches. guest: may be NULL.
 */
void guest_free(struct guest *guest);

/**
 * true between on_hello and on_lost. All calls below need it; otherwise they fail with ENOTCONN.
 */
bool guest_is_live(const struct guest *guest);

/**
 * The guest kernel's boot id, as it says; "" before on_configured or a hello that comes later. It
 * is made after the seed: before that all clones of a template are alike.
 */
const char *guest_boot_id(const struct guest *guest);

/**
 * Configure the guest; once per VM, state WIRE_S_NEW. on_configured answers.
 * 0: sent. <0: err set (EINVAL names the item that is missing or too long), nothing was sent.
 */
int guest_configure(struct guest *guest, const struct guest_config *config, struct err *err);

/**
 * Start the service, or start it again after its end; allowed as soon as guest_configure was
 * called, so a fresh VM takes both in one go. on_started or on_exited answers.
 */
int guest_run(struct guest *guest, struct err *err);

/**
 * Output of `stream` below `offset` is persisted; the guest may forget it. Once per persisted piece
 * is fine.
 */
void guest_ack(struct guest *guest, enum guest_stream stream, uint64_t offset);

/**
 * Send a signal to the service's main process. Nothing happens when it does not run.
 */
int guest_signal(struct guest *guest, int signo, struct err *err);

/**
 * Stop the service: signo (0: the configured stop signal), after grace_ms SIGKILL to all of it. The
 * guest kills at once when the main process neither handles nor blocks signo, since waiting would
 * be in vain. on_exited answers; without a running service it does so at once with the state it
 * has, when there is one.
 */
int guest_stop(struct guest *guest, int signo, unsigned grace_ms, struct err *err);

/**
 * Kill everything, sync, unmount, end the VM. QEMU's end is the answer; on_lost comes about the
 * same time.
 */
int guest_poweroff(struct guest *guest, struct err *err);

/**
 * Ask for statistics / for a sign of life. on_stats / on_pong answer.
 */
int guest_stats(struct guest *guest, struct err *err);
int guest_ping(struct guest *guest, struct err *err);

/**
 * Have a guest that is not configured play a start of a service with its placeholder disks and card
 * (vminit/rehearse.h). on_rehearsed answers; the guest is as new then.
 */
int guest_rehearse(struct guest *guest, struct err *err);

/* ---- Exec sessions ---- */

struct guest_exec {
        const char *const *argv;
        size_t n_argv;
        const char *const *env; /* KEY=value over the service's environment */
        size_t n_env;
        const char *user;    /* NULL: the service's */
        const char *workdir; /* NULL: the service's */
        bool tty;            /* a pty: all output is GUEST_STDOUT */
        unsigned rows, cols; /* 0: 24 x 80 */
        bool privileged;
        bool no_stdin; /* stdin is at its end from the start */
};

/**
 * Run a command beside the service, in its namespaces. arg: handed to the on_exec_* callbacks.
 * >0: session id. <0: err set (EAGAIN: WIRE_EXEC_MAX sessions are open). That the service does not
 * run or the program does not exist is told by on_exec_exited.
 */
int guest_exec_open(struct guest *guest, const struct guest_exec *exec, void *arg, struct err *err);

/**
 * Give bytes to a session's stdin (id 0: the service's). Returns how many were taken, 0 to len: the
 * rest is the caller's to offer again at on_exec_writable (exec is NULL for id 0). An unknown or
 * ended id takes all bytes and drops them, as a closed pipe would.
 */
size_t guest_exec_write(struct guest *guest, int id, const void *bytes, size_t len);

/**
 * No more stdin after what guest_exec_write took. On a pty this is a ^D, and more may follow.
 */
void guest_exec_eof(struct guest *guest, int id);

/**
 * The caller is done with `len` bytes of on_exec_output: the guest may send that many more. A
 * session that gets no credit back stops after WIRE_EXEC_WINDOW bytes a stream and disturbs nobody
 * else.
 */
void guest_exec_credit(struct guest *guest, int id, enum guest_stream stream, size_t len);

/**
 * New window size of a session with a pty (id 0: the service's).
 */
void guest_exec_resize(struct guest *guest, int id, unsigned rows, unsigned cols);

/**
 * Signal the session's process. / Kill its process group and be done: on_exec_exited still comes.
 */
void guest_exec_signal(struct guest *guest, int id, int signo);
void guest_exec_close(struct guest *guest, int id);

#endif
