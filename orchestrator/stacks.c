/* SPDX-License-Identifier: Apache-2.0 */
/* What is wanted, and what is remembered of replicas: in memory as in the store. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "orchestrator/daemon.h"
#include "reconciler/replica.h"
#include "storage/volume.h"

struct desired *daemon_find(const struct daemon *d, const char *stack)
{
        for (size_t i = 0; i < d->desired_len; i++)
                if (streq(d->desired[i]->stack->name, stack))
                        return d->desired[i];
        return NULL;
}

/* Put in place of the old revision, or at its place by name. */
static void install(struct daemon *d, struct desired *desired)
{
        size_t at = 0;

        while (at < d->desired_len && strcmp(d->desired[at]->stack->name, desired->stack->name) < 0)
                at++;
        if (at < d->desired_len && streq(d->desired[at]->stack->name, desired->stack->name)) {
                *array_push(&d->former, &d->former_len) = d->desired[at];
        } else {
                (void)array_push(&d->desired, &d->desired_len);
                memmove(&d->desired[at + 1], &d->desired[at],
                        (d->desired_len - at - 1) * sizeof(*d->desired));
        }
        d->desired[at] = desired;
}

static bool service_has_vm(const struct daemon *d, const char *stack, const char *service)
{
        for (size_t i = 0; i < d->instances_len; i++)
                if (streq(d->instances[i]->stack, stack) &&
                    streq(d->instances[i]->service, service))
                        return true;
        return false;
}

static bool still_tells_order(const struct daemon *d, const struct desired *former)
{
        const struct desired *now = daemon_find(d, former->stack->name);

        for (size_t i = 0; i < former->stack->services_len; i++) {
                const char *name = former->stack->services[i].name;

                if (!(now && stack_find_service(now->stack, name)) &&
                    service_has_vm(d, former->stack->name, name))
                        return true;
        }
        return false;
}

void daemon_forget_former(struct daemon *d)
{
        size_t kept = 0;

        for (size_t i = 0; i < d->former_len; i++)
                if (still_tells_order(d, d->former[i]))
                        d->former[kept++] = d->former[i];
                else
                        desired_unref(d->former[i]);
        d->former_len = kept;
}

static int save(struct daemon *d, const struct desired *desired, const char *note, struct err *err)
{
        AUTO_JSON json_t *manifest_json = desired_manifest(desired);
        AUTO_FREE char *manifest = json_text(manifest_json);
        AUTO_JSON json_t *wishes_json = desired_wishes_json(desired);
        AUTO_FREE char *wishes = json_text(wishes_json);
        AUTO_FREE char *note_copy = xstrdup(note);
        const struct stored_stack record = {.name = desired->stack->name,
                                            .revision = desired->revision,
                                            .source = desired->source,
                                            .manifest = manifest,
                                            .ports = desired->ports,
                                            .wanted = desired->wanted,
                                            .created_ms = desired->created_ms,
                                            .updated_ms = clock_wall_ms(),
                                            .wishes = wishes,
                                            .note = note_copy};

        return store_put_stack(d->store, &record, err);
}

/* A volume is what it was made as: before anything is replaced, and not when it is mounted. */
static int check_volumes(const struct daemon *d, const struct desired *new, struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < new->stack->volumes_len &&r == 0; i++) {
                const struct volume *volume = &new->stack->volumes[i];
                AUTO_FREE char *name = volume->real_name
                                               ? xstrdup(volume->real_name)
                                               : xasprintf("%s_%s", new->stack->name, volume->name);

                r = volume_check_class(d->volumes_dir, name, volume->volume_class == VOLUME_SHARED,
                                       err);
        }
        return r;
}

int daemon_accept(struct daemon *d, struct desired *desired, const char *note, struct err *err)
{
        const char *name = desired->stack->name;
        int r = check_volumes(d, desired, err);

        if (r == 0)
                r = save(d, desired, note, err);
        if (r < 0) {
                r = err_wrap(err, "stack %s was not changed", name);
                desired_unref(desired);
                return r;
        }
        if (streq(note, "apply"))
                event_emit(d->events, name, NULL, 0, "applied", "", "revision %u from %s",
                           desired->revision, desired->source);
        else
                event_emit(d->events, name, NULL, 0, "changed", "", "revision %u: %s",
                           desired->revision, note);
        install(d, desired);
        daemon_dirty(d);
        return 0;
}

static bool is_pinned_to(const struct service_wish *wish, const char *digest)
{
        const char *at = strchr(wish->image, '@');

        return at && streq(at + 1, digest);
}

/*
 * What its images are now is what an apply means. A tag that names another image than the one that
 * runs has its VMs replaced, as with `compose up`; loading an image alone replaces nothing.
 */
