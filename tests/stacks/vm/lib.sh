# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Stacks of tests/stacks with real servers from Debian packages: sourced by tests/stacks/vm/*.t,
# which run from the top of the tree (`make stacks`).
. tests/vm/lib.sh

BERTH_IMAGES=${BERTH_STACK_IMAGES:-$PWD/build/tests/stack-images}
export BERTH_IMAGES

# take STACK: its files, and this folder's over it, in a folder of their own; sets $files
take() {
        cp -r tests/stacks "$test_dir/m"
        rm -rf "$test_dir/m/expected"
        stack=$1
        files="-f $test_dir/m/$stack.yaml -f $test_dir/m/vm/$stack.yaml -p $stack"
}

# up: apply and wait for health
up() {
        # shellcheck disable=SC2086 # $files is words
        run berth apply $files --timeout 300s
        is "$code" 0 "$stack is up" || {
                printf '%s\n' "$out" | tail -n 30
                berth logs "$stack" | tail -n 60
        } | sed 's/^/# /'
}

# try SECONDS COMMAND...: until it succeeds (servers of others have no events for us)
try() {
        tries=$1
        shift
        until "$@" >"$test_dir/tried" 2>&1; do
                tries=$((tries - 1))
                [ "$tries" -gt 0 ] || break
                sleep 1
        done
        cat "$test_dir/tried"
}
