#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The hello example: five VMs, names, isolation, exec, logs.
. tests/vm/lib.sh

port=$(free_port)
stack=$(hello_stack "$port")

run berth apply -f "$stack" --timeout 5m
is "$code" 0 "apply succeeds" || printf '%s\n' "$out" | sed 's/^/# /'
like "$out" "http://127.0.0.1:$port" "apply prints the URL"
like "$(curl -fsS "http://127.0.0.1:$port/")" 'its own virtual machine' "the URL answers"

ps=$(berth ps -a -o json)
is "$(printf %s "$ps" | jq -r '.[] | select(.state == "running") | .service' | sort | tr '\n' ' ')" \
        "app app db web " "four VMs run"
is "$(printf %s "$ps" | jq -r '.[] | select(.state == "running") | .health' | sort -u)" healthy \
        "all are healthy"
is "$(printf %s "$ps" | jq -r '.[] | select(.state == "completed") | .service' | tr '\n' ' ')" \
        "seed smoke " "the jobs are completed"
is "$(printf %s "$ps" | jq '[.[] | select(.state == "running") | select((.digest | test("^sha256:[0-9a-f]{64}$")) and
        (.isolation | test("^(kvm|tcg)$")) and (.addresses | length > 0))] | length')" 4 \
        "ps tells digest, isolation and addresses"

boot_ids=$(for vm in web/1 db/1 app/1 app/2; do
        berth exec "hello/$vm" -- cat /proc/sys/kernel/random/boot_id
done)
is "$( (printf '%s\n' "$boot_ids"; cat /proc/sys/kernel/random/boot_id) | sort -u | wc -l)" 5 \
        "every replica and the host have boot ids of their own"

for name in web web.test web.hello.test; do
        like "$(berth exec hello/app/1 -- wget -q -O - "http://$name/" 2>&1)" 'its own virtual machine' \
                "app reaches $name"
done
like "$(berth exec hello/app/2 -- sh -c 'printf "PING\r\n" | nc -w 2 db 6379' 2>&1)" PONG \
        "app reaches db"
run berth exec hello/web -- nslookup db
ok $((code == 0)) "db does not resolve in web"
db=$(field_of hello db 1 '.addresses.back')
run berth exec hello/web -- nc -w 2 "$db" 6379
ok $((code == 0)) "db is not reachable from web by address"

head -c 10485760 /dev/urandom >"$test_dir/bytes"
berth exec -i hello/web -- cat <"$test_dir/bytes" >"$test_dir/back"
cmp -s "$test_dir/bytes" "$test_dir/back"
ok $? "10 MiB through cat come back unchanged"
run berth exec hello/web -- sh -c 'exit 41'
is "$code" 41 "exec returns the exit code"
run berth exec hello/web -- no-such-program
is "$code" 127 "a missing program is 127"
like "$out" 'no-such-program.*not found' "and is named"
run berth exec hello/web -- /etc/passwd
is "$code" 126 "a file that is not executable is 126"

like "$(berth logs hello/smoke)" 'all of hello answers' "logs of the job"
like "$(berth logs hello/app)" 'hello from app on app-[12]' "logs of app"
like "$(berth logs --boot hello/web)" '.' "the boot log is there"
like "$(berth events)" 'started' "events tell"

run berth apply -f "$stack"
is "$code" 0 "apply again succeeds"
like "$out" 'No changes' "and changes nothing"
run berth delete hello
is "$code" 0 "delete succeeds"
is "$(berth ps -a -o json | jq length)" 0 "nothing is left"
is "$(berth network ls -o json | jq length)" 0 "no network is left"
is "$(berth volume ls -o json | jq -r '.[].name')" hello_data "the volume is left"
finish
