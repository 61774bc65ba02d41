#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The figures of docs/bench.md: berth beside podman on this machine, interleaved, with the same
# image. Raw data go to build/bench, one number a line; the table goes to standard output.
#
#   make bench                  all of it, about 6 minutes
#   BENCH_RUNS=20 BENCH_VMS=50 BENCH_IDLE_S=60 sh tests/bench/run.sh [PART...]
#
# Parts: start clone stack exec memory idle. podman runs as root; without it its column is empty.

. tests/vm/lib.sh

runs=${BENCH_RUNS:-20}
vms=${BENCH_VMS:-50}
idle_s=${BENCH_IDLE_S:-60}
parts=${*:-start clone stack exec memory idle}
data=$PWD/build/bench
mkdir -p "$data"
archive=${BERTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/berth}/hello-images/hello-web.tar

image=docker.io/library/hello-web:latest

# How podman can run it here: as it is, or with another runtime and limits that this machine allows.
podman=
peer_options=
find_peer() {
        command -v podman >/dev/null || return
        podman load -q -i "$archive" >/dev/null 2>"$data/podman.err" || return
        for peer_options in '' '--runtime runc --ulimit nofile=1024:1024 --ulimit nproc=1024:1024'; do
                # shellcheck disable=SC2086 # several words
                podman run --rm $peer_options "$image" true 2>"$data/podman.err" && podman=1 && return
        done
}
find_peer
[ -n "$podman" ] || echo "no podman to compare with: $(tail -n 1 "$data/podman.err")" >&2

now_us() {
        echo $(($(date +%s%N) / 1000))
}

# timed FILE COMMAND...: its wall time in ms, appended to FILE
timed() {
        file=$1
        shift
        began=$(now_us)
        "$@" >/dev/null 2>"$data/last.err" || echo "failed: $* ($(tail -n 1 "$data/last.err"))" >&2
        echo $(($(now_us) - began)) | awk '{printf "%.1f\n", $1 / 1000}' >>"$data/$file"
}

# stat_of FILE: median (minimum), or "-"
stat_of() {
        [ -s "$data/$1" ] || {
                echo "-"
                return
        }
        sort -n "$data/$1" | awk -v unit="${2:-ms}" '{ v[NR] = $1 }
                END { printf "%.4g %s (min %.4g, n %d)", v[int((NR + 1) / 2)], unit, v[1], NR }'
}

row() {
        printf '| %s | %s | %s |\n' "$1" "$2" "$3"
}

# stack_of N: a manifest of N services that sleep; the first publishes a port
stack_of() {
        echo "name: b$1"
        echo "services:"
        for i in $(seq 1 "$1"); do
                printf '  s%d:\n    image: hello-web\n    command: [sleep, "1000"]\n' "$i"
                printf '    stop_grace_period: 0s\n    x-berth: {memory: 128M}\n'
                [ "$i" != 1 ] || printf '    ports: ["127.0.0.1:%s:80"]\n' "$port"
        done
}

# podman_run NUMBER [PORT]
podman_run() {
        # shellcheck disable=SC2086 # several words
        podman run -d --rm $peer_options --name "bench-$1" ${2:+-p "$2"} "$image" sleep 1000
}

# berth_up N: the stack of N services, until all run. `berth apply` itself waits a second more to
# see whether they stay up.
berth_up() {
        berth apply -f "$test_dir/b$1.yaml" --detach && berth wait "b$1" --for running
}

podman_stop() {
        [ -z "$podman" ] || podman rm -f -t 0 $(seq -f 'bench-%g' 1 "$1") >/dev/null 2>&1
}

wants() {
        case " $parts " in *" $1 "*) rm -f "$data/$1".* ;; *) return 1 ;; esac
}

port=$(free_port)
peer_port=$(free_port)
stack_of 1 >"$test_dir/b1.yaml"
stack_of 10 >"$test_dir/b10.yaml"
berth system start >/dev/null
berth apply -f "$test_dir/b1.yaml" >/dev/null 2>&1 # builds the template
berth delete b1 >/dev/null 2>&1

if wants start; then
        for _ in $(seq "$runs"); do
                timed start.apply berth_up 1
                berth ps -o json | jq '.[0].phases_ms.total' >>"$data/start.total"
                for phase in prepare qemu kernel configure exec; do
                        berth ps -o json | jq ".[0].phases_ms.$phase // 0" >>"$data/start.$phase"
                done
                berth delete b1 >/dev/null 2>&1
                [ -z "$podman" ] || timed start.podman podman_run 1 "127.0.0.1:$peer_port:80"
                podman_stop 1
        done
fi

if wants exec; then
        berth apply -f "$test_dir/b1.yaml" >/dev/null 2>&1
        [ -z "$podman" ] || podman_run 1 >/dev/null
        for _ in $(seq "$runs"); do
                timed exec.berth berth exec b1/s1 -- true
                [ -z "$podman" ] || timed exec.podman podman exec bench-1 true
        done
        berth delete b1 >/dev/null 2>&1
        podman_stop 1
fi

podman_ten() {
        for i in $(seq 1 10); do podman_run "$i" || return 1; done
}

podman_ten_at_once() {
        for i in $(seq 1 10); do podman_run "$i" & done
        wait
}

