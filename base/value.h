/* SPDX-License-Identifier: Apache-2.0 */
/* Values as people write them: durations, byte sizes, names, IPv4 addresses and prefixes. */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define VALUE_DURATION_MAX 32 /* bytes that value_duration_text() may write */
#define VALUE_IP4_MAX      sizeof("255.255.255.255/32")

/**
 * A duration of the Compose Specification: decimal numbers with units w d h m s ms us ns, largest
 * first not required, no spaces: "1h30m", "1.5s", "0". Milliseconds, rounded down.
 * EINVAL names the text and what is allowed.
 */
int value_duration_ms(const char *text, int64_t *ret_ms, struct err *err);

/** The shortest exact text: 90000 -> "1m30s", 0 -> "0s". ret: VALUE_DURATION_MAX bytes. */
void value_duration_text(int64_t ms, char *ret);

/**
 * A byte size of the Compose Specification: number, optional fraction, optional unit b k kb kib m
 * mb g gb t tb p pb (any case), always in powers of 1024.
 */
int value_bytes(const char *text, int64_t *ret_bytes, struct err *err);

/** Whether s is a name as Compose gives them to services, networks and so on, and one safe
 * component of a path: [a-zA-Z0-9_][a-zA-Z0-9_.-]*, <= 128 bytes. */
bool value_name_valid(const char *s);

/** Whether s can name a stack: [a-z0-9][a-z0-9_-]*, <= 63 bytes. */
bool value_stack_name_valid(const char *s);

/** Whether s is a host name, perhaps with points: labels of [a-zA-Z0-9_-], <= 63 bytes each and 253
 *  in all, none empty. */
bool value_host_name_valid(const char *s);

/** Dotted IPv4 to host byte order; EINVAL otherwise. */
int value_ip4(const char *text, uint32_t *ret, struct err *err);

#define VALUE_IP6_BYTES 16
#define VALUE_IP6_MAX   46

/** IPv6 text to bytes; EINVAL otherwise. */
int value_ip6(const char *text, uint8_t ret[VALUE_IP6_BYTES], struct err *err);

/** Its canonical text; ret: VALUE_IP6_MAX bytes. */
void value_ip6_text(const uint8_t ip[VALUE_IP6_BYTES], char *ret);

/** Host byte order to dotted text; ret: VALUE_IP4_MAX bytes. */
void value_ip4_text(uint32_t ip, char *ret);

#define VALUE_MAC_BYTES 6
#define VALUE_MAC_MAX   18

/** "02:42:ac:11:65:43", also with - between the bytes, or "0242.ac11.6543"; EINVAL otherwise. */
int value_mac(const char *text, uint8_t ret[VALUE_MAC_BYTES], struct err *err);

/** Its usual text, in lower case with colons; ret: VALUE_MAC_MAX bytes. */
void value_mac_text(const uint8_t mac[VALUE_MAC_BYTES], char *ret);

/** "a.b.c.d/n": network address (host bits cleared) and prefix length 0..32. */
int value_cidr4(const char *text, uint32_t *ret_ip, unsigned *ret_bits, struct err *err);

/** A whole decimal number within min..max, nothing before or behind it. */
int value_int(const char *text, int64_t min, int64_t max, int64_t *ret, struct err *err);

#endif
