#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Memory that a service frees returns to the host, from clones, booted VMs and machines of the pool,
# also after kill -9 of the daemon; what is in memory stays right, and so do other clones.
. tests/vm/lib.sh

# Machines of the pool come last.
BERTH_POOL=0
export BERTH_POOL

cat >"$test_dir/s.yaml" <<'END'
name: m
services:
  a: &service
    image: hello-web
    command: [sleep, "1000"]
    stop_grace_period: 0s
    tmpfs: ["/t:size=100M"]
    x-berth: {memory: 128M}
  b: *service
  full:
    <<: *service
    volumes: ["v1:/v1", "v2:/v2", "v3:/v3", "v4:/v4"]
volumes: {v1: {}, v2: {}, v3: {}, v4: {}}
END
sed '/^  full:/,$d; s/^name: m/name: late/' "$test_dir/s.yaml" >"$test_dir/late.yaml"

inside() {
        service=$1
        shift
        berth exec "$service" -- sh -c "$*"
}
# private SERVICE: MiB that its QEMU alone holds
private() {
        berth stats --no-stream "$1" -o json | jq '.[0].host.private_bytes / 1048576 | floor'
}
# falls SERVICE MIB: until it holds less
falls() {
        end=$(($(date +%s) + 40))
        while now=$(private "$1") && [ "$now" -ge "$2" ]; do
                [ "$(date +%s)" -lt "$end" ] || return 1
        done
}
# comes_back SERVICE WHO: what it uses and frees is the host's again
comes_back() {
        before=$(private "$1")
        inside "$1" 'dd if=/dev/urandom of=/t/f bs=1M count=80 2>/dev/null'
        used=$(private "$1")
        ok $((used < before + 75)) "$2: 80 MiB more in use ($before to $used)"
        inside "$1" 'rm /t/f'
        falls "$1" $((before + 25))
        ok $? "$2: they come back when they are freed (to $now)"
}
# balloons SERVICE: how many its kernel has
balloons() {
        inside "$1" 'ls -d /sys/bus/virtio/drivers/virtio_balloon/virtio* 2>/dev/null | wc -l'
}
birth() {
        berth ps "$1" -o json | jq -r ".[] | select(.service == \"$2\") | .birth"
}

run berth apply -f "$test_dir/s.yaml" --timeout 3m
is "$code" 0 "apply" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(birth m a) $(birth m full)" "clone clone" "clones"
comes_back m/a "a clone"
is "$(balloons m/a)" 1 "it has a balloon"
is "$(inside m/a 'cat /sys/module/page_reporting/parameters/page_reporting_order')" 5 \
        "and reports pieces of 128 KiB"
is "$(berth system info -o json | jq .memory_kept)" null "system info has nothing to say"
held=$(berth system info -o json | jq '.templates[] | select(.memory_bytes == 134217728) | .resident_bytes / 1048576 | floor')
ok $((held > 40)) "none of it stays with the template ($held MiB)"
is "$(grep -L ram_block_discard_range "$BERTH_ROOT"/run/vm/*/console.log | wc -l)" 3 \
        "their QEMUs do not complain"

# Seven devices leave no slot for a balloon.
is "$(inside m/full 'ls -d /sys/bus/virtio/devices/virtio* | wc -l')" 8 "a VM with all slots in use"
is "$(balloons m/full)" 0 "has no balloon"
is "$(inside m/full 'echo x >/v4/f && cat /v4/f')" x "and works"

# Half of what is in memory is freed and given back, other content takes its place, twice.
# shellcheck disable=SC2016 # for the guest's shell
inside m/b 'i=0; while [ $i -lt 70 ]; do
        yes "$i pattern" | head -c 1048576 >/t/$i; i=$((i + 1))
done; cd /t && md5sum * >/sums'
for round in 1 2; do
        held=$(private m/b)
        # shellcheck disable=SC2016
        inside m/b 'cd /t; for f in *[02468]; do rm $f; done'
        falls m/b $((held - 20))
        ok $? "round $round: what was freed is given back ($held to $now)"
        # shellcheck disable=SC2016
        is "$(inside m/b 'cd /t; for f in *; do grep -w $f /sums; done | md5sum -c 2>&1 | grep -vc "OK$"')" 0 \
                "round $round: what stayed is as it was"
        # shellcheck disable=SC2016
        is "$(inside m/b 'i=0; while [ $i -lt 70 ]; do
                [ -e /t/$i ] || yes "$i pattern" | head -c 1048576 >/t/$i; i=$((i + 1))
                done; cd /t && md5sum -c /sums 2>&1 | grep -vc "OK$"')" 0 \
                "round $round: and what takes its place is right"
done

# Programs whose code was in memory that was given back: others take their place and run.
# shellcheck disable=SC2016
is "$(inside m/a 'for i in 1 2 3 4 5 6; do
        mkdir /t/p && cp /bin/busybox /t/p && /t/p/busybox sh -c "echo 1 | sha256sum"
        rm -r /t/p && sleep 1; head -c 40000000 /dev/zero >/t/z; rm /t/z
        done' | sort -u)" "$(echo 1 | sha256sum)" "translated code of what was freed is not run"

run berth apply -f "$test_dir/late.yaml" --timeout 3m
is "$code $(birth late a)" "0 clone" "a clone of the template that others have given memory back to"
is "$(inside late/a 'sha256sum /bin/busybox')" "$(inside m/a 'sha256sum /bin/busybox')" "works"
comes_back late/a "a later clone"

daemon=$(berth system info -o json | jq .pid)
kill -9 "$daemon"
timeout 30 tail --pid="$daemon" -f /dev/null
comes_back m/a "after kill -9 of berthd"
is "$(birth m a)" clone "which is the same VM"
berth system stop --vms >/dev/null 2>&1

BERTH_TEMPLATES=off berth ps >/dev/null 2>&1
run berth apply -f "$test_dir/late.yaml" --timeout 3m
is "$(birth late a)" boot "without templates VMs boot"
is "$(balloons late/a)" 1 "with a balloon"
comes_back late/a "a booted VM"
berth delete late >/dev/null 2>&1
berth system stop --vms >/dev/null 2>&1

if [ "$(id -u)" = 0 ]; then
        unset BERTH_POOL
        run berth apply -f "$test_dir/late.yaml" --timeout 3m
        # shellcheck disable=SC2016 # for the inner shell
        timeout 150 sh -c 'until [ "$(berth system info -o json | jq ".pool.shapes[0].waiting")" = 2 ]; do :; done'
        berth restart late >/dev/null 2>&1
        berth wait late --for running --timeout 2m >/dev/null 2>&1
        is "$(birth late a)" pool "a machine of the pool"
        comes_back late/a "a machine of the pool"
        berth system stop --vms >/dev/null 2>&1
fi

# The object is not there: said, and all else is as ever. An installed berth would have it.
mkdir -p "$test_dir/p/bin"
ln -s "$PWD/${BUILD:-build}/guest" "$test_dir/p/guest"
cp "${BUILD:-build}"/bin/berth* "$test_dir/p/bin"
if "$test_dir/p/bin/berth" system info -o json | jq -e .memory_kept >/dev/null; then
        like "$("$test_dir/p/bin/berth" system info)" 'freed  *clones keep .*is missing' "system info tells"
        run "$test_dir/p/bin/berth" apply -f "$test_dir/late.yaml" --timeout 3m
        is "$code $(birth late a)" "0 clone" "VMs are clones"
        is "$(balloons late/a)" 0 "without a balloon"
fi
finish
