#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What berth pushes and saves, read by docker, skopeo, podman and umoci; what they push and save, read by
# berth. At each kind of docker-registry: anonymous, htpasswd, TLS with an authority of one's own, and a
# token server. docker is Debian's, its own daemon or, where that does not start, podman's service.
. tests/system/registry_lib.sh

[ "$(id -u)" = 0 ] || skip_all 'needs root: dockerd'
for program in docker dockerd podman; do
        command -v $program >/dev/null || skip_all "needs $program"
done
docker=/usr/bin/docker # Debian's
[ -x $docker ] || docker=docker
pod() { podman --root "$work/pod" --runroot "$work/podrun" --storage-driver vfs "$@"; }

# ---------------------------------------------------------------------------------------- docker's daemon

export DOCKER_HOST="unix://$work/docker.sock" DOCKER_CONFIG="$HOME/.docker"
authority
issue server 'subjectAltName=IP:127.0.0.1,DNS:localhost'
# Go programs take authorities from SSL_CERT_FILE: nothing below /etc is touched.
cat /etc/ssl/certs/ca-certificates.crt "$work/ca.pem" >"$work/bundle.pem" 2>/dev/null || cp "$work/ca.pem" "$work/bundle.pem"
echo '{}' >"$work/daemon.json"
SSL_CERT_FILE=$work/bundle.pem dockerd --storage-driver vfs --iptables=false --ip6tables=false --bridge=none \
        --data-root "$work/docker" --exec-root "$work/docker-exec" -p "$work/docker.pid" --config-file "$work/daemon.json" \
        --containerd '' -H "$DOCKER_HOST" >"$work/dockerd.log" 2>&1 &
dockerd=$!
pids="$pids $dockerd"
if wait_for "$work/dockerd.log" 'API listen on'; then
        engine=dockerd
else
        engine='podman service'
        SSL_CERT_FILE=$work/bundle.pem pod --log-level info system service -t 0 "$DOCKER_HOST" >"$work/service.log" 2>&1 &
        pids="$pids $!"
        wait_for "$work/service.log" 'API service listening'
fi
timeout 10 $docker version >"$work/version" 2>&1
ok $? "docker CLI $($docker version --format '{{.Client.Version}}' 2>/dev/null) speaks with $engine" || {
        tail -n 5 "$work/dockerd.log" "$work/version" | sed 's/^/# /'
        finish
}

# ------------------------------------------------------------------------------------------- registries

make_image "$work/oci:1" 3
digest=$(jq -r '.manifests[0].digest' "$work/oci/index.json")
id=$(jq -r .config.digest "$work/oci/blobs/sha256/${digest#*:}")

registry plain 'http: {addr: "127.0.0.1:0"}'
plain=$addr
htpasswd -Bbn me 'se:cret' >"$work/htpasswd" 2>/dev/null
registry basic 'http: {addr: "127.0.0.1:0"}' "auth: {htpasswd: {realm: r, path: $work/htpasswd}}"
basic=$addr
registry tls "http: {addr: \"127.0.0.1:0\", tls: {certificate: $work/server.pem, key: $work/server.key}}"
tls=$addr
token_registry token
mkdir -p "$BERTH_CERTS/$tls"
cp "$work/ca.pem" "$BERTH_CERTS/$tls/ca.crt"
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:1" "docker://$plain/seed:1"
run image pull -q "$plain/seed:1"
is "$code" 0 'an image to push'

# One login by each of the two: both keep it where the other looks.
out=$(printf 'se:cret' | timeout 20 berth registry login "$basic" -u me --password-stdin 2>&1)
like "$out" 'logged in' 'berth logs in at htpasswd'
printf 'se:cret' | timeout 20 $docker login "$token" -u me --password-stdin >"$work/login" 2>&1
ok $? 'docker logs in at the token server' || sed 's/^/# /' "$work/login"
is "$(jq -r '.auths | keys | length' "$HOME/.docker/config.json")" 2 'both are in the same config.json'

verify() { # skopeo and podman: how they know the registry
        case $1 in
        "$tls") echo "--cert-dir $BERTH_CERTS/$tls" ;;
        *) echo '--tls-verify=false' ;;
        esac
}

