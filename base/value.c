/* SPDX-License-Identifier: Apache-2.0 */
#include "base/value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/mem.h"

/* Longest duration: 100 years; larger values are typing errors and would overflow sums. */
#define DURATION_LIMIT_MS (INT64_C(100) * 365 * 24 * 3600 * 1000)

static const struct {
        const char *name;
        double ms;
} duration_units[] = {
        {"ms", 1},      {"us", 1e-3},  {"ns", 1e-6}, {"w", 604800e3},
        {"d", 86400e3}, {"h", 3600e3}, {"m", 60e3},  {"s", 1e3},
};

/* Digits with an optional fraction; NULL when there are none. strtod alone takes "inf" and "0x1".
 */
static const char *parse_decimal(const char *p, double *ret)
{
        size_t whole = strspn(p, "0123456789");
        size_t all = whole;

        if (p[whole] == '.')
                all += 1 + strspn(p + whole + 1, "0123456789");
        if (whole == 0 || p[all - 1] == '.' || all > 20)
                return NULL;
        *ret = strtod(p, NULL);
        return p + all;
}

static const char *parse_duration_part(const char *p, double *total_ms)
{
        double number = 0;

        p = parse_decimal(p, &number);
        if (!p)
                return NULL;
        for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++)
                if (has_prefix(p, duration_units[i].name)) {
                        *total_ms += number * duration_units[i].ms;
                        return p + strlen(duration_units[i].name);
                }
        return NULL;
}

int value_duration_ms(const char *text, int64_t *ret_ms, struct err *err)
{
        const char *p = text;
        double total = 0;

        if (streq(text, "0")) {
                *ret_ms = 0;
                return 0;
        }
        do {
                p = parse_duration_part(p, &total);
        } while (p && *p);
        if (!p)
                return err_set(err, EINVAL,
                               "'%.64s' is not a duration; write a number and a unit, such as "
                               "500ms, 30s or 1m30s",
                               text);
        if (total > (double)DURATION_LIMIT_MS)
                return err_set(err, ERANGE, "'%.64s' is longer than 100 years", text);
        *ret_ms = (int64_t)(total + 1e-6);
        return 0;
}

void value_duration_text(int64_t ms, char *ret)
{
        static const struct {
                const char *name;
                int64_t ms;
        } units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

        size_t used = 0;

        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
                if (ms >= units[i].ms) {
                        used += (size_t)snprintf(ret + used, VALUE_DURATION_MAX - used, "%lld%s",
                                                 (long long)(ms / units[i].ms), units[i].name);
                        ms %= units[i].ms;
                }
        if (used == 0)
                (void)snprintf(ret, VALUE_DURATION_MAX, "0s"); /* fits */
}