static bool note_images(struct daemon *d, struct desired *desired)
{
        bool renewed = false;

        for (size_t i = 0; i < desired->stack->services_len; i++) {
                const struct service *service = &desired->stack->services[i];
                const struct service_wish *wish = &desired->wishes.services[i];
                const struct image_entry *entry;

                if (!service->image)
                        continue;
                images_resolve(d->images, service->image, service->pull_policy);
                entry = images_find(d->images, service->image);
                if (!entry || !entry->image)
                        continue;
                if (wish->image && !is_pinned_to(wish, entry->image->digest)) {
                        desired_renew(desired, i, "image changed");
                        renewed = true;
                }
                desired_pin(desired, i, entry->image->digest);
        }
        return renewed;
}

/* An image that was not there when its stack was applied: what came for it is what was meant. */
static void pin_late(struct daemon *d, struct desired *desired)
{
        for (size_t i = 0; i < desired->stack->services_len; i++) {
                const struct service *service = &desired->stack->services[i];
                const struct image_entry *entry;

                if (!service->image || desired->wishes.services[i].image)
                        continue;
                entry = images_find(d->images, service->image);
                if (!entry || entry->state != IMAGE_READY)
                        continue;
                desired_pin(desired, i, entry->image->digest);
                desired->wishes_changed = true;
                images_resolve(d->images, desired_image(desired, i), service->pull_policy);
        }
}

void daemon_pin_images(struct daemon *d)
{
        for (size_t i = 0; i < d->desired_len; i++)
                pin_late(d, d->desired[i]);
}

static bool has_stopped(const struct desired *desired)
{
        for (size_t i = 0; i < desired->wishes.services_len; i++)
                if (desired->wishes.services[i].stopped)
                        return true;
        return false;
}

void daemon_retry_failed(struct daemon *d, const char *stack)
{
        networks_retry(d->networks, stack);
        for (size_t i = 0; i < d->replicas_len; i++) {
                struct replica_fact *fact = &d->replicas[i];

                if (!streq(fact->stack, stack) || fact->failures == 0 || fact->started_ms)
                        continue;
                replica_retry(fact);
                daemon_save_replica(d, fact);
        }
}

/* An apply asks the registry again where the policy says so. */
static void refresh_image(struct images *images, const struct service *service)
{
        bool timed = service->pull_policy == PULL_EVERY;

        if (service->image &&
            (service->pull_policy == PULL_ALWAYS ||
             (timed && images_older_than(images, service->image, service->pull_every_ms))))
                images_refresh(images, service->image, !timed);
}

int daemon_apply(struct daemon *d, const char *name, const json_t *manifest, const char *source,
                 enum stack_ports ports, json_t **ret_diagnostics, struct err *err)
{
        AUTO(desired) struct desired *new = NULL;
        const struct desired *old = daemon_find(d, name);
        bool renewed;
        int r;

        if (d->draining)
                return err_set(err, ESHUTDOWN, "the daemon is shutting down; try again");
        r = desired_new(manifest, &new, ret_diagnostics, err);
        if (r < 0)
                return r;
        if (!streq(new->stack->name, name))
                return err_set(err, EINVAL, "the manifest's name is %s, not %s", new->stack->name,
                               name);
        new->source = xstrdup(source);
        new->ports = ports;
        new->revision = old ? old->revision + 1 : 1;
        new->created_ms = old ? old->created_ms : clock_wall_ms();
        r = daemon_admit(d, new, err);
        if (r < 0)
                return r;
        images_look(d->images);
        images_retry_missing(d->images);
        for (size_t i = 0; i < new->stack->services_len; i++)
                refresh_image(d->images, &new->stack->services[i]);
        daemon_retry_failed(d, name);
        daemon_dirty(d);
        if (old)
                desired_inherit(new, old, false);
        renewed = note_images(d, new);
        if (old && !renewed && !has_stopped(old) && old->wanted == STACK_UP &&
            old->ports == ports && streq(old->source, source) && desired_same_manifest(old, new))
                return STACK_SAME;
        return daemon_accept(d, STEAL(new), "apply", err);
}

static bool pulls_again(const struct desired *desired, const char *ref)
{
        for (size_t i = 0; i < desired->stack->services_len; i++) {
                const struct service *service = &desired->stack->services[i];
                AUTO_FREE char *normal = NULL;
                struct err ignored;

                if ((service->pull_policy == PULL_ALWAYS || service->pull_policy == PULL_EVERY) &&
                    service->image && image_ref_normalise(service->image, &normal, &ignored) == 0 &&
                    streq(normal, ref))
                        return true;
        }
        return false;
}

/* A pull that an apply asked for has brought another image: the next revision has it. */
static void renew_pulled(struct daemon *d, const struct desired *old)
{
        AUTO(desired) struct desired *new = NULL;
        AUTO_JSON json_t *manifest = desired_manifest(old);
        AUTO_JSON json_t *diagnostics = NULL;
        struct err err = ERR_INIT;
        int r = desired_new(manifest, &new, &diagnostics, &err);

        if (r == 0) {
                new->source = xstrdup(old->source);
                new->ports = old->ports;
                new->revision = old->revision + 1;
                new->created_ms = old->created_ms;
                desired_inherit(new, old, true);
                if (!note_images(d, new))
                        return;
                r = daemon_accept(d, STEAL(new), "image pulled", &err);
        }
        if (r < 0)
                log_warn("stack", old->stack->name, "its new image is not used: %s", err.msg);
}