if wants stack; then
        for _ in $(seq $(((runs + 3) / 4))); do
                timed stack.berth berth_up 10
                berth delete b10 >/dev/null 2>&1
                [ -n "$podman" ] || continue
                timed stack.loop podman_ten
                podman_stop 10
                timed stack.parallel podman_ten_at_once
                podman_stop 10
        done
fi

if wants clone; then
        mkdir -p "$test_dir/img/bin" "$test_dir/drv"
        cp "$(command -v busybox)" "$test_dir/img/bin/busybox"
        for name in sh cat head hexdump date hostname; do
                ln -s busybox "$test_dir/img/bin/$name"
        done
        mke2fs -q -t ext4 -d "$test_dir/img" "$test_dir/drv/root.ext4" 16M >/dev/null 2>&1
        cp build/guest/initramfs "$test_dir/drv/"
        BERTH_BENCH=1 build/bin/tests/system/template_driver "$test_dir/drv" build/guest/vmlinux \
                "$test_dir/drv/initramfs" "$runs" >"$data/driver.tap"
        for how in clone boot; do
                for step in up hello configured started; do
                        awk -v how="$how" -v step="$step" '$2 == "bench" && $3 == how {
                                for (i = 4; i < NF; i += 2) if ($i == step) print $(i + 1) / 1000 }' \
                                "$data/driver.tap" >"$data/clone.$how-$step"
                done
        done
fi

# qemus: pids of this test's machines
qemus() {
        for pid in $(ours); do
                case $(cat "/proc/$pid/comm" 2>/dev/null) in qemu-system*) echo "$pid" ;; esac
        done
}

private_mib() {
        for pid in $(qemus); do
                awk '/^Private_/ { s += $2 } END { printf "%.1f\n", s / 1024 }' "/proc/$pid/smaps_rollup"
        done
}

cpu_ticks() {
        for pid in $(qemus); do
                sed 's/.*) //' "/proc/$pid/stat"
        done | awk '{ s += $12 + $13 } END { print s }'
}

# many N: N replicas of one idle service
many() {
        printf 'name: many\nservices:\n  s:\n    image: hello-web\n    command: [sleep, "100000"]\n'
        printf '    stop_grace_period: 0s\n    x-berth: {memory: 128M}\n    deploy: {replicas: %d}\n' "$1"
}

if wants memory || wants idle; then
        many "$vms" >"$test_dir/many.yaml"
        berth apply -f "$test_dir/many.yaml" --timeout 5m >"$data/last.err" 2>&1 ||
                tail -n 2 "$data/last.err" >&2
        private_mib >"$data/memory.clone"
        berth system info -o json | jq '.templates[0].resident_bytes / 1048576' >"$data/memory.template"
        before=$(cpu_ticks)
        sleep "$idle_s"
        echo "$(cpu_ticks) $before $idle_s $(getconf CLK_TCK) $(qemus | wc -l)" |
                awk '{ printf "%.2f\n", ($1 - $2) / $4 / $3 * 100 / $5 * 100 }' >"$data/idle.berth"
        berth delete many >/dev/null 2>&1
        berth system stop >/dev/null 2>&1
        many $((vms / 5)) >"$test_dir/many.yaml"
        BERTH_TEMPLATES=off berth system start >/dev/null
        berth apply -f "$test_dir/many.yaml" --timeout 5m >/dev/null 2>&1
        private_mib >"$data/memory.boot"
        berth delete many >/dev/null 2>&1
        berth system stop >/dev/null 2>&1
fi

printf '%s, %s CPUs, %s, load %s\n\n' "$(date -u +%Y-%m-%d)" "$(nproc)" \
        "$(berth system info -o json | jq -r .isolation)" "$(cut -d' ' -f1 /proc/loadavg)"
row "what (median)" "berth" "peer"
row "---" "---" "---"
row "start: request to the service's exec, network and port" "$(stat_of start.total)" "podman run -d: $(stat_of start.podman)"
row "the same as whole commands, with a network made for it, until it runs" "$(stat_of start.apply)" ""
for phase in prepare qemu kernel configure exec; do
        row "- of which $phase" "$(stat_of start.$phase)" ""
done
row "clone: QEMU started to vminit's hello" "$(stat_of clone.clone-hello)" "boot: $(stat_of clone.boot-hello)"
row "clone: QEMU started to configured (seed, clock, devices, root mounted)" "$(stat_of clone.clone-configured)" "boot: $(stat_of clone.boot-configured)"
row "clone: QEMU started to the service's exec" "$(stat_of clone.clone-started)" "boot: $(stat_of clone.boot-started)"
row "10 services, apply to all running" "$(stat_of stack.berth)" "podman in a loop: $(stat_of stack.loop); at once: $(stat_of stack.parallel)"
row "exec of \`true\`" "$(stat_of exec.berth)" "podman exec: $(stat_of exec.podman)"
row "private host memory of an idle 128 MiB VM" "$(stat_of memory.clone MiB)" "booted: $(stat_of memory.boot MiB)"
row "its template, once for all" "$(stat_of memory.template MiB)" ""
row "CPU of 100 idle VMs" "$(stat_of idle.berth '% of a core')" ""
