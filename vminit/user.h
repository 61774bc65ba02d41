/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMINIT_USER_H
#define VMINIT_USER_H

/*
 * Looks a Docker-style user up in an image's own passwd and group files. The files belong to the
 * image: they are read with fixed buffers, odd lines are passed over, and nothing but regular files
 * is opened.
 */

#include <stddef.h>
#include <sys/types.h>

#include "vminit/fail.h"

#define USER_GROUPS_MAX 64

struct user {
        uid_t uid;
        gid_t gid;
        gid_t groups[USER_GROUPS_MAX]; /* supplementary */
        size_t n_groups;
        char home[256]; /* "/" when unknown */
};

/**
 * Resolve "name|uid[:group|gid]" ("" or NULL: root). Without a group the user's own and those that
 * list it count. passwd, group: paths of the files; a missing file is an empty one. more, n_more:
 * additional groups, names or numbers. <0: a name is in neither file.
 */
int user_resolve(const char *spec, const char *const *more, size_t n_more, const char *passwd,
                 const char *group, struct user *ret_user, struct fail *f);

#endif
