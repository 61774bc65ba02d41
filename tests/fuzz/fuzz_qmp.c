/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "vz/qmp_message.h"
#include "vz/vm_end.h"

/*
 * What comes from a QEMU that its guest has taken over: a line of QMP, and the end of the console
 * log. The first byte says how the process ended.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_console(const char *text, size_t len, uint8_t how)
{
        const struct vm_end_traces traces = {.console = text,
                                             .console_len = len,
                                             .killed_by_us = how & 1,
                                             .status_known = how & 2,
                                             .shutdown_seen = how & 4,
                                             .wait_status = how >> 3};
        char message[VM_END_MESSAGE_MAX];

        memset(message, 'x', sizeof(message));
        (void)vm_end_decide(&traces, message);
        for (const char *p = message; *p; p++)
                if (p == message + sizeof(message) - 1 || *p < ' ' || *p > '~')
                        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct qmp_message message = {.id = -1};
        struct err err = ERR_INIT;
        AUTO_FREE char *text = NULL;

        if (size < 1)
                return 0;
        text = malloc(size); /* of exactly this size, for the sanitizer */
        if (!text)
                return 0;
        memcpy(text, data + 1, size - 1);
        if (qmp_message_parse(text, size - 1, &message, &err) == 0) {
                if (message.kind == QMP_EVENT && !message.name)
                        abort();
                if (message.kind == QMP_RETURN && !message.data)
                        abort();
                qmp_message_release(&message);
        } else if (!*err.msg) {
                abort();
        }
        take_console(text, size - 1, data[0]);
        return 0;
}
