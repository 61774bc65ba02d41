#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run the fuzzer HARNESS (a libFuzzer program) for so many seconds: run.sh SECONDS HARNESS
# What it learns stays beside the program; a finding is put there, named, and fails the run.
set -eu

seconds=$1
harness=$2
name=$(basename "$harness")
folder=$(dirname "$harness")/$name.d
mkdir -p "$folder/learnt"
corpus=tests/fuzz/corpus/$name
if "$harness" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -print_final_stats=1 -artifact_prefix="$folder/" "$folder/learnt" "$corpus" \
        >"$folder/log" 2>&1; then
        sed -n "s/^stat::number_of_executed_units: */$name: nothing found in $seconds s, inputs: /p" \
                "$folder/log"
else
        echo "$name: FOUND; the end of $folder/log:"
        tail -n 40 "$folder/log"
        exit 1
fi
