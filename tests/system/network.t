#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One network on a real system: namespace, bridge, taps, DNS, forwards, adoption, and nothing left.
# Runs as root, or as an ordinary user with access to /dev/net/tun.
set -u

build=${BUILD:-build}
netd=$build/bin/berth-netd
driver=$build/bin/tests/system/net_driver
enter=$build/bin/tests/system/net_enter
count=0 failed=0

ok() { # STATUS NAME
        count=$((count + 1))
        [ "$1" = 0 ] || failed=$((failed + 1))
        if [ "$1" = 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}

is() { # GOT EXPECTED NAME
        if [ "$1" = "$2" ]; then ok 0 "$3"; return; fi
        ok 1 "$3"
        printf "got      '%s'\nexpected '%s'\n" "$1" "$2" | sed 's/^/# /'
}

like() { # GOT PATTERN NAME
        # shellcheck disable=SC2254 # it is a pattern
        case $1 in $2) ok 0 "$3" ;; *)
                ok 1 "$3"
                printf "got      '%s'\nexpected '%s'\n" "$1" "$2" | sed 's/^/# /'
                ;;
        esac
}

skip() {
        echo "1..0 # SKIP $1"
        exit 0
}

[ -x "$netd" ] || skip "$netd is not built"
[ -x "$driver" ] || skip "$driver is not built"
[ -x "$enter" ] || skip "$enter is not built"
{ [ -r /dev/net/tun ] && [ -w /dev/net/tun ]; } || skip "no access to /dev/net/tun"
unshare -U -n true 2>/dev/null || [ "$(id -u)" = 0 ] || skip "no unprivileged user namespaces"
for tool in dig socat curl ip pgrep; do
        command -v $tool >/dev/null || skip "$tool is not installed"
done

dir=$(mktemp -d)
links_before=$(ip -o link show | cut -d: -f2 | sort)
background=
cleanup() {
        # shellcheck disable=SC2086 # pids are words
        [ -z "$background" ] || kill -9 $background 2>/dev/null
        pkill -9 -f -- "--dir $dir" 2>/dev/null
        rm -rf "$dir"
}
trap cleanup EXIT
trap 'trap "" INT TERM HUP PIPE; exit 1' INT TERM HUP PIPE

# start NAME SUBNET: a driver behind descriptors 3 (commands) and 4 (what happens)
start() {
        rm -f "$dir/in" "$dir/out"
        mkfifo "$dir/in" "$dir/out"
        "$driver" "$netd" "$dir" shop "$1" "$2" <"$dir/in" >"$dir/out" &
        driver_pid=$!
        exec 3>"$dir/in" 4<"$dir/out"
}
say() { printf '%s\n' "$@" >&3; }
hear() { # NAME PATTERN: the next line, but for links that go; sets $heard
        heard=link-gone
        while [ "$heard" = link-gone ]; do
                heard='end of file'
                read -r heard <&4 || true
        done
        like "$heard" "$2" "$1"
}
pid_of() { sed -n 's/.*"pid": \([0-9]*\).*/\1/p' "$dir/netd.json"; }
inside() { "$enter" "$pid" "$@"; }
ask() { inside dig @10.77.0.1 +tries=1 +time=10 "$@" 2>&1; }
short() { ask +short "$@" | sort | tr '\n' ' ' | sed 's/ $//'; }
status() { ask "$@" | sed -n 's/.*status: \([A-Z]*\),.*/\1/p'; }
# serve COMMAND...: a socat server in the background, itself $served; returns once it listens
serve() {
        rm -f "$dir/said"
        mkfifo "$dir/said"
        "$@" >/dev/null 2>"$dir/said" &
        background="$background $!"
        served=$!
        exec 7<"$dir/said"
        while read -r said <&7; do
                case $said in *listening\ on* | *receiving\ on*) break ;; esac
        done
        cat <&7 >/dev/null & # what it says later; ends with it
        exec 7<&-
}
gone() { # PID...: wait until none of them is a process
        for p in "$@"; do
                for _ in 1 2 3 4 5 6 7 8 9 10; do
                        kill -0 "$p" 2>/dev/null || break
                        grep -q 'State:.Z' "/proc/$p/status" 2>/dev/null && break
                        sleep 0.1
                done
                kill -0 "$p" 2>/dev/null && ! grep -q 'State:.Z' "/proc/$p/status" && return 1
        done
        return 0
}

echo "# as $(id -un)"
start front 10.77.0.0/24
hear "netd starts" "ready * started"
pid=$(pid_of)
is "$heard" "ready $pid started" "netd.json names it"
is "$(stat -c %a "$dir/netd.sock" "$dir/netd.json" | tr '\n' ' ')" "600 600 " "files are private"
[ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]
ok $? "netd is in a network namespace of its own"
is "$(sed -n 's/^CapEff:\t//p' "/proc/$pid/status")" 0000000000001000 "with CAP_NET_ADMIN only"
is "$(sed -n 's/^NoNewPrivs:\t//p' "/proc/$pid/status")" 1 "and no_new_privs"
rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status")
case $build in *san) ok 0 "resident memory # SKIP sanitizers need some of their own" ;; *)
        [ "$rss" -lt 4096 ]
        ok $? "resident memory below 4 MiB ($rss kB)" ;;
