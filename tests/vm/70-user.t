#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An ordinary user runs the hello example with an installed berth: no right but that of opening
# /dev/net/tun. Root starts this and becomes that user, in a mount namespace of its own where
# /dev/net/tun is a node that everyone may open; the machine's own is not touched.
# shellcheck disable=SC2119,SC2317 # hello_stack needs no argument; a trap calls cleanup_user

[ "$(id -u)" = 0 ] || {
        echo "1..0 # SKIP needs root, to become another user"
        exit 0
}
unshare --mount true 2>/dev/null || {
        echo "1..0 # SKIP needs a mount namespace, for a /dev/net/tun of its own"
        exit 0
}
[ "${BERTH_TEST_TUN:-}" ] || BERTH_TEST_TUN=1 exec unshare --mount --propagation private sh "$0"

. tests/vm/lib.sh

# A user id that nobody has: nothing has to be made or removed.
uid=64999
while getent passwd "$uid" >/dev/null; do
        uid=$((uid + 1))
done
home=$test_dir/home

# as_user COMMAND...
as_user() {
        env -i PATH="$test_dir/inst/usr/bin:$PATH" HOME="$home" BERTH_TEST="$test_dir" \
                setpriv --reuid="$uid" --regid="$uid" --clear-groups --bounding-set=-all \
                --inh-caps=-all --no-new-privs "$@"
}

skip_all() {
        echo "1..0 # SKIP $1"
        exit 0
}

mkdir "$home"
chmod 755 "$test_dir"
mknod -m 666 "$test_dir/tun" c 10 200 2>/dev/null &&
        mount --bind "$test_dir/tun" /dev/net/tun 2>/dev/null
as_user sh -c ': <>/dev/net/tun' 2>/dev/null || skip_all "an ordinary user cannot open /dev/net/tun"
as_user unshare --user --net true 2>/dev/null || skip_all "no user namespaces for ordinary users"
env -u MAKEFLAGS -u MAKELEVEL make -s install DESTDIR="$test_dir/inst" PREFIX=/usr >/dev/null
cp "${BERTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/berth}"/hello-images/*.tar "$home"
stack=$(hello_stack)
port=$(sed -n 's/.*[^0-9]\([0-9]*\):80["]*$/\1/p' "$stack")
cp "$stack" "$home"
mkdir "$home/shared"
echo one >"$home/one"
echo 'services: {web: {volumes: ["./shared:/mnt/shared", "./one:/mnt/one:ro"]}}' >"$home/binds.yaml"
chown -R "$uid:$uid" "$home"
cleanup_user() {
        as_user berth --root "$home/r" system stop --vms >/dev/null 2>&1
        umount /dev/net/tun 2>/dev/null
        cleanup
}
trap cleanup_user EXIT

# user ARGUMENTS...: berth with a root below the user's own folder
user() {
        run as_user timeout 300 berth --root "$home/r" "$@"
}

for name in web redis; do
        user image load -i "$home/hello-$name.tar"
        is "$code" 0 "the user loads hello-$name" || printf '%s\n' "$out" | sed 's/^/# /'
done
user apply -f "$home/stack.yaml" -f "$home/binds.yaml" --timeout 5m
is "$code" 0 "the user applies hello" || printf '%s\n' "$out" | sed 's/^/# /'
user ps -o json
is "$(printf %s "$out" | jq '[.[] | select(.health == "healthy")] | length')" 4 "four are healthy"
like "$(curl -fsS "http://127.0.0.1:$port/" 2>&1)" 'its own virtual machine' "the URL answers"
user exec hello/app/1 -- wget -q -O - http://web.hello.test/
like "$out" 'its own virtual machine' "exec, and names between VMs"
user exec hello/web -- sh -c 'cat /mnt/one >/mnt/shared/two && echo x >/mnt/one'
unlike "$code" '^0$' "a read-only file cannot be written"
is "$(cat "$home/shared/two")" one "a file and a folder of the user's"
user exec hello/web -- sh -c 'exit 41'
is "$code" 41 "the exit code of a command"
# shellcheck disable=SC2046 # a list of pids
is "$(ps -o uid= -p $(ours | tr '\n' ' ') | sort -u | tr -d ' ')" "$uid" \
        "daemon, netd and QEMU run as the user"
is "$(find "$home/r" ! -uid "$uid" | head -n 1)" "" "all files are the user's"
user delete hello --volumes
is "$code" 0 "delete succeeds" || printf '%s\n' "$out" | sed 's/^/# /'
user ps -a -o json
is "$out" "[]" "nothing is left"
user system stop --vms
is "$code" 0 "the daemon stops"
umount /dev/net/tun 2>/dev/null
finish
