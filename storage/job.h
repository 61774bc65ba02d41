/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk-heavy and hostile work in a worker process ("berth-storage --storage-worker"): reading image
 * archives, unpacking layers, talking to registries. The worker drops root (to nobody), cannot gain
 * it back, has no network unless its job is the registry's, and sees the descriptors it needs; the
 * daemon's side moves finished, verified results into the store. Requests and progress are JSON
 * lines over pipes.
 */
#ifndef STORAGE_JOB_H
#define STORAGE_JOB_H

#include <errno.h>
#include <ev.h>
#include <jansson.h>

#include "base/err.h"
#include "storage/image.h"

enum storage_job_kind {
        JOB_LOAD,   /* archive_fd: OCI layout or `docker save` tar (plain, gzip, zstd) -> references
                     */
        JOB_IMPORT, /* archive_fd: a root file system tar -> image `ref` with config `changes` */
        JOB_UNPACK, /* digest -> DIR/rootfs/<hex>.ext4; done at once when it is there */
        JOB_PUSH,   /* the image called ref to the registry that the name says */
        JOB_LOGIN,  /* whether the registry of ref lets username and password in */
        JOB_SAVE,   /* the images called refs as an archive, written to output_fd */
        JOB_PULL,   /* ref, from its registry or a mirror -> reference; goes on where one ended */
};

struct storage_job_request {
        enum storage_job_kind kind;
        int archive_fd;     /* LOAD, IMPORT: borrowed until the job ends; may be a pipe or socket */
        const char *ref;    /* IMPORT: name; LOAD: NULL, or the name for a nameless archive */
        const char *digest; /* UNPACK: manifest digest */
        const json_t *refs; /* SAVE: array of names */
        int output_fd;      /* SAVE: borrowed until the job is started */
        const char *platform;            /* PULL: OS/ARCH[/VARIANT]; NULL: of VMs here */
        const char *username, *password; /* LOGIN */
        const char
                *auth_file; /* PULL, PUSH: asked before the usual files of credentials; or NULL */
        const json_t *changes; /* IMPORT: OCI config keys {"Cmd": [...], "Env": [...], ...} */
};

/* Code of an UNPACK's error: a blob in the store is not what its digest says; it has been removed.
 */
#define STORAGE_DAMAGED EUCLEAN

struct storage_job;

struct storage_job_events {
        /* Progress of the present stage ("layer 2/5"); total 0 when unknown. May be NULL. */
        void (*on_progress)(void *ctx, const char *stage, int64_t done, int64_t total);
        /*
         * A layer of PULL: "queued", "shared" (another pull brings it), "download", "waiting",
         * "done" or "present"; of PUSH: "upload", "mounted" or "done". May be NULL.
         */
        void (*on_layer)(void *ctx, const char *digest, const char *state, int64_t done,
                         int64_t total);
        /* For people: why it takes longer ("rate limited; trying again in 5 s"). May be NULL. */
        void (*on_notice)(void *ctx, const char *text);
        /*
         * Called once. err NULL: done, result borrowed: LOAD/IMPORT
         * {"images":[{"ref","digest"}]}, UNPACK {"path"}, PULL and PUSH as LOAD; PULL with
         * "unchanged": true when the store had it all; SAVE {}. The job is freed after it returns.
         */
        void (*on_done)(void *ctx, const json_t *result, const struct err *err);
        void *ctx;
};

/**
 * Start a job. worker: path of the program to run with --storage-worker; beside a "berth-storage"
 * lies the "berth-registry" that PULL, PUSH and LOGIN are for. *ret_job is borrowed.
 */
int storage_job_start(struct ev_loop *loop, struct image_store *store, const char *worker,
                      const struct storage_job_request *request,
                      const struct storage_job_events *events, struct storage_job **ret_job,
                      struct err *err);

/** Kill the worker and forget the job; no callback comes. Its temporary files are removed. */
void storage_job_cancel(struct storage_job *job);

/** main() of a worker process for any job. */
int storage_worker_main(int argc, char **argv);

#endif
