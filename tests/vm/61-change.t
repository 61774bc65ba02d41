#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Changes of what runs, each a revision: stop, start, restart, scale, rollback; an image loaded anew;
# an apply that cannot succeed comes back with the reason.
. tests/vm/lib.sh

BERTH_IMAGES=$test_dir/images
export BERTH_IMAGES
# image_of TEXT: web:1 in a store of our own, its file /version holding TEXT
image_of() {
        root=$test_dir/root
        mkdir -p "$root/bin"
        cp /bin/busybox "$root/bin/"
        ln -sf busybox "$root/bin/sh"
        echo "$1" >"$root/version"
        tar -C "$root" -cf - . | berth image import -q - web:1 -c 'ENV PATH=/bin' >/dev/null
}
image_of one

cat >"$test_dir/s.yaml" <<'END'
name: shop
services:
  db:
    image: web:1
    command: [busybox, sleep, "100000"]
    stop_grace_period: 1s
  web:
    image: web:1
    command: [busybox, sleep, "100000"]
    stop_grace_period: 1s
    depends_on: [db]
END
run berth apply -f "$test_dir/s.yaml" --timeout 3m
is "$code" 0 "apply" || printf '%s\n' "$out" | sed 's/^/# /'

db=$(field_of shop db 1 .id)
run berth stop shop/web
is "$code" 0 "stop" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(berth ps shop -q)" shop/db/1 "only web is gone"
like "$(berth why shop/web)" '^web: stopped on request' "why tells"
run berth diff -f "$test_dir/s.yaml"
run berth start shop/web
is "$code" 0 "start"
is "$(berth ps shop -q | sort | tr '\n' ' ')" "shop/db/1 shop/web/1 " "web runs again"
run berth stop shop
is "$code" 0 "a whole stack stops"
is "$(berth ps shop -q)" "" "nothing of it runs"
like "$(berth events)" 'shop/web/1 .*stopping' "with events"
run berth apply -f "$test_dir/s.yaml" --timeout 3m
is "$code" 0 "apply starts it again"

web=$(field_of shop web 1 .id)
db=$(field_of shop db 1 .id)
run berth restart shop/web
is "$code" 0 "restart"
unlike "$(field_of shop web 1 .id)" "^$web\$" "it has a new VM"
is "$(field_of shop db 1 .id)" "$db" "the other has not"
web=$(field_of shop web 1 .id)
run berth apply -f "$test_dir/s.yaml"
like "$out" 'No changes' "applying changes nothing after it"

run berth scale shop/web=2
is "$code" 0 "scale"
is "$(berth ps shop -q | sort | tr '\n' ' ')" "shop/db/1 shop/web/1 shop/web/2 " "two run"
like "$(berth diff -f "$test_dir/s.yaml")" 'scale' "diff shows it against the manifest"
run berth apply -f "$test_dir/s.yaml"
is "$code" 0 "apply takes it back"
is "$(berth ps shop -q | sort | tr '\n' ' ')" "shop/db/1 shop/web/1 " "one runs"
run berth rollback shop
is "$code" 0 "rollback"
is "$(berth ps shop -q | sort | tr '\n' ' ')" "shop/db/1 shop/web/1 shop/web/2 " "two run again"
is "$(field_of shop web 1 .id)" "$web" "the first is still the same"
like "$(berth history shop)" '^[0-9]+ \* .*rollback to revision' "history marks the present revision"
like "$(berth history shop)" 'scale web=2' "and tells what made the others"
run berth scale shop/web=1
run berth rollback shop 99
is "$code" 1 "an unknown revision is refused"
like "$out" 'berth history shop' "with a hint"

image_of two
is "$(berth exec shop/web -- busybox cat /version)" one "loading an image changes nothing"
kill -9 "$(field_of shop web 1 .pid)"
# shellcheck disable=SC2016 # wait_for evaluates it
wait_for '[ "$(berth exec shop/web -- busybox cat /version 2>/dev/null)" ]'
is "$(berth exec shop/web -- busybox cat /version)" one "nor does a VM that dies after it"
run berth apply -f "$test_dir/s.yaml" --timeout 3m
is "$code" 0 "apply with the new image"
is "$(berth exec shop/web -- busybox cat /version)" two "runs it"
like "$(berth events)" 'image changed' "and the event says why"

daemon=$(berth version -o json | jq -r .server.pid)
kill -9 "$daemon"
timeout 10 tail --pid="$daemon" -f /dev/null
run berth apply -f "$test_dir/s.yaml"
like "$out" 'No changes' "a restarted daemon knows what was wished"

port=$(free_port)
cat >"$test_dir/port.yaml" <<END
name: port
services:
  a:
    image: web:1
    command: [busybox, sleep, "100000"]
    ports: ["$port:80"]
    restart: always
END
cat >"$test_dir/loop.yaml" <<'END'
name: loop
services:
  loop:
    image: web:1
    command: [sh, -c, "exit 3"]
    restart: always
END
perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1:$ARGV[0]") or die;
        system("timeout", "60", "berth", "apply", "-f", $ARGV[1], "--timeout", "1m");
        exit($? >> 8)' "$port" "$test_dir/port.yaml" >"$test_dir/out" 2>&1
is "$?" 1 "an apply with a taken port fails"
like "$(cat "$test_dir/out")" "port $port cannot be published" "and names the port"
run timeout 60 berth apply -f "$test_dir/loop.yaml" --timeout 1m
is "$code" 1 "an apply of a crash loop fails"
like "$out" 'exited with code 3' "and names the exit code"
finish
