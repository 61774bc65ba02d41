/* SPDX-License-Identifier: Apache-2.0 */
#include "vminit/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vminit/sys.h"

#define LINE_MAX_BYTES \
        4096 /* a longer line is passed over; group lines of thousands of members are */

/* A file read line by line. */
struct lines {
        int fd;
        size_t start, end;
        char buf[LINE_MAX_BYTES];
};

static void lines_open(struct lines *l, const char *path)
{
        struct stat st;
        l->start = l->end = 0;
        l->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (l->fd >= 0 && (fstat(l->fd, &st) || !S_ISREG(st.st_mode))) {
                close(l->fd);
                l->fd = -1;
        }
}

static void lines_close(struct lines *l)
{
        if (l->fd >= 0)
                close(l->fd);
}

/* More bytes into the buffer. false: at the end of the file. */
static bool lines_fill(struct lines *l)
{
        memmove(l->buf, l->buf + l->start, l->end - l->start);
        l->end -= l->start;
        l->start = 0;
        ssize_t n = l->fd < 0 ? 0 : read(l->fd, l->buf + l->end, sizeof(l->buf) - 1 - l->end);
        if (n <= 0)
                return false;
        l->end += (size_t)n;
        return true;
}

/* The next line as a string, or NULL. */
static char *lines_next(struct lines *l)
{
        bool skipping = false;
        for (;;) {
                char *line = l->buf + l->start;
                char *nl = memchr(line, '\n', l->end - l->start);
                if (nl) {
                        *nl = '\0';
                        l->start = (size_t)(nl - l->buf) + 1;
                        if (!skipping)
                                return line;
                        skipping = false;
                        continue;
                }
                if (l->start == 0 && l->end == sizeof(l->buf) - 1) {
                        skipping = true;
                        l->end = 0;
                }
                if (lines_fill(l))
                        continue;
                if (skipping || l->start == l->end)
                        return NULL;
                l->buf[l->end] = '\0';
                line = l->buf + l->start;
                l->start = l->end;
                return line;
        }
}

/* Cut a line at its colons. Returns the number of fields. */
static size_t split(char *line, char **fields, size_t max)
{
        size_t n = 0;
        while (n < max) {
                fields[n++] = line;
                line = strchr(line, ':');
                if (!line)
                        break;
                *line++ = '\0';
        }
        return n;
}

static bool parse_id(const char *text, unsigned *ret_id)
{
        uint64_t value;
        if (!sys_parse_u64(text, &value) || value > 0xfffffffeu)
                return false;
        *ret_id = (unsigned)value;
        return true;
}

/* Find by name, or by number when the name is one. `ret_name` gets the entry's name. */
static bool find_passwd(const char *path, const char *who, struct user *u, char *ret_name,
                        size_t size)
{
        unsigned wanted = 0;
        bool numeric = parse_id(who, &wanted);
        bool found = false;
        struct lines l;
        lines_open(&l, path);
        for (char *line; !found && (line = lines_next(&l));) {
                char *field[7];
                unsigned uid, gid;
                if (split(line, field, 7) < 4 || !parse_id(field[2], &uid) ||
                    !parse_id(field[3], &gid))
                        continue;
                if (strcmp(field[0], who) != 0 && !(numeric && uid == wanted))
                        continue;
                found = true;
                u->uid = uid;
                u->gid = gid;
                ret_name[0] = '\0';
                if (strlen(field[0]) < size)
                        memcpy(ret_name, field[0], strlen(field[0]) + 1);
        }
        lines_close(&l);
        return found;
}

static void find_home(const char *path, const char *name, struct user *u)
{
        struct lines l;
        lines_open(&l, path);
        for (char *line; (line = lines_next(&l));) {
                char *field[7];
                if (split(line, field, 7) < 6 || strcmp(field[0], name) != 0)
                        continue;
                size_t len = strlen(field[5]);
                if (field[5][0] == '/' && len < sizeof(u->home))
                        memcpy(u->home, field[5], len + 1);
                break;
        }
        lines_close(&l);
}

static bool find_group(const char *path, const char *who, gid_t *ret_gid)
{
        unsigned gid;
        bool found = false;
        struct lines l;
        lines_open(&l, path);
        for (char *line; !found && (line = lines_next(&l));) {
                char *field[4];
                if (split(line, field, 4) < 3 || strcmp(field[0], who) != 0 ||
                    !parse_id(field[2], &gid))
                        continue;
                *ret_gid = gid;
                found = true;
        }
        lines_close(&l);
        if (!found && parse_id(who, &gid)) {
                *ret_gid = gid;
                found = true;
        }
        return found;
}

static void add_group(struct user *u, gid_t gid)
{
        for (size_t i = 0; i < u->n_groups; i++) {
                if (u->groups[i] == gid)
                        return;
        }
        if (u->n_groups < USER_GROUPS_MAX)
                u->groups[u->n_groups++] = gid;
}

static bool has_member(char *members, const char *name)
{
        size_t len = strlen(name);
        for (char *m = members; m; m = strchr(m, ',')) {
                m += *m == ',';
                if (strncmp(m, name, len) == 0 && (m[len] == ',' || m[len] == '\0'))
                        return true;
        }
        return false;
}

/* Groups that list the user as a member. */
static void add_memberships(const char *path, const char *name, struct user *u)
{
        struct lines l;
        lines_open(&l, path);
        for (char *line; (line = lines_next(&l));) {
                char *field[4];
                unsigned gid;
                if (split(line, field, 4) == 4 && parse_id(field[2], &gid) &&
                    has_member(field[3], name))
                        add_group(u, gid);
        }
        lines_close(&l);
}

int user_resolve(const char *spec, const char *const *more, size_t n_more, const char *passwd,
                 const char *group, struct user *ret_user, struct fail *f)
{
        char who[256] = "0";
        char name[256] = "";
        struct user u = {.home = "/"};
        const char *colon = spec ? strchr(spec, ':') : NULL;
        size_t len = !spec ? 0 : colon ? (size_t)(colon - spec) : strlen(spec);
        if (len >= sizeof(who))
                return fail_set(f, 0, "user name of %zu characters is too long", len);
        if (len > 0) {
                memcpy(who, spec, len);
                who[len] = '\0';
        }
        if (!find_passwd(passwd, who, &u, name, sizeof(name)) && !parse_id(who, &u.uid))
                return fail_set(f, 0, "user \"%s\" is not in the image's /etc/passwd", who);
        if (name[0])
                find_home(passwd, name, &u);
        if (colon && colon[1]) {
                if (!find_group(group, colon + 1, &u.gid))
                        return fail_set(f, 0, "group \"%s\" is not in the image's /etc/group",
                                        colon + 1);
        } else if (name[0]) {
                add_memberships(group, name, &u);
        }
        /* As runc: a program that drops its group in favour of others must not lose a denial. */
        add_group(&u, u.gid);
        for (size_t i = 0; i < n_more; i++) {
                gid_t gid;
                if (!find_group(group, more[i], &gid))
                        return fail_set(f, 0, "group \"%s\" is not in the image's /etc/group",
                                        more[i]);
                add_group(&u, gid);
        }
        *ret_user = u;
        return 0;
}
