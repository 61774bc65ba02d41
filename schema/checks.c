/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of strings for field tables: what is wrong, and what to write. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/value.h"
#include "schema/kinds.h"

/* A service's name with its replica's number is a label of a domain name. */
#define NAME_MAX_ 63

#define HTTP_PATH_MAX 1000
/* The longest there is has 16 bytes. */
#define DNS_OPT_MAX 64

void check_name(struct reader *r, const struct node *node, const char *text)
{
        if (strlen(text) > NAME_MAX_ || !value_name_valid(text))
                reader_fault(r, DIAG_BAD_NAME, &node->mark,
                             "'%.70s' is not a name; use letters, digits, _ . and -, a letter, "
                             "digit or _ first, at most %d",
                             text, NAME_MAX_);
}

void check_stack_name(struct reader *r, const struct node *node, const char *text)
{
        if (!value_stack_name_valid(text))
                reader_fault(r, DIAG_BAD_NAME, &node->mark,
                             "'%.70s' is not a stack name; use a-z, 0-9, _ and -, a letter or "
                             "digit first, at most 63",
                             text);
}

void check_object_name(struct reader *r, const struct node *node, const char *text)
{
        if (strchr(text, '$'))
                reader_fault(r, DIAG_BAD_NAME, &node->mark,
                             "'%.70s': variables are not replaced in keys; write a name, and below "
                             "it name: %.70s",
                             text, text);
        else if (text[0] == '_' || !value_name_valid(text))
                reader_fault(r, DIAG_BAD_NAME, &node->mark,
                             "'%.70s' is not a name; use letters, digits, _ . and -, a letter or "
                             "digit first, at most 128",
                             text);
}

void check_absolute(struct reader *r, const struct node *node, const char *text)
{
        if (text[0] != '/')
                reader_fault(r, DIAG_BAD_PATH, &node->mark,
                             "'%.80s' is not an absolute path; begin it with /", text);
}

void check_hostname(struct reader *r, const struct node *node, const char *text)
{
        if (!value_host_name_valid(text))
                reader_fault(r, DIAG_BAD_NAME, &node->mark,
                             "'%.70s' is not a host name; use letters, digits, - and .", text);
}

void check_search(struct reader *r, const struct node *node, const char *text)
{
        if (!streq(text, "") && !streq(text, "."))
                check_hostname(r, node, text);
}

void check_ip4(struct reader *r, const struct node *node, const char *text)
{
        struct err err = ERR_INIT;
        uint32_t ip = 0;

        if (value_ip4(text, &ip, &err) < 0)
                reader_fault(r, DIAG_BAD_ADDRESS, &node->mark, "%s", err.msg);
}

void check_dns(struct reader *r, const struct node *node, const char *text)
{
        uint8_t ip6[VALUE_IP6_BYTES];

        if (value_ip6(text, ip6, NULL) == 0)
                reader_fault(r, DIAG_IGNORED_KEY, &node->mark,
                             "%s: ignored: networks are IPv4 only", text);
        else
                check_ip4(r, node, text);
}

void check_link_local(struct reader *r, const struct node *node, const char *text)
{
        uint32_t ip = 0, within;
        uint8_t ip6[VALUE_IP6_BYTES];

        if (value_ip6(text, ip6, NULL) == 0) {
                reader_fault(r, DIAG_IGNORED_KEY, &node->mark,
                             "%s: ignored: networks are IPv4 only", text);
                return;
        }
        check_ip4(r, node, text);
        if (value_ip4(text, &ip, NULL) < 0)
                return;
        within = ip & 0xffff;
        if (ip >> 16 != 0xa9fe || within < 0x100 || within >= 0xff00)
                reader_fault(r, DIAG_BAD_ADDRESS, &node->mark,
                             "%s is not link-local; those are 169.254.1.0 to 169.254.254.255",
                             text);
        else if (within >> 8 == 250)
                reader_fault(r, DIAG_BAD_ADDRESS, &node->mark,
                             "%s is of those that berth uses itself (169.254.250.0/24); choose "
                             "another one",
                             text);
}

