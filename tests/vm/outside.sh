# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# A world outside of the machine, for tests of egress: sourced first, before tests/vm/lib.sh, it runs
# the test again in a network namespace of its own that has one link, to another namespace. There, at
# 198.51.100.1, are a web server and a name server; nothing of it reaches the real network.
#
#   host (this test, berthd, slirp4netns)  198.51.100.2 ---- 198.51.100.1  outside: web, DNS
#
# The host's resolv.conf names a server that is not there and then the one outside; its web server on
# 127.0.0.1:8001 must never be seen by a VM, the one on 198.51.100.2:8002 may.

if [ -z "${BERTH_OUTSIDE:-}" ]; then
        [ "$(id -u)" = 0 ] || {
                echo "1..0 # SKIP needs root to make a network namespace with an address"
                exit 0
        }
        BERTH_OUTSIDE=1 exec unshare -n -m --propagation private sh "$0" "$@"
fi

outside_dir=$(mktemp -d "${TMPDIR:-/tmp}/berth-o.XXXXXX")
outside_pids=
outside_cleanup() {
        # shellcheck disable=SC2086 # pids are words
        kill $outside_pids 2>/dev/null
        rm -rf "$outside_dir"
}

# outside COMMAND...: run it there
outside() {
        nsenter -t "$outside_pid" -n "$@"
}

outside_start() {
        mkfifo "$outside_dir/up"
        # shellcheck disable=SC2016 # $1 is the inner shell's
        unshare -n sh -c 'echo up >"$1/up"; exec sleep 600' sh "$outside_dir" &
        outside_pid=$!
        outside_pids=$outside_pid
        read -r _ <"$outside_dir/up"
        ip link set lo up
        ip link add out0 type veth peer name host0 netns "$outside_pid"
        ip addr add 198.51.100.2/24 dev out0
        ip link set out0 up
        outside ip addr add 198.51.100.1/24 dev host0
        outside ip link set host0 up
        outside ip link set lo up
        ip route add default via 198.51.100.1
        for what in outside host hidden; do
                mkdir "$outside_dir/$what"
                echo "this is $what" >"$outside_dir/$what/index.html"
        done
        nsenter -t "$outside_pid" -n busybox httpd -f -p 198.51.100.1:8000 -h "$outside_dir/outside" &
        outside_pids="$outside_pids $!"
        busybox httpd -f -p 198.51.100.2:8002 -h "$outside_dir/host" &
        outside_pids="$outside_pids $!"
        busybox httpd -f -p 127.0.0.1:8001 -h "$outside_dir/hidden" &
        outside_pids="$outside_pids $!"
        nsenter -t "$outside_pid" -n perl tests/vm/outside_dns.pl 198.51.100.1 >"$outside_dir/dns" &
        outside_pids="$outside_pids $!"
        printf 'nameserver 198.51.100.77\nnameserver 198.51.100.1\n' >"$outside_dir/resolv.conf"
        # The machine's own may be a link to a file that is not there.
        mount --bind "$outside_dir/resolv.conf" "$(readlink -f /etc/resolv.conf)"
}
