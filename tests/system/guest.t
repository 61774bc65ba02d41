#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# vminit in a real machine: configuration, output, exec, reattachment, end. The work is done by
# guest_driver.c; this makes the disks and looks at them afterwards.

set -u

build=${BUILD:-build}
dir=$(mktemp -d "${TMPDIR:-/tmp}/berth-guest.XXXXXX")
cleanup() {
        # The driver's machine outlives it when it fails; its pid is in the description.
        vm=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$dir/vm/vm.json" 2>/dev/null)
        [ -z "$vm" ] || ! grep -q "$dir" "/proc/$vm/environ" 2>/dev/null || kill -9 "$vm"
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
[ -e "$build/guest/vmlinux" ] || skip "the guest kernel is not built (make guest)"

BERTH_TEST=$dir
export BERTH_TEST
mkdir -p "$dir/img/bin" "$dir/img/etc" "$dir/img/tmp" "$dir/img/home/bob" "$dir/img/var/data" "$dir/share"
cp "$busybox" "$dir/img/bin/busybox"
for name in sh cat id ls wc stat hostname grep touch tail ps tr dd sleep stty tty; do
        ln -s busybox "$dir/img/bin/$name"
done
printf 'root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n' >"$dir/img/etc/passwd"
printf 'root:x:0:\nbob:x:1000:\naudio:x:63:bob\n' >"$dir/img/etc/group"
echo 'from the image' >"$dir/img/var/data/first"
echo 'from the host' >"$dir/share/hello"
{
        mke2fs -q -t ext4 -d "$dir/img" "$dir/root.ext4" 32M
        mke2fs -q -t ext4 "$dir/scratch.ext4" 64M
        mke2fs -q -t ext4 "$dir/vol0.ext4" 32M
        # As an image has it, whoever runs this test.
        debugfs -w -R 'set_inode_field /var/data/first uid 1000' "$dir/root.ext4"
} >"$dir/log" 2>&1 || {
        sed 's/^/# /' "$dir/log"
        echo "Bail out! cannot make the disks"
        exit 1
}

"$build/bin/tests/system/guest_driver" "$dir" "$build/guest/vmlinux" "$build/guest/initramfs" >"$dir/tap"
sed '/^1\.\./d' "$dir/tap"
count=$(grep -c '^\(not \)\{0,1\}ok ' "$dir/tap")
if [ ! -s "$dir/tap" ] || grep -q '^not ok' "$dir/tap"; then
        sed 's/^/# console: /' "$dir/vm/console.log"
fi

# check NAME COMMAND...: one more test point
check() {
        count=$((count + 1))
        name=$1
        shift
        if "$@" >"$dir/log" 2>&1; then
                echo "ok $count - $name"
        else
                echo "not ok $count - $name"
                sed 's/^/# /' "$dir/log"
        fi
}

check "the driver came to its end" grep -q '^1\.\.' "$dir/tap"
check "the volume's file system is clean" e2fsck -fn "$dir/vol0.ext4"
# unmounted DISK: its journal has nothing to recover, which is so only after a clean unmount.
unmounted() {
        ! dumpe2fs -h "$1" 2>/dev/null | grep -q needs_recovery
}
check "it was unmounted" unmounted "$dir/vol0.ext4"
check "the scratch disk was unmounted" unmounted "$dir/scratch.ext4"
check "the volume was seeded" sh -c "debugfs -R 'cat /data/first' '$dir/vol0.ext4' 2>/dev/null | grep -q image"
echo "1..$count"
