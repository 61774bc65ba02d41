/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of what is wanted that are no manifest: stop, start, restart, scale, rollback. Each makes
 * a revision with a note, so that history shows it and a later apply builds on it:
 *
 *   stop, start   a wish beside the manifest; the next apply starts what was stopped
 *   restart       the generation of the services' VMs, kept by a later apply
 *   scale         the manifest's own number: a later apply shows it as a difference and takes it
 * back rollback      the manifest of an earlier revision
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "orchestrator/daemon.h"
#include "reconciler/diff.h"

#define NOTE_MAX 200 /* a line of `berth history`; longer lists are cut */

struct edit {
        struct daemon *d;
        struct desired *old;
        struct stack_change asked;
        struct desired *new;
        bool changed;
};

static bool is_meant(const struct stack_change *asked, const char *service)
{
        const json_t *name;
        size_t i;

        if (!asked->services)
                return true;
        json_array_foreach(asked->services, i, name)
                if (streq(json_string_value(name), service))
                        return true;
        return false;
}

static int check_services(const struct edit *c, struct err *err)
{
        const json_t *name;
        size_t i;

        json_array_foreach(c->asked.services, i, name) {
                const char *text = json_string_value(name);

                if (!text || !stack_find_service(c->old->stack, text))
                        return err_set(err, ENOENT, "stack %s has no service %s",
                                       c->old->stack->name, text ? text : "of that name");
        }
        return 0;
}

static char *note_text(const struct stack_change *asked)
{
        AUTO_STRBUF struct strbuf sb = STRBUF_INIT(1u << 20);
        const json_t *name;
        size_t i;

        if (streq(asked->verb, "rollback"))
                return xasprintf("rollback to revision %lld", (long long)asked->revision);
        strbuf_adds(&sb, asked->verb);
        json_array_foreach(asked->services, i, name) {
                if (sb.len > NOTE_MAX) {
                        strbuf_adds(&sb, " ...");
                        break;
                }
                strbuf_addf(&sb, " %s", json_string_value(name));
        }
        if (streq(asked->verb, "scale"))
                strbuf_addf(&sb, "=%lld", (long long)asked->replicas);
        return strbuf_take(&sb);
}

/* The next revision from a manifest, with what was wished so far. */
static int next_revision(struct edit *c, const json_t *manifest, struct err *err)
{
        AUTO_JSON json_t *diagnostics = NULL;
        int r = desired_new(manifest, &c->new, &diagnostics, err);

        if (r < 0)
                return r;
        c->new->source = xstrdup(c->old->source);
        c->new->ports = c->old->ports;
        c->new->revision = c->old->revision + 1;
        c->new->created_ms = c->old->created_ms;
        desired_inherit(c->new, c->old, true);
        return 0;
}

static int same_manifest(struct edit *c, struct err *err)
{
        AUTO_JSON json_t *manifest = desired_manifest(c->old);

        return next_revision(c, manifest, err);
}

static int set_stopped(struct edit *c, bool stopped, struct err *err)
{
        int r = same_manifest(c, err);

        for (size_t i = 0; r == 0 && i < c->new->wishes.services_len; i++) {
                struct service_wish *wish = &c->new->wishes.services[i];

                if (!is_meant(&c->asked, c->new->stack->services[i].name) ||
                    wish->stopped == stopped)
                        continue;
                wish->stopped = stopped;
                c->changed = true;
        }
        return r;
}

static int do_stop(struct edit *c, struct err *err)
{
        return set_stopped(c, true, err);
}

/* Also what has failed is started again. */
static int do_start(struct edit *c, struct err *err)
{
        daemon_retry_failed(c->d, c->old->stack->name);
        return set_stopped(c, false, err);
}

static int do_restart(struct edit *c, struct err *err)
{
        int r = set_stopped(c, false, err);

        for (size_t i = 0; r == 0 && i < c->new->stack->services_len; i++)
                if (is_meant(&c->asked, c->new->stack->services[i].name)) {
                        desired_renew(c->new, i, "restart on request");
                        c->changed = true;
                }
        return r;
}

static int do_scale(struct edit *c, struct err *err)
{
        AUTO_JSON json_t *manifest = desired_manifest(c->old);
        const char *name = json_string_value(json_array_get(c->asked.services, 0));
        json_t *service = json_object_get(json_object_get(manifest, "services"), name);

        if (!service || json_array_size(c->asked.services) != 1)
                return err_set(err, EINVAL, "scale needs one service and a number of replicas");
        if (c->asked.replicas < 0 || c->asked.replicas > SERVICE_REPLICAS_MAX)
                return err_set(err, EINVAL, "%s: %lld replicas: there can be 0 to %d", name,
                               (long long)c->asked.replicas, SERVICE_REPLICAS_MAX);
        json_set_int(service, "scale", c->asked.replicas);
        c->changed = stack_find_service(c->old->stack, name)->replicas != c->asked.replicas;
        return next_revision(c, manifest, err);
}

