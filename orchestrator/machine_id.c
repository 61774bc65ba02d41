/* SPDX-License-Identifier: Apache-2.0 */
#include "orchestrator/machine_id.h"

#include <string.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"

#define DIGITS "0123456789abcdef"

int machine_id_load(const char *state_dir, char ret[MACHINE_ID_MAX], struct err *err)
{
        AUTO_FREE char *path = file_join(state_dir, "id");
        AUTO_FREE char *text = NULL;
        size_t len;
        int r = file_read(path, MACHINE_ID_MAX, &text, &len, err);

        if (r == 0 && len >= MACHINE_ID_MAX - 1 && strspn(text, DIGITS) == MACHINE_ID_MAX - 1) {
                memcpy(ret, text, MACHINE_ID_MAX - 1);
                ret[MACHINE_ID_MAX - 1] = '\0';
                return 0;
        }
        if (r < 0 && err->code != ENOENT && err->code != EFBIG)
                return r;
        /* None yet, or not one of ours: a new one. */
        random_hex(ret, MACHINE_ID_MAX - 1);
        return file_write_atomic(path, ret, MACHINE_ID_MAX - 1, 0600, err);
}

void machine_id_derive(const char *instance, const char *stack, const char *service,
                       unsigned replica, char ret[MACHINE_ID_MAX])
{
        AUTO_FREE char *text =
                xasprintf("berth machine-id %s %s/%s/%u", instance, stack, service, replica);
        char digest[DIGEST_TEXT_MAX];

        digest_text(text, strlen(text), digest);
        memcpy(ret, digest + strlen("sha256:"), MACHINE_ID_MAX - 1);
        ret[12] = '4';                      /* version: random */
        ret[16] = "89ab"[(ret[16] & 0x03)]; /* variant; of a digit or letter: its lowest bits */
        ret[MACHINE_ID_MAX - 1] = '\0';
}
