#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What keys of a service become in its VM: users, rights, limits, names, files, the way it is started
# and ended. What the service has is read from its process 1.
# shellcheck disable=SC2016 # for the shell in the VM
. tests/vm/lib.sh

BERTH_IMAGES=$test_dir/images
export BERTH_IMAGES
root=$test_dir/root
mkdir -p "$root/bin" "$root/etc" "$root/srv"
cp /bin/busybox "$root/bin/"
for applet in $(/bin/busybox --list); do
        [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
done
printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1009:1010::/home/app:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\napp:x:1010:\nlogs:x:88:app\naudio:x:29:\n' >"$root/etc/group"
printf '#!/bin/sh\nprintf "[%%s]" "$0" "$@" "$PWD"; echo\n' >"$root/bin/entry"
chmod 755 "$root/bin/entry"
tar -C "$root" -cf - . | berth image import -q - box:1 -c 'ENV PATH=/bin' -c 'WORKDIR /srv' \
        -c 'ENTRYPOINT ["/bin/entry"]' -c 'CMD ["a", "b c"]' >/dev/null

mkdir "$test_dir/m" "$test_dir/m/out"
chmod 777 "$test_dir/m/out"
printf 'of a file' >"$test_dir/m/file.txt"
cat >"$test_dir/m/s.yaml" <<'END'
name: keys
x-box: &box
  image: box:1
  pull_policy: never
  entrypoint: [sleep, "100000"]
  command: []
  restart: "no"
  stop_grace_period: 1s
services:
  bound:
    <<: *box
    user: app
    group_add: [audio, "77"]
    working_dir: /deep/not/there
    hostname: h1
    domainname: example.org
    extra_hosts: [one=10.1.2.3, "two:10.1.2.4"]
    read_only: true
    tmpfs: ["/tmp:size=2m,mode=1770,uid=1009,gid=1010", /run]
    volumes: [{type: tmpfs, target: /t2, tmpfs: {size: 1m, mode: 0o700}}]
    shm_size: 32m
    ulimits: {nofile: {soft: 1000, hard: 2000}, nproc: 333}
    sysctls: {net.core.somaxconn: 1234, net.ipv4.ip_forward: "1"}
    cap_drop: [ALL]
    cap_add: [CHOWN, NET_BIND_SERVICE]
    security_opt: ["no-new-privileges:true"]
    oom_score_adj: 321
    configs: [text, {source: text, target: /etc/app/conf, uid: "1009", gid: "88", mode: 0o640}]
    secrets: [env, {source: file, target: f, mode: 0o400, uid: "1009"}, {source: file, target: /run/abs}]
  plain:
    <<: *box
    entrypoint: sh -c 'trap "echo usr1 >/out/signal; exit 0" USR1; touch /ready; while :; do sleep 1; done'
    volumes: ["./out:/out"]
    stop_signal: SIGUSR1
    stop_grace_period: 60s
    healthcheck: {test: test -e /ready, interval: 1s}
  free: {<<: *box, init: true, user: "1009:88", sysctls: {net.ipv6.conf.all.disable_ipv6: 0}}
  root: {<<: *box, privileged: true, cap_drop: [SYS_TIME]}
  most: {<<: *box, init: true, cap_add: [ALL], cap_drop: [SYS_TIME, CAP_MKNOD]}
configs: {text: {content: "a $$ and ${KEYS_WORD}\n"}}
secrets:
  env: {environment: KEYS_SECRET}
  file: {file: ./file.txt}
END
export KEYS_WORD=word KEYS_SECRET='s e c r e t'
run berth apply -f "$test_dir/m/s.yaml" --timeout 4m
is "$code" 0 "apply" || printf '%s\n' "$out" | sed 's/^/# /'

# in_ SERVICE COMMAND: as its user
in_() {
        berth exec "keys/$1" -- sh -c "$2" 2>&1
}
# status SERVICE FIELD: of its process 1
status() {
        in_ "$1" "sed -n 's/^$2:[[:space:]]*//p' /proc/1/status" | tr '\t' ' ' | sed 's/ *$//'
}
# size SERVICE FOLDER: of its file system, in KiB
size() {
        in_ "$1" "df -k $2" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2
}
# limit SERVICE NAME: soft, hard
limit() {
        in_ "$1" 'cat /proc/1/limits' | sed -n "s/^Max $2 *//p" | tr -s ' ' | cut -d ' ' -f 1,2
}
is "$(status bound Uid)" "1009 1009 1009 1009" "user: a name of the image"
is "$(status bound Gid)" "1010 1010 1010 1010" "with its group"
is "$(status bound Groups)" "29 77 88 1010" "the groups that it is in, and group_add"
is "$(in_ bound 'echo $HOME')" /home/app "HOME"
is "$(in_ bound 'pwd; readlink /proc/1/cwd' | uniq)" /deep/not/there "working_dir is made"
is "$(in_ bound 'hostname; cat /proc/sys/kernel/domainname' | tr '\n' ' ')" "h1 example.org " \
        "hostname, domainname"
like "$(in_ bound 'cat /etc/hosts')" 'h1\.example\.org h1' "both in /etc/hosts"
like "$(in_ bound 'cat /etc/hosts')" '10\.1\.2\.3[[:space:]]one' "extra_hosts with ="
like "$(in_ bound 'cat /etc/hosts')" '10\.1\.2\.4[[:space:]]two' "and with :"
like "$(in_ bound 'echo x >/srv/x')" 'Read-only file system' "read_only"
is "$(in_ bound 'echo x >/tmp/x && stat -c "%a %u:%g" /tmp') $(size bound /tmp)" \
        "1770 1009:1010 2048" "tmpfs with options"
is "$(in_ bound 'stat -c %a /run')" 1777 "one without"
is "$(in_ bound 'stat -c %a /t2') $(size bound /t2)" "700 1024" "a volume of type tmpfs"
is "$(size bound /dev/shm)" 32768 "shm_size"
is "$(limit bound 'open files')" "1000 2000" "ulimits: soft and hard"
is "$(limit bound processes)" "333 333" "one for both"
is "$(in_ bound 'cat /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/ip_forward' | tr '\n' ' ')" \
        "1234 1 " "sysctls"
is "$(in_ bound 'cut -c 45- /proc/net/if_inet6' | tr -d ' ')" lo "cards have no IPv6 address, lo has"
like "$(in_ free 'grep eth0 /proc/net/if_inet6')" '^fe80' "unless the service's sysctls turn IPv6 on"
is "$(status bound CapBnd)" 0000000000000401 "cap_drop ALL, cap_add"
is "$(status bound CapEff)" 0000000000000000 "of which an ordinary user has none"
is "$(status bound NoNewPrivs)" 1 "no-new-privileges"
is "$(in_ bound 'cat /proc/1/oom_score_adj')" 321 "oom_score_adj"
is "$(in_ bound 'cat /text; stat -c "%u:%g %a" /text')" 'a $ and word
0:0 444' "a config with its defaults, content with variables"
is "$(in_ bound 'cat /etc/app/conf; stat -c "%u:%g %a" /etc/app/conf')" 'a $ and word
1009:88 640' "target, uid, gid and mode of one, in a read-only root"
is "$(in_ bound 'cat /run/secrets/env; stat -c " %u:%g %a" /run/secrets/env')" "s e c r e t 0:0 444" \
        "a secret from the environment"
is "$(in_ bound 'cat /run/secrets/f; stat -c " %u:%g %a" /run/secrets/f')" "of a file 1009:0 400" \
        "one from a file, with owner and mode and a relative target"
is "$(in_ bound 'cat /run/abs')" "of a file" "and an absolute one"
unlike "$(berth inspect keys/bound) $(in_ bound env) $(berth events)" 's e c r e t' \
        "a secret is in no view, event or variable"

is "$(status plain CapBnd)" 00000000a80425fb "Docker's capabilities"
is "$(status plain NoNewPrivs)" 0 "without no-new-privileges"
like "$(in_ plain 'echo 1 >/proc/sys/net/ipv4/ip_forward')" 'Read-only' "/proc/sys is protected"
like "$(in_ plain 'mount -t tmpfs none /srv')" 'ermitted|denied' "nothing can be mounted"
is "$(in_ plain 'cat /proc/1/comm') $(limit plain 'open files')" "sh 1048576 1048576" \
        "the program is process 1, with Docker's limit"
run berth stop keys/plain --timeout 100s
is "$code $(cat "$test_dir/m/out/signal")" "0 usr1" "stop_signal"

is "$(status most CapBnd)" 000001fff5ffffff "cap_add ALL, but what cap_drop names"
is "$(status root CapEff)" 000001ffffffffff "privileged has all"
is "$(in_ root 'mount -t tmpfs none /srv && f=/proc/sys/net/ipv4/ip_forward && echo 1 >$f && cat $f')" 1 \
        "mounts, and writes to /proc/sys"

is "$(status free Uid) $(status free Gid)" "1009 1009 1009 1009 88 88 88 88" "user: numbers"
is "$(in_ free 'cat /proc/1/comm; tr "\0" " " </proc/2/cmdline')" "init
sleep 100000 " "init: process 1 is one, the program is below it"
is "$(in_ most 'p=$(sh -c "sleep 0 >/dev/null & echo \$!"); while [ -e /proc/$p ]; do usleep 10000; done; echo gone')" \
        gone "it buries what nobody waits for"
is "$(in_ most 'ls /proc/1/fd' | tr '\n' ' ')" "0 1 2 " "and holds nothing of vminit's"
in_ most 'kill -TERM 1' >/dev/null
wait_event 'keys/most/1 .*exited.*143' 30
ok $? "it passes signals on, and ends as the program does"
is "$(field_of keys most 1 .exit_code)" 143 "which ps shows"
run berth delete keys --timeout 1m
is "$code" 0 "delete" || printf '%s\n' "$out" | sed 's/^/# /'

# How a command line is put together: the image's entrypoint prints what it is given.
cat >"$test_dir/m/w.yaml" <<'END'
name: words
x-job: &job
  image: box:1
  pull_policy: never
  restart: "no"
  x-berth: {oneshot: true}
services:
  image: *job
  words: {<<: *job, command: "x 'y z' $$HOME \"q\"", working_dir: /bin}
  list: {<<: *job, command: [x, "y z"]}
  none: {<<: *job, command: []}
  entry: {<<: *job, entrypoint: /bin/entry 'e f'}
  both: {<<: *job, entrypoint: [/bin/sh, -c], command: ['/bin/entry "$$0" $$HOSTNAME', zero]}
END
run berth apply -f "$test_dir/m/w.yaml" --timeout 4m
is "$code" 0 "jobs" || printf '%s\n' "$out" | sed 's/^/# /'
said() {
        berth logs "words/$1"
}
is "$(said image)" "[/bin/entry][a][b c][/srv]" "the image's entrypoint, command and folder"
is "$(said words)" '[/bin/entry][x][y z][$HOME][q][/bin]' "a command of words, which no shell sees"
is "$(said list)" "[/bin/entry][x][y z][/srv]" "one of a list"
is "$(said none)" "[/bin/entry][/srv]" "an empty one"
is "$(said entry)" "[/bin/entry][e f][/srv]" "an entrypoint drops the image's command"
is "$(said both)" "[/bin/entry][zero][both][/srv]" "entrypoint and command"
run berth delete words --timeout 1m
is "$code" 0 "delete" || printf '%s\n' "$out" | sed 's/^/# /'
finish
