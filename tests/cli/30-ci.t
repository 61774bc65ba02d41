#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# berth ci: the command's exit code, its environment, runs beside each other, nothing left behind.
. tests/vm/lib.sh

# With its published port in use: ci takes free ones.
stack=$(hello_stack 1)
TMPDIR=$test_dir
export TMPDIR
roots() {
        find "$test_dir" -maxdepth 1 -name 'berth-ci-*'
}

# shellcheck disable=SC2016 # the command's shell
run berth ci -f "$stack" -- sh -c 'curl -fsS "$BERTH_WEB_URL"; env | grep ^BERTH_; berth ps -q; exit 7'
is "$code" 7 "the command's exit code" || printf '%s\n' "$out" | sed 's/^/# /'
like "$out" 'its own virtual machine' "BERTH_WEB_URL answers"
like "$out" '^BERTH_WEB_80_ADDR=127.0.0.1:[0-9]+$' "the address by its port"
like "$out" '^BERTH_STACK=hello$' "the stack's name"
like "$out" '^hello/app/2$' "berth works inside the command"
is "$(roots)" "" "the root is gone"
is "$(ours)" "" "and every process"

run berth ci -f "$stack" -- no-such-command
is "$code" 127 "a command that does not exist"
is "$(roots)$(ours)" "" "nothing is left"
sed 's/image: hello-web/image: no-such-image/' "$stack" >"$test_dir/broken.yaml"
run berth ci -f "$test_dir/broken.yaml" -- touch "$test_dir/ran"
is "$code" 125 "a stack that does not come up"
[ ! -e "$test_dir/ran" ]
ok $? "its command is not run"
is "$(roots)$(ours)" "" "nothing is left"

# Two at once, one of them killed while its command runs.
mkfifo "$test_dir/up" "$test_dir/go"
# shellcheck disable=SC2016 # the command's shell
berth ci -f "$stack" -- sh -c 'echo up >"$0"; exec sleep 1000' "$test_dir/up" 2>/dev/null &
first=$!
# shellcheck disable=SC2016
berth ci -f "$stack" -- sh -c 'read -r _ <"$0"; curl -fsS "$BERTH_WEB_URL" | grep -q machine && exit 5' \
        "$test_dir/go" 2>/dev/null &
second=$!
read -r _ <"$test_dir/up"
is "$(roots | wc -l)" 2 "two run beside each other"
killed=$(tr '\0' '\n' <"/proc/$(pgrep -P $first -x sleep)/environ" | sed -n 's/^BERTH_ROOT=//p')
daemon=$(berth --root "$killed" version -o json | jq -r .server.pid)
kill -9 $first
wait $first 2>/dev/null
timeout 60 tail --pid="$daemon" -f /dev/null
ok $? "kill -9 of ci ends its berthd"
[ ! -e "$killed" ]
ok $? "which removes the root"
for pid in $(ours); do
        tr '\0' '\n' <"/proc/$pid/environ"
done | grep -qxF "BERTH_ROOT=$killed"
ok $((! $?)) "and everything in it"
echo >"$test_dir/go"
wait $second
is $? 5 "the other one was not disturbed"

# shellcheck disable=SC2016
berth ci -f "$stack" -- sh -c 'trap "exit 3" TERM; echo up >"$0"; while :; do sleep 0.1; done' \
        "$test_dir/up" 2>/dev/null &
third=$!
read -r _ <"$test_dir/up"
kill -TERM $third
wait $third
is $? 3 "SIGTERM is passed on, and the command decides"
is "$(roots)$(ours)" "" "nothing is left"

# shellcheck disable=SC2016
run berth ci -f "$stack" -- sh -c 'kill -9 "$(berth version -o json | jq -r .server.pid)"; exit 4'
is "$code" 4 "berthd is killed: the command's exit code all the same"
like "$out" 'berthd of .* has died; another one takes it down' "and a word of it"
is "$(roots)$(ours)" "" "nothing is left"

run berth ci -f "$stack" --keep on-failure -- false
is "$code" 1 "a command that fails"
kept=$(roots)
is "$(berth --root "$kept" ps -q | grep -c .)" 4 "--keep leaves the stack"
berth --root "$kept" system stop --vms >/dev/null
rm -r "$kept"
finish
