/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `berth watch` knows of its folder: which files there are, which stack each one owns, and
 * what must happen now. A scan compares the folder with that memory; nothing depends on which event
 * woke it. Pure decisions over file names, contents and a clock: the effects are the watcher's.
 */
#ifndef ORCHESTRATOR_CLI_FOLDER_H
#define ORCHESTRATOR_CLI_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

/* Files that one folder may hold; more is a folder that is not meant for this. */
#define FOLDER_FILES_MAX 1000
/* Largest manifest. */
#define FOLDER_FILE_BYTES_MAX (10u << 20)
/*
 * A file that is gone may be on its way back: editors and git replace files in two steps. Its stack
 * is deleted only after this time.
 */
#define FOLDER_GRACE_MS 2000

struct folder_file {
        char *path;                   /* absolute */
        char *stack;                  /* that it owns; NULL: none (never loaded, or a conflict) */
        char digest[DIGEST_TEXT_MAX]; /* of the content last handled; "" for none */
        bool present;
        int64_t gone_ms; /* since when; while !present */
};

struct folder {
        char *path; /* absolute */
        struct folder_file *files;
        size_t files_len;
};

/** A folder that was not read yet. path: copied. Then free what it holds. */
void folder_init(struct folder *folder, const char *path);
void folder_release(struct folder *folder);

/** Whether a name in the folder is a manifest: *.yaml, *.yml, not hidden, not an editor's copy. */
bool folder_is_manifest(const char *name);

/** Look at the folder again: presence and absence of files. -ENOENT...: it cannot be read. */
int folder_scan(struct folder *folder, int64_t now_ms, struct err *err);

/** Whether the file's content differs from what was handled last; remembers it. */
bool folder_changed(struct folder_file *file);

/** The present file that owns a stack, other than except; NULL: none. */
struct folder_file *folder_owner(struct folder *folder, const char *stack,
                                 const struct folder_file *except);

/** The stack belongs to this file from now on, and to no other (one that was renamed, say). */
void folder_take(struct folder *folder, struct folder_file *file, const char *stack);

/**
 * A file that has been gone for its grace time. If it owns a stack that no present file owns, the
 * stack is to be deleted; then folder_forget(). NULL: none now.
 */
struct folder_file *folder_lost(struct folder *folder, int64_t now_ms);

/** Milliseconds until folder_lost() may give another answer; -1: nothing is on its way. */
int folder_wait_ms(const struct folder *folder, int64_t now_ms);

/** Drop what is remembered of a file. Pointers to files are invalid afterwards. */
void folder_forget(struct folder *folder, struct folder_file *file);

#endif
