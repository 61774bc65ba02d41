#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# berth watch: what happens to a file happens to its stack.
. tests/vm/lib.sh

stack=$(hello_stack "$(free_port)")
dir=$test_dir/stacks
mkdir "$dir"

# watch_line REGEX: until the watcher has printed one more line that matches
seen=0
watch_line() {
        line=$(timeout 60 tail -n +$((seen + 1)) -f "$test_dir/log" | grep -E -n -m1 -e "$1")
        ok $? "$1"
        seen=$((seen + ${line%%:*}))
}

: >"$test_dir/log"
berth watch "$dir" >"$test_dir/log" 2>&1 &
watcher=$!
cp "$stack" "$dir/hello.yaml"
watch_line '^hello.yaml: stack hello revision 1: .* to create'
run berth wait hello
is "$code" 0 "a new file's stack comes up"

ids=$(berth ps -o json | jq -r '.[] | select(.service != "app").id' | sort)
sed -i 's/GREETING: hello from app/GREETING: moin/' "$dir/hello.yaml"
watch_line '^hello.yaml: stack hello revision 2: 1 to recreate'
run berth wait hello --for revision=2
is "$code" 0 "a change is converged to"
like "$(berth logs hello/app)" 'moin on app-' "as the file says"
is "$(berth ps -o json | jq -r '.[] | select(.service != "app").id' | sort)" "$ids" "the others stay"

echo 'oops: [' >>"$dir/hello.yaml"
watch_line 'hello.yaml:[0-9]+:[0-9]+: error'
watch_line '^hello.yaml: invalid; stack hello goes on'
is "$(berth ps -q | grep -c .)" 4 "an invalid file changes nothing"
sed -i '/^oops/d' "$dir/hello.yaml"
watch_line '^hello.yaml: stack hello revision 2: unchanged'

cp "$dir/hello.yaml" "$dir/twin.yml"
watch_line '^twin.yml: conflict: stack hello comes from .*hello.yaml already'
rm "$dir/twin.yml"
mv "$dir/hello.yaml" "$dir/renamed.yaml"
watch_line '^renamed.yaml: stack hello revision [0-9]+: (unchanged|nothing to do)'

rm "$dir/renamed.yaml"
watch_line '^renamed.yaml: stack hello is taken down'
run berth wait hello --for gone --timeout 1m
is "$code" 0 "a removed file's stack goes"
is "$(berth volume ls -q)" hello_data "its volume stays"

# A file that goes while nobody watches.
cp "$stack" "$dir/hello.yaml"
watch_line '^hello.yaml: stack hello revision [0-9]+: .* to create'
kill -TERM $watcher
wait $watcher
is $? 0 "the watcher ends when asked to"
like "$(berth ps -a -q)" '^hello/' "the stack goes on"
rm "$dir/hello.yaml"
seen=0
: >"$test_dir/log"
berth watch "$dir" >"$test_dir/log" 2>&1 &
watcher=$!
watch_line '^hello.yaml: stack hello is taken down: its file is gone'
rmdir "$dir"
wait $watcher
is $? 1 "a watcher whose folder is gone gives up"
finish