void daemon_images_changed(struct daemon *d, const char *ref)
{
        /* daemon_accept() replaces in place: the array's length and order stay */
        for (size_t i = 0; i < d->desired_len; i++)
                if (d->desired[i]->wanted == STACK_UP && pulls_again(d->desired[i], ref))
                        renew_pulled(d, d->desired[i]);
        daemon_dirty(d);
}

struct replica_fact *daemon_find_replica(const struct daemon *d, const char *stack,
                                         const char *service, unsigned replica)
{
        for (size_t i = 0; i < d->replicas_len; i++)
                if (d->replicas[i].replica == replica && streq(d->replicas[i].stack, stack) &&
                    streq(d->replicas[i].service, service))
                        return &d->replicas[i];
        return NULL;
}

struct replica_fact *daemon_replica(struct daemon *d, const char *stack, const char *service,
                                    unsigned replica)
{
        struct replica_fact *fact = daemon_find_replica(d, stack, service, replica);

        if (fact)
                return fact;
        fact = array_push(&d->replicas, &d->replicas_len);
        fact->stack = xstrdup(stack);
        fact->service = xstrdup(service);
        fact->replica = replica;
        return fact;
}

void daemon_save_replica(struct daemon *d, const struct replica_fact *fact)
{
        struct err err = ERR_INIT;

        if (store_put_replica(d->store, fact, &err) < 0)
                log_error("store", fact->stack, "%s", err.msg);
}

static int load_stack(struct daemon *d, const struct stored_stack *record, struct err *err)
{
        AUTO(desired) struct desired *desired = NULL;
        AUTO_JSON json_t *manifest = NULL;
        AUTO_JSON json_t *wishes = NULL;
        AUTO_JSON json_t *diagnostics = NULL;
        size_t len = strlen(record->manifest);

        if (json_parse(record->manifest, len, len, record->name, &manifest, err) < 0 ||
            desired_new(manifest, &desired, &diagnostics, err) < 0)
                return -err->code;
        len = strlen(record->wishes);
        if (json_parse(record->wishes, len, len, record->name, &wishes, err) < 0)
                return -err->code;
        desired_read_wishes(desired, wishes);
        desired->source = xstrdup(record->source);
        desired->revision = record->revision;
        desired->ports = record->ports;
        desired->wanted = record->wanted;
        desired->created_ms = record->created_ms;
        install(d, STEAL(desired));
        return 0;
}

static void load_replicas(struct daemon *d, const struct stored_replicas *stored)
{
        for (size_t i = 0; i < stored->len; i++) {
                const struct replica_fact *from = &stored->items[i];
                struct replica_fact *fact =
                        daemon_replica(d, from->stack, from->service, from->replica);
                struct replica_fact copy = *from;

                copy.stack = fact->stack;
                copy.service = fact->service;
                copy.last_spec_hash = xstrdup(from->last_spec_hash);
                copy.last_message = xstrdup(from->last_message);
                *fact = copy;
        }
}

int daemon_load(struct daemon *d, struct err *err)
{
        struct stored_stacks stacks = {0};
        struct stored_replicas replicas = {0};
        struct err why = ERR_INIT;
        int r;

        r = store_list_stacks(d->store, &stacks, err);
        for (size_t i = 0; r == 0 && i < stacks.len; i++)
                if (load_stack(d, &stacks.items[i], &why) < 0) {
                        log_error("stack", stacks.items[i].name,
                                  "cannot be read, it is left as it is: %s", why.msg);
                        event_emit(d->events, stacks.items[i].name, NULL, 0, "unreadable", "",
                                   "%s; apply its manifest again", why.msg);
                }
        stored_stacks_release(&stacks);
        if (r == 0)
                r = store_list_replicas(d->store, &replicas, err);
        if (r == 0)
                load_replicas(d, &replicas);
        stored_replicas_release(&replicas);
        return r;
}

void daemon_follow(struct daemon *d, struct follower *follower)
{
        follower->next = d->followers;
        d->followers = follower;
}

void daemon_unfollow(struct daemon *d, struct follower *follower)
{
        for (struct follower **p = &d->followers; *p; p = &(*p)->next)
                if (*p == follower) {
                        *p = follower->next;
                        return;
                }
}

struct instance *daemon_instance(const struct daemon *d, const char *stack, const char *service,
                                 unsigned replica)
{
        struct instance *best = NULL;

        for (size_t i = 0; i < d->instances_len; i++) {
                struct instance *in = d->instances[i];

                if (in->remove_wanted || in->state == VM_STOPPING || !streq(in->stack, stack) ||
                    !streq(in->service, service) || (replica && in->replica != replica))
                        continue;
                if (!best || in->replica < best->replica ||
                    (in->replica == best->replica && daemon_is_serving(d, in)))
                        best = in;
        }
        return best;
}