/* A word of a line of resolv.conf. */
void check_dns_opt(struct reader *r, const struct node *node, const char *text)
{
        bool plain = *text && strlen(text) <= DNS_OPT_MAX;

        for (const char *c = text; *c && plain; c++)
                plain = *c > ' ' && *c < 0x7f && *c != '#' && *c != ';';
        if (!plain)
                reader_fault(r, DIAG_BAD_VALUE, &node->mark,
                             "'%.60s' is no option of a resolver; write one like ndots:2", text);
}

/* It is sent as it is written: nothing in it may end the request line. */
void check_http_path(struct reader *r, const struct node *node, const char *text)
{
        bool plain = *text == '/' && strlen(text) <= HTTP_PATH_MAX;

        for (const char *c = text; *c && plain; c++)
                plain = *c > ' ' && *c < 0x7f;
        if (!plain)
                reader_fault(r, DIAG_BAD_VALUE, &node->mark,
                             "'%.60s' is no path of a request: it begins with / and has no blanks; "
                             "write others as %%20",
                             text);
}

void check_not_empty(struct reader *r, const struct node *node, const char *text)
{
        if (!text[0])
                reader_error(r, &node->mark, "must not be empty");
}

/* What cannot be the name of an image, in words that tell why; NULL: it may be one. */
static const char *image_problem(const char *text)
{
        size_t n = strcspn(text, "@");
        const char *slash = memrchr(text, '/', n), *first = memchr(text, '/', n);
        const char *tag =
                memchr(slash ? slash : text, ':', n - (size_t)((slash ? slash : text) - text));
        const char *end = tag ? tag : text + n;

        if (strstr(text, "://"))
                return "leave out what stands before //, and //";
        if (strstr(text, "\xe2\x80\x9c") || strstr(text, "\xe2\x80\x9d"))
                return "write plain quotes instead of typographic ones";
        for (const char *p = text; *p; p++)
                if (!isalnum((unsigned char)*p) && !strchr("._-/:@+", *p))
                        return "it is NAME[:TAG] of letters, digits and . _ - /, such as "
                               "nginx:1.25";
        for (const char *p = first ? first : text; p < end; p++) /* a host may have capitals */
                if (isupper((unsigned char)*p))
                        return "names of images are in lower case";
        if (end == text || end[-1] == '/')
                return "its name is missing";
        return tag && tag + 1 == text + n ? "its tag is missing, behind the colon" : NULL;
}

/* Where variables made it what it is, they may be set on another day. */
void check_image(struct reader *r, const struct node *node, const char *text)
{
        const char *problem = image_problem(text);

        if (!text[0])
                reader_error(r, &node->mark, "must not be empty");
        else if (problem && node->interpolated)
                reader_fault(r, DIAG_INCOMPLETE, &node->mark, "'%.80s' is no image: %s", text,
                             problem);
        else if (problem)
                reader_error(r, &node->mark, "'%.80s' is no image: %s", text, problem);
}

void check_signal(struct reader *r, const struct node *node, const char *text)
{
        static const char *const names[] = {
                "HUP",  "INT",  "QUIT", "ILL",  "TRAP", "ABRT",  "BUS",  "FPE",  "KILL", "USR1",
                "SEGV", "USR2", "PIPE", "ALRM", "TERM", "CHLD",  "CONT", "STOP", "TSTP", "TTIN",
                "TTOU", "URG",  "XCPU", "XFSZ", "PROF", "WINCH", "IO",   "PWR",  "SYS",
        };
        const char *name = has_prefix(text, "SIG") ? text + 3 : text;
        int64_t number = 0;

        if (value_int(text, 1, 64, &number, NULL) == 0)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (streq(names[i], name))
                        return;
        if (has_prefix(name, "RTMIN") || has_prefix(name, "RTMAX"))
                return;
        reader_fault(r, DIAG_BAD_CHOICE, &node->mark,
                     "'%.40s' is not a signal; write it like SIGTERM", text);
}
