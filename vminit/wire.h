/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_WIRE_H
#define VMINIT_WIRE_H

/*
 * The guest channel's frame codec, one implementation for both ends (docs/wire.md has the
 * protocol).
 *
 * Both directions of the virtio-serial port `berth.ctl` carry frames:
 *
 *      0        4      6       8      12            12+length  13+length
 *      +--------+------+-------+------+-------------+----------+
 *      | length | type | flags |  id  |    body     |   0x0a   |    all integers little-endian
 *      +--------+------+-------+------+-------------+----------+
 *
 * flags is 0, id is below 2^31 and says which exec session or request a frame belongs to. A body is
 * either raw (DATA, OUTPUT, FILE_DATA) or a row of TLVs: u16 tag, u16 0, u32 length, bytes;
 * integers in a TLV are always eight bytes, strings carry no NUL. The trailer makes a torn frame
 * visible, see below.
 *
 * Resynchronisation. The host may die and reconnect at any byte of either stream. A connection
 * therefore starts with 16 bytes that cannot occur elsewhere: wire_attach_magic from the host, and
 * from the guest the random nonce the host put into its ATTACH. A reader drops everything before
 * them. The magic's first 15 bytes are >= 0x80 and its last is 0, so no string, no header and no
 * TLV border can contain it; raw bodies are cut by wire_clean_length(). What a dead host left
 * half-sent cannot swallow the start of the magic: a frame completed by bytes of the magic ends in
 * a byte that is not the trailer, and is not consumed.
 *
 * Nothing here allocates, blocks or keeps a pointer past a call, and every function is total on any
 * input. This file knows neither processes nor sockets.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Highest protocol version spoken, and the lowest still understood. */
#define WIRE_VERSION     1
#define WIRE_VERSION_MIN 1

#define WIRE_HEADER    12
#define WIRE_TRAILER   0x0a
#define WIRE_MAGIC_LEN 16

/* Serials of the disks that every service has; those of a machine that waits have them, too. */
#define WIRE_SERIAL_IMAGE   "image"
#define WIRE_SERIAL_SCRATCH "scratch"
/* The first disk of a volume, by which a machine that waits has one; the next are vol1 and so on.
 */
#define WIRE_SERIAL_VOLUME "vol0"

/* Virtio-mmio slots of a VM; slot 0 is that of this channel. */
#define WIRE_SLOTS 8
/* That of the balloon, which only a VM with less than 7 other devices has. */
#define WIRE_SLOT_BALLOON 7

/* Where a VM's devices are: their slots in the order of the configuration, and a bit for each. */
struct wire_slots {
        uint8_t disks[WIRE_SLOTS], interfaces[WIRE_SLOTS], shares[WIRE_SLOTS];
        unsigned mask;
};

/* MACs of the network cards of a machine that waits for a service: they get the service's then. */
#define WIRE_PLACEHOLDER_CARDS 2
#define WIRE_PLACEHOLDER_MAC_1 "02:62:65:72:74:68"
#define WIRE_PLACEHOLDER_MAC_2 "02:62:65:72:74:69"
/* Longest body: one environment string of the kernel's own limit (128 KiB) and some TLV headers. */
#define WIRE_BODY_MAX  (132u << 10)
#define WIRE_FRAME_MAX (WIRE_HEADER + WIRE_BODY_MAX + 1)
#define WIRE_TLV       8
#define WIRE_ID_MAX    0x7fffffffu
/* DATA and OUTPUT start with a fixed part: u8 stream and zeroes; OUTPUT's has the u64 offset behind
 * it. */
#define WIRE_DATA_HEAD   4
#define WIRE_OUTPUT_HEAD 16
/* Bytes of raw content either side puts into one frame; below it frames interleave fairly. */
#define WIRE_CHUNK (16u << 10)
/* What a sender may have outstanding in an exec session before the first CREDIT arrives. */
#define WIRE_STDIN_WINDOW (16u << 10)
#define WIRE_EXEC_WINDOW  (64u << 10)
/* Concurrent exec sessions of one guest. */
#define WIRE_EXEC_MAX 32

/*
 * As the first argument of an exec session: vminit tests a port itself, in the service's place.
 *
 *      PORT_PROBE tcp ADDRESS PORT               exits 0 when the port accepts a connection
 *      PORT_PROBE http ADDRESS PORT PATH STATUS  ... when GET PATH is answered with STATUS; "0":
 *                                                with 200 to 399
 *
 * Otherwise it exits 1, and its output is one line that says what happened.
 */
