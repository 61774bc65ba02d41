/* SPDX-License-Identifier: Apache-2.0 */
/* Machine ids: stable for a replica, different for others and in other instances. */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/mem.h"
#include "orchestrator/machine_id.h"
#include "tests/tap.h"

int main(void)
{
        char dir[] = "/tmp/berth-id.XXXXXX";
        char one[MACHINE_ID_MAX], two[MACHINE_ID_MAX], a[MACHINE_ID_MAX], b[MACHINE_ID_MAX];
        AUTO_FREE char *path = NULL;
        struct err err = ERR_INIT;

        ok(mkdtemp(dir) != NULL, "a folder");
        path = file_join(dir, "id");
        is_int(machine_id_load(dir, one, &err), 0, "made");
        is_int((int64_t)strspn(one, "0123456789abcdef"), 32, "32 digits");
        is_int(machine_id_load(dir, two, &err), 0, "read");
        is_str(two, one, "it is the same");
        is_int(file_write_atomic(path, "rubbish", 7, 0600, &err), 0, "a broken file");
        is_int(machine_id_load(dir, two, &err), 0, "is replaced");
        ok(!streq(two, one), "by a new one");

        machine_id_derive(one, "shop", "web", 1, a);
        machine_id_derive(one, "shop", "web", 1, b);
        is_str(b, a, "a replica keeps its id");
        is_int((int64_t)strspn(a, "0123456789abcdef"), 32, "which has 32 digits");
        ok(a[12] == '4' && strchr("89ab", a[16]), "of a version 4 UUID");
        machine_id_derive(one, "shop", "web", 2, b);
        ok(!streq(a, b), "another replica has another");
        machine_id_derive(two, "shop", "web", 1, b);
        ok(!streq(a, b), "so has another instance");
        is_int(file_remove_tree(dir, &err), 0, "removed");
        return tap_done();
}
