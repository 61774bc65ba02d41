#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# devices: of a service. A tunnel that a program answers pings through, a file system that a program
# serves, and none of both for a service that did not ask.
. tests/vm/lib.sh

BERTH_IMAGES=$test_dir/images
export BERTH_IMAGES
root=$test_dir/root
mkdir -p "$root/bin" "$root/etc" "$root/mnt"
cp /bin/busybox "$root/bin/"
for applet in $(/bin/busybox --list); do
        [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
done
# Not with the programs' flags: this one runs on the guest's kernel with the guest's libc.
${VMINIT_CC:-musl-gcc} -std=gnu17 -D_GNU_SOURCE -include base/banned.h -I. -Os -static -s \
        -idirafter /usr/include -idirafter "/usr/include/$(gcc -print-multiarch)" \
        -o "$root/bin/devices_guest" tests/vm/devices_guest.c
tar -C "$root" -cf - . | berth image import -q - box:1 -c 'ENV PATH=/bin' >/dev/null

mkdir "$test_dir/m"
cat >"$test_dir/m/s.yaml" <<'END'
name: devices
x-box: &box
  image: box:1
  pull_policy: never
  command: [sleep, "100000"]
  restart: "no"
  stop_grace_period: 0s
services:
  tunnel:
    <<: *box
    cap_add: [NET_ADMIN]
    devices: ["/dev/net/tun:/dev/net/tun"]
    command: >-
      sh -ec 'devices_guest make tun0;
      ip addr add 10.9.0.1/24 dev tun0;
      ip link set tun0 up;
      exec devices_guest tun tun0'
    healthcheck: {test: ping -c 1 -W 5 10.9.0.2, interval: 1s, timeout: 20s, retries: 60}
  files:
    <<: *box
    cap_add: [SYS_ADMIN]
    devices: [{source: /dev/fuse, target: /dev/fuse, permissions: rwm}, "/dev/fuse:/opt/a/fuse"]
    command: [devices_guest, fuse, /mnt]
    healthcheck: {test: grep -q program /mnt/hello, interval: 1s, timeout: 20s, retries: 60}
  plain:
    <<: *box
    cap_add: [NET_ADMIN]
  all:
    <<: *box
    privileged: true
    read_only: true
    devices: ["/dev/net/tun:/dev/tunnel:rw"]
END
run berth apply -f "$test_dir/m/s.yaml" --timeout 5m
is "$code" 0 "apply: a ping through the tunnel and the file of a program are well" ||
        printf '%s\n' "$out" | sed 's/^/# /'

# within SERVICE LINE: what the shell there says of it
within() {
        berth exec "devices/$1" -- sh -c "$2" 2>&1
}
like "$(within tunnel 'ip addr show tun0')" 'inet 10\.9\.0\.1/24' "the tunnel has its address"
like "$(within tunnel 'ip link show tun0')" '[<,]UP,LOWER_UP' "and is up"
like "$(within tunnel 'ping -c 2 -W 20 10.9.0.77')" ' 0% packet loss' "the program answers"
is "$(within tunnel 'stat -c "%F %a %t:%T" /dev/net/tun')" "character special file 666 a:c8" "its node"
is "$(within tunnel 'ls /dev/fuse' | tail -c 26)" "No such file or directory" "that alone"
is "$(within files 'cat /mnt/hello; stat -c "%a %s" /mnt/hello; grep -c " /mnt fuse " /proc/mounts')" \
        "$(printf 'from a program\n444 15\n1')" "the file system of a program"
is "$(within files 'stat -c "%F %a %t:%T" /opt/a/fuse')" "character special file 666 a:e5" \
        "a path of its own choice"
like "$(within files 'ls /dev/net')" 'No such file' "no tunnel there"
like "$(within plain 'ls /dev/net /dev/fuse; echo $?')" '^[12]$' "nothing for a service that did not ask"
like "$(within plain 'devices_guest make tun0')" '^make a tunnel: No such file or directory$' "with NET_ADMIN neither"
is "$(within all 'stat -c "%t:%T" /dev/net/tun /dev/fuse /dev/tunnel | tr "\n" " "')" \
        "a:c8 a:e5 a:c8 " "privileged: all there are, and what was asked for"
is "$(within all 'tunctl -t t1 >/dev/null && ip -o link show t1 | cut -d: -f2')" " t1" "which work"

is "$(berth config -f "$test_dir/m/s.yaml" -o json | jq -c '.services.all.devices')" \
        '[{"permissions":"rw","source":"/dev/net/tun","target":"/dev/tunnel"}]' "config"
sed 's|"/dev/net/tun:/dev/tunnel:rw"|"/dev/fuse:/bin/busybox"|' "$test_dir/m/s.yaml" >"$test_dir/m/bad.yaml"
run berth apply -f "$test_dir/m/bad.yaml" --timeout 1m
unlike "$code" '^0$' "a device where a file of the image is"
like "$out" 'make the device /bin/busybox: File exists' "and why not"

is "$(berth run --rm --pull never --device /dev/fuse:/dev/f box:1 stat -c %t:%T /dev/f 2>/dev/null)" "a:e5" "run --device"
run berth run --rm --pull never --device /dev/sda box:1 true
like "$out" 'devices\[0\]: ./dev/sda. of the host cannot be passed' "none of the host"

finish
