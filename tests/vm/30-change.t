#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Changing a stack: diff names the change, apply makes it and no other; data outlives the stack.
. tests/vm/lib.sh

stack=$(hello_stack "$(free_port)")
run berth apply -f "$stack" --timeout 5m
is "$code" 0 "apply succeeds" || printf '%s\n' "$out" | sed 's/^/# /'

# VMs of all services but app
kept() {
        berth ps -o json | jq -r '.[] | select(.service != "app") | "\(.name) \(.id) \(.boot_id)"' | sort
}

before=$(kept)
old=$(field_of hello app 1 .id)
run berth diff -f "$stack"
is "$code" 0 "diff of the same manifest exits 0"
sed 's/GREETING: hello from app/GREETING: good evening/' "$stack" >"$stack.new"
mv "$stack.new" "$stack"
run berth diff -f "$stack"
is "$code" 1 "diff of a changed one exits 1"
like "$out" 'app .*recreate' "it names the service"
like "$out" 'environment.GREETING: hello from app -> good evening' "and the field"
is "$(printf '%s\n' "$out" | grep -cE '^ *[-+~!/]+ (service|network|volume)')" 1 "and nothing else"
run berth apply -f "$stack" --dry-run
is "$code" 0 "apply --dry-run succeeds"
is "$(field_of hello app 1 .id)" "$old" "and changes nothing"
run berth apply -f "$stack" --timeout 5m
is "$code" 0 "apply succeeds"
is "$(kept)" "$before" "the other services were not touched"
[ "$(field_of hello app 1 .id)" != "$old" ]
ok $? "app was replaced"
like "$(berth logs hello/app)" 'good evening on app-1' "by one with the new value"

start=$(date +%s%N)
run berth apply -f "$stack"
took=$((($(date +%s%N) - start) / 1000000))
is "$code" 0 "apply again succeeds"
like "$out" 'No changes' "and says that nothing changed"
echo "# apply without changes took $took ms"
run berth diff -f "$stack"
is "$code" 0 "diff exits 0 again"

run berth exec hello/db -- redis-cli SET kept yes
is "$code" 0 "a key is stored in db"
run berth delete hello
is "$code" 0 "delete succeeds"
is "$(berth ps -a -o json | jq length)" 0 "no VM is left"
is "$(find "$BERTH_ROOT/run/vm" "$BERTH_ROOT/run/net" "$BERTH_ROOT/scratch" -mindepth 1 | wc -l)" 0 \
        "no file of a VM or network is left"
is "$(berth volume ls -o json | jq -r '.[].name')" hello_data "the named volume is left"
run berth apply -f "$stack" --timeout 5m
is "$code" 0 "apply again succeeds"
is "$(berth exec hello/db -- redis-cli GET kept)" yes "redis finds its data"
unlike "$(berth exec hello/db -- ls -a /data)" 'lost' "no lost+found in the volume"
is "$(berth exec hello/db -- stat -c %U /data)" redis "the volume was seeded with its owner"
run berth volume rm hello_data
ok $((code == 0)) "a volume in use cannot be removed"
like "$out" 'hello_data is in use by hello/db/1' "and it says by whom"
run berth delete hello --volumes
is "$code" 0 "delete --volumes succeeds"
is "$(berth volume ls -o json | jq length)" 0 "the volume is gone"
finish
