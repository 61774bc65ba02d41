#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Run test programs, two at a time: tests/run.sh FILE...
#
# A few that fail are shown with what they printed, and run once more, one at a time. Those that pass
# then are named at the end: a test that fails only beside others is still a defect, of berth or of
# the test, and what it printed is there to find out which. Above $few files that is no chance.
set -u
few=3
failed=${BUILD:-build}/tests/failed # FILE of each that failed, with its output
rm -rf "$failed"
mkdir -p "$failed"
BERTH_FAILED=$failed
export BERTH_FAILED

# files: those that failed, as they were given
files() {
        find "$failed" -type f | sed "s,^$failed/,," | sort
}

prove --jobs 2 --exec tests/keep_output.sh "$@" && exit
again=$(files)
for file in $again; do
        printf '\n== %s\n' "$file"
        grep -A 12 '^not ok' "$failed/$file" | head -60 | grep . || tail -20 "$failed/$file"
done
[ -n "$again" ] && [ "$(echo "$again" | wc -l)" -le "$few" ] || exit 1
printf '\n== again, one at a time\n'
# shellcheck disable=SC2086 # words
prove --exec tests/keep_output.sh $again || exit
# shellcheck disable=SC2086 # words
printf '%s failed beside other tests and passed alone: see above\n' $again