#define PORT_PROBE "@berth-probe"

extern const uint8_t wire_attach_magic[WIRE_MAGIC_LEN];

/**
 * The slots of so many devices. What a machine that waits has is in the same slots of every VM,
 * whatever else there is: two disks, a card, a third disk, a second card. false: they are too many.
 */
bool wire_slots_of(size_t disks, size_t interfaces, size_t shares, struct wire_slots *ret);

enum wire_type {
        /* host to guest */
        WIRE_ATTACH = 1, /* VERSION, VERSION_MIN, NONCE, OFFSET x2: first frame, after the magic */
        WIRE_CONFIG = 2, /* configuration items (enum wire_config), any number of frames */
        WIRE_FILE_DATA = 3,   /* raw: more content of the last CFG_FILE */
        WIRE_CONFIG_END = 4,  /* apply; answered by CONFIGURED or CONFIG_FAILED */
        WIRE_RUN = 5,         /* start the service; STARTED or START_FAILED, later EXITED */
        WIRE_ACK = 6,         /* STREAM, OFFSET: output below it is safe with the host */
        WIRE_SIGNAL = 7,      /* id 0: service, else exec session; SIGNO */
        WIRE_STOP = 8,        /* SIGNO, GRACE_MS: ask, then kill; ends in EXITED */
        WIRE_POWEROFF = 9,    /* kill, sync, unmount, end the VM */
        WIRE_EXEC = 10,       /* id: new session; enum wire_exec */
        WIRE_EXEC_CLOSE = 11, /* id: kill the session's process group, forget its output */
        WIRE_RESIZE = 12,     /* id, ROWS, COLS */
        WIRE_STATS = 13,      /* id: request; answered by STATS_REPLY */
        WIRE_PING = 14,       /* id: request; answered by PONG */
        WIRE_REHEARSE = 15,   /* play a start, before CONFIG; answered by REHEARSED */
        /* both ways, id: exec session or 0 for the service */
        WIRE_DATA = 32,   /* raw: u8 stream, 3 zeroes, bytes */
        WIRE_EOF = 33,    /* STREAM: no more DATA follows */
        WIRE_CREDIT = 34, /* STREAM, BYTES: the sender may send that many more */
        /* guest to host */
        WIRE_HELLO = 64,         /* answer to ATTACH, after the nonce */
        WIRE_PHASE = 65,         /* NAME, NS */
        WIRE_CONFIGURED = 66,    /* empty */
        WIRE_CONFIG_FAILED = 67, /* ERRNO, TEXT */
        WIRE_STARTED = 68,       /* RUN, PID */
        WIRE_START_FAILED = 69,  /* RUN, ERRNO, CODE (126 or 127), TEXT */
        WIRE_EXITED = 70,        /* RUN, CODE or SIGNO, CORE, OOM */
        WIRE_OUTPUT = 71,        /* raw: u8 stream, 7 zeroes, u64 offset, bytes */
        WIRE_OUTPUT_END =
                72,    /* STREAM, OFFSET: the run closed it, nothing up to OFFSET is missing */
        WIRE_LOG = 73, /* TEXT: a message of vminit's own */
        WIRE_OOM = 74, /* COUNT: the kernel killed a process of the service for memory */
        WIRE_EXEC_STARTED = 75, /* id, PID */
        WIRE_EXEC_EXITED =
                76, /* id, CODE or SIGNO, TEXT when it could not start; ends the session */
        WIRE_STATS_REPLY = 77, /* id, enum wire_stat */
        WIRE_PONG = 78,        /* id, NS */
        WIRE_REHEARSED = 79,   /* ERRNO, TEXT when it failed */
};

/* Fields of all messages that are neither configuration, exec nor stats. */
enum wire_tag {
        WIRE_T_VERSION = 1,
        WIRE_T_VERSION_MIN = 2,
        WIRE_T_NONCE = 3,  /* 16 bytes */
        WIRE_T_STREAM = 4, /* 0 stdin, 1 stdout, 2 stderr */
        WIRE_T_OFFSET = 5, /* of T_STREAM before it */
        WIRE_T_BYTES = 6,
        WIRE_T_SIGNO = 7,
        WIRE_T_GRACE_MS = 8,
        WIRE_T_ROWS = 9,
        WIRE_T_COLS = 10,
        WIRE_T_NAME = 11,
        WIRE_T_NS = 12, /* CLOCK_MONOTONIC of the guest */
        WIRE_T_ERRNO = 13,
        WIRE_T_TEXT = 14,
        WIRE_T_RUN = 15, /* counts RUN requests from 1 */
        WIRE_T_PID = 16, /* as vminit sees it */
        WIRE_T_CODE = 17,
        WIRE_T_CORE = 18,
        WIRE_T_OOM = 19,
        WIRE_T_COUNT = 20,
        WIRE_T_STATE = 21,   /* enum wire_state */
        WIRE_T_BOOT_ID = 22, /* text form, 36 characters */
        WIRE_T_PHASE = 23,   /* nested: NAME, NS */
};

