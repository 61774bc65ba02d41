# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2034,SC2016 # the tests read what it sets; other shells expand
#
# Real registries on loopback for tests, and a berth of one's own. Sourced from the top of the tree.
# Everything ends and is removed at exit.

set -u

PATH=$PWD/${BUILD:-build}/bin:$PATH
export PATH
unset DOCKER_CONFIG REGISTRY_AUTH_FILE XDG_RUNTIME_DIR http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
top=$PWD
. tests/tap.sh

skip_all() {
        echo "1..0 # SKIP $1"
        exit 0
}

for program in docker-registry skopeo umoci jq openssl htpasswd curl perl e2fsck; do
        command -v "$program" >/dev/null || skip_all "needs $program"
done
[ -x "$top/${BUILD:-build}/bin/berthd" ] || skip_all 'needs berthd (make)'

work=$(mktemp -d "${TMPDIR:-/tmp}/berth-reg.XXXXXX")
pids=
cleanup() {
        timeout 20 berth system stop >/dev/null 2>&1
        for pid in $pids; do
                kill "$pid" 2>/dev/null
                wait "$pid" 2>/dev/null
        done
        rm -rf "$work"
}
trap cleanup EXIT
trap 'trap "" INT TERM HUP PIPE; exit 1' INT TERM HUP PIPE

real_home=$HOME
export HOME="$work/home" BERTH_ROOT="$work/r" BERTH_CERTS="$work/certs.d"
export BERTH_REGISTRIES="$work/registries.json" XDG_CONFIG_HOME="$work/home/.config"
mkdir -p "$HOME" "$BERTH_CERTS"
echo '{"retry_delay": "50ms", "stall_timeout": "2s", "connect_timeout": "5s"}' >"$BERTH_REGISTRIES"

finish() {
        echo "1..$count"
        [ "$failed" = 0 ]
        exit $?
}

# shellcheck disable=SC2034 # code is for who sources this
# run BERTH-ARGS...: at most 60 s; output in $out, exit code in $code
run() {
        out=$(timeout -s KILL "${limit:-60}" berth "$@" 2>&1)
        code=$?
}

# shellcheck disable=SC2016 # the inner shell expands
# wait_for FILE REGEX: until it holds such a line (tail ends by itself); at most 20 s
wait_for() {
        timeout 20 sh -c 'tail -n +1 -F "$1" 2>/dev/null | grep -m1 -E -e "$2" >/dev/null' sh "$1" "$2"
}

# shellcheck disable=SC2034 # addr is for who sources this
# registry NAME YAML...: a docker-registry with these lines of configuration; its address in $addr
registry() {
        name=$1
        shift
        mkdir -p "$work/$name"
        {
                printf 'version: 0.1\nlog: {level: warn, formatter: text}\n'
                printf 'storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\n' "$work/$name/data"
                printf '%s\n' "$@"
        } >"$work/$name/config.yml"
        sed -i 's/level: warn/level: info/' "$work/$name/config.yml"
        docker-registry serve "$work/$name/config.yml" >"$work/$name/log" 2>&1 &
        pids="$pids $!"
        wait_for "$work/$name/log" 'listening on' || echo "# $name did not start"
        addr=$(sed -n 's/.*listening on \([0-9.:]*[0-9]\).*/\1/p' "$work/$name/log" | head -n 1)
}

# shellcheck disable=SC2034 # proxy is for who sources this
# fault_proxy REGISTRY: a proxy before it that does what $work/rules says, and tells $work/proxy.log;
# its address in $proxy. It ends with this shell.
fault_proxy() {
        : >"$work/rules"
        mkfifo "$work/proxy.in"
        : >"$work/proxy.port"
        perl tests/system/fault_proxy.pl "$1" "$work/rules" "$work/proxy.log" <"$work/proxy.in" >"$work/proxy.port" &
        pids="$pids $!"
        exec 9>"$work/proxy.in"
        wait_for "$work/proxy.port" '^[0-9]+$'
        proxy=127.0.0.1:$(cat "$work/proxy.port")
}

# make_image LAYOUT:TAG LAYERS: a small image with a few random files, one layer each
make_image() {
        layout=${1%:*}
        tag=${1##*:}
        [ -d "$layout" ] || umoci init --layout "$layout" >/dev/null
        umoci new --image "$layout:$tag" >/dev/null
        i=0
        while [ $i -lt "$2" ]; do
                i=$((i + 1))
                mkdir -p "$work/layer/f$i"
                head -c $((i * 300000)) /dev/urandom >"$work/layer/f$i/random"
                echo "layer $i" >"$work/layer/f$i/text"
                tar -C "$work/layer" --owner=0 --group=0 -cf "$work/layer.tar" "f$i"
                umoci raw add-layer --image "$layout:$tag" "$work/layer.tar" >/dev/null 2>&1
                rm -rf "$work/layer"
        done
        umoci config --image "$layout:$tag" --config.cmd /bin/sh >/dev/null 2>&1
}

authority() { # an authority of the test's own: $work/ca.pem
        openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/ca.key" -out "$work/ca.pem" -days 2 \
                -subj /CN=berth-test-authority >/dev/null 2>&1
}

issue() { # NAME EXTENSIONS: $work/NAME.pem and .key, signed by it
        openssl req -newkey rsa:2048 -nodes -keyout "$work/$1.key" -out "$work/$1.csr" -subj "/CN=$1" >/dev/null 2>&1
        echo "$2" >"$work/$1.ext"
        openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial \
                -days 1 -extfile "$work/$1.ext" -out "$work/$1.pem" >/dev/null 2>&1
}

# token_registry NAME: one that believes the tokens of a server, which gives them to me with se:cret; its
# address in $token. EXPIRES: seconds.
token_registry() {
        issuer=$work/$1-server
        openssl req -x509 -newkey rsa:2048 -nodes -keyout "$issuer.key" -out "$issuer.pem" -days 2 \
                -subj /CN=berth-test-issuer >/dev/null 2>&1
        mkfifo "$issuer.in"
        : >"$issuer.port"
        EXPIRES=${EXPIRES:-300} perl tests/system/token_server.pl "$issuer.key" "$issuer.pem" berth-test \
                'me:se:cret' "$work/token.log" <"$issuer.in" >"$issuer.port" &
        pids="$pids $!"
        exec 9>"$issuer.in"
        wait_for "$issuer.port" '^[0-9]+$'
        realm=http://127.0.0.1:$(cat "$issuer.port")/token
        registry "$1" 'http: {addr: "127.0.0.1:0"}' \
                "auth: {token: {realm: \"$realm\", service: berth-test-registry, issuer: berth-test, rootcertbundle: $issuer.pem}}"
        token=$addr
}
