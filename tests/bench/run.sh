#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The figures of docs/bench.md: berth beside podman on this machine, run by run in turn, with the
# same image. Raw data go to build/bench, one number a line; the table goes to standard output.
#
#   make bench                  all of it, 10 to 20 minutes on an idle machine
#   BENCH_RUNS=20 BENCH_VMS=50 BENCH_IDLE_S=60 sh tests/bench/run.sh [PART...]
#
# Parts: start pool run exec clone stack hello memory fit. podman runs as root; without it its column is
# empty. `fit` adds VMs until the processes of berth hold 90 % of BERTH_BENCH_MEMORY (MiB, 2048), so
# that it neither takes minutes nor the memory of who else uses the machine.

. tests/vm/lib.sh

runs=${BENCH_RUNS:-20}
vms=${BENCH_VMS:-50}
idle_s=${BENCH_IDLE_S:-60}
budget=${BERTH_BENCH_MEMORY:-2048}
parts=${*:-start pool run exec clone stack hello memory fit}
data=$PWD/build/bench
mkdir -p "$data"
archive=${BERTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/berth}/hello-images/hello-web.tar
image=docker.io/library/hello-web:latest
began=$(date +%s)
load=$(cut -d' ' -f1 /proc/loadavg)

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

# timed FILE COMMAND...: its wall time in ms, appended to FILE
timed() {
        file=$1
        shift
        from=$(date +%s%N)
        "$@" >/dev/null 2>"$data/last.err" || echo "failed: $* ($(tail -n 1 "$data/last.err"))" >&2
        echo $(($(date +%s%N) - from)) | awk '{ printf "%.1f\n", $1 / 1000000 }' >>"$data/$file"
}

# median FILE: the number alone, or nothing
median() {
        [ ! -s "$data/$1" ] || sort -n "$data/$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# stat_of FILE [UNIT]: median (minimum, runs), or "-"
stat_of() {
        [ -s "$data/$1" ] || {
                echo "-"
                return
        }
        sort -n "$data/$1" | awk -v unit="${2:-ms}" '{ v[NR] = $1 }
                END { printf "%.4g %s (%.4g, %d)", v[int((NR + 1) / 2)], unit, v[1], NR }'
}

# row WHAT BERTH PEER [TARGET RESULT]
row() {
        printf '| %s | %s | %s | %s | %s |\n' "$1" "$2" "$3" "${4:-}" "${5:-}"
}

# ratio BERTH-FILE PEER-FILE FACTOR: "0.47x: met"
ratio() {
        a=$(median "$1")
        b=$(median "$2")
        [ -n "$a" ] && [ -n "$b" ] || return
        awk -v a="$a" -v b="$b" -v f="$3" 'BEGIN { printf "%.2fx: %s", a / b, a <= b * f ? "met" : "missed" }'
}

# below FILE LIMIT: "met" or "missed"
below() {
        value=$(median "$1")
        [ -z "$value" ] || awk -v a="$value" -v l="$2" 'BEGIN { print a <= l ? "met" : "missed" }'
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

# many N: N replicas of one idle service
many() {
        printf 'name: many\nservices:\n  s:\n    image: hello-web\n    command: [sleep, "100000"]\n'
        printf '    stop_grace_period: 0s\n    x-berth: {memory: 128M}\n    deploy: {replicas: %d}\n' "$1"
}

# podman_run NUMBER [PORT]
podman_run() {
        # shellcheck disable=SC2086 # several words
        podman run -d --rm $peer_options --name "bench-$1" ${2:+-p "$2"} "$image" sleep 1000
}

podman_run_rm() {
        # shellcheck disable=SC2086 # several words
        podman run --rm $peer_options "$image" true
}

podman_ten() {
        for i in $(seq 1 10); do podman_run "$i" || return 1; done
}

podman_ten_at_once() {
        for i in $(seq 1 10); do podman_run "$i" & done
        wait
}

podman_stop() {
        [ -z "$podman" ] || podman rm -f -t 0 $(seq -f 'bench-%g' 1 "$1") >/dev/null 2>&1
}

# berth_up N: the stack of N services, until all run. `berth apply` itself waits a second more to
# see whether they stay up.
berth_up() {
        berth apply -f "$test_dir/b$1.yaml" --detach && berth wait "b$1" --for running
}

gone() {
        berth delete "$1" >/dev/null 2>&1
}

in_parts() {
        case " $parts " in *" $1 "*) ;; *) return 1 ;; esac
}

# wants PART: it is to be done, and its former data are gone
wants() {
        in_parts "$1" && rm -f "$data/$1".*
}