enum wire_state {
        WIRE_S_NEW = 0, /* waits for its configuration */
        WIRE_S_BROKEN =
                1, /* the configuration could not be applied (T_TEXT); only POWEROFF helps */
        WIRE_S_CONFIGURED = 2, /* ready to RUN */
        WIRE_S_STARTING = 3,
        WIRE_S_RUNNING = 4,
        WIRE_S_EXITED = 5,       /* T_CODE or T_SIGNO; RUN starts it again */
        WIRE_S_START_FAILED = 6, /* T_CODE, T_ERRNO, T_TEXT; RUN tries again */
};

/* Items of CONFIG. Lists keep their order. Nested items hold enum wire_item. */
enum wire_config {
        WIRE_C_SEED = 1,     /* 32 bytes for the random pool; must come first */
        WIRE_C_CLOCK_NS = 2, /* CLOCK_REALTIME */
        WIRE_C_HOSTNAME = 3,
        WIRE_C_DOMAINNAME = 4,
        WIRE_C_DISK = 5,      /* nested: ROLE, SERIAL */
        WIRE_C_SHARE = 6,     /* nested: TAG */
        WIRE_C_MOUNT = 7,     /* nested: KIND, PATH, NAME, SUBPATH, FLAGS, SIZE, MODE, UID, GID */
        WIRE_C_FILE = 8,      /* nested: PATH, MODE, UID, GID; FILE_DATA follows */
        WIRE_C_INTERFACE = 9, /* nested: MAC, ADDRESS..., GATEWAY..., MTU */
        WIRE_C_NAMESERVER = 10,
        WIRE_C_SEARCH = 11,
        WIRE_C_RESOLV_OPTION = 12,
        WIRE_C_HOST = 13,  /* one line of /etc/hosts */
        WIRE_C_USER = 14,  /* "name|uid[:group|gid]" */
        WIRE_C_GROUP = 15, /* additional group */
        WIRE_C_ENV = 16,   /* KEY=value */
        WIRE_C_ARG = 17,
        WIRE_C_WORKDIR = 18,
        WIRE_C_RLIMIT = 19, /* nested: RESOURCE, SOFT, HARD */
        WIRE_C_CAPS = 20,   /* bit mask of what root may have; absent: Docker's default set */
        WIRE_C_FLAGS = 21,  /* WIRE_F_* */
        WIRE_C_STOP_SIGNAL = 22,
        WIRE_C_MEMORY_MAX = 23, /* bytes; cgroup memory.max of the service */
        WIRE_C_PIDS_MAX = 24,
        WIRE_C_SHM_SIZE = 25, /* bytes; default 64 MiB */
        WIRE_C_SYSCTL = 26,   /* "net.core.somaxconn=1024" */
        WIRE_C_SWAP_MAX = 27,
        WIRE_C_CPU_WEIGHT = 28,
        WIRE_C_OOM_SCORE_ADJ = 29, /* two's complement in 64 bits */
};

enum wire_item {
        WIRE_I_ROLE = 1, /* enum wire_role */
        WIRE_I_SERIAL = 2,
        WIRE_I_TAG = 3,
        WIRE_I_KIND = 4, /* enum wire_mount */
        WIRE_I_PATH = 5,
        WIRE_I_NAME = 6, /* the disk's serial, the share's tag, the device's name */
        WIRE_I_SUBPATH = 7,
        WIRE_I_FLAGS = 8, /* WIRE_M_* */
        WIRE_I_SIZE = 9,
        WIRE_I_MODE = 10,
        WIRE_I_UID = 11,
        WIRE_I_GID = 12,
        WIRE_I_MAC = 13,     /* aa:bb:cc:dd:ee:ff */
        WIRE_I_ADDRESS = 14, /* 10.1.2.3/24, fd00::3/64 */
        WIRE_I_GATEWAY = 15,
        WIRE_I_MTU = 16,
        WIRE_I_RESOURCE = 17, /* RLIMIT_* of Linux */
        WIRE_I_SOFT = 18,     /* all ones: unlimited */
        WIRE_I_HARD = 19,
};

