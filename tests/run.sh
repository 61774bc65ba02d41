#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Run test programs, two at a time: tests/run.sh FILE...
# What those that failed printed stands at the end; prove alone hides it.
set -u
failed=${BUILD:-build}/tests/failed # FILE of each that failed, with its output
rm -rf "$failed"
mkdir -p "$failed"
BERTH_FAILED=$failed
export BERTH_FAILED

prove --jobs 2 --exec tests/keep_output.sh "$@"
code=$?
find "$failed" -type f | sort | while read -r file; do
        printf '\n== %s\n' "${file#"$failed"/}"
        grep -A 12 '^not ok' "$file" | head -60 | grep . || tail -20 "$file"
done
exit "$code"