# qemus: pids of this test's machines
qemus() {
        for pid in $(ours); do
                case $(cat "/proc/$pid/comm" 2>/dev/null) in qemu-system*) echo "$pid" ;; esac
        done
}

cpu_ticks() {
        for pid in $(qemus); do
                sed 's/.*) //' "/proc/$pid/stat"
        done | awk '{ s += $12 + $13 } END { print s }'
}

# held_mib: memory of all processes of berth; what they share is counted once
held_mib() {
        for pid in $(ours); do
                cat "/proc/$pid/smaps_rollup" 2>/dev/null
        done | awk '/^Pss:/ { s += $2 } END { printf "%d\n", s / 1024 }'
}

# exec_p99: the slowest of 20 commands in a VM, ms
exec_p99() {
        rm -f "$data/fit.exec"
        for _ in $(seq 20); do timed fit.exec berth exec many/s -- true; done
        sort -n "$data/fit.exec" | tail -n 1 | cut -d. -f1
}

# fit HOW: VMs until the budget is held, or commands in them take twice as long
fit() {
        n=4
        many "$n" >"$test_dir/many.yaml"
        berth apply -f "$test_dir/many.yaml" --timeout 5m >/dev/null 2>"$data/last.err" ||
                tail -n 2 "$data/last.err" >&2
        first=$(exec_p99)
        while [ "$(held_mib)" -lt $((budget * 9 / 10)) ] && [ "$(exec_p99)" -lt $((first * 2)) ]; do
                n=$((n + 4))
                berth scale many/s=$n >/dev/null 2>&1
                berth wait many --for running --timeout 2m >/dev/null 2>&1 || break
        done
        echo "$n" >"$data/fit.$1"
        echo "fit: $1: $n VMs, $(held_mib) MiB, slowest exec $(exec_p99) ms, at first $first ms" >>"$data/notes"
        gone many
}

: >"$data/notes"
port=$(free_port)
peer_port=$(free_port)
stack_of 1 >"$test_dir/b1.yaml"
stack_of 10 >"$test_dir/b10.yaml"
# Machines that wait would make some of the clones faster, and the memory of few VMs more.
BERTH_POOL=0 berth system start >/dev/null
berth apply -f "$test_dir/b1.yaml" >/dev/null 2>&1 # builds the template
gone b1

# starts PART: one service, and podman's, in turns; phases into PART.*
starts() {
        timed "$1.apply" berth_up 1
        berth ps -o json >"$test_dir/ps"
        jq -r '.[0].birth' "$test_dir/ps" >>"$data/$1.birth"
        for phase in total prepare qemu kernel configure exec; do
                jq ".[0].phases_ms.$phase // 0" "$test_dir/ps" >>"$data/$1.$phase"
        done
        gone b1
        [ -z "$podman" ] || timed "$1.podman" podman_run 1 "127.0.0.1:$peer_port:80"
        podman_stop 1
}

if wants start; then
        for _ in $(seq "$runs"); do starts start; done
fi

# pool_of N: another daemon, with so many machines that wait
pool_of() {
        berth system stop --vms >/dev/null 2>&1
        BERTH_POOL=$1 berth system start >/dev/null
}
# pool_full N: machines are made when nothing else is done, which a bench does all the time.
pool_full() {
        # shellcheck disable=SC2016 # the inner shell's
        timeout 120 sh -c 'until [ "$(berth system info -o json |
                jq ".pool.shapes[0].waiting")" = "$1" ]; do :; done' sh "$1"
}

if wants pool; then
        pool_of 2
        berth apply -f "$test_dir/b1.yaml" >/dev/null 2>&1 # whose shape is kept
        gone b1
        for _ in $(seq "$runs"); do
                pool_full 2
                starts pool
        done
        echo "pool: $(grep -c pool "$data/pool.birth") of $runs services were started by a machine that waited" \
                >>"$data/notes"
        pool_of 0
fi

# run_once WHICH: one each of berth and podman
run_once() {
        timed "$1.berth" berth run --rm hello-web true
        [ -z "$podman" ] || timed "$1.podman" podman_run_rm
}

if wants run; then
        berth run --rm hello-web true # builds the template of its shape
        for _ in $(seq "$runs"); do run_once run; done
        pool_of 2
        berth run --rm hello-web true # whose shape is kept
        for _ in $(seq "$runs"); do
                pool_full 2
                run_once poolrun
        done
        pool_of 0
fi