/* The revision asked for, else the newest whose manifest differs from the present one. */
static const struct stored_revision *choose(const struct stored_revisions *revisions,
                                            const struct edit *c, const json_t *present,
                                            json_t **ret_manifest)
{
        for (size_t i = 0; i < revisions->len; i++) {
                const struct stored_revision *r = &revisions->items[i];
                AUTO_JSON json_t *manifest = NULL;
                size_t len = strlen(r->manifest);

                if (c->asked.revision ? c->asked.revision != r->revision
                                      : r->revision >= c->old->revision)
                        continue;
                if (json_parse(r->manifest, len, len, "manifest", &manifest, NULL) < 0)
                        continue;
                if (!c->asked.revision && json_equal(manifest, present))
                        continue;
                *ret_manifest = STEAL(manifest);
                return r;
        }
        return NULL;
}

static int do_rollback(struct edit *c, struct err *err)
{
        AUTO_JSON json_t *present = desired_manifest(c->old);
        AUTO_JSON json_t *manifest = NULL;
        struct stored_revisions revisions = {0};
        const struct stored_revision *to;
        int r = store_list_history(c->d->store, c->old->stack->name, &revisions, err);

        if (r < 0)
                return r;
        to = choose(&revisions, c, present, &manifest);
        if (!to) {
                stored_revisions_release(&revisions);
                return err_set(err, ENOENT, "stack %s has no such revision; see `berth history %s`",
                               c->old->stack->name, c->old->stack->name);
        }
        c->asked.revision = to->revision; /* for the note */
        c->changed = !json_equal(manifest, present);
        stored_revisions_release(&revisions);
        return next_revision(c, manifest, err);
}

static const struct {
        const char *verb;
        int (*run)(struct edit *c, struct err *err);
} verbs[] = {{"stop", do_stop},
             {"start", do_start},
             {"restart", do_restart},
             {"scale", do_scale},
             {"rollback", do_rollback}};

static int run_verb(struct edit *c, struct err *err)
{
        int r = check_services(c, err);

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(verbs); i++)
                if (streq(verbs[i].verb, c->asked.verb))
                        return verbs[i].run(c, err);
        return r < 0 ? r : err_set(err, EINVAL, "unknown change %s", c->asked.verb);
}

int daemon_change(struct daemon *d, const char *name, const struct stack_change *asked,
                  struct err *err)
{
        struct edit c = {.d = d, .old = daemon_find(d, name), .asked = *asked};
        AUTO_FREE char *note = NULL;
        int r;

        if (!c.old || c.old->wanted != STACK_UP)
                return err_set(err, ENOENT, "there is no stack %s; see `berth ps`", name);
        if (d->draining)
                return err_set(err, ESHUTDOWN, "the daemon is shutting down; try again");
        r = run_verb(&c, err);
        daemon_dirty(d);
        if (r < 0 || !c.changed) {
                desired_unref(c.new);
                return r < 0 ? r : STACK_SAME;
        }
        r = daemon_admit(d, c.new, err);
        if (r < 0) {
                desired_unref(c.new);
                return r;
        }
        desired_hash(c.new);
        note = note_text(&c.asked);
        return daemon_accept(d, c.new, note, err);
}

/* ------------------------------------------------------------------------------- failed updates */

/* The manifest of a kept revision, or NULL. */
static json_t *find_manifest(const struct daemon *d, const char *stack, unsigned revision)
{
        struct stored_revisions revisions = {0};
        json_t *manifest = NULL;

        if (store_list_history(d->store, stack, &revisions, NULL) < 0)
                return NULL;
        for (size_t i = 0; i < revisions.len; i++) {
                const char *text = revisions.items[i].manifest;

                if (revisions.items[i].revision == revision)
                        (void)json_parse(text, strlen(text), strlen(text), "manifest", &manifest,
                                         NULL); /* NULL then: nothing to go back to */
        }
        stored_revisions_release(&revisions);
        return manifest;
}

/* The present manifest with that one service as it was, else all of the old one. */
static int bring_back(struct edit *c, const json_t *good, const char *service, struct err *err)
{
        AUTO_JSON json_t *manifest = desired_manifest(c->old);
        json_t *spec = json_object_get(json_object_get(good, "services"), service);
        int r;

        if (!spec)
                return err_set(err, ENOENT, "the last good revision has no service %s", service);
        json_object_set(json_object_get(manifest, "services"), service, spec);
        r = next_revision(c, manifest, err);
        if (r < 0)
                r = next_revision(c, good, err); /* a volume or secret of then is missing now */
        c->changed = r == 0 && !desired_same_manifest(c->new, c->old);
        return r;
}

