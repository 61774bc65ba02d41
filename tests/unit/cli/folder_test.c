/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "orchestrator/cli/folder.h"
#include "tests/tap.h"

static char dir[] = "/tmp/berth-folder-XXXXXX";

static void put(const char *name, const char *text)
{
        AUTO_FREE char *path = file_join(dir, name);

        (void)file_write_atomic(path, text, strlen(text), 0644, NULL); /* the scan tells */
}

static void drop(const char *name)
{
        AUTO_FREE char *path = file_join(dir, name);

        (void)unlink(path); /* the scan tells */
}

static void test_names(void)
{
        ok(folder_is_manifest("a.yaml") && folder_is_manifest("b.yml"), "manifests");
        ok(!folder_is_manifest(".a.yaml") && !folder_is_manifest("_a.yaml"), "hidden ones");
        ok(!folder_is_manifest("a.yaml.swp") && !folder_is_manifest("a.yaml~"), "editors' copies");
        ok(!folder_is_manifest("a.json") && !folder_is_manifest(".yaml"), "others");
}

static void test_changes(struct folder *f)
{
        is_int(folder_scan(f, 0, NULL), 0, "an empty folder");
        is_int(f->files_len, 0, "has no files");
        put("b.yaml", "one");
        put("a.yml", "two");
        put("c.txt", "three");
        is_int(folder_scan(f, 1, NULL), 0, "scanned again");
        is_int(f->files_len, 2, "two manifests");
        has_str(f->files[0].path, "/a.yml", "by name");
        ok(folder_changed(&f->files[0]), "new content");
        ok(!folder_changed(&f->files[0]), "is told once");
        put("a.yml", "two");
        ok(!folder_changed(&f->files[0]), "written again with the same content");
        put("a.yml", "two!");
        ok(folder_changed(&f->files[0]), "with another");
        put("a.yml", "");
        ok(!folder_changed(&f->files[0]), "an empty file is about to be written");
}

static void test_loss(struct folder *f)
{
        f->files[0].stack = xstrdup("shop");
        is_int(folder_wait_ms(f, 5), -1, "nothing is on its way out");
        drop("a.yml");
        is_int(folder_scan(f, 1000, NULL), 0, "a file is gone");
        ok(!folder_lost(f, 1000), "it gets its grace");
        is_int(folder_wait_ms(f, 1500), FOLDER_GRACE_MS - 500, "which ends");
        is_int(folder_scan(f, 1800, NULL), 0, "a scan in between");
        is_int(folder_wait_ms(f, 1800), FOLDER_GRACE_MS - 800, "does not make it longer");
        put("a.yml", "two");
        is_int(folder_scan(f, 1900, NULL), 0, "it is back");
        ok(!folder_lost(f, 100000), "and not lost");
        drop("a.yml");
        is_int(folder_scan(f, 2000, NULL), 0, "gone again");
        ok(folder_lost(f, 2000 + FOLDER_GRACE_MS) == &f->files[0], "lost after its grace");
}

/* A renamed file brings its stack along. */
static void test_rename(struct folder *f)
{
        ok(!folder_owner(f, "shop", NULL), "a file that is gone owns nothing");
        folder_take(f, &f->files[1], "shop");
        ok(folder_owner(f, "shop", &f->files[0]) == &f->files[1], "another one owns the stack");
        ok(!folder_owner(f, "shop", &f->files[1]), "nobody besides it");
        is_str(f->files[0].stack, NULL, "the former one does not any more");
        folder_forget(f, &f->files[0]);
        is_int(f->files_len, 1, "the lost file is forgotten");
        has_str(f->files[0].path, "/b.yaml", "the other is not");
}

int main(void)
{
        struct folder folder;
        struct err err = ERR_INIT;

        ok(mkdtemp(dir), "temporary folder");
        folder_init(&folder, dir);
        test_names();
        test_changes(&folder);
        test_loss(&folder);
        test_rename(&folder);
        is_int(file_remove_tree(dir, NULL), 0, "removed");
        is_int(folder_scan(&folder, 9, &err), -ENOENT, "a folder that is gone is an error");
        folder_release(&folder);
        return tap_done();
}
