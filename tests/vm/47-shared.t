#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Networks that stacks share, with real VMs: made by a command, or named in a manifest.
. tests/vm/lib.sh

BERTH_IMAGES=$test_dir/images
export BERTH_IMAGES
root=$test_dir/root
mkdir -p "$root/bin" "$root/etc"
cp /bin/busybox "$root/bin/"
ln -sf busybox "$root/bin/sh"
tar -C "$root" -cf - . | berth image import -q - box:latest -c 'ENV PATH=/bin' >/dev/null

# service NAME NETWORKS [KEYS]: one that serves $STACK/NAME
service() {
        cat <<END
  $1:
    image: box
    pull_policy: never
    command: [sh, -c, "mkdir -p /w; echo $stack/$1 >/w/index.html; exec busybox httpd -f -p 80 -h /w"]
    healthcheck: {test: [CMD, busybox, wget, -q, -O, /dev/null, http://127.0.0.1/], interval: 1s, start_interval: 200ms, start_period: 60s}
    stop_grace_period: 1s
    networks: $2
    ${3:-}
END
}

stack=shop
cat >"$test_dir/shop.yaml" <<END
name: shop
services:
$(service web '{default: {}, outer: {aliases: [www.example.org]}}')
$(service db '[default]')
networks: {outer: {external: true, name: proxy}}
END
stack=wiki
cat >"$test_dir/wiki.yaml" <<END
name: wiki
services:
$(service web '[proxy]' 'ports: ["127.0.0.1::80"]')
networks: {proxy: {external: true}}
END
stack=edge
cat >"$test_dir/edge.yaml" <<END
name: edge
services:
$(service lb '[proxy, front]')
networks: {proxy: {external: true}, front: {name: front}}
END
stack=guest
cat >"$test_dir/guest.yaml" <<END
name: guest
services:
$(service app '[front]')
networks: {front: {external: true}}
END

# get STACK/SERVICE HOST: what the one gets from the other
get() {
        berth exec "$1" -- busybox timeout 5 busybox wget -q -O - "http://$2/" 2>&1
}

# names STACK/SERVICE NAME: how many addresses the name has there
names() {
        berth exec "$1" -- busybox nslookup -type=a "$2" 2>&1 | sed -n '/^Name/,$p' | grep -c '^Address'
}

run berth apply -f "$test_dir/shop.yaml"
is "$code" 1 "a network that is not there: refused"
like "$out" 'network proxy declared as external, but could not be found; make it with .berth network create proxy' \
        "as Compose says it, with the way out"
is "$(berth ps -a -o json | jq length)" 0 "nothing was started"
run berth diff -f "$test_dir/shop.yaml"
like "$out" 'network proxy declared as external, but could not be found' "diff tells it, too"

run berth network create proxy --label use=edge
is "$code $out" "0 created proxy" "network create"
run berth network create proxy
is "$code" 1 "twice"
like "$out" 'network proxy exists already' "is refused"
run berth network create other --subnet 10.200.0.0/24 --internal
is "$code" 0 "with a subnet"
run berth network create third --subnet 10.200.0.128/25
like "$out" 'subnet 10.200.0.128/25 overlaps that of network other' "one that overlaps is refused"
is "$(berth network inspect other | jq -r '.internal')" true "inspect: internal"
is "$(berth network inspect proxy | jq -r '.labels.use')" edge "labels"
run berth network rm other
is "$code $out" "0 removed other" "network rm"

for s in shop wiki edge; do
        run berth apply -f "$test_dir/$s.yaml" --timeout 3m
        is "$code" 0 "apply $s" || printf '%s\n' "$out" | sed 's/^/# /'
done
check_reach() {
        is "$(get edge/lb web.shop.test)" shop/web "$1: a service of another stack by its full name"
        is "$(get edge/lb web.wiki.test)" wiki/web "$1: of a third one"
        is "$(get edge/lb www.example.org)" shop/web "$1: by an alias"
        is "$(names edge/lb web)" 2 "$1: a name that two stacks have gives both"
        is "$(get shop/web db)" shop/db "$1: own networks work beside it"
}
check_reach "at first"
is "$(berth run --rm --network proxy box busybox wget -q -O - http://web.wiki.test/)" wiki/web \
        "run --network"
is "$(get shop/web web)" shop/web "a stack's own network comes first"
is "$(get wiki/web lb.edge.test)" edge/lb "back"
like "$(get edge/lb db.shop.test)" 'bad address' "what is not on it has no name there"
db=$(berth ps shop -o json | jq -r '.[] | select(.service == "db") | .addresses.default')
unlike "$(get edge/lb "$db")" shop/db "and is not reached by its address"
port=$(field_of wiki web 1 '.ports[0].host_port')
is "$(curl --noproxy '*' -fsS -m 20 "http://127.0.0.1:$port/")" wiki/web "published ports lead there"

run berth network rm proxy
is "$code" 1 "rm while it is used"
like "$out" 'network proxy is in use by edge/lb, shop/web, wiki/web' "is refused, with the users"
is "$(berth network ls -q | tr '\n' ' ')" "front proxy shop/default " "network ls"
run berth network create front
like "$out" 'network front exists already: it is named in the manifest of stack edge' "a name of a manifest is taken"

ids=$(berth ps -o json | jq -r '.[].id' | sort)
pid=$(berth version -o json | jq -r .server.pid)
kill -9 "$pid"
timeout 10 tail --pid="$pid" -f /dev/null
check_reach "after kill -9 of berthd"
is "$(berth ps -o json | jq -r '.[].id' | sort)" "$ids" "by the same VMs"

netd=$(berth network inspect proxy | jq -r .pid)
kill -9 "$netd"
wait_event network-lost 60
is "$?" 0 "the death of its netd is told"
for s in shop wiki edge; do
        run berth wait "$s" --for healthy --timeout 2m
        is "$code" 0 "$s is healthy after its netd died"
done
check_reach "after the death of netd"

run berth apply -f "$test_dir/guest.yaml" --timeout 3m
is "$code" 0 "a network that another stack names" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(get guest/app lb.edge.test)" edge/lb "is joined"
run berth delete edge --timeout 1m
is "$code" 0 "its maker goes"
is "$(berth network ls -q | grep -c '^front$')" 1 "it stays with its guest"
run berth delete guest --timeout 1m
is "$code" 0 "the guest goes"
# shellcheck disable=SC2016 # evaluated again and again
wait_for '[ "$(berth network ls -q | grep -c ^front)" = 0 ]' 30
is "$(berth network ls -q | grep -c '^front$')" 0 "and the network with it"

for s in shop wiki; do
        run berth delete "$s" --timeout 1m
        is "$code" 0 "$s goes" || printf '%s\n' "$out" | sed 's/^/# /'
done
is "$(berth network ls -q)" proxy "what was made by a command stays"
run berth network rm proxy nope
is "$code" 1 "rm of what is not there"
like "$out" 'removed proxy' "removes the others"
like "$out" 'there is no network nope' "and says so"
is "$(berth network ls -q)" "" "nothing is left"
finish