int daemon_undo_update(struct daemon *d, const char *stack, const char *service, const char *reason,
                       struct err *err)
{
        struct edit c = {.d = d, .old = daemon_find(d, stack)};
        AUTO_JSON json_t *good = NULL;
        AUTO_FREE char *note = xasprintf("rollback of %s: %s", service, reason);
        struct service_wish *wish;
        int r;

        if (!c.old)
                return 0;
        wish = desired_wish(c.old, service);
        good = find_manifest(d, stack, wish->good_revision);
        r = good ? bring_back(&c, good, service, err)
                 : err_set(err, ENOENT, "revision %u is not kept any more", wish->good_revision);
        if (r < 0 || !c.changed) {
                free(wish->good); /* there is nothing to go back to: do not try again */
                wish->good = NULL;
                desired_unref(c.new);
                return r;
        }
        c.new->undoes = c.old->revision;
        wish = desired_wish(c.new, service);
        if (wish)
                wish->undoing = true;
        event_emit(d->events, stack, service, 0, "rolled-back", "", "%s", reason);
        return daemon_accept(d, c.new, note, err);
}

static void save_wishes(struct daemon *d, struct desired *desired)
{
        struct err err = ERR_INIT;
        AUTO_JSON json_t *wishes = NULL;
        AUTO_FREE char *text = NULL;

        if (!desired->wishes_changed)
                return;
        wishes = desired_wishes_json(desired);
        text = json_text(wishes);
        if (store_set_wishes(d->store, desired->stack->name, text, &err) < 0)
                log_error("store", desired->stack->name, "%s", err.msg);
        desired->wishes_changed = false;
}

void daemon_note_good(struct daemon *d)
{
        for (size_t i = 0; i < d->plan.services_len; i++) {
                const struct service_status *status = &d->plan.services[i];
                struct desired *desired = status->complete ? daemon_find(d, status->stack) : NULL;
                struct service_wish *wish = desired ? desired_wish(desired, status->service) : NULL;
                const char *hash;

                if (!wish)
                        continue;
                hash = desired->hashes->services[wish - desired->wishes.services];
                if (streq(wish->good, hash))
                        continue;
                free(wish->good);
                wish->good = xstrdup(hash);
                wish->good_revision = desired->revision;
                desired->wishes_changed = true;
        }
        for (size_t i = 0; i < d->desired_len; i++)
                save_wishes(d, d->desired[i]);
}

/* -------------------------------------------------------------------------------------- history */

static struct desired *parse_revision(const struct stored_revision *r)
{
        AUTO_JSON json_t *manifest = NULL, *diagnostics = NULL;
        struct desired *desired = NULL;
        size_t len = strlen(r->manifest);

        if (json_parse(r->manifest, len, len, "manifest", &manifest, NULL) == 0)
                (void)desired_new(manifest, &desired, &diagnostics, NULL); /* none: no changes */
        return desired;
}

static json_t *changes_since(const struct stored_revision *before, const struct stored_revision *r)
{
        AUTO(desired) struct desired *older = before ? parse_revision(before) : NULL;
        AUTO(desired) struct desired *newer = parse_revision(r);
        struct changes changes = {0};
        json_t *j;

        if (newer)
                stack_diff(older ? older->stack : NULL, newer->stack, &changes);
        j = changes_to_json(&changes);
        changes_release(&changes);
        return j;
}

static json_t *revision_json(const struct stored_revision *r, const struct stored_revision *before)
{
        json_t *j = json_object();
        char time[CLOCK_TEXT_MAX];

        clock_text(r->created_ms * 1000000, time);
        json_set_int(j, "revision", r->revision);
        json_set_str(j, "note", r->note);
        json_set_str(j, "created", time);
        json_object_set_new(j, "changes", changes_since(before, r));
        return j;
}

int daemon_history(const struct daemon *d, const char *name, json_t **ret, struct err *err)
{
        const struct desired *desired = daemon_find(d, name);
        struct stored_revisions revisions = {0};
        json_t *list;
        int r;

        if (!desired)
                return err_set(err, ENOENT, "there is no stack %s; see `berth ps`", name);
        r = store_list_history(d->store, name, &revisions, err);
        if (r < 0)
                return r;
        list = json_array();
        for (size_t i = 0; i < revisions.len; i++) {
                bool last = i + 1 == revisions.len;
                json_t *j =
                        revision_json(&revisions.items[i], last ? NULL : &revisions.items[i + 1]);

                json_set_bool(j, "current", revisions.items[i].revision == desired->revision);
                json_array_append_new(list, j);
        }
        stored_revisions_release(&revisions);
        *ret = list;
        return 0;
}
