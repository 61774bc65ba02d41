#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# MariaDB, a Node application as the image's user with a volume of its own, cron of busybox.
# shellcheck disable=SC2317 # `try` calls functions
. tests/stacks/vm/lib.sh

take ledger
APP_PORT=$(free_port) DB_PORT=$(free_port)
export APP_PORT DB_PORT
up

app() {
        curl -sS -m 30 "$@" "http://127.0.0.1:$APP_PORT/" 2>&1
}
sql() {
        berth exec ledger/db -- mariadb --user=root --password=geheim -N -B -e "$1" 2>&1
}

is "$(app)" '{"sum":0,"note":null,"key":32}' "an empty ledger"
app -d 40 >/dev/null
is "$(app -d 2)" '{"sum":42,"note":"ünï ✓","key":32}' "two bookings, with text beyond ASCII"
is "$(sql 'SELECT SUM(amount) FROM firefly.bookings')" 42 "they are in MariaDB"
is "$(sql 'SELECT @@innodb_buffer_pool_size / 1048576')" 64.0000 "its options"
is "$(berth exec ledger/db -- sed -n 's|^Max open files *||p' /proc/1/limits | tr -s ' ')" '65536 65536 files ' "its limits, up to which it raises its own"
is "$(berth exec ledger/db -- id -un)" root "exec is root"
is "$(berth exec ledger/db -- stat -c %U /proc/1 /var/lib/mysql | sort -u)" mysql \
        "the server is mysql, and so are its files"
is "$(berth exec ledger/app -- id -u)" 33 "user: 33:33"
is "$(berth exec ledger/app -- stat -c '%u %a' /var/www/html/storage/upload/.writable)" "33 644" \
        "the volume took the owner of the image's folder"

run berth restart ledger/db --timeout 180s
is "$code" 0 "restart db" || printf '%s\n' "$out" | sed 's/^/# /'
like "$(berth logs ledger/db)" 'Shutdown complete' "MariaDB was shut down"
unlike "$(berth logs ledger/db)" 'Starting crash recovery|not shut down' "and needs no recovery"
is "$(try 30 app -f)" '{"sum":42,"note":"ünï ✓","key":32}' "the ledger is still there"

cron() {
        berth exec ledger/app -- cat /var/www/html/storage/upload/cron
}
like "$(try 90 cron)" '^[.]+$' "cron asked"
sed -i 's/buffer-pool-size=64M/buffer-pool-size=96M/' "$test_dir/m/vm/ledger.yaml"
up
is "$(sql 'SELECT @@innodb_buffer_pool_size / 1048576')" 96.0000 "apply replaces db"
is "$(try 30 app -f)" '{"sum":42,"note":"ünï ✓","key":32}' "and keeps the ledger"
run berth delete ledger --timeout 60s
is "$(berth volume ls -o json | jq -r '.[].name' | sort | tr '\n' ' ')" \
        "ledger_firefly_db ledger_firefly_upload " "delete keeps the volumes"
up
is "$(try 30 app -f)" '{"sum":42,"note":"ünï ✓","key":32}' "for the next time"
run berth delete ledger --volumes --timeout 60s
is "$code" 0 "delete"
finish
