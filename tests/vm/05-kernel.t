#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The guest kernel has what a container takes for granted, and not what it must not have.
# It runs alone here, with an init of its own (kernel_init.c), under TCG, on the machine that vz falls
# back to when the clock's rate is not known (PIT and PIC).
set -eu

build=${BUILD:-build}
dir=$(mktemp -d "${TMPDIR:-/tmp}/berth-t.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'trap "" INT TERM HUP; exit 130' INT TERM HUP

# Not with the programs' flags: this one runs on the guest's kernel with the guest's libc.
${VMINIT_CC:-musl-gcc} -std=gnu17 -D_GNU_SOURCE -include base/banned.h -I. -Os -static -s \
        -idirafter /usr/include -idirafter "/usr/include/$(gcc -print-multiarch)" \
        -o "$dir/init" tests/vm/kernel_init.c
(cd "$dir" && echo init | cpio -o -H newc --quiet) >"$dir/initramfs"
truncate -s 32M "$dir/disk"
mke2fs -q -t ext4 "$dir/disk"
mkdir "$dir/share"
echo hello >"$dir/share/hello"

slots=
for i in 0 1 2 3; do
        slots="$slots virtio_mmio.device=512@$(printf 0x%x $((0xfeb00000 + i * 512))):$((5 + i))"
done
timeout 60 qemu-system-x86_64 -nodefaults -no-user-config -nographic -no-reboot \
        -machine microvm,acpi=off,auto-kernel-cmdline=off,x-option-roms=off,isa-serial=off \
        -accel tcg -cpu max -smp 2 -m 128 -global virtio-mmio.force-legacy=false \
        -chardev "file,id=c,path=$dir/console" \
        -device virtio-serial-device,bus=virtio-mmio-bus.0 -device virtconsole,chardev=c \
        -drive "if=none,id=d,format=raw,file=$dir/disk" \
        -device virtio-blk-device,bus=virtio-mmio-bus.1,drive=d \
        -fsdev "local,id=s,path=$dir/share,security_model=none" \
        -device virtio-9p-device,bus=virtio-mmio-bus.2,fsdev=s,mount_tag=share \
        -netdev "socket,id=n,udp=127.0.0.1:9,localaddr=127.0.0.1:0" \
        -device virtio-net-device,bus=virtio-mmio-bus.3,netdev=n \
        -kernel "$build/guest/vmlinux" -initrd "$dir/initramfs" \
        -append "console=hvc0 loglevel=4 panic=-1 reboot=t no_timer_check lapic_timer_khz=1000000$slots" \
        </dev/null >"$dir/qemu" 2>&1 || sed 's/^/# qemu: /' "$dir/qemu"
tr -d '\r' <"$dir/console" >"$dir/said"

count=0
failed=0
point() {
        count=$((count + 1))
        if [ "$1" = 0 ]; then
                echo "ok $count - $2"
        else
                failed=$((failed + 1))
                echo "not ok $count - $2"
                grep -F " $3" "$dir/said" | sed 's/^/# /' || true
        fi
}
has() { if grep -qxF "yes $1" "$dir/said"; then point 0 "$1"; else point 1 "$1" "$1"; fi; }
lacks() { if grep -q "^no $1:" "$dir/said"; then point 0 "no $1"; else point 1 "no $1" "$1"; fi; }

for what in sysfs tmpfs devpts mqueue cgroup2 ext4 overlay 9p '9p file' 'xattr on ext4' \
        'xattr on tmpfs' 'security xattr' 'cgroup memory' 'cgroup cpu' 'cgroup cpuset' \
        'cgroup pids' 'cgroup io' ipv4 ipv6 unix packet netlink 'ping socket' eth0 flock 'ofd lock' \
        aio epoll inotify eventfd timerfd signalfd memfd 'posix queue' 'sysv memory' pty getrandom \
        membarrier pidfd clone3 close_range openat2 namespaces 'seccomp filter' \
        tun fuse; do
        has "$what"
done
for what in io_uring bpf userfaultfd modules kexec swap /dev/mem /proc/kallsyms pci; do
        lacks "$what"
done
grep -qx 'done' "$dir/said" && code=0 || code=1
point "$code" "init came to its end" ""
free=$(sed -n 's/^memory .* free //p' "$dir/said")
[ "${free:-0}" -gt 100000 ] && code=0 || code=1
point "$code" "of 128 MiB more than 100 MB are free at the start (${free:-?} kB)" memory
sed -n 's/^boot/# the kernel took/p' "$dir/said"
echo "1..$count"
[ "$failed" = 0 ]