esac

# Taps
say tap tap
hear "a tap" "tap opened"
hear "and another" "tap opened"
is "$(inside ip -o link show master br0 | grep -c 'state U')" 2 "both are up, in the bridge"
is "$(inside ip -d -o link show master br0 | grep -c vnet_hdr.on)" 2 "with vnet headers"
say untap
hear "closed" untapped
is "$(inside ip -o link show master br0 | wc -l)" 0 "both are gone with their descriptors"

# Names
inside ip addr add 10.77.0.2/24 dev br0
inside ip addr add 10.77.0.5/24 dev br0
is "$(status web)" NXDOMAIN "no names before the zone"
say "record web,web-1,www 10.77.0.2 front ready" "record web,web-2,www 10.77.0.3 front ready" \
        "record web,web-3,www 10.77.0.4 front waiting" "record db,db-1 10.78.0.2 back ready" \
        "client 10.77.0.5 front,back" zone
hear "a zone" "zone sent"
is "$(short web)" "10.77.0.2 10.77.0.3" "web"
is "$(short web.test)" "10.77.0.2 10.77.0.3" "web.test"
is "$(short WEB.Shop.TEST.)" "10.77.0.2 10.77.0.3" "web.shop.test in any case"
like "$(ask WeB.test)" "*WeB.test.*IN*A*10.77.0.*" "answered as it was asked"
is "$(short www.shop.test)" "10.77.0.2 10.77.0.3" "an alias"
is "$(short web-2.shop.test)" 10.77.0.3 "a replica"
is "$(short web-3)" 10.77.0.4 "a replica that is not ready, by its own name"
is "$(ask +short web | head -1)$(ask +short web | head -1)" 10.77.0.210.77.0.3 "ready ones rotate"
is "$(short +tcp web)" "10.77.0.2 10.77.0.3" "by TCP"
is "$(short -x 10.77.0.3)" web-2.shop.test. "reverse"
is "$(status AAAA web)$(short AAAA web)" NOERROR "AAAA: no data"
is "$(status nope)" NXDOMAIN "an unknown name"
is "$(status example.com)" NXDOMAIN "a name of the world"
is "$(status db)" NXDOMAIN "db is not to be seen from here"
is "$(short -b 10.77.0.5 db)" 10.78.0.2 "but by a client that is on its network"
is "$(short +noedns web)" "10.77.0.2 10.77.0.3" "without EDNS0"
is "$(status +edns=1 +noednsneg web)" BADVERS "EDNS1"
is "$(status -c CH -t TXT version.bind)" REFUSED "class CH"
i=10
while [ $i -lt 70 ]; do
        say "record many 10.77.0.$i front ready"
        i=$((i + 1))
done
say zone
hear "a large zone" "zone sent"
like "$(ask +noedns +ignore many)" "*flags: qr aa tc*" "truncated by UDP"
is "$(ask +noedns +short many | wc -l)" 60 "so dig asks by TCP and gets all"
is "$(status web)" NXDOMAIN "the zone was replaced"

# Forwards
head -c 50000000 /dev/urandom >"$dir/data"
serve "$enter" "$pid" socat -d -d TCP-LISTEN:80,bind=10.77.0.2,fork,reuseaddr EXEC:cat,nofork
echo_server=$served
serve "$enter" "$pid" socat -d -d TCP-LISTEN:81,bind=10.77.0.2,fork,reuseaddr EXEC:sha256sum
serve "$enter" "$pid" socat -d -d UDP-RECVFROM:53,bind=10.77.0.2,fork EXEC:cat
say "forward echo 127.0.0.1 0 10.77.0.2 80 tcp" "forward sum 127.0.0.1 0 10.77.0.2 81 tcp" \
        "forward dns 127.0.0.1 0 10.77.0.2 53 udp" "forward dead 127.0.0.1 0 10.77.0.2 99 tcp" \
        forwards
