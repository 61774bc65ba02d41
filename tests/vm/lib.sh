# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Tests with real VMs: TAP functions, and a root of berth of their own that is gone afterwards.
# Sourced by tests/vm/*.t, which run from the top of the tree:
#
#   . tests/vm/lib.sh
#   is "$(berth version -o json | jq -r .version)" 0.1.0 "the version"
#   finish
#
# BERTH_TEST_IMAGES is an image store with the images of manifests/examples/hello, made by
# `make test-images` and shared by all tests; nothing in it is changed by them.

set -u

PATH=$PWD/${BUILD:-build}/bin:$PATH
export PATH
unset BERTH_ROOT BERTH_IMAGES

# Tests talk to loopback only: a pull from anywhere else ends at a proxy that is not there.
http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 no_proxy=127.0.0.1,localhost
export http_proxy https_proxy no_proxy
unset HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY all_proxy

test_dir=$(mktemp -d "${TMPDIR:-/tmp}/berth-t.XXXXXX")
BERTH_ROOT=$test_dir/r
BERTH_IMAGES=${BERTH_TEST_IMAGES:-$PWD/build/tests/images}
BERTH_TEST=$test_dir # marks every process of this test, also those that outlive their parent
export BERTH_ROOT BERTH_IMAGES BERTH_TEST

. tests/tap.sh

# run COMMAND...: its output in $out (both streams), its exit code in $code
# shellcheck disable=SC2034 # the tests read both
run() {
        out=$("$@" 2>&1)
        code=$?
}

# wait_event REGEX [SECONDS]: until an event that matches came, from the whole history on
wait_event() {
        events_fifo=$test_dir/events.$$
        mkfifo "$events_fifo"
        timeout "${2:-120}" berth events -f >"$events_fifo" 2>/dev/null &
        grep -qE -m1 -e "$1" "$events_fifo"
        set -- $?
        rm -f "$events_fifo"
        kill $! 2>/dev/null
        return "$1"
}

# wait_for CONDITION [SECONDS]: evaluate a shell condition again after each event until it holds
wait_for() {
        fifo=$test_dir/events.$$
        mkfifo "$fifo"
        timeout "${2:-120}" berth events -f >"$fifo" 2>/dev/null &
        while eval "! { $1; }"; do
                read -r _ || break
        done <"$fifo"
        rm -f "$fifo"
        kill $! 2>/dev/null
        eval "$1"
}

# wait_templates: until those that a daemon makes for what it took over are there (BERTH_POOL=0)
wait_templates() {
        timeout 60 sh -c 'until berth system info -o json |
                jq -e "[.templates[].state] | length > 0 and all(. == \"ready\")" >/dev/null; do :; done'
}

# field_of STACK SERVICE REPLICA FIELD: from ps
field_of() {
        berth ps -a -o json | jq -r --arg s "$1" --arg v "$2" --argjson n "$3" \
                ".[] | select(.stack == \$s and .service == \$v and .replica == \$n) | $4"
}

# free_port: a TCP port of loopback that nobody uses now
free_port() {
        python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2>/dev/null ||
                perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport'
}

# ours: pids of all processes of this test but the shell's own
ours() {
        for environ in /proc/[0-9]*/environ; do
                pid=${environ#/proc/}
                pid=${pid%/environ}
                [ "$pid" != "$$" ] || continue
                grep -qsaF "BERTH_TEST=$test_dir" "$environ" || continue
                case $(cat "/proc/$pid/comm" 2>/dev/null) in
                berthd | berth-netd | berth-storage | berth-registry | berth | qemu-system*) echo "$pid" ;;
                esac
        done
}

# hello_stack [PORT]: a copy of the hello example with another published port, in $test_dir/hello
hello_stack() {
        mkdir -p "$test_dir/hello"
        sed "s/8080:80/${1:-$(free_port)}:80/" manifests/examples/hello/stack.yaml \
                >"$test_dir/hello/stack.yaml"
        echo "$test_dir/hello/stack.yaml"
}

# await_ends: processes of this test that were told to end are gone, helpers of netd included
await_ends() {
        for environ in /proc/[0-9]*/environ; do
                pid=${environ#/proc/}
                pid=${pid%/environ}
                if [ "$pid" != "$$" ] && grep -qsaF "BERTH_TEST=$test_dir" "$environ"; then
                        timeout 10 tail --pid="$pid" -f /dev/null
                fi
        done
}

# kill_ours: until none is left; while a watcher or a berthd lives it starts others
kill_ours() {
        for _ in 1 2 3 4 5; do
                pids=$(ours)
                [ -n "$pids" ] || return
                for pid in $pids; do
                        kill -9 "$pid" 2>/dev/null
                        timeout 10 tail --pid="$pid" -f /dev/null
                done
        done
}

cleanup() {
        berth system stop --vms >/dev/null 2>&1
        kill_ours
        rm -rf "$test_dir"
}
# timeout(1) sends a signal twice: to the test and to its group. The second must not end the cleanup.
trap cleanup EXIT
trap 'trap "" INT TERM HUP PIPE; exit 130' INT TERM HUP PIPE

# finish: tear down, check that nothing is left, print the plan
finish() {
        berth system stop --vms >/dev/null 2>&1
        left=$(ours)
        is "$(for pid in $left; do tr '\0' ' ' <"/proc/$pid/cmdline" | head -c 80; done)" "" \
                "no process is left"
        is "$(mount | grep -c "$test_dir")" 0 "no mount is left"
        echo "1..$count"
        [ "$failed" = 0 ]
        exit
}
