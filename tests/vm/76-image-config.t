#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Images whose config is made to do harm: what is refused when they come, and what becomes of the others
# when they run. The documents alone: tests/unit/storage/oci_config_test.c.
# shellcheck disable=SC2016 # jq's variables
. tests/vm/lib.sh

esc=$(printf '\033')
c1=$(printf '\302\233') # U+009B: one character that begins a sequence, for some terminals
oci=$test_dir/oci
mkdir "$oci"
berth image save hello-web | tar -C "$oci" -x
berth system stop >/dev/null
unset BERTH_IMAGES # a store of our own

sum() {
        sha256sum "$1" | cut -d' ' -f1
}

# hostile NAME JQ: an image like hello-web, its config changed by that; loaded
hostile() {
        dir=$test_dir/image
        rm -rf "$dir"
        mkdir -p "$dir/blobs"
        cp -r "$oci/blobs/sha256" "$dir/blobs/sha256"
        cp "$oci/oci-layout" "$dir"
        manifest=$(jq -r '.manifests[0].digest' "$oci/index.json" | cut -d: -f2)
        config=$(jq -r .config.digest "$oci/blobs/sha256/$manifest" | cut -d: -f2)
        jq -c --arg esc "$esc" --arg c1 "$c1" "$2" "$oci/blobs/sha256/$config" >"$test_dir/config"
        config=$(sum "$test_dir/config")
        cp "$test_dir/config" "$dir/blobs/sha256/$config"
        jq -c --arg d "sha256:$config" --argjson s "$(wc -c <"$test_dir/config")" \
                '.config.digest = $d | .config.size = $s' "$oci/blobs/sha256/$manifest" >"$test_dir/manifest"
        manifest=$(sum "$test_dir/manifest")
        cp "$test_dir/manifest" "$dir/blobs/sha256/$manifest"
        jq -nc --arg d "sha256:$manifest" --argjson s "$(wc -c <"$test_dir/manifest")" --arg n "127.0.0.1:9/bad/$1:1" \
                '{schemaVersion: 2, manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $d,
                  size: $s, annotations: {"io.containerd.image.name": $n}}]}' >"$dir/index.json"
        tar -C "$dir" -cf "$test_dir/image.tar" .
        run berth image load -q "$test_dir/image.tar"
}

# start NAME: run it to its end
start() {
        run timeout 100 berth run --rm --pull never "127.0.0.1:9/bad/$1:1"
}

# ------------------------------------------------------------------------------------- refused at once

hostile user '.config.User = 1000'
listed=$(berth image ls -q)
like "$out" 'User: must be a string' "a user that is a number does not become root"
is "$code" 65 "the load fails"
is "$listed" "" "and nothing is listed"
hostile list '.history = [range(140000) | []]'
like "$out" 'more than 131072 values' "a config that would be large in memory"
hostile path '.config.WorkingDir = ([range(2000) | "/.."] | add)'
like "$out" 'WorkingDir: longer than 4095 bytes' "a folder longer than a path"

# ------------------------------------------------------------------------------ refused before the VM is

hostile signal '.config.StopSignal = "SIG\($esc)[31mNOPE"'
is "$code" 0 "a stop signal that is none is the image's own affair"
start signal
is "$out" "error: the image's stop signal 'SIG?[31mNOPE' is not a signal" "until it runs; a terminal is not harmed"
is "$code" 125 "exit code"

# ------------------------------------------------------------------------------------ refused in the VM

hostile name '.config.User = "4294967296\($c1)31m"'
start name
is "$out" 'error: user "4294967296??31m" is not in the image'"'"'s /etc/passwd' "a user that is too large is no other"
hostile folder '.config.WorkingDir = "/proc/self/fd/3"'
start folder
like "$out" '^error: working directory /proc/self/fd/3: ' "a folder of vminit's is none"

# ------------------------------------------------------------------------------------------- what runs

hostile odd '.config.Env = ["NOEQ", "=x", "A=1\nB=2", "E=\($esc)[31m", "PATH=/bin", "PATH=/none", "PATH=/bin"]
        | .config.WorkingDir = "../../../etc/../there" | .config.Entrypoint = null
        | .config.Volumes = {"/": {}, "/proc": {}, "../../etc": {}, "": {}}
        | .config.ExposedPorts = {"99999/tcp": {}, "80/xyz": {}, "\($esc)": {}}
        | .config.Labels = {"a\($esc)[31m": "\($c1)31m", "berth.stack": "x", "io.containerd.runc.v2": "sh"}
        | .created = "\($c1)2020" | .config.Cmd = ["sh", "-c", "pwd; echo \"$A $E-\"; env | grep -c -e ^PATH -e NOEQ"]'
start odd
is "$code" 0 "odd variables, folders, volumes, ports, labels"
is "$out" "/there
1
B=2 ${esc}[31m-
1" "variables are as they are said, the last one counts; the folder is the guest's"
run berth image inspect 127.0.0.1:9/bad/odd:1 -o json
is "$(printf '%s' "$out" | LC_ALL=C tr -d '\n -~')" "" "JSON of it is for terminals too"
is "$(printf '%s' "$out" | jq -r '.config.config.Labels["a\u001b[31m"]')" "${c1}31m" "and says the same"
run berth image ls
is "$(printf '%s' "$out" | LC_ALL=C tr -d '\n -~')" "" "and so are tables"

# ----------------------------------------------------------------------------------------- healthchecks

hostile long '.config.Healthcheck = {Test: (["CMD"] + [range(40) | "x" * 60000]), Interval: 1, Retries: 1}
        | .config.Cmd = ["sleep", "1000"] | .config.Entrypoint = null'
hostile brief '.config.Healthcheck = {Test: ["CMD", "true"], Interval: 1, StartInterval: -9, Timeout: 9000000000000000}
        | .config.Cmd = ["sleep", "1000"] | .config.Entrypoint = null'
cat >"$test_dir/stack.yaml" <<END
name: health
services:
  long: {image: "127.0.0.1:9/bad/long:1", pull_policy: never}
  brief: {image: "127.0.0.1:9/bad/brief:1", pull_policy: never}
END
berth apply --detach -f "$test_dir/stack.yaml" >/dev/null 2>&1
# shellcheck disable=SC2016 # evaluated by wait_for
wait_for '[ "$(field_of health long 1 .health)$(field_of health brief 1 .health)" = unhealthyhealthy ]'
is "$(field_of health brief 1 .health)" healthy "a healthcheck of each nanosecond, that may take a hundred days"
is "$(field_of health long 1 .health)" unhealthy "one that no frame can hold fails"
run berth why health/long
like "$out" 'healthcheck could not run: exec: command and environment exceed' "and is told"
is "$(berth system info -o json | jq -r .vms)" 2 "berthd goes on"
finish
