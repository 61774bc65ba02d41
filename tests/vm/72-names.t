#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Names as Compose files have them, in real VMs: capitals and points in services, networks and
# aliases; an image that was built elsewhere; host ports from a range and on ::1.
. tests/vm/lib.sh

BERTH_IMAGES=$test_dir/images
export BERTH_IMAGES
root=$test_dir/root
mkdir -p "$root/bin" "$root/etc" "$root/www"
cp /bin/busybox "$root/bin/"
ln -sf busybox "$root/bin/sh"
echo hello >"$root/www/index.html"
tar -C "$root" -cf - . | berth image import -q - names-app_b.x:latest -c 'ENV PATH=/bin' >/dev/null
cat >"$test_dir/s.yaml" <<'END'
name: names
services:
  Web.A:
    image: names-app_b.x
    pull_policy: never
    command: [busybox, httpd, -f, -p, "80", -h, /www]
    stop_grace_period: 1s
    ports: ["127.0.0.1:18400-18499:80", "[::1]::80"]
    networks: {meet.local: {aliases: [cloud.example.org]}}
  app_b.x:
    build: ./nowhere
    command: [busybox, sleep, "100000"]
    stop_grace_period: 1s
    networks: [meet.local]
networks: {meet.local: }
END
run berth apply -f "$test_dir/s.yaml" --timeout 3m
is "$code" 0 "apply" || printf '%s\n' "$out" | sed 's/^/# /'
like "$out" 'load names-app_b.x: .docker build -t names-app_b.x ' "how to build the image is told"
get() {
        berth exec names/app_b.x -- busybox wget -q -O - "http://$1/"
}
is "$(get Web.A)" hello "a service by its name"
is "$(get web.a)" hello "in lower case"
is "$(get WEB.A.names.test)" hello "below its stack, in upper case"
is "$(get Web.A-1.test)" hello "a replica"
is "$(get cloud.example.org)" hello "an alias of another domain"
port=$(berth ps names -o json | jq -r '.[] | select(.service == "Web.A") | .ports[] | select(.host_ip == "127.0.0.1") | .host_port')
like "$port" '^184[0-9][0-9]$' "a host port of the range"
is "$(curl -fsS -m 20 "http://127.0.0.1:$port/")" hello "which answers"
port=$(berth ps names -o json | jq -r '.[] | select(.service == "Web.A") | .ports[] | select(.host_ip == "::1") | .host_port')
if [ -e /proc/net/if_inet6 ] && grep -q '^00000000000000000000000000000001 ' /proc/net/if_inet6; then
        is "$(curl --noproxy '*' -gfsS -m 20 "http://[::1]:$port/")" hello "one on ::1"
fi
run berth logs names/Web.A
is "$code" 0 "logs by such a name"
run berth delete names --timeout 1m
is "$code" 0 "delete" || printf '%s\n' "$out" | sed 's/^/# /'
finish