if wants exec; then
        berth_up 1 >/dev/null 2>&1
        [ -z "$podman" ] || podman_run 1 >/dev/null
        for _ in $(seq "$runs"); do
                timed exec.berth berth exec b1/s1 -- true
                [ -z "$podman" ] || timed exec.podman podman exec bench-1 true
        done
        gone b1
        podman_stop 1
fi

if wants stack; then
        for _ in $(seq "$runs"); do
                timed stack.berth berth_up 10
                gone b10
                [ -n "$podman" ] || continue
                timed stack.loop podman_ten
                podman_stop 10
                timed stack.parallel podman_ten_at_once
                podman_stop 10
        done
        pool_of 10
        berth apply -f "$test_dir/b1.yaml" >/dev/null 2>&1 # whose shape is kept
        gone b1
        for _ in $(seq "$runs"); do
                pool_full 10
                timed stack.pool berth_up 10
                gone b10
        done
        pool_of 0
fi

if wants clone; then
        mkdir -p "$test_dir/img/bin" "$test_dir/drv"
        cp "$(command -v busybox)" "$test_dir/img/bin/busybox"
        for name in sh cat head hexdump date hostname; do
                ln -s busybox "$test_dir/img/bin/$name"
        done
        mke2fs -q -t ext4 -d "$test_dir/img" "$test_dir/drv/root.ext4" 16M >/dev/null 2>&1
        mkdir "$test_dir/none"
        mke2fs -q -t ext4 -O ^has_journal -d "$test_dir/none" "$test_dir/drv/empty.ext4" 16M >/dev/null 2>&1
        mke2fs -q -t ext4 -d "$test_dir/none" "$test_dir/drv/volume.ext4" 16M >/dev/null 2>&1
        cp build/guest/initramfs "$test_dir/drv/"
        BERTH_BENCH=1 build/bin/tests/system/template_driver "$test_dir/drv" build/guest/vmlinux \
                "$test_dir/drv/initramfs" "$PWD/build/lib/berth/clone-memory.so" "$runs" >"$data/driver.tap"
        for how in pool clone boot; do
                for step in up hello configured started; do
                        awk -v how="$how" -v step="$step" '$2 == "bench" && $3 == how {
                                for (i = 4; i < NF; i += 2) if ($i == step) print $(i + 1) / 1000 }' \
                                "$data/driver.tap" >"$data/clone.$how-$step"
                done
        done
fi

if wants hello; then
        hello=$(hello_stack "$(free_port)")
        pool_of 2 # the default
        berth apply -f "$hello" --timeout 2m >/dev/null 2>&1
        for _ in $(seq "$runs"); do
                gone hello
                pool_full 2
                timed hello.berth berth apply -f "$hello" --timeout 2m
        done
        gone hello
        pool_of 0
        berth apply -f "$hello" --timeout 2m >/dev/null 2>&1
        for _ in $(seq "$runs"); do
                gone hello
                timed hello.none berth apply -f "$hello" --timeout 2m
        done
        berth delete hello --volumes >/dev/null 2>&1
fi

if wants memory; then
        many "$vms" >"$test_dir/many.yaml"
        berth apply -f "$test_dir/many.yaml" --timeout 5m >"$data/last.err" 2>&1 ||
                tail -n 2 "$data/last.err" >&2
        berth stats --no-stream many -o json >"$data/memory.json"
        # private memory of the 20th and later ones
        jq 'sort_by(.replica)[19:][].host.private_bytes / 1048576' "$data/memory.json" >"$data/memory.clone"
        berth system info -o json | jq '[.templates[] | select(.memory_bytes == 134217728)][0].resident_bytes / 1048576' \
                >"$data/memory.template"
        before=$(cpu_ticks)
        sleep "$idle_s"
        echo "$(cpu_ticks) $before $idle_s $(getconf CLK_TCK) $(qemus | wc -l)" |
                awk '{ printf "%.2f\n", ($1 - $2) / $4 / $3 * 100 / $5 * 100 }' >"$data/memory.idle"
        gone many
fi

! wants fit || fit clone
berth system stop --vms >/dev/null 2>&1
BERTH_TEMPLATES=off berth system start >/dev/null
if in_parts memory; then
        many 10 >"$test_dir/many.yaml"
        berth apply -f "$test_dir/many.yaml" --timeout 5m >/dev/null 2>&1
        berth stats --no-stream many -o json |
                jq '.[].host.private_bytes / 1048576' >"$data/memory.boot"
        gone many
fi
! in_parts fit || fit boot
berth system stop --vms >/dev/null 2>&1

