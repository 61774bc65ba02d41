/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/image.h, storage/job.h and storage/ext4.h without content: images are four names of the
 * world, disks are empty files. Volumes are storage/volume.c itself.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "storage/ext4.h"
#include "storage/image.h"
#include "storage/job.h"
#include "storage/platform.h"
#include "tests/sim/sim.h"

#define UNPACK_MS 30
#define SLOW_MS   15000

struct storage_job {
        struct storage_job_events events;
        struct storage_job_request request;
        char *ref, *digest;
        struct storage_job *next;
};

struct image_store {
        int unused;
};

struct ext4 {
        int unused;
};

static struct storage_job *jobs;

int image_store_open(const char *dir, struct image_store **ret_store, struct err *err)
{
        (void)dir;
        (void)err;
        *ret_store = xnew(struct image_store);
        return 0;
}

void image_store_close(struct image_store *store)
{
        free(store);
}

/* Nobody else changes this store. */
char *image_store_index(const struct image_store *store)
{
        (void)store;
        return NULL;
}

/* A pull never replaces what a name means here. */
json_t *image_reference(struct image_store *store, const char *ref)
{
        (void)store;
        (void)ref;
        return NULL;
}

int image_withdraw(struct image_store *store, const char *ref, const char *digest,
                   const json_t *before, struct err *err)
{
        (void)store;
        (void)ref;
        (void)digest;
        (void)before;
        (void)err;
        return 0;
}

int image_store_use(struct image_store *store, const char *owner, const char *const *digests,
                    size_t len, struct err *err)
{
        (void)store;
        (void)owner;
        (void)digests;
        (void)len;
        (void)err;
        return 0;
}

void image_free(struct image *image)
{
        if (!image)
                return;
        free(image->ref);
        free(image);
}

/* "docker.io/library/i2:1" and "i2:1" are image 2. */
static unsigned number_of(const char *ref)
{
        const char *slash = strrchr(ref, '/');
        unsigned n = (unsigned)((slash ? slash + 1 : ref)[1] - '0');

        return n < SIM_IMAGES ? n : 0;
}

static void digest_of(unsigned n, char *ret)
{
        AUTO_FREE char *text = xasprintf("%u/%u", n, sim->images[n].version);

        digest_text(text, strlen(text), ret);
}

int image_find(struct image_store *store, const char *ref, struct image **ret_image,
               struct err *err)
{
        unsigned n = number_of(ref);
        struct image *image;

        (void)store;
        if (!sim->images[n].present)
                return err_set(err, ENOENT, "there is no image %s; load it", ref);
        image = xnew(struct image);
        image->ref = xstrdup(ref);
        digest_of(n, image->digest);
        *ret_image = image;
        return 0;
}

bool platform_runs_here(const char *os, const char *architecture)
{
        (void)os;
        (void)architecture;
        return true;
}

static void job_free(struct storage_job *job)
{
        for (struct storage_job **p = &jobs; *p; p = &(*p)->next)
                if (*p == job) {
                        *p = job->next;
                        break;
                }
        sim_cancel(job);
        free(job->ref);
        free(job->digest);
        free(job);
}

static json_t *result_of(const struct storage_job *job)
{
        char digest[DIGEST_TEXT_MAX];
        unsigned n;

        if (job->request.kind == JOB_UNPACK)
                return json_pack("{s:s}", "path", "/dev/null");
        n = number_of(job->ref);
        sim->images[n].present = true;
        digest_of(n, digest);
        return json_pack("{s:[{s:s,s:s}]}", "images", "ref", job->ref, "digest", digest);
}

static void tell_done(void *owner, int failed)
{
        const struct err err = {.code = EREMOTEIO, .msg = "the worker ended"};
        struct storage_job *job = owner;
        AUTO_JSON json_t *result = failed ? NULL : result_of(job);

        job->events.on_done(job->events.ctx, result, failed ? &err : NULL);
        job_free(job);
}

int storage_job_start(struct ev_loop *loop, struct image_store *store, const char *worker,
                      const struct storage_job_request *request,
                      const struct storage_job_events *events, struct storage_job **ret_job,
                      struct err *err)
{
        enum sim_how how = sim_fault(CALL_JOB);
        struct storage_job *job;

        (void)loop;
        (void)store;
        (void)worker;
        if (how == HOW_ERROR)
                return err_set(err, EAGAIN, "no more processes");
        job = xnew(struct storage_job);
        job->events = *events;
        job->request = *request;
        job->ref = xstrdup(request->ref);
        job->digest = xstrdup(request->digest);
        job->next = jobs;
        jobs = job;
        sim_post(how == HOW_SLOW || how == HOW_HANG ? SLOW_MS : UNPACK_MS, tell_done, job,
                 how == HOW_PARTIAL || how == HOW_HANG);
        *ret_job = job;
        return 0;
}

void storage_job_cancel(struct storage_job *job)
{
        if (job)
                job_free(job);
}

/* ----------------------------------------------------------------------------------- ext4.h */

int ext4_format(int fd, const struct ext4_params *params, struct ext4 **ret, struct err *err)
{
        (void)fd;
        (void)params;
        if (sim_fault(CALL_EXT4) == HOW_ERROR || sim->full)
                return err_set(err, ENOSPC, "no space left on device");
        sim_effect("ext4_format");
        *ret = xnew(struct ext4);
        return 0;
}

int ext4_close(struct ext4 *ext4, struct err *err)
{
        free(ext4);
        return sim_fault(CALL_EXT4) == HOW_FINE ? 0 : err_set(err, EIO, "input/output error");
}

void ext4_free(struct ext4 *ext4)
{
        free(ext4);
}

int ext4_put_tree(struct ext4 *ext4, const struct tree *tree, struct err *err)
{
        (void)ext4;
        (void)tree;
        (void)err;
        sim_effect("ext4_put_tree");
        return 0;
}

struct ext4_source {
        int unused;
};

/* Images are empty: no volume is seeded. */
int ext4_source_open(const char *path, struct ext4_source **ret, struct err *err)
{
        (void)path;
        (void)err;
        *ret = xnew(struct ext4_source);
        return 0;
}

void ext4_source_free(struct ext4_source *source)
{
        free(source);
}

int ext4_source_tree(struct ext4_source *source, const char *path, struct tree **ret,
                     struct err *err)
{
        (void)source;
        (void)path;
        (void)ret;
        (void)err;
        return 1;
}

int ext4_source_copy(struct ext4_source *source, struct tree_inode *inode, struct ext4 *to,
                     struct err *err)
{
        (void)source;
        (void)inode;
        (void)to;
        (void)err;
        bug("there is no content to copy");
}
