/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cleanup at the end of a scope. Variables are initialised where they are declared; ownership
 * leaves a scope by STEAL(p) or steal_fd(&fd).
 */
#ifndef BASE_AUTO_H
#define BASE_AUTO_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO_FREE  __attribute__((cleanup(auto_free_)))
#define AUTO_CLOSE __attribute__((cleanup(auto_close_)))
#define AUTO_FILE  __attribute__((cleanup(auto_fclose_)))
#define AUTO_DIR   __attribute__((cleanup(auto_closedir_)))

/** AUTO(vm) struct vm *vm = NULL; calls vm_free(vm) at the end of the scope. */
#define AUTO(type)      __attribute__((cleanup(type##_auto_)))
#define AUTO_TYPE(type) AUTO_DEFINE(type, struct type, type##_free)

#define AUTO_DEFINE(name, ctype, free_fn)                                  \
        __attribute__((unused)) static inline void name##_auto_(ctype **p) \
        {                                                                  \
                free_fn(*p);                                               \
        }

/** Give a pointer away: evaluates to it, and leaves NULL behind. */
#define STEAL(p)                             \
        __extension__({                      \
                __typeof__(p) stolen_ = (p); \
                (p) = NULL;                  \
                stolen_;                     \
        })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((void *)((char *)(ptr)-offsetof(type, member))))

static inline void auto_free_(void *p)
{
        free(*(void **)p);
}

static inline void auto_close_(const int *fd)
{
        if (*fd >= 0)
                (void)close(*fd); /* nothing was promised about this fd's data */
}

static inline void auto_fclose_(FILE **f)
{
        if (*f)
                (void)fclose(*f); /* readers only; writers check fclose themselves */
}

static inline void auto_closedir_(DIR **d)
{
        if (*d)
                (void)closedir(*d); /* cannot fail on an open directory */
}

/** Give a file descriptor away: returns it, and leaves -1 behind. */
static inline int steal_fd(int *fd)
{
        int stolen = *fd;

        *fd = -1;
        return stolen;
}

#endif
