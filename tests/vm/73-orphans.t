#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a killed exec or healthcheck leaves behind never becomes a child of the service: servers
# that count their children take its end for a crash.
. tests/vm/lib.sh

# pid 1 is a sleep, which buries nobody: a child that it was given and that ended stays a zombie.
cat >"$test_dir/s.yaml" <<'END'
name: orphans
services:
  late:
    image: hello-web
    pull_policy: never
    command: sleep infinity
    stop_grace_period: 1s
    healthcheck:
      test: mkfifo /late; sleep 1000 >/late; echo never
      interval: 1s
      timeout: 1s
      retries: 1
END
run berth apply -f "$test_dir/s.yaml" -d
is "$code" 0 "apply" || printf '%s\n' "$out" | sed 's/^/# /'
inside() {
        timeout 60 berth exec orphans/late -- sh -c "$1" 2>&1
}
wait_event 'orphans/late.* started'
is "$(inside 'until [ -p /late ]; do sleep 1; done; cat /late; echo end')" end \
        "the child of a healthcheck that took too long is killed with it"

# A client that goes: its program and the child of that are killed; the fifo tells when.
inside 'mkfifo /gone' >/dev/null
mkfifo "$test_dir/seen"
berth exec orphans/late -- sh -c 'sleep 1000 >/gone; echo never' >/dev/null 2>&1 &
client=$!
inside 'exec 3</gone; echo open; cat <&3; echo end' >"$test_dir/seen" &
exec 4<"$test_dir/seen"
read -r line <&4
is "$line" open "a child of an exec runs"
kill -9 "$client"
is "$(cat <&4)" end "it is killed when the client goes"
exec 4<&-

# shellcheck disable=SC2016 # the shell inside expands it
is "$(inside 'for s in /proc/[0-9]*/status; do
                grep -q "^PPid:.1$" "$s" 2>/dev/null && grep -E "^(Name|State)" "$s"
        done')" "" "the service was given none of them"

# The program's end is told as it was.
run berth exec orphans/late -- sh -c 'kill -SEGV $$'
is "$code" 139 "a signal that ended the program"
run berth exec orphans/late -- sh -c 'exit 143'
is "$code" 143 "an exit code"
# shellcheck disable=SC2016 # as above
is "$(inside 'id -u; grep CapEff /proc/$PPID/status | cut -f 2; ls /proc/$PPID/fd')" "0
0000000000000020" "its parent has the right to kill, and nothing open"
run berth delete orphans --timeout 60s
is "$code" 0 "delete"
finish
