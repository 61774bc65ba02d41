/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_SYS_H
#define VMINIT_SYS_H

/*
 * System calls that libc lacks, small files, and the message log. Nothing here knows berth.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vminit/fail.h"

/**
 * Write `text` to the existing file `path` in one write. 0, or -errno.
 */
int sys_write_file(const char *path, const char *text);

/**
 * Create or replace a file with exactly `mode`. 0, or -errno.
 */
int sys_create_file(const char *path, const void *bytes, size_t len, mode_t mode);

/**
 * Read a small file into buf as a string, without the last newline. Length, or -errno. Longer files
 * are cut.
 */
ssize_t sys_read_file(const char *path, char *buf, size_t size);

/**
 * Find "key value" in a text of such lines, as in cgroup files and /proc/meminfo. false: no such
 * line.
 */
bool sys_find_value(const char *text, const char *key, uint64_t *ret_value);

/**
 * Parse a whole decimal number. false: anything else.
 */
bool sys_parse_u64(const char *text, uint64_t *ret_value);

/**
 * CLOCK_MONOTONIC in nanoseconds.
 */
uint64_t sys_now_ns(void);

/**
 * A message of vminit's own to the kernel log, and so to the boot log. Without a newline.
 */
void sys_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Linux calls without a wrapper in every libc; as in their manual pages, -1 with errno. */
int sys_pivot_root(const char *new_root, const char *put_old);
int sys_openat_in_root(int root_fd, const char *path, int flags, mode_t mode);
pid_t sys_clone(uint64_t flags, int cgroup_fd);
int sys_close_range(unsigned first);
int sys_close_range_cloexec(unsigned first);
int sys_capset(uint64_t permitted);

#endif