int value_bytes(const char *text, int64_t *ret_bytes, struct err *err)
{
        static const char units[] = "bkmgtp";
        const char *p, *unit;
        double number = 0;

        p = parse_decimal(text, &number);
        if (p && *p == ' ')
                p++;
        if (p && *p) {
                unit = strchr(units, tolower((unsigned char)*p));
                if (!unit || (strcasecmp(p + 1, "") != 0 && strcasecmp(p + 1, "b") != 0 &&
                              strcasecmp(p + 1, "ib") != 0))
                        p = NULL;
                else
                        number = ldexp(number, 10 * (int)(unit - units));
        }
        if (!p)
                return err_set(err, EINVAL,
                               "'%.64s' is not a size; write a number and a unit, such as 64m or "
                               "1.5g",
                               text);
        if (number > (double)(INT64_C(1) << 60))
                return err_set(err, ERANGE, "'%.64s' is larger than 1 EiB", text);
        *ret_bytes = (int64_t)number;
        return 0;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789_-"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

bool value_name_valid(const char *s)
{
        size_t n = strlen(s);

        return n > 0 && n <= 128 && s[0] != '.' && s[0] != '-' && strspn(s, LOWER UPPER ".") == n;
}

bool value_stack_name_valid(const char *s)
{
        size_t n = strlen(s);

        return n > 0 && n <= 63 && isalnum((unsigned char)s[0]) && strspn(s, LOWER) == n;
}

bool value_host_name_valid(const char *s)
{
        size_t n = strlen(s), label = 0;

        for (size_t i = 0; i < n; i++) {
                label = s[i] == '.' ? 0 : label + 1;
                if (label > 63 || (label == 0 && (i == 0 || s[i - 1] == '.')) ||
                    !strchr(LOWER UPPER ".", s[i]))
                        return false;
        }
        return label > 0 && n <= 253 && s[0] != '-';
}

int value_ip4(const char *text, uint32_t *ret, struct err *err)
{
        struct in_addr in;

        if (inet_pton(AF_INET, text, &in) != 1)
                return err_set(err, EINVAL, "'%.64s' is not an IPv4 address", text);
        *ret = ntohl(in.s_addr);
        return 0;
}

int value_ip6(const char *text, uint8_t ret[VALUE_IP6_BYTES], struct err *err)
{
        if (inet_pton(AF_INET6, text, ret) != 1)
                return err_set(err, EINVAL, "'%.64s' is not an IPv6 address", text);
        return 0;
}

void value_ip6_text(const uint8_t ip[VALUE_IP6_BYTES], char *ret)
{
        if (!inet_ntop(AF_INET6, ip, ret, VALUE_IP6_MAX))
                bug("inet_ntop");
}

void value_ip4_text(uint32_t ip, char *ret)
{
        (void)snprintf(ret, VALUE_IP4_MAX, "%u.%u.%u.%u", ip >> 24, (ip >> 16) & 255,
                       (ip >> 8) & 255, ip & 255); /* fits */
}

static int hex_digit(char c)
{
        const char *digits = "0123456789abcdef", *at = strchr(digits, tolower((unsigned char)c));

        return c && at ? (int)(at - digits) : -1;
}

int value_mac(const char *text, uint8_t ret[VALUE_MAC_BYTES], struct err *err)
{
        size_t len = strlen(text), group = len == 14 ? 4 : 2, digits = 0;
        char between = len == 14 ? '.' : text[len ? 2 : 0];
        uint8_t mac[VALUE_MAC_BYTES] = {0};
        bool valid = (len == 14 || len == 17) && strchr(".:-", between);

        for (size_t i = 0; i < len && valid; i++) {
                int digit = hex_digit(text[i]);

                if (i % (group + 1) == group) {
                        valid = text[i] == between;
                } else if (digit < 0) {
                        valid = false;
                } else {
                        mac[digits / 2] = (uint8_t)(mac[digits / 2] * 16 + digit);
                        digits++;
                }
        }
        if (!valid || (between == '.') != (group == 4))
                return err_set(err, EINVAL,
                               "'%.64s' is not a MAC address; write it like 02:42:ac:11:65:43",
                               text);
        memcpy(ret, mac, sizeof(mac));
        return 0;
}

void value_mac_text(const uint8_t mac[VALUE_MAC_BYTES], char *ret)
{
        (void)snprintf(ret, VALUE_MAC_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
                       mac[3], mac[4], mac[5]); /* fits */
}

int value_cidr4(const char *text, uint32_t *ret_ip, unsigned *ret_bits, struct err *err)
{
        char address[VALUE_IP4_MAX];
        const char *slash = strchr(text, '/');
        int64_t bits = 0;
        uint32_t ip = 0;

        if (!slash || (size_t)(slash - text) >= sizeof(address) ||
            value_int(slash + 1, 0, 32, &bits, NULL) < 0)
                return err_set(err, EINVAL, "'%.64s' is not a subnet; write it like 10.1.2.0/24",
                               text);
        memcpy(address, text, (size_t)(slash - text));
        address[slash - text] = '\0';
        if (value_ip4(address, &ip, err) < 0)
                return -EINVAL;
        *ret_bits = (unsigned)bits;
        *ret_ip = bits ? ip & (UINT32_MAX << (32 - bits)) : 0;
        return 0;
}

int value_int(const char *text, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
        char *end = NULL;
        long long n;

        errno = 0;
        n = strtoll(text, &end, 10);
        if (end == text || *end || isspace((unsigned char)*text) || *text == '+')
                return err_set(err, EINVAL, "'%.64s' is not a whole number", text);
        if (errno == ERANGE || n < min || n > max)
                return err_set(err, ERANGE, "%.64s is not within %lld..%lld", text, (long long)min,
                               (long long)max);
        *ret = n;
        return 0;
}
