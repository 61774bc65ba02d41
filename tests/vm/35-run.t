#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# berth run: output, exit codes, input, signals, options, and that --rm leaves nothing.
. tests/vm/lib.sh

# remains: everything of berth run that is left on this root
remains() {
        berth ps -a -o json | jq -r '.[].name'
        berth system info -o json | jq -r 'select(.vms != 0) | "\(.vms) VMs"'
        berth network ls -o json | jq -r '.[].name'
        berth volume ls -o json | jq -r '.[].name'
        find "$BERTH_ROOT/run/vm" "$BERTH_ROOT/run/net" "$BERTH_ROOT/scratch" -mindepth 1
        find "$BERTH_ROOT/logs" -mindepth 1 -path '*run-*' 2>/dev/null
}

berth run --rm hello-web sh -c 'echo out; echo err >&2; exit 7' \
        >"$test_dir/out" 2>"$test_dir/err"
is "$?" 7 "its exit code is the program's"
is "$(cat "$test_dir/out")" out "standard output"
is "$(cat "$test_dir/err")" err "standard error"
is "$(remains)" "" "--rm leaves nothing"

run berth run --rm hello-web no-such-program
is "$code" 127 "a program that does not exist: 127"
like "$out" 'no-such-program.*not found' "with the reason"
run berth run --rm hello-web /etc
is "$code" 126 "one that cannot be executed: 126"
run berth run --rm --pull never no-such-image true
is "$code" 125 "an image that does not exist: 125"
like "$out" 'no-such-image' "with its name"
run berth run --rm 127.0.0.1:9/none/such:1 true
is "$code" 125 "one that cannot be pulled: 125"
run berth run --rm -p 70000 hello-web true
is "$code" 125 "a port that is none: 125"
like "$out" 'ports.*70000' "names the port"
run berth run --rm --network shop_default hello-web true
is "$code" 125 "a network that is not shared is refused"
like "$out" 'network shop_default declared as external, but could not be found' "with what to do"
run berth run --rm --network host hello-web true
is "$code" 64 "the host's network is refused"
is "$(remains)" "" "nothing is left of all these"

is "$(printf 'a b\nc\n' | berth run --rm -i hello-web wc -w | tr -d ' ')" 3 "-i: standard input and its end"
is "$(berth run --rm hello-web cat)" "" "without -i it is empty"
is "$(head -c 3000000 /dev/zero | berth run --rm -i hello-web sh -c 'head -c 3000000 | wc -c')" 3000000 \
        "a few megabytes of it"
is "$(berth run --rm hello-web head -c 5000000 /dev/zero | wc -c)" 5000000 "and of output"

mkdir "$test_dir/here"
echo mine >"$test_dir/here/file"
printf 'FROM_FILE=f\n' >"$test_dir/vars"
# shellcheck disable=SC2016 # the guest's variables
out=$(cd "$test_dir" && OUTER=o berth run --rm --name odd --env-file vars -e A='1 $A ${B}' -e OUTER \
        -v ./here:/srv:ro -w /srv --tmpfs /mem --memory 64m --cpus 1 -u 65534 --entrypoint /bin/sh \
        hello-web -c 'id -u; pwd; cat file; echo "$A $OUTER $FROM_FILE"; hostname
                touch no 2>/dev/null || echo read-only; grep -c /mem /proc/mounts')
is "$out" "65534
/srv
mine
1 \$A \${B} o f
odd
read-only
1" "user, folder, variables, bind mount, name, tmpfs"
is "$(berth run --rm --network none hello-web sh -c 'ls /sys/class/net' | tr '\n' ' ')" "lo " \
        "--network none"

# A terminal: script(1) gives berth one.
script -qec "berth run --rm -it hello-web sh -c 'test -t 0 && test -t 1 && stty size && exit 3'" \
        /dev/null </dev/null >"$test_dir/tty" 2>&1
is "$?" 3 "-it: a terminal" || sed 's/^/# /' "$test_dir/tty"

# Signals. The program says that it is there, then one signal goes to berth.
mkfifo "$test_dir/said"
# shellcheck disable=SC2016 # the guest's variables
signalled() { # SIGNAL COMMAND...: exit code of berth
        signal=$1
        shift
        berth run --rm hello-web "$@" >"$test_dir/said" 2>/dev/null &
        pid=$!
        exec 4<"$test_dir/said"
        read -r _ <&4
        kill -s "$signal" $pid
        wait $pid
        code=$?
        rest=$(cat <&4)
        exec 4<&-
}
signalled TERM sh -c 'trap "echo caught; exit 5" TERM; echo here; while :; do sleep 1 & wait; done'
is "$code $rest" "5 caught" "TERM reaches a program that handles it"
# No shell: sh -c has a handler for INT, which would swallow it just before an exec.
signalled INT tail -n 1 -f /etc/hosts
is "$code" 130 "INT ends one that does not"
signalled USR1 sh -c 'trap "echo usr1; exit 0" USR1; echo here; while :; do sleep 1 & wait; done'
is "$code $rest" "0 usr1" "USR1 is passed on"
is "$(remains)" "" "nothing is left"

# kill -9 of the command line
signalled KILL sh -c 'echo here; exec sleep 1000'
wait_event "run-hello-web-.*deleted" 30
# shellcheck disable=SC2016 # evaluated by wait_for
wait_for '[ -z "$(remains)" ]' 30
is "$(remains)" "" "kill -9 of berth run --rm leaves nothing"

# in the background
port=$(free_port)
is "$(berth run -d --name bg -p "127.0.0.1:$port:80" -v data:/data hello-web \
        sh -c 'echo kept >/data/file; httpd -f -p 80 -h /data')" bg "-d prints the name"
is "$(field_of run-bg bg 1 .state)" running "and it runs"
is "$(curl -s --retry 10 --retry-all-errors --retry-delay 1 --noproxy '*' "http://127.0.0.1:$port/file")" kept "its port is published"
is "$(berth exec bg -- cat /data/file)" kept "exec by its name"
run berth run --name bg hello-web true
is "$code" 125 "a name that is taken: 125"
like "$out" 'run-bg' "with the stack's name"
run berth delete run-bg
is "$code" 0 "delete"
is "$(berth run --rm -v data:/data hello-web cat /data/file)" kept "a named volume is still there"
is "$(berth volume ls -o json | jq -r '.[].name')" data "also after --rm"
run berth volume rm data
is "$(berth run -d --rm --name short -v /anon hello-web sh -c 'sleep 1')" short "-d --rm"
wait_event "run-short.*deleted" 60
is "$(remains)" "" "leaves nothing when it has ended"

# the daemon dies; its successor remembers what --rm asked for
berth run -d --rm --name orphan hello-web sleep 5 >/dev/null
kill -9 "$(berth system info -o json | jq .pid)"
berth system start >/dev/null
is "$(field_of run-orphan orphan 1 .state)" running "it outlives a kill -9 of the daemon"
wait_event "run-orphan.*deleted" 60
is "$(remains)" "" "and leaves nothing when it has ended"
finish
