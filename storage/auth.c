/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/auth.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/value.h"

#define VALUE_MAX             4096 /* of one parameter */
#define TOKEN_SECONDS         60   /* what an answer without expires_in means */
#define TOKEN_SECONDS_AT_MOST 86400

void challenge_release(struct challenge *challenge)
{
        free(challenge->realm);
        free(challenge->service);
        free(challenge->scope);
        free(challenge->error);
        *challenge = (struct challenge){0};
}

static size_t token_len(const char *p)
{
        size_t n = 0;

        while (p[n] > ' ' && p[n] < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", p[n]))
                n++;
        return n;
}

static const char *skip(const char *p, const char *set)
{
        return p + strspn(p, set);
}

/* A quoted string, or what stands there up to a comma or a space. Moves *at behind it. */
static char *read_value(const char **at)
{
        struct strbuf value = STRBUF_INIT(VALUE_MAX);
        const char *p = *at;

        if (*p == '"') {
                for (p++; *p && *p != '"'; p++) {
                        if (*p == '\\' && p[1])
                                p++;
                        strbuf_addc(&value, *p);
                }
                if (*p)
                        p++;
        } else {
                size_t n = strcspn(p, ", \t");

                strbuf_add(&value, p, n);
                p += n;
        }
        *at = p;
        return strbuf_take(&value);
}

static void keep(struct challenge *challenge, const char *name, size_t n, char *value)
{
        struct {
                const char *name;
                char **slot;
        } const slots[] = {{"realm", &challenge->realm},
                           {"service", &challenge->service},
                           {"scope", &challenge->scope},
                           {"error", &challenge->error}};

        for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
                if (strlen(slots[i].name) == n && strncasecmp(slots[i].name, name, n) == 0 &&
                    !*slots[i].slot)
                        *slots[i].slot = STEAL(value);
        free(value);
}

/*
 *  challenges = scheme [ param ("," param)* ] ("," scheme ...)*
 *
 * A word with '=' behind it is a parameter of the present scheme, any other begins a scheme.
 */
void challenge_add(struct challenge *challenge, const char *value)
{
        const char *p = value;
        bool bearer = false;

        while (*(p = skip(p, ", \t"))) {
                size_t n = token_len(p);
                const char *word = p;

                if (n == 0) { /* nothing that belongs here: go on behind it */
                        p++;
                        continue;
                }
                p = skip(p + n, " \t");
                if (*p == '=') {
                        char *text;

                        p = skip(p + 1, " \t");
                        text = read_value(&p);
                        if (bearer)
                                keep(challenge, word, n, text);
                        else
                                free(text);
                        continue;
                }
                bearer = n == 6 && strncasecmp(word, "Bearer", n) == 0 && !challenge->bearer;
                challenge->bearer = challenge->bearer || bearer;
                if (n == 5 && strncasecmp(word, "Basic", n) == 0)
                        challenge->basic = true;
        }
}

/* -------------------------------------------------------------------------------- who is asked */

enum reach { REACH_PUBLIC, REACH_PRIVATE, REACH_LINK, REACH_SELF };

static enum reach reach4(uint32_t ip)
{
        if (ip >> 24 == 127 || ip >> 24 == 0)
                return REACH_SELF;
        if (ip >> 16 == 0xa9fe || ip >> 28 >= 0xe)
                return REACH_LINK;
        if (ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 ||
            ip >> 22 == (0x64400000 >> 22))
                return REACH_PRIVATE;
        return REACH_PUBLIC;
}

static enum reach reach6(const struct in6_addr *ip)
{
        const unsigned char *b = ip->s6_addr;

        if (IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_UNSPECIFIED(ip))
                return REACH_SELF;
        if (IN6_IS_ADDR_LINKLOCAL(ip) || IN6_IS_ADDR_MULTICAST(ip))
                return REACH_LINK;
        if (IN6_IS_ADDR_V4MAPPED(ip) || IN6_IS_ADDR_V4COMPAT(ip))
                return reach4((uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 |
                              b[15]);
        return (b[0] & 0xfe) == 0xfc ? REACH_PRIVATE : REACH_PUBLIC;
}

/* Where a host as curl writes it leads; names are public but for localhost. */
static enum reach reach_of(const char *host)
{
        size_t len = strlen(host);
        struct in_addr four;
        struct in6_addr six;

        if (host[0] == '[' && len > 2) {
                AUTO_FREE char *inner = xstrndup(host + 1, strcspn(host + 1, "]%"));

                return inet_pton(AF_INET6, inner, &six) == 1 ? reach6(&six) : REACH_PUBLIC;
        }
        /* as inet_aton reads it: 0x7f.1 and 2130706433 are addresses too */
        if (inet_aton(host, &four))
                return reach4(ntohl(four.s_addr));
        if (strcasecmp(host, "localhost") == 0 || strcasecmp(host, "localhost.") == 0)
                return REACH_SELF;
        return REACH_PUBLIC;
}

static bool same_host(const char *host, const struct registry_endpoint *endpoint)
{
        const char *own = endpoint->host;
        size_t len = own[0] == '[' ? strcspn(own, "]") + 1 : strcspn(own, ":");

        return strlen(host) == len && strncasecmp(host, own, len) == 0;
}

/* Whether a host may be talked to because of an answer of this registry. */
static bool host_allowed(const char *host, const struct registry_endpoint *endpoint,
                         bool private_too)
{
        enum reach reach = reach_of(host);

        if (same_host(host, endpoint))
                return true;
        if (reach == REACH_PUBLIC)
                return true;
        if (reach == REACH_SELF)
                return endpoint->loopback;
        return reach == REACH_PRIVATE && (private_too || endpoint->loopback);
}

int auth_realm_check(const char *realm, const struct registry_endpoint *endpoint, bool http,
                     struct err *err)
{
        struct http_url url;
        struct err parse = ERR_INIT;
        const char *why = NULL;

        if (!realm || http_url_parse(realm, &url, &parse) < 0)
                return err_set(err, EACCES, "refusing its token server: %s",
                               realm ? parse.msg : "it names none");
        if (streq(url.scheme, "http") && !http)
                why = "it is not https, but the registry is";
        else if (!host_allowed(url.host, endpoint, false))
                why = "it is an address inside of a network";
        http_url_release(&url);
        return why ? err_set(err, EACCES, "refusing its token server %.150s: %s", realm, why) : 0;
}

bool auth_redirect_allowed(const char *text, const struct registry_endpoint *endpoint, bool http)
{
        struct http_url url;
        struct err ignored;
        bool allowed;

        if (http_url_parse(text, &url, &ignored) < 0)
                return false;
        allowed = host_allowed(url.host, endpoint, true);
        /* http only from http, and then to this machine or where the registry itself is */
        if (streq(url.scheme, "http"))
                allowed = allowed && http &&
                          (same_host(url.host, endpoint) || reach_of(url.host) == REACH_SELF ||
                           endpoint->insecure);
        http_url_release(&url);
        return allowed;
}

int auth_token_parse(const char *text, size_t len, char **ret, int64_t *ret_seconds,
                     struct err *err)
{
        AUTO_JSON json_t *json = NULL;
        struct err parse = ERR_INIT;
        const char *token;

        if (json_parse(text, len, AUTH_ANSWER_MAX, "token server", &json, &parse) < 0)
                return err_set(err, EPROTO, "bad token answer: %.300s", parse.msg);
        token = json_str(json, "token", NULL);
        if (!token || !*token)
                token = json_str(json, "access_token", NULL);
        if (!token || !*token)
                return err_set(err, EPROTO, "bad token answer: there is no token in it");
        if (strlen(token) > AUTH_TOKEN_MAX)
                return err_set(err, EPROTO, "bad token answer: a token longer than %u bytes",
                               AUTH_TOKEN_MAX);
        for (const char *p = token; *p; p++) /* it goes into a header line */
                if (*p <= ' ' || *p >= 0x7f)
                        return err_set(err, EPROTO, "bad token answer: not a token");
        *ret_seconds = json_int(json, "expires_in", TOKEN_SECONDS);
        if (*ret_seconds < 0)
                *ret_seconds = 0;
        if (*ret_seconds > TOKEN_SECONDS_AT_MOST)
                *ret_seconds = TOKEN_SECONDS_AT_MOST;
        *ret = xstrdup(token);
        return 0;
}
