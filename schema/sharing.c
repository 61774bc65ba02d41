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

static void refuse_replicas(struct reader *r, const struct use *use)
{
        diags_add(
                r->diags, DIAG_CONFLICT, &use->ref->mark, use->ref->path,
                "%u replicas would write to volume '%.60s': it is one disk, which only one VM can "
                "write to; set scale to 1, leave the name out for a volume of each replica's own, "
                "or mount a folder of the host (./%.60s:/path)",
                use->draft->service.replicas, use->ref->name, use->ref->name);
}

static void refuse_second(struct reader *r, const struct use *first, const struct use *second)
{
        diags_add(r->diags, DIAG_CONFLICT, &second->ref->mark, second->ref->path,
                  "volume '%.60s' is written by service '%s' (line %u): it is one disk, which "
                  "cannot be mounted by a second VM then; mount a folder of the host in both "
                  "(./%.60s:/path)",
                  second->ref->name, first->draft->service.name, first->ref->mark.line,
                  second->ref->name);
}

/* Uses of one volume, those that write first. */
static void check_group(struct reader *r, const struct use *group, size_t n)
{
        if (group->writes && group->draft->service.replicas > 1)
                refuse_replicas(r, group);
        for (size_t i = 1; i < n; i++)
                if (group->writes && group[i].draft != group->draft)
                        refuse_second(r, group, &group[i]);
}

void validate_sharing(struct reader *r, const struct stack_draft *draft)
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
                check_group(r, &uses[i], k - i);
        }
}
