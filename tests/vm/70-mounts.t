#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What services mount from the host: a volume that two of them write to, single files, folders.
. tests/vm/lib.sh

BERTH_IMAGES=$test_dir/images
export BERTH_IMAGES
root=$test_dir/root
mkdir -p "$root/bin" "$root/etc"
cp /bin/busybox "$root/bin/"
ln -sf busybox "$root/bin/sh"
tar -C "$root" -cf - . | berth image import -q - box:1 -c 'ENV PATH=/bin' >/dev/null

mkdir "$test_dir/m" "$test_dir/m/dir"
echo one >"$test_dir/m/app.conf"
echo two >"$test_dir/m/rw.conf"
cat >"$test_dir/m/s.yaml" <<'END'
name: mounts
services:
  a: &a
    image: box:1
    command: [busybox, sleep, "100000"]
    stop_grace_period: 1s
    volumes: ["data:/data", "./app.conf:/etc/app.conf:ro", "./rw.conf:/etc/rw.conf", "./dir:/dir"]
  b: {<<: *a, volumes: ["data:/data"]}
volumes: {data: }
END
run berth config -f "$test_dir/m/s.yaml"
like "$out" 'class: shared' "config tells the class of a volume that two services write"
run berth apply -f "$test_dir/m/s.yaml" --timeout 3m
is "$code" 0 "apply" || printf '%s\n' "$out" | sed 's/^/# /'

in_a() {
        berth exec mounts/a -- busybox sh -c "$1"
}
in_b() {
        berth exec mounts/b -- busybox sh -c "$1"
}
in_a 'echo from a >/data/f'
is "$(in_b 'busybox cat /data/f')" "from a" "b sees what a wrote"
in_b 'echo from b >>/data/f; busybox mkdir /data/d; busybox mv /data/f /data/d/g'
is "$(in_a 'busybox cat /data/d/g | busybox tr "\n" +')" "from a+from b+" "a sees what b changed"
is "$(in_a 'busybox cat /etc/app.conf')" one "a file"
run in_a 'echo x >/etc/app.conf'
unlike "$code" '^0$' "a read-only one cannot be written"
is "$(cat "$test_dir/m/app.conf")" one "and stays as it was"
in_a 'echo from a >/etc/rw.conf'
echo more >>"$test_dir/m/rw.conf"
is "$(in_a 'busybox cat /etc/rw.conf | busybox tr "\n" +')" "from a+more+" "the other is written by both sides"
is "$(head -n 1 "$test_dir/m/rw.conf")" "from a" "on the host, too"
in_a 'echo x >/dir/y; busybox mkdir -m 777 /dir/all'
berth exec --user 1234:1234 mounts/a -- busybox sh -c 'busybox mkdir /dir/all/d && echo y >/dir/all/d/f'
is "$(stat -c %u:%g "$test_dir/m/dir/all/d/f" "$test_dir/m/dir/all/d" | uniq)" 1234:1234 \
        "what a user of the guest makes is his"
is "$(cat "$test_dir/m/dir/y")" x "a folder"
is "$(berth volume ls -o json | jq -r '.[0].name // .volumes[0].name')" mounts_data "the volume is listed"

sed 's/^volumes: .*/volumes: {data: {x-berth: {class: disk}}}/; s/^  b: .*//' "$test_dir/m/s.yaml" >"$test_dir/m/disk.yaml"
run berth apply -f "$test_dir/m/disk.yaml" --timeout 1m
unlike "$code" '^0$' "the class cannot change"
like "$out" 'shared folder, not a disk' "the reason is told"
is "$(berth ps mounts -q | sort | tr '\n' ' ')" "mounts/a/1 mounts/b/1 " "and all goes on"

# More folders, files and volumes than a VM has slots for devices.
mkdir "$root/data" "$root/srv"
echo image >"$root/data/seed"
tar -C "$root" -cf - . | berth image import -q - box:2 -c 'ENV PATH=/bin' >/dev/null
for i in 1 2 3 4 5 6; do
        mkdir "$test_dir/m/d$i"
        echo "$i" >"$test_dir/m/d$i/f"
done
cat >"$test_dir/m/many.yaml" <<'END'
name: many
services:
  a: &a
    image: box:2
    command: [busybox, sleep, "100000"]
    stop_grace_period: 1s
    volumes: ["./d1:/d/1", "./d2:/d/2:ro", "./d3:/d/3", "./d4:/d/4", "./d5:/d/5", "./d6:/d/6",
      "./app.conf:/etc/app.conf:ro", "v1:/v/1", "v2:/v/2", "v3:/v/3", "v4:/v/4", "v5:/v/5",
      "both:/data", "./rw.conf:/etc/rw.conf", /anonymous]
  b: {<<: *a, volumes: ["both:/data", "both:/again"]}
volumes: {v1: , v2: , v3: , v4: , v5: , both: }
END
run berth config -f "$test_dir/m/many.yaml" -o json
is "$(printf '%s\n' "$out" | jq -r '.volumes | map_values(."x-berth".class // "disk") | to_entries | map("\(.key)=\(.value)") | join(" ")')" \
        "both=shared v1=disk v2=disk v3=disk v4=shared v5=shared" "volumes that find no room are folders"
run berth apply -f "$test_dir/m/many.yaml" --timeout 3m
is "$code" 0 "apply" || printf '%s\n' "$out" | sed 's/^/# /'
in_many() {
        berth exec many/a -- busybox sh -c "$1"
}
is "$(in_many 'busybox cat /d/1/f /d/2/f /d/3/f /d/4/f /d/5/f /d/6/f | busybox tr "\n" " "')" "1 2 3 4 5 6 " \
        "six folders"
# shellcheck disable=SC2016 # for the shell in the VM
in_many 'for i in 1 2 3 4 5; do echo "$i" >/v/$i/x || exit 1; done; echo a >/anonymous/x'
is "$(in_many 'busybox cat /v/1/x /v/2/x /v/3/x /v/4/x /v/5/x /anonymous/x | busybox tr "\n" " "')" "1 2 3 4 5 a " \
        "six volumes"
run in_many 'echo x >/d/2/f'
unlike "$code" '^0$' "a read-only folder is one"
is "$(in_many 'busybox cat /data/seed')" image "a shared volume begins with what the image has"
in_many 'echo more >/data/more'
is "$(berth exec many/b -- busybox cat /again/more)" more "one volume twice in a service"
echo later >"$test_dir/m/d1/new"
is "$(in_many 'busybox cat /d/1/new')" later "what the host adds is seen"
is "$(berth volume ls -o json | jq -r '.[]? // .volumes[] | select(.name == "many_both") | .used_bytes > 0')" true \
        "the size of a shared volume is known"
run berth delete many --volumes --timeout 1m
is "$code" 0 "delete" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(cat "$test_dir/m/d1/f" "$test_dir/m/d6/f" | tr '\n' ' ')" "1 6 " "the host's folders are as they were"

run berth delete mounts --volumes --timeout 1m
is "$code" 0 "delete" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(berth volume ls -o json | jq 'if type == "array" then length else (.volumes | length) end')" 0 "the volume is gone"
finish
