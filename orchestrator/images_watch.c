/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store may have several daemons: what one loads, tags or removes, the others see, at once if
 * they only wait, and at the latest when somebody applies.
 */
#include <stdlib.h>

#include "base/loop.h"
#include "base/mem.h"
#include "orchestrator/images_internal.h"

/* Whether the index is another one than when it was looked at last: it is replaced as a whole. */
static bool has_changed(struct images *images)
{
        ev_statdata before = images->seen, *now = &images->index.attr;

        ev_stat_stat(images->loop, &images->index);
        images->seen = *now;
        return before.st_ino != now->st_ino || before.st_size != now->st_size ||
               before.st_mtim.tv_sec != now->st_mtim.tv_sec ||
               before.st_mtim.tv_nsec != now->st_mtim.tv_nsec;
}

/* 1: it is not what was known, and is looked up when it is wanted next. */
static int look_again(struct images *images, struct image_entry *entry)
{
        AUTO(image) struct image *image = NULL;
        struct err ignored;
        int r;

        if (entry->refresh || (entry->state != IMAGE_READY && entry->state != IMAGE_MISSING))
                return 0; /* a pull under way brings its own news */
        r = image_find(images->store, entry->ref, &image, &ignored);
        return entry->state == IMAGE_MISSING ? r == 0
                                             : r < 0 || !streq(image->digest, entry->image->digest);
}

void images_look(struct images *images)
{
        size_t kept = 0;

        if (!images->index_path || !has_changed(images))
                return;
        for (size_t i = 0; i < images->entries_len; i++) {
                struct image_entry entry = images->entries[i];

                if (look_again(images, &entry))
                        images_entry_release(&entry);
                else
                        images->entries[kept++] = entry;
        }
        if (kept == images->entries_len)
                return;
        images->entries_len = kept;
        if (images->on_change)
                images->on_change(images->ctx, "");
}

static void on_index_change(struct ev_loop *loop, ev_stat *w, int revents)
{
        (void)loop;
        (void)revents;
        images_look(container_of(w, struct images, index));
}

void images_watch_start(struct images *images)
{
        images->index_path = image_store_index(images->store);
        if (!images->index_path)
                return;
        ev_stat_init(&images->index, on_index_change, images->index_path, 0.);
        ev_stat_start(images->loop, &images->index); /* inotify where the file system has it */
        images->seen = images->index.attr;
}

void images_watch_stop(struct images *images)
{
        if (images->index_path)
                ev_stat_stop(images->loop, &images->index);
        free(images->index_path);
        images->index_path = NULL;
}
