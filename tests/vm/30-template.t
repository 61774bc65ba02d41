#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Templates in the running system: every service is a clone, the views tell, a boot takes over when
# something is wrong, and kill -9 of the daemon leaves nothing behind. Clones themselves are tested
# by tests/system/template.t.
. tests/vm/lib.sh

# Machines of the pool have a test of their own.
BERTH_POOL=0
export BERTH_POOL

cat >"$test_dir/s.yaml" <<'END'
name: tpl
services:
  a: &service
    image: hello-web
    command: [sleep, "1000"]
    stop_grace_period: 0s
    deploy: {resources: {limits: {memory: 40M}}}
  b: *service
END

# births: how the running VMs came to life
births() {
        berth ps -o json | jq -r '.[] | select(.state == "running") | .birth' | sort | uniq -c | tr -s ' \n' ' '
}
# templates FIELD
templates() {
        berth system info -o json | jq -r ".templates[] | $1"
}
# builders: pids of QEMUs that make a template of this test
builders() {
        for pid in $(ours); do
                tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q 'guest=template' && echo "$pid"
        done
}

run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$code" 0 "apply" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(births)" " 2 clone " "the first VMs of a shape are clones already"
is "$(templates '[.state, .clones, .cpus, .memory_bytes] | join(" ")')" "ready 2 1 134217728" \
        "system info -o json shows the template"
like "$(berth system info)" 'template.*128M.*ready, 2 clones' "and system info too"
like "$(berth events)" 'tpl/a/1 .*started.*clone' "events tell"
like "$(berth inspect tpl/a)" '"birth": "clone"' "inspect tells"
is "$(for n in a b; do berth exec tpl/$n -- cat /proc/sys/kernel/random/boot_id; done | sort -u | wc -l)" 2 \
        "boot ids differ"
ids=$(for n in a b; do berth exec tpl/$n -- cat /etc/machine-id; done)
is "$(echo "$ids" | sort -u | grep -cxE '[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}')" 2 \
        "machine ids differ"
berth restart tpl >/dev/null 2>&1
berth wait tpl --for running --timeout 1m >/dev/null 2>&1
is "$(for n in a b; do berth exec tpl/$n -- cat /etc/machine-id; done)" "$ids" \
        "and stay when a replica gets another VM"
berth delete tpl >/dev/null 2>&1

# A clone's QEMU that dies before its guest speaks: a boot in its place.
mkdir "$test_dir/bin"
cat >"$test_dir/bin/qemu-system-x86_64" <<END
#!/bin/sh
if [ -e "$test_dir/no-restore" ]; then case "\$*" in *-incoming*) exit 1 ;; esac; fi
if [ -e "$test_dir/no-template" ]; then case "\$*" in *share=on*) exit 1 ;; esac; fi
case "\$*" in
*share=on*) moment=$test_dir/template ;;
*-incoming*) moment=$test_dir/clone ;;
*) moment=/ ;;
esac
[ ! -p "\$moment" ] || echo now >"\$moment"
exec $(command -v qemu-system-x86_64) "\$@"
END
chmod +x "$test_dir/bin/qemu-system-x86_64"
berth system stop >/dev/null 2>&1
PATH=$test_dir/bin:$PATH
: >"$test_dir/no-restore"
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$code" 0 "apply with clones that die"
is "$(births)" " 2 boot " "they were booted"
like "$(berth events)" 'started.*booted: ' "and the event says so"
is "$(berth ps -o json | jq '[.[].restarts] | add')" 0 "without a restart"
berth delete tpl >/dev/null 2>&1
rm "$test_dir/no-restore"
: >"$test_dir/no-template"
berth system stop >/dev/null 2>&1
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$code" 0 "apply without templates"
is "$(births)" " 2 boot " "they were booted"
like "$(berth events)" 'started.*no template' "and the event says why"
berth delete tpl >/dev/null 2>&1
rm "$test_dir/no-template"

# daemon: its pid
daemon() {
        for pid in $(ours); do
                [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = berthd ] && echo "$pid"
        done
}
# moment NAME COMMAND...: run it, and return when a QEMU of this kind is about to start; it goes on
moment() {
        mkfifo "$test_dir/$1"
        moment=$test_dir/$1
        shift
        "$@" >/dev/null 2>&1
        # shellcheck disable=SC2016 # $1 is the inner shell's
        timeout 60 sh -c 'read -r _ <"$1"' sh "$moment"
        set -- $?
        rm "$moment"
        return "$1"
}

# kill -9 while a template is made.
berth delete tpl >/dev/null 2>&1
berth system stop >/dev/null 2>&1
moment template berth apply -f "$test_dir/s.yaml" --detach
ok $? "a template is being made"
daemon=$(daemon)
kill -9 "$daemon"
timeout 30 tail --pid="$daemon" -f /dev/null
for pid in $(builders); do
        timeout 30 tail --pid="$pid" -f /dev/null
done
is "$(builders)" "" "kill -9 of berthd ends the machine that was to be one"
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$code" 0 "the next daemon starts the stack"
is "$(births)" " 2 clone " "with clones"
wait_templates # which they may not have needed: the first daemon got to clones before its end
is "$(find "$BERTH_ROOT" -path '*/run/tpl/*' | wc -l)" 0 "no folder of a build is left"

# kill -9 with services that run: they may start again.
daemon=$(daemon)
kill -9 "$daemon"
timeout 30 tail --pid="$daemon" -f /dev/null
wait_templates
is "$(templates .clones)" 0 "kill -9 of berthd: the next one makes their template before it is wanted"
is "$(births)" " 2 clone " "they live on"

# kill -9 while clones start.
for _ in 1 2 3; do
        berth delete tpl >/dev/null 2>&1
        moment clone berth apply -f "$test_dir/s.yaml" --detach
        ok $? "a clone starts"
        daemon=$(daemon)
        kill -9 "$daemon"
        run berth apply -f "$test_dir/s.yaml" --timeout 2m
        is "$code" 0 "kill -9 of berthd meanwhile: the next one converges"
done
is "$(berth ps -o json | jq -r '.[] | select(.state == "running") | .name' | tr '\n' ' ')" \
        "tpl/a/1 tpl/b/1 " "both run"
berth delete tpl >/dev/null 2>&1
wait_templates
is "$(ours | wc -l)" 1 "only the daemon is left"
finish