printf '%s, commit %s, %s, %s CPUs, %s MiB, Linux %s, %s, load %s before, %s, %d s\n\n' \
        "$(date -u +%Y-%m-%d)" "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
        "$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)" "$(uname -r)" \
        "$(qemu-system-x86_64 --version | sed -n '1s/QEMU emulator version/QEMU/p')" "$load" \
        "$(podman --version 2>/dev/null || echo 'no podman')" "$(($(date +%s) - began))"
row "what: median (minimum, runs)" "berth" "peer" "target" ""
row "---" "---" "---" "---" "---"
row "start: request to the service's exec, network and port" "$(stat_of start.total)" \
        "\`podman run -d\` $(stat_of start.podman)" 0.5x "$(ratio start.total start.podman 0.5)"
row "the same as whole commands, with a network made for it, until it runs" "$(stat_of start.apply)" ""
for phase in prepare qemu kernel configure exec; do
        row "- of which $phase" "$(stat_of start.$phase)" ""
done
row "the same with a machine of the pool" "$(stat_of pool.total)" \
        "\`podman run -d\` $(stat_of pool.podman)" 0.25x "$(ratio pool.total pool.podman 0.25)"
row "- of which prepare, claim, configure, exec" \
        "$(median pool.prepare), $(median pool.qemu), $(median pool.configure), $(median pool.exec) ms" ""
row "pool: claimed to vminit ready" "$(stat_of clone.pool-configured)" "own boot $(stat_of clone.boot-configured)" 1/5 \
        "$(ratio clone.pool-configured clone.boot-configured 0.2)"
row "clone: QEMU started to vminit's hello" "$(stat_of clone.clone-hello)" "own boot $(stat_of clone.boot-hello)"
row "clone: QEMU started to vminit ready (seed, clock, devices bound, root mounted)" \
        "$(stat_of clone.clone-configured)" "own boot $(stat_of clone.boot-configured)" 1/5 \
        "$(ratio clone.clone-configured clone.boot-configured 0.2)"
row "clone: QEMU started to the service's exec" "$(stat_of clone.clone-started)" "own boot $(stat_of clone.boot-started)"
row "\`berth run --rm IMAGE true\`, the whole command" "$(stat_of run.berth)" \
        "\`podman run --rm\` $(stat_of run.podman)" 0.6x "$(ratio run.berth run.podman 0.6)"
row "the same with a machine of the pool" "$(stat_of poolrun.berth)" \
        "\`podman run --rm\` $(stat_of poolrun.podman)" 0.6x "$(ratio poolrun.berth poolrun.podman 0.6)"
row "10 services, apply to all running" "$(stat_of stack.berth)" "podman in a loop $(stat_of stack.loop)" 0.7x \
        "$(ratio stack.berth stack.loop 0.7)"
row "the same" "" "podman, all at once $(stat_of stack.parallel)" 0.7x "$(ratio stack.berth stack.parallel 0.7)"
row "10 services with a pool of ten" "$(stat_of stack.pool)" "podman in a loop $(stat_of stack.loop)" 0.7x \
        "$(ratio stack.pool stack.loop 0.7)"
row "the same" "" "podman, all at once $(stat_of stack.parallel)" 0.7x "$(ratio stack.pool stack.parallel 0.7)"
row "exec of \`true\` in a running VM" "$(stat_of exec.berth)" "\`podman exec\` $(stat_of exec.podman)" 1.0x \
        "$(ratio exec.berth exec.podman 1)"
row "\`berth apply\` of the hello example, all healthy, not the first time, a pool of two" "$(stat_of hello.berth)" "" "4 s" \
        "$(below hello.berth 4000)"
row "the same without a pool" "$(stat_of hello.none)" "" "4 s" "$(below hello.none 4000)"
row "private host memory of an idle 128 MiB VM, the 20th and later of $vms" "$(stat_of memory.clone MiB)" \
        "booted $(stat_of memory.boot MiB)" "1/2" "$(ratio memory.clone memory.boot 0.5)"
row "the same" "" "" "30 MiB" "$(below memory.clone 30)"
row "the template they share" "$(stat_of memory.template MiB)" ""
row "CPU of 100 idle VMs ($vms for $idle_s s, scaled)" "$(stat_of memory.idle '% of a core')" "" "10 %" \
        "$(below memory.idle 10)"
row "idle 128 MiB VMs that fit into 90 % of $budget MiB" "$(stat_of fit.clone VMs)" \
        "booted $(stat_of fit.boot VMs)" "2x" "$(ratio fit.boot fit.clone 0.5)"
echo
sed 's/^/    /' "$data/notes"
