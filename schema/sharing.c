/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A named volume is one ext4 disk. Two kernels that have it mounted, one of them for writing,
 * damage it; a disk that all only read is safe.
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
        for (size_t i = 0; i < stack->volumes_len; i++)
                if (streq(stack->volumes[i].name, name))
                        return &stack->volumes[i];
        return NULL;
}

static void refuse_disk(struct reader *r, const struct use *writer, const struct use *other)
{
        if (other == writer)
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
        for (size_t i = 1; i < n && !other; i++)
                if (group[i].draft != group->draft || group[i].draft->service.replicas > 1)
                        other = &group[i];
        if (other && volume->volume_class == VOLUME_DISK)
                refuse_disk(r, group, other);
        else if (other)
                volume->volume_class = VOLUME_SHARED;
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
}
