/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/tap.h"
#include "vz/vm_end.h"

#define EXIT(code) ((code) << 8)

static void check(const char *what, struct vm_end_traces t, const char *console, enum vm_end how,
                  const char *part)
{
        char message[VM_END_MESSAGE_MAX];

        t.console = console;
        t.console_len = strlen(console);
        is_int(vm_end_decide(&t, message), how, "%s", what);
        has_str(message, part, "%s: message", what);
        ok(strlen(message) < sizeof(message) && !strpbrk(message, "\n\r\033"), "%s: one line",
           what);
}

int main(void)
{
        const struct vm_end_traces adopted = {0}, clean = {.status_known = true},
                                   failed = {.status_known = true, .wait_status = EXIT(1)},
                                   killed = {.status_known = true, .wait_status = 9},
                                   ours = {.status_known = true,
                                           .wait_status = 9,
                                           .killed_by_us = true},
                                   late = {.status_known = true,
                                           .wait_status = EXIT(1),
                                           .killed_by_us = true,
                                           .kill_reason = "QEMU did not start"};
        const char *panic = "x\n[ 1.0] Kernel panic - not syncing: Attempted to kill init!\r\nmore";
        char long_line[4096];

        check("reset", clean, "[ 1.0] vminit: power off\n", VM_END_POWEROFF, "powered off");
        check("reset without a word", clean, "", VM_END_POWEROFF, "powered off");
        check("panic", clean, panic, VM_END_PANIC, "Attempted to kill init!");
        check("panic, adopted", adopted, panic, VM_END_PANIC, "not syncing");
        check("reset, adopted", adopted, "[ 1.0] vminit: power off\n", VM_END_POWEROFF,
              "powered off");
        check("nothing known", adopted, "", VM_END_KILLED, "left no reason");
        check("reset seen by QMP", (struct vm_end_traces){.shutdown_seen = true}, "",
              VM_END_POWEROFF, "powered off");
        check("bad option", failed, "a\nqemu-system-x86_64: -foo: invalid option\n\n",
              VM_END_KILLED, "status 1; last console line: qemu-system-x86_64: -foo");
        check("killed", killed, panic, VM_END_KILLED, "signal 9");
        check("aborted", (struct vm_end_traces){.status_known = true, .wait_status = 6},
              "kvm.c:2869: Assertion failed\n", VM_END_KILLED,
              "signal 6; last console line: kvm.c");
        check("killed by us", ours, panic, VM_END_KILLED, "on request");
        check("ended before our signal", late, "no such machine\n", VM_END_KILLED,
              "no such machine");
        check("control characters", failed, "\033[2J\007evil\n", VM_END_KILLED, "?[2J?evil");
        memset(long_line, 'A', sizeof(long_line) - 1);
        long_line[sizeof(long_line) - 1] = 0;
        check("long line", failed, long_line, VM_END_KILLED, "AAAA");
        return tap_done();
}