hear "a forward to a free port" "forward echo [1-9]*"
port=${heard##* }
hear "a second" "forward sum [1-9]*"
sum_port=${heard##* }
hear "one for UDP" "forward dns [1-9]*"
udp_port=${heard##* }
hear "one to a port that nobody serves" "forward dead [1-9]*"
dead_port=${heard##* }
is "$(echo hello | socat -t10 - "TCP:127.0.0.1:$port")" hello "a connection passes"
is "$(socat -t60 -u "FILE:$dir/data" "TCP:127.0.0.1:$sum_port" >/dev/null
        socat -t60 - "TCP:127.0.0.1:$sum_port" <"$dir/data")" "$(sha256sum <"$dir/data")" \
        "50 MB and the end of stream go in, an answer comes back after it"
is "$(socat -t60 - "TCP:127.0.0.1:$port" <"$dir/data" | sha256sum)" "$(sha256sum <"$dir/data")" \
        "50 MB both ways at once"
is "$(echo ping | socat -t2 - "UDP:127.0.0.1:$udp_port")" ping "a datagram passes and is answered"
curl -s -m 5 "http://127.0.0.1:$dead_port/"
case $? in 7 | 56) ok 0 "a port that nobody serves: refused or reset, not an empty answer" ;;
*) ok 1 "a port that nobody serves: refused or reset, not an empty answer" ;; esac

# A port that is taken
serve socat -d -d TCP-LISTEN:0,bind=127.0.0.1 EXEC:cat
taken=${said##*:}
say "forward echo 127.0.0.1 0 10.77.0.2 80 tcp" "forward web 127.0.0.1 $taken 10.77.0.2 80 tcp" forwards
hear "told again: the same port" "forward echo $port"
hear "a taken port: address, cause, holder" \
        "forward web failed 127.0.0.1:$taken/tcp: Address already in use; held by socat (process $served)"
kill "$served"
wait "$served" 2>/dev/null
say "forward echo 127.0.0.1 0 10.77.0.2 80 tcp" "forward web 127.0.0.1 $taken 10.77.0.2 80 tcp" forwards
hear "the others stay" "forward echo $port"
hear "once it is free: bound" "forward web $taken"
is "$(echo hello | socat -t10 - "TCP:127.0.0.1:$taken")" hello "and it works"

# The daemon dies and comes back
mkfifo "$dir/cin" "$dir/cout"
socat - "TCP:127.0.0.1:$port" <"$dir/cin" >"$dir/cout" &
background="$background $!"
exec 5>"$dir/cin" 6<"$dir/cout"
echo one >&5
read -r line <&6
is "$line" one "a connection that stays open"
kill -9 "$driver_pid"
wait "$driver_pid" 2>/dev/null
start front 10.77.0.0/24
hear "netd is adopted" "ready $pid adopted"
echo two >&5
read -r line <&6
is "$line" two "the connection is still there"
say "forward echo 127.0.0.1 0 10.77.0.2 80 tcp" forwards
hear "told again: the same port" "forward echo $port"
echo three >&5
read -r line <&6
is "$line" three "and the connection lives on"
is "$(echo hello | socat -t10 - "TCP:127.0.0.1:$port")" hello "new ones too"
socat -u OPEN:/dev/null "TCP:127.0.0.1:$taken" 2>/dev/null
is "$?" 1 "a forward that is no longer in the set is closed"
exec 5>&- 6<&-

# Loss and replacement
host_half=$(pgrep -P "$pid")
kill -9 "$pid"
hear "netd dies: told" "lost network shop/front: netd (process $pid) *"
gone "$pid" "$host_half"
ok $? "its child ends too"
exec 3>&-
wait "$driver_pid"
kill -9 "$echo_server" 2>/dev/null
is "$(cd "$dir" && ls -d netd.* 2>/dev/null)" "" "its files are gone"
printf 'garbage' >"$dir/netd.json"
: >"$dir/netd.sock"
start front 10.77.0.0/24
hear "stale files do not matter" "ready * started"
old=$(pid_of)
kill -9 "$driver_pid"
wait "$driver_pid" 2>/dev/null
start front 10.79.0.0/24
hear "another subnet: not adopted" "ready * started"
pid=$(pid_of)
gone "$old"
ok $? "the old one has ended"
is "$(inside ip -4 -o addr show br0 | awk '{print $4}')" 10.79.0.1/24 "the new one has the new subnet"
host_half=$(pgrep -P "$pid")
namespace=$(readlink "/proc/$pid/ns/net")
say stop
wait "$driver_pid"
is "$?" 0 "stop"
gone "$pid" "$host_half"
ok $? "no process is left"
is "$(cd "$dir" && ls -d netd.* 2>/dev/null)" "" "no file"
readlink /proc/[0-9]*/ns/net 2>/dev/null | grep -qF "$namespace"
is "$?" 1 "no namespace"
is "$(ip -o link show | cut -d: -f2 | sort)" "$links_before" "the host's links are as before"

# Start failures
"$netd" --dir "$dir" --stack shop --name front --subnet 10.77.0.0/30 2>"$dir/err"
like "$?$(cat "$dir/err")" "1*prefix must be 16..29*" "a subnet that is too small"
start_output=$("$driver" /nonexistent/netd "$dir" shop front 10.77.0.0/24 </dev/null)
like "$start_output" "start failed network shop/front: /nonexistent/netd: cannot execute*" \
        "a program that is not there"
is "$(cd "$dir" && ls -d netd.* 2>/dev/null)" "" "leaves nothing"

echo "1..$count"
[ "$failed" = 0 ]
