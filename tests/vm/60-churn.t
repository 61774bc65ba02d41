#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Random applies, scaling, and kills of QEMU, netd and berthd for BERTH_CHURN_SECONDS (40); then
# everything has to be as wanted, with nothing left over. `make churn` runs it for 20 minutes.
. tests/vm/lib.sh

# Processes and descriptors are counted, so machines of the pool do not come and go meanwhile.
BERTH_POOL=0
export BERTH_POOL

seconds=${BERTH_CHURN_SECONDS:-40}
seed=${BERTH_CHURN_SEED:-$(date +%s)}
echo "# BERTH_CHURN_SEED=$seed BERTH_CHURN_SECONDS=$seconds"

# random N: 0..N-1
random() {
        seed=$(((seed * 1103515245 + 12345) % 2147483648))
        echo $((seed / 65536 % $1))
}

# manifest VARIANT REPLICAS [ORDER]
manifest() {
        cat >"$test_dir/churn.yaml" <<END
name: churn
services:
  db:
    image: hello-web
    command: [sleep, "100000"]
    networks: [back]
    volumes: ["data:/data"]
    restart: always
    stop_grace_period: 1s
  web:
    image: hello-web
    command: [sh, -c, "mkdir -p /tmp/w && echo $1 > /tmp/w/v && exec httpd -f -p 80 -h /tmp/w"]
    networks: [front, back]
    restart: always
    stop_grace_period: 1s
    depends_on: [db]
    healthcheck:
      test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1/v"]
      interval: 2s
      start_period: 30s
      start_interval: 300ms
    deploy:
      replicas: $2
      update_config: {order: ${3:-stop-first}}
networks: {front: {}, back: {}}
volumes: {data: {}}
END
}

# one_of PATTERN: the pid of one of this test's processes, at random
one_of() {
        list=$(for pid in $(ours); do
                # shellcheck disable=SC2254 # a pattern
                case $(cat "/proc/$pid/comm" 2>/dev/null) in $1) echo "$pid" ;; esac
        done)
        [ -n "$list" ] || return 1
        # shellcheck disable=SC2086 # pids
        set -- $list
        shift "$(random $#)"
        echo "$1"
}

kill_one() {
        victim=$(one_of "$1") && kill -9 "$victim" 2>/dev/null
}

act() {
        case $(random 10) in
        0 | 1) manifest "$(random 3)" $((1 + $(random 2))) start-first && berth apply -d -f "$test_dir/churn.yaml" ;;
        2) manifest "$(random 3)" $((1 + $(random 2))) && berth apply -d -f "$test_dir/churn.yaml" ;;
        3 | 4) kill_one 'qemu-system*' ;;
        5) kill_one berth-netd ;;
        6) kill_one berthd ;;
        7) berth scale -d "churn/web=$(random 3)" ;;
        8) berth restart -d churn/web ;;
        9) berth stop -d churn/web && berth start -d churn/web ;;
        esac
}

manifest 0 2
run berth apply -f "$test_dir/churn.yaml" --timeout 3m
is "$code" 0 "begins as wanted" || printf '%s\n' "$out" | sed 's/^/# /'
berthd_fds() {
        find "/proc/$(berth version -o json | jq -r .server.pid)/fd" -mindepth 1 2>/dev/null | wc -l
}
fds=$(berthd_fds)

end=$(($(date +%s) + seconds))
acts=0
while [ "$(date +%s)" -lt "$end" ]; do
        act >/dev/null 2>&1
        acts=$((acts + 1))
        # Sometimes it gets where it was going, mostly not.
        [ "$(random 4)" != 0 ] || timeout 5 berth wait churn --timeout 3s >/dev/null 2>&1
done
echo "# $acts acts"

manifest 9 2
run berth apply -f "$test_dir/churn.yaml" --timeout 3m
is "$code" 0 "ends as wanted" || {
        printf '%s\n' "$out" | sed 's/^/# /'
        berth why churn | sed 's/^/# /'
}
run timeout 60 berth wait churn --timeout 50s
is "$code" 0 "and stays so"
is "$(berth ps -q | sort | tr '\n' ' ')" "churn/db/1 churn/web/1 churn/web/2 " "the wanted VMs and no others"
wait_templates # of a daemon that took over all that it wants
# A netd that was killed may take a moment to give its namespace back; one that was forgotten stays.
known=$(berth network ls -o json | jq -r '.[].pid')
for pid in $(ours); do
        if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = berth-netd ] && ! echo "$known" | grep -qx "$pid"; then
                timeout 20 tail --pid="$pid" -f /dev/null
        fi
done
is "$(for pid in $(ours); do cat "/proc/$pid/comm"; done | sort | uniq -c |
        awk '{ printf "%s %s ", $1, $2 }')" "2 berth-netd 1 berthd 3 qemu-system-x86 " "the processes of these and no others"
is "$(find "$BERTH_ROOT" -path '*/scratch/*.ext4' | wc -l)" 3 "a scratch disk each"
is "$(find "$BERTH_ROOT" -path '*/vm/*' -name instance.json | wc -l)" 3 "a folder each"
is "$(find "$BERTH_ROOT" -name network.json | wc -l)" 2 "two networks"
is "$(find "$BERTH_ROOT" -path '*/volumes/*' -name disk.ext4 | wc -l)" 1 "one volume"
now=$(berthd_fds)
[ "$now" -le $((fds + 4)) ]
ok $? "berthd has $now descriptors, $fds at the beginning"
echo "# berthd: $(grep VmRSS "/proc/$(berth version -o json | jq -r .server.pid)/status")"
run berth delete churn --volumes
is "$code" 0 "it goes away"
is "$(find "$BERTH_ROOT" -path '*/scratch/*.ext4' -o -name instance.json -o -name network.json -o -name disk.ext4)" \
        "" "and leaves nothing"
finish
