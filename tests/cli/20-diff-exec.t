#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What scripts rely on, with real VMs: diff and its exit codes, exec's signals and terminal, wait.
. tests/vm/lib.sh

stack=$(hello_stack "$(free_port)")
dir=$(dirname "$stack")

run berth diff -f "$stack"
is "$code" 1 "diff of a stack that does not run"
like "$out" '^stack hello  new  \(source ' "is all new"
run berth apply -f "$stack" --dry-run
is "$code" 0 "a dry run succeeds"
is "$(berth ps -a -q)" "" "and changes nothing"

run berth apply -f "$stack" --timeout 5m
is "$code" 0 "apply succeeds" || printf '%s\n' "$out" | sed 's/^/# /'
like "$out" '^db: healthy after [0-9.]+s$' "plain lines tell the progress"
unlike "$out" "$(printf '\033')" "without escape sequences"
run berth diff -f "$stack"
is "$code" 0 "diff of a stack that runs so"
is "$out" "No changes. Stack hello matches the manifest." "says so"

sed 's/GREETING: hello from app/GREETING: moin/' "$stack" >"$dir/changed.yaml"
berth diff -f "$dir/changed.yaml" >"$test_dir/diff"
is $? 1 "diff of one changed value"
sed "s|$dir|DIR|; s|yaml:[0-9]*:[0-9]*|yaml:LINE:COLUMN|" "$test_dir/diff" >"$test_dir/diff.txt"
is "$(cat "$test_dir/diff.txt")" "$(cat tests/cli/diff-hello.txt)" "names this field and this service"
is "$(berth diff -f "$dir/changed.yaml" -o json | jq -r '.changes[].fields[].path')" \
        environment.GREETING "-o json, too"
run berth apply -f "$stack"
is "$out" "No changes. Stack hello matches the manifest." "apply of the same does nothing"

run berth exec web -- echo unique
is "$out" unique "a service's name alone, where it is unique"
run berth exec hello/web -- sh -c 'echo to-out; echo to-err >&2'
is "$(berth exec hello/web -- sh -c 'echo to-out; echo to-err >&2' 2>/dev/null)" to-out "streams are apart"
run berth exec hello/nope -- true
is "$code" 125 "a service that does not exist"
# shellcheck disable=SC2016 # the guest's shell
run berth exec -u 65534:65534 -w /tmp -e COLOUR=blue hello/web -- sh -c 'echo $(id -u):$(id -g) $PWD $COLOUR'
is "$out" "65534:65534 /tmp blue" "user, folder, variable"
is "$(berth exec hello/web -- sh -c 'while echo y; do :; done' | head -n 1)" y "a reader that leaves ends it"

mkfifo "$test_dir/in"
: >"$test_dir/out" # tail needs them before their writers have begun
: >"$test_dir/tty"
berth exec hello/web -- sh -c 'trap "exit 9" INT; echo ready; while :; do sleep 0.1; done' >"$test_dir/out" &
pid=$!
tail -n +1 --pid=$pid -f "$test_dir/out" | grep -q -m1 ready
kill -INT $pid
wait $pid
is $? 9 "SIGINT reaches the program"

script -qec "stty rows 33 cols 101; berth exec -it hello/web -- sh -c 'stty size; trap \"echo interrupted; exit 7\" INT; echo ready; while :; do sleep 0.1; done'" \
        /dev/null <"$test_dir/in" >"$test_dir/tty" &
pid=$!
exec 3>"$test_dir/in"
tail -n +1 --pid=$pid -f "$test_dir/tty" | grep -q -m1 ready
printf '\003' >&3
wait $pid
is $? 7 "Ctrl-C in a terminal reaches the program"
exec 3>&-
like "$(cat "$test_dir/tty")" '33 101' "the terminal has its size"

run berth wait hello
is "$code" 0 "wait for a stack that is ready"
run berth wait hello web --for completed --timeout 1s
is "$code" 124 "for what does not come"
run berth wait nothing
is "$code" 1 "for a stack that does not exist"
like "$(berth inspect hello/web | jq -r '.replicas[0].phases_ms.total')" '^[0-9]+$' "inspect tells the boot's time"
like "$(berth why hello/web)" '^web: healthy' "why"
is "$(berth ps -o yaml | grep -c 'isolation:')" "$(berth ps -q | wc -l)" "YAML is for all"

sed -e 's/^name: hello/name: broken/' -e "s/\"[0-9]*:80\"/\"$(free_port):80\"/" -e 's|image: hello-web|image: 127.0.0.1:9/no-such-image|' "$stack" >"$dir/broken.yaml"
run berth apply -f "$dir/broken.yaml" --timeout 1m
is "$code" 1 "an image that does not exist fails at once"
like "$out" 'error: broken/web: .*no-such-image.*127.0.0.1:9' "with the reason"
run berth delete broken --volumes
run berth delete hello --volumes
is "$code" 0 "delete"
is "$(berth volume ls -q)" "" "with its volumes"
finish
