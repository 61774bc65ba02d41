#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run a test program; if it fails its output stays in $BERTH_FAILED, under its own name.
set -uo pipefail
kept=$BERTH_FAILED/$1
mkdir -p "$(dirname "$kept")"
"$1" | tee "$kept"
code=$?
[ "$code" != 0 ] || grep -q '^not ok' "$kept" || rm -f "$kept"
exit "$code"