enum wire_role {
        WIRE_DISK_IMAGE = 1,   /* ext4, read-only: lower side of the root */
        WIRE_DISK_SCRATCH = 2, /* ext4: upper side of the root; without one a tmpfs is used */
        WIRE_DISK_VOLUME = 3,  /* ext4: for mounts */
};

enum wire_mount {
        WIRE_MOUNT_DISK = 1,
        WIRE_MOUNT_SHARE = 2,
        WIRE_MOUNT_TMPFS = 3,
        WIRE_MOUNT_DEVICE = 4, /* NAME: of the kernel's node, "net/tun" or "fuse" */
};

#define WIRE_M_READ_ONLY 1u
#define WIRE_M_SEED      2u /* copy the image's content at PATH when the source directory is empty */
#define WIRE_M_NOEXEC    4u

#define WIRE_F_READ_ONLY    1u /* root file system */
#define WIRE_F_NO_NEW_PRIVS 2u
#define WIRE_F_TTY          4u  /* pty for the service; all its output is stdout */
#define WIRE_F_STDIN        8u  /* DATA with id 0 feeds it; otherwise stdin is /dev/null */
#define WIRE_F_PRIVILEGED   16u /* all capabilities, nothing masked */
#define WIRE_F_INIT         32u /* pid 1 is vminit's (reaper.h), the service its child */

/* Items of EXEC. */
enum wire_exec {
        WIRE_E_ARG = 1,
        WIRE_E_ENV = 2, /* over the service's environment */
        WIRE_E_USER = 3,
        WIRE_E_WORKDIR = 4,
        WIRE_E_TTY = 5,
        WIRE_E_ROWS = 6,
        WIRE_E_COLS = 7,
        WIRE_E_PRIVILEGED = 8,
};

/* Items of STATS_REPLY, eight bytes each; what the guest cannot tell is missing. Apart from enum
 * wire_tag. */
enum wire_stat {
        WIRE_ST_MEMORY_BYTES = 32,
        WIRE_ST_MEMORY_PEAK_BYTES = 33,
        WIRE_ST_MEMORY_FILE_BYTES = 34, /* page cache, part of the first */
        WIRE_ST_CPU_USEC = 35,
        WIRE_ST_PIDS = 36,
        WIRE_ST_OOM_KILLS = 37,
        WIRE_ST_NET_RX_BYTES = 38,
        WIRE_ST_NET_TX_BYTES = 39,
        WIRE_ST_GUEST_MEMORY_BYTES = 40,      /* all the VM has */
        WIRE_ST_GUEST_MEMORY_FREE_BYTES = 41, /* MemAvailable */
        WIRE_ST_INIT_RSS_BYTES = 42,          /* vminit itself */
        WIRE_ST_IO_READ_BYTES = 43,
        WIRE_ST_IO_WRITE_BYTES = 44,
};

/* ---- Writing ---- */

/* A byte buffer frames are appended to; plain data. `data` and `size` are the owner's. */
struct wire_writer {
        uint8_t *data;
        size_t size;
        size_t len;
        size_t frame; /* start of the open frame */
        bool failed;  /* the open frame did not fit; sticky until wire_end */
};

/**
 * Use `data` of `size` bytes for frames; empty.
 */
void wire_writer_init(struct wire_writer *w, uint8_t *data, size_t size);

/**
 * Open a frame. One is open at a time, id at most WIRE_ID_MAX.
 */
void wire_begin(struct wire_writer *w, enum wire_type type, uint32_t id);

/**
 * Close the frame. true: it is whole in the buffer. false: it did not fit or was above
 * WIRE_BODY_MAX, and the buffer is as before wire_begin.
 */
bool wire_end(struct wire_writer *w);

/**
 * Append to the open frame's body: raw bytes, or one TLV. A failure shows at wire_end. `str` ends
 * at its NUL.
 */
void wire_put_raw(struct wire_writer *w, const void *bytes, size_t len);
void wire_put_bytes(struct wire_writer *w, uint16_t tag, const void *bytes, size_t len);
void wire_put_u64(struct wire_writer *w, uint16_t tag, uint64_t value);
void wire_put_str(struct wire_writer *w, uint16_t tag, const char *str);

/**
 * A TLV whose value is TLVs: everything put until wire_nest_end belongs to it.
 * The value of wire_nest goes to wire_nest_end. Depth is the caller's business; the protocol uses
 * one.
 */