check() { # NAME ADDRESS
        name=$1 at=$2
        flags=$(verify "$at")
        auth="--authfile $HOME/.docker/config.json"
        skopeo_from="--src-${flags#--} --src-authfile $HOME/.docker/config.json"
        skopeo_to="--dest-${flags#--} --dest-authfile $HOME/.docker/config.json"

        run image tag "$plain/seed:1" "$at/by/berth:1"
        run image push -q "$at/by/berth:1"
        is "$code" 0 "$name: berth pushes"

        timeout 60 $docker pull -q "$at/by/berth:1" >"$work/out" 2>&1
        ok $? "$name: docker pulls it" || sed 's/^/# /' "$work/out"
        is "$($docker image inspect -f '{{.Id}}' "$at/by/berth:1" 2>&1)" "$id" "$name: docker has the same image"
        like "$($docker image inspect -f '{{.RepoDigests}}' "$at/by/berth:1" 2>&1)" "by/berth@$digest" \
                "$name: docker knows it by the same digest"
        timeout 60 $docker pull -q "$at/by/berth@$digest" >"$work/out" 2>&1
        ok $? "$name: docker pulls it by digest" || sed 's/^/# /' "$work/out"
        # shellcheck disable=SC2086 # flags
        is "$(skopeo inspect $flags $auth --format '{{.Digest}}' "docker://$at/by/berth:1" 2>&1)" "$digest" \
                "$name: skopeo inspects it"
        # shellcheck disable=SC2086
        skopeo copy -q $skopeo_from "docker://$at/by/berth:1" "oci:$work/copy-$name:1" 2>&1
        ok $? "$name: skopeo copies it"
        umoci unpack --image "$work/copy-$name:1" "$work/bundle-$name" >/dev/null 2>&1
        is "$(cat "$work/bundle-$name/rootfs/f3/text" 2>&1)" 'layer 3' "$name: umoci unpacks that"
        # shellcheck disable=SC2086
        is "$(pod pull -q $flags $auth "$at/by/berth:1" 2>&1)" "${id#*:}" "$name: podman pulls it"

        $docker tag "$at/by/berth:1" "$at/by/docker:1"
        timeout 60 $docker push -q "$at/by/docker:1" >"$work/out" 2>&1
        ok $? "$name: docker pushes" || sed 's/^/# /' "$work/out"
        pod tag "$at/by/berth:1" "$at/by/podman:1"
        # shellcheck disable=SC2086
        pod push -q $flags $auth "$at/by/podman:1" >"$work/out" 2>&1
        ok $? "$name: podman pushes" || sed 's/^/# /' "$work/out"
        umoci tag --image "$work/copy-$name:1" by-umoci >/dev/null 2>&1
        umoci config --image "$work/copy-$name:by-umoci" --config.env "AT=$name" >/dev/null 2>&1
        # shellcheck disable=SC2086
        skopeo copy -q $skopeo_to "oci:$work/copy-$name:by-umoci" "docker://$at/by/umoci:1" 2>&1
        ok $? "$name: skopeo pushes what umoci made"
        for who in docker podman umoci; do
                run image pull -q "$at/by/$who:1"
                is "$code" 0 "$name: berth pulls what $who made"
        done
        is "$(berth image inspect "$at/by/docker:1" -o json | jq -r .config_digest)" "$id" \
                "$name: and by docker's schema 2 it is the same image"
        run image tag "$at/by/docker:1" "$at/by/berth:2"
        run image push -q "$at/by/berth:2"
        out=$(SSL_CERT_FILE=$work/bundle.pem timeout 20 $docker manifest inspect --insecure "$at/by/berth:2" 2>&1)
        is "$(printf '%s' "$out" | jq -r .config.digest 2>&1)" "$id" "$name: docker manifest inspect of what berth pushes back"
        is "$(berth image inspect "$at/by/umoci:1" -o json | jq -r '.config.config.Env[-1]')" "AT=$name" \
                "$name: and has what umoci set"
}

check anonymous "$plain"
check htpasswd "$basic"
check tls "$tls"
check token "$token"

# -------------------------------------------------------------------------------------------- archives

run image tag "$plain/seed:1" shop/web:1
run image tag "$plain/seed:1" shop/web:2
run image save shop/web:1 shop/web:2 -f "$work/save.tar"
is "$code" 0 'berth saves two names'
out=$(timeout 60 $docker load -i "$work/save.tar" 2>&1)
like "$out" 'Loaded image.*shop/web:1' 'docker loads it'
is "$($docker image inspect -f '{{.Id}}' shop/web:2 2>&1)" "$id" 'under both names, and it is the same'
pod rmi -af >/dev/null 2>&1
pod load -q -i "$work/save.tar" >"$work/out" 2>&1
ok $? 'podman loads it' || sed 's/^/# /' "$work/out"
is "$(pod image inspect -f '{{.Id}}' docker.io/shop/web:1 2>&1)" "${id#*:}" 'and it is the same'

loads() { # NAME REF: what $work/in.tar holds is that image in an empty store
        rm -rf "$work/r3"
        out=$(BERTH_ROOT="$work/r3" timeout 60 berth image load "$work/in.tar" 2>&1)
        is "$(BERTH_ROOT="$work/r3" berth image inspect "$2" -o json 2>&1 | jq -r .config_digest)" "${3:-$id}" "berth loads $1"
        BERTH_ROOT="$work/r3" timeout 20 berth system stop >/dev/null
}

$docker save shop/web:1 shop/web:2 -o "$work/in.tar"
loads 'what docker saves' shop/web:2
$docker save shop/web:1 | gzip >"$work/in.tar"
loads 'the same, compressed' shop/web:1
rm "$work/in.tar"
pod save -q --format docker-archive -o "$work/in.tar" docker.io/shop/web:1
loads "podman's docker-archive" shop/web:1
rm "$work/in.tar"
pod save -q --format oci-archive -o "$work/in.tar" docker.io/shop/web:1
# podman makes an OCI config of the one that it loaded, with another digest.
loads "podman's oci-archive" shop/web:1 "$(skopeo inspect --raw "oci-archive:$work/in.tar" | jq -r .config.digest)"
tar -C "$work/copy-anonymous" -cf "$work/in.tar" .
out=$(BERTH_ROOT="$work/r3" timeout 60 berth image load "$work/in.tar" 2>&1)
like "$out" '1' "berth loads umoci's layout"
BERTH_ROOT="$work/r3" timeout 20 berth system stop >/dev/null

container=$($docker create shop/web:1 2>"$work/out") || sed 's/^/# /' "$work/out"
$docker export "$container" -o "$work/root.tar"
run image import "$work/root.tar" shop/root:1
is "$code" 0 'berth imports what docker exports'
run image push -q "$plain/seed:1"
is "$code" 0 'berth pushes what is there already'

finish
