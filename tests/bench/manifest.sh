#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How long the command line needs for a manifest of 10,000 services in 10 MB, with as many volumes,
# ports, dependencies and variables. The target is one second for `berth validate`.
#
#   make bench-manifest
#   BENCH_SERVICES=20000 BENCH_RUNS=3 sh tests/bench/manifest.sh

set -eu
PATH=$PWD/${BUILD:-build}/bin:$PATH
services=${BENCH_SERVICES:-10000}
runs=${BENCH_RUNS:-5}
dir=$(mktemp -d "${TMPDIR:-/tmp}/berth-b.XXXXXX")
[ -n "${KEEP:-}" ] || trap 'rm -rf "$dir"' EXIT INT TERM

# About a kilobyte a service; each depends on the one before it in its group of ten.
awk -v n="$services" 'BEGIN {
        pad = sprintf("%250s", ""); gsub(/ /, "x", pad)
        print "services:"
        for (i = 0; i < n; i++) {
                printf "  service-%d:\n    image: registry.example.org/team/app-%d:1.%d\n", i, i % 50, i
                printf "    environment:\n      NAME: \"${NAME:-service}-%d\"\n      TEXT: %s\n", i, pad
                printf "      LEVEL: info\n      URL: http://service-%d.local:8080/path\n", i
                printf "    ports: [\"127.0.%d.%d:%d:80\", {target: 443, protocol: tcp}]\n",
                        i / 250 + 1, i % 250 + 1, 8000 + i
                printf "    volumes:\n      - data-%d:/var/lib/data\n      - ./conf/%d:/etc/app:ro\n", i, i
                printf "      - {type: tmpfs, target: /tmp, tmpfs: {size: 64m}}\n"
                printf "    healthcheck:\n      test: [CMD, curl, -f, \"http://localhost:8080/health\"]\n"
                printf "      interval: 10s\n      retries: 5\n"
                printf "    deploy: {resources: {limits: {memory: 256m, cpus: \"0.5\"}}, replicas: 1}\n"
                printf "    labels: {team: \"team-%d\", tier: backend}\n    restart: unless-stopped\n", i % 20
                printf "    networks: [front, back-%d]\n", i % 100
                if (i % 10)
                        printf "    depends_on:\n      service-%d: {condition: service_healthy}\n", i - 1
        }
        print "volumes:"
        for (i = 0; i < n; i++) printf "  data-%d:\n", i
        print "networks:\n  front:"
        for (i = 0; i < 100; i++) printf "  back-%d:\n", i
}' >"$dir/stack.yaml"

# measure NAME COMMAND...: milliseconds, the median and the least of all runs
measure() {
        name=$1
        shift
        i=0
        while [ "$i" -lt "$runs" ]; do
                began=$(date +%s%N)
                "$@" >"$dir/out" 2>&1 || {
                        head -n 3 "$dir/out" >&2
                        exit 1
                }
                echo $((($(date +%s%N) - began) / 1000000))
                i=$((i + 1))
        done | sort -n | awk -v name="$name" '{ v[NR] = $1 }
                END { printf "%s: median %d ms, least %d ms, of %d\n", name, v[int((NR + 1) / 2)], v[1], NR }'
}

echo "$services services, $(wc -c <"$dir/stack.yaml") bytes"
measure "berth validate" berth validate -f "$dir/stack.yaml"
measure "berth config" berth config -f "$dir/stack.yaml"