size_t wire_nest(struct wire_writer *w, uint16_t tag);
void wire_nest_end(struct wire_writer *w, size_t mark);

/**
 * Whole frames with nothing, one, or a raw head and bytes in them. false: no room, nothing was
 * written.
 */
bool wire_send_empty(struct wire_writer *w, enum wire_type type, uint32_t id);
bool wire_send_data(struct wire_writer *w, uint32_t id, uint8_t stream, const void *bytes,
                    size_t len);
bool wire_send_output(struct wire_writer *w, uint8_t stream, uint64_t offset, const void *bytes,
                      size_t len);
bool wire_send_stream(struct wire_writer *w, enum wire_type type, uint32_t id, uint8_t stream,
                      uint16_t tag, uint64_t value);

/**
 * The preamble of a connection: 16 bytes outside any frame. false: no room.
 */
bool wire_send_magic(struct wire_writer *w, const uint8_t magic[WIRE_MAGIC_LEN]);

/**
 * How many of `len` raw bytes the host may put into one frame so that wire_attach_magic does not
 * occur in it: len, or a length that cuts the first occurrence in two. At least 1 when len is.
 */
size_t wire_clean_length(const uint8_t *bytes, size_t len);

/* ---- Reading ---- */

struct wire_frame {
        uint16_t type;
        uint32_t id;
        const uint8_t *body; /* into the reader's buffer, until the next wire_rx_* call */
        uint32_t len;
        bool fresh; /* the preamble stood before it: a new connection starts with this frame */
};

/**
 * Decode the frame at the start of `buf`. >0: its size in bytes, *ret_frame filled. 0: incomplete.
 * -1: not a frame (length, flags, id or trailer).
 */
long wire_decode(const uint8_t *buf, size_t len, struct wire_frame *ret_frame);

/*
 * Stream reader over one linear buffer. Bytes are put at wire_rx_space(), frames taken by
 * wire_rx_next().
 *
 *      LOST --preamble--> SYNCED --bad frame--> LOST
 *
 * With `rescan` (guest) a preamble anywhere starts a new connection; without (host) only the first
 * counts, so that a guest cannot make the host start over.
 */
struct wire_rx {
        uint8_t *data;
        size_t size;
        size_t start; /* consumed */
        size_t end;   /* filled */
        size_t scanned;
        uint8_t magic[WIRE_MAGIC_LEN];
        bool rescan;
        bool synced;
        bool fresh;
};

/**
 * Start LOST, looking for `magic`. size: at least WIRE_FRAME_MAX + WIRE_MAGIC_LEN.
 */
void wire_rx_init(struct wire_rx *rx, uint8_t *data, size_t size,
                  const uint8_t magic[WIRE_MAGIC_LEN], bool rescan);

/**
 * Where to put received bytes: *ret_room is at least 1 once wire_rx_next has returned 0.
 */
uint8_t *wire_rx_space(struct wire_rx *rx, size_t *ret_room);

/**
 * `len` bytes were put at wire_rx_space(). At most its room.
 */
void wire_rx_fill(struct wire_rx *rx, size_t len);

/**
 * Take the next frame. 1: *ret_frame filled. 0: more bytes are needed. -1: the stream broke and rx
 * is LOST; call again, it searches for a preamble.
 */
int wire_rx_next(struct wire_rx *rx, struct wire_frame *ret_frame);

struct wire_tlv {
        uint16_t tag;
        const uint8_t *value;
        uint32_t len;
};

/* Walks the TLVs of a body; plain data. */
struct wire_reader {
        const uint8_t *at;
        size_t left;
        bool bad; /* what was left was not a TLV */
};

/**
 * Walk `len` bytes of TLVs: a frame's body or a nested value.
 */
struct wire_reader wire_read(const uint8_t *bytes, size_t len);

/**
 * The next TLV. false: at the end, or reader->bad.
 */
bool wire_next(struct wire_reader *r, struct wire_tlv *ret_tlv);

/**
 * The value as an integer. false: it has not eight bytes; *ret_value is untouched.
 */
bool wire_u64(const struct wire_tlv *tlv, uint64_t *ret_value);

/**
 * The value as a C string in `buf`. false: it has a NUL in it or size is too small; buf is "" then.
 */
bool wire_str(const struct wire_tlv *tlv, char *buf, size_t size);

/**
 * Little-endian access for the fixed parts of raw bodies.
 */
uint64_t wire_get64(const uint8_t *p);
uint32_t wire_get32(const uint8_t *p);

#endif
