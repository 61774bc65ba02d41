#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Clones of a template with real machines: independent of each other, harmless for the template,
# and replaced by a boot when anything is wrong. The work is done by template_driver.c.
#
# BERTH_TEST_CLONES: how many clones (100; the issue wants 1000, which takes some minutes)

set -u

build=${BUILD:-build}
dir=$(mktemp -d "${TMPDIR:-/tmp}/berth-tpl.XXXXXX")
BERTH_TEST=$dir
export BERTH_TEST

# ours: pids of the machines that are left
ours() {
        for environ in /proc/[0-9]*/environ; do
                pid=${environ#/proc/}
                pid=${pid%/environ}
                grep -qsaF "BERTH_TEST=$dir" "$environ" || continue
                case $(cat "/proc/$pid/comm" 2>/dev/null) in qemu-system*) echo "$pid" ;; esac
        done
}

cleanup() {
        for pid in $(ours); do
                kill -9 "$pid" 2>/dev/null
        done
        rm -rf "$dir"
}
trap cleanup EXIT
trap 'trap "" INT TERM HUP PIPE; exit 1' INT TERM HUP PIPE

skip() {
        echo "1..0 # SKIP $1"
        exit 0
}

busybox=$(command -v busybox) || skip "busybox-static is not installed"
command -v mke2fs >/dev/null || skip "e2fsprogs is not installed"
qemu=$(command -v qemu-system-x86_64) || skip "qemu-system-x86 is not installed"
[ -e "$build/guest/vmlinux" ] || skip "the guest kernel is not built (make guest)"

mkdir -p "$dir/img/bin"
cp "$busybox" "$dir/img/bin/busybox"
for name in sh cat head hexdump date hostname; do
        ln -s busybox "$dir/img/bin/$name"
done
mke2fs -q -t ext4 -d "$dir/img" "$dir/root.ext4" 16M >"$dir/log" 2>&1 || {
        sed 's/^/# /' "$dir/log"
        echo "Bail out! cannot make the disk"
        exit 1
}
mkdir "$dir/none"
mke2fs -q -t ext4 -O ^has_journal -d "$dir/none" "$dir/empty.ext4" 16M >"$dir/log" 2>&1
mke2fs -q -t ext4 -d "$dir/none" "$dir/volume.ext4" 16M >>"$dir/log" 2>&1
cp "$build/guest/initramfs" "$dir/initramfs"

# wrapper NAME LINE: a QEMU that runs LINE first
wrapper() {
        printf '#!/bin/bash\n%s\nexec %s "$@"\n' "$2" "$qemu" >"$dir/$1"
        chmod +x "$dir/$1"
}
wrapper qemu-no-save 'case "$*" in *share=on*) echo "cannot make it" >&2; exit 1 ;; esac'
# Killed half-way: a build takes 0.4 s and more.
wrapper qemu-dies-at-save 'case "$*" in *share=on*) (sleep 0.25; kill -9 $$) & ;; esac'
wrapper qemu-no-restore 'case "$*" in *-incoming*) exit 1 ;; esac'
# What QEMU is given as device state is not what was saved.
wrapper qemu-bad-state 'case "$*" in *-incoming*) exec 9</bin/sh ;; esac'
# No memory: a template's 128 MiB, or a clone's, cannot be mapped any more.
wrapper qemu-build-no-memory 'case "$*" in *share=on*) ulimit -v 200000 ;; esac'
wrapper qemu-clone-no-memory 'case "$*" in *-incoming*) ulimit -v 200000 ;; esac'

"$build/bin/tests/system/template_driver" "$dir" "$build/guest/vmlinux" "$dir/initramfs" \
        "$PWD/$build/lib/berth/clone-memory.so" "${BERTH_TEST_CLONES:-100}" >"$dir/tap"
sed '/^1\.\./d' "$dir/tap"
count=$(grep -c '^\(not \)\{0,1\}ok ' "$dir/tap")

# check NAME COMMAND...: one more test point
check() {
        count=$((count + 1))
        name=$1
        shift
        if "$@"; then echo "ok $count - $name"; else echo "not ok $count - $name"; fi
}
check "the driver came to its end" grep -q '^1\.\.' "$dir/tap"
check "no machine is left" [ -z "$(ours)" ]
check "no folder of a build is left" [ -z "$(ls "$dir/tpl")" ]
echo "1..$count"
