/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A named volume is one ext4 disk. When it is mounted twice, once for writing, it is damaged, by
 * two kernels and by one that has it as two disks; a disk that all only read is safe. And a VM has
 * room for few disks. In both cases the volume is a folder of the host, which has neither limit.
 */
#include "schema/sharing.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* One mount of a named volume. */
struct use {
        const struct ref *ref;
        const struct service_draft *draft;
        bool writes;
};

static int compare_uses(const void *a, const void *b)
{
        const struct use *x = a, *y = b;
        int r = strcmp(x->ref->name, y->ref->name);

        if (r == 0 && x->writes != y->writes)
                r = x->writes ? -1 : 1;
        return r ? r : strcmp(x->draft->service.name, y->draft->service.name);
}

static bool writes(const struct service *s, const char *volume)
{
        for (size_t i = 0; i < s->volumes_len; i++)
                if (s->volumes[i].type == MOUNT_VOLUME && streq(s->volumes[i].source, volume) &&
                    !s->volumes[i].read_only)
                        return true;
        return false;
}

static struct volume *find_volume(struct stack *stack, const char *name)
{
        const struct volume *found = stack_find_volume(stack, name);

        return found ? &stack->volumes[found - stack->volumes] : NULL;
}

static void refuse_disk(struct reader *r, const struct use *writer, const struct use *other)
{
        if (other != writer && other->draft == writer->draft)
                diags_add(r->diags, DIAG_CONFLICT, &other->ref->mark, other->ref->path,
                          "volume '%.60s' is of class disk, which can be mounted once; set its "
                          "x-berth.class to shared",
                          other->ref->name);
        else if (other == writer)
                diags_add(r->diags, DIAG_CONFLICT, &writer->ref->mark, writer->ref->path,
                          "%u replicas would write to volume '%.60s' of class disk, which one VM "
                          "can mount; set scale to 1, or x-berth.class to shared",
                          writer->draft->service.replicas, writer->ref->name);
        else
                diags_add(r->diags, DIAG_CONFLICT, &other->ref->mark, other->ref->path,
                          "volume '%.60s' is of class disk and written by service '%s' (line %u): "
                          "no second VM can mount it; set its x-berth.class to shared",
                          other->ref->name, writer->draft->service.name, writer->ref->mark.line);
}

/* Uses of one volume, those that write first. */
static void settle_group(struct reader *r, struct stack_draft *draft, const struct use *group,
                         size_t n)
{
        struct volume *volume = find_volume(&draft->stack, group->ref->name);
        const struct use *other = NULL;

        if (!group->writes || !volume)
                return;
        if (group->draft->service.replicas > 1)
                other = group;
        if (!other && n > 1)
                other = &group[1];
        if (other && volume->volume_class == VOLUME_DISK)
                refuse_disk(r, group, other);
        else if (other)
                volume->volume_class = VOLUME_SHARED;
}

static const struct ref *find_ref(const struct reader *r, const struct stack_draft *draft,
                                  const struct service_draft *d, const char *volume)
{
        for (size_t i = 0; i < r->refs_len; i++)
                if (r->refs[i].kind == REF_VOLUME && streq(r->refs[i].name, volume) &&
                    &draft->drafts[r->refs[i].service] == d)
                        return &r->refs[i];
        bug("a mount without a reference");
}

static void refuse_room(struct reader *r, const struct stack_draft *draft,
                        const struct service_draft *d, const struct volume *volume)
{
        const struct ref *ref = find_ref(r, draft, d, volume->name);

        diags_add(r->diags, DIAG_LIMIT, &ref->mark, ref->path,
                  "volume '%.60s' is of class disk, and the VM has no room for one more; set its "
                  "x-berth.class to shared, or take a network or volume away",
                  volume->name);
}

/* The last volumes of a service whose class is nobody's choice make room. Whether one did. */
static bool make_room(struct reader *r, struct stack_draft *draft, const struct service_draft *d)
{
        const struct service *s = &d->service;
        size_t room, disks = 0;
        bool changed = false;

        if (s->networks_len + s->volumes_len < SERVICE_DEVICES_MAX)
                return false;
        room = service_disk_room(&draft->stack, s);
        for (int chosen = 1; chosen >= 0; chosen--)
                for (size_t i = 0; i < s->volumes_len; i++) {
                        const struct mount *m = &s->volumes[i];
                        struct volume *v = m->type == MOUNT_VOLUME && m->source
                                                   ? find_volume(&draft->stack, m->source)
                                                   : NULL;

                        if (!v || v->volume_class == VOLUME_SHARED ||
                            (v->volume_class == VOLUME_DISK) != chosen || disks++ < room)
                                continue;
                        if (chosen)
                                refuse_room(r, draft, d, v);
                        else
                                v->volume_class = VOLUME_SHARED;
                        changed = changed || !chosen;
                }
        return changed;
}

void settle_sharing(struct reader *r, struct stack_draft *draft)
{
        AUTO_FREE struct use *uses = xcalloc(r->refs_len, sizeof(*uses));
        size_t n = 0;

        for (size_t i = 0; i < r->refs_len; i++) {
                const struct service_draft *d = &draft->drafts[r->refs[i].service];

                if (r->refs[i].kind == REF_VOLUME && !d->disabled && d->service.replicas > 0)
                        uses[n++] =
                                (struct use){&r->refs[i], d, writes(&d->service, r->refs[i].name)};
        }
        if (n)
                qsort(uses, n, sizeof(*uses), compare_uses);
        for (size_t i = 0, k; i < n; i = k) {
                for (k = i + 1; k < n && streq(uses[k].ref->name, uses[i].ref->name);)
                        k++;
                settle_group(r, draft, &uses[i], k - i);
        }
        for (bool changed = true; changed;) {
                changed = false;
                for (size_t i = 0; i < draft->drafts_len; i++)
                        if (!draft->drafts[i].disabled)
                                changed = make_room(r, draft, &draft->drafts[i]) || changed;
        }
}
