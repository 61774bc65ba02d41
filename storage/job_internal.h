/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the job*.c files of the daemon's side. For nobody else. */
#ifndef STORAGE_JOB_INTERNAL_H
#define STORAGE_JOB_INTERNAL_H

#include <sys/types.h>

#include "base/loop.h"
#include "base/strbuf.h"
#include "storage/job.h"
#include "storage/store.h"

struct storage_job {
        struct ev_loop *loop;
        struct image_store
                store; /* a copy: the caller's may close before a cancelled worker is gone */
        enum storage_job_kind kind;
        char *worker;   /* the program */
        char *digest;   /* UNPACK */
        char *ref;      /* PULL: normalised */
        json_t *images; /* PUSH, SAVE: what the request says about them */
        char *known;    /* PULL: what the reference meant at the registry last time */
        struct storage_job_events events;
        bool cancelled, exited, ended;
        bool over, failed; /* nothing of it is left but its follower; what is to be told */

        char *staging_path;
        int staging;
        pid_t pid;
        int status;
        struct loop_child child;
        ev_io output;
        ev_timer now; /* for a job that was done before it began */
        struct strbuf lines;
        json_t *result; /* what the worker said at its end */
        struct err err; /* or what it complained about; code 0: nothing */

        struct storage_job *follower; /* PULL: it unpacks */
        int ready;                    /* tells it which layers are there; -1: closed */
        json_t *published;            /* its result */
};

/**
 * storage_job_start(); ready: UNPACK of an image that is still coming, the reading end of a
 * pipe with the digests of those that came, a line each; -1: all are there.
 */
int job_start(struct ev_loop *loop, struct image_store *store, const char *worker,
              const struct storage_job_request *request, int ready,
              const struct storage_job_events *events, struct storage_job **ret_job,
              struct err *err);

/** Freed when nothing uses it any more: for loop_defer_free(). */
void job_free(void *job);

/** Whether a job's worker speaks to a registry; whether it makes nothing that is published. */
bool job_needs_network(enum storage_job_kind kind);
bool job_makes_nothing(enum storage_job_kind kind);

/** Start the worker: its process, a pidfd and the reading end of its output. */
int job_spawn(struct storage_job *job, const struct storage_job_request *request, int ready,
              int *ret_pidfd, int *ret_output, struct err *err);

/** A pull knows its image: unpack it while its layers come. Does nothing when it is there. */
void job_follow_start(struct storage_job *job, const char *digest);

/** What the pull says about a layer; the follower hears when it is whole. */
void job_follow_layer(struct storage_job *job, const char *digest, const char *state);

/** No more layers will be whole. */
void job_follow_end(struct storage_job *job);

/** Cancel the follower, if there is one: nothing is heard of it any more. */
void job_follow_drop(struct storage_job *job);

/** Kill the follower, if there is one; the job hears when it is gone with what it had made. */
void job_follow_stop(struct storage_job *job);

/** Tell the owner of a job that is over, and free it. */
void job_tell(struct storage_job *job);

#endif
