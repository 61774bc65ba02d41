#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make demo` shows: images from Debian packages, then the hello stack, then its URL.
#
#   demo.sh BIN     BIN holds berth, berthd and berth-netd
set -eu

here=$(dirname "$0")
bin=$(cd "$1" && pwd)
berth=$bin/berth
cache=${BERTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/berth}

step() {
        if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
                printf '\n\033[1m%s\033[0m\n' "$*"
        else
                printf '\n%s\n' "$*"
        fi
}

step "Images: busybox and redis from Debian packages, as OCI archives"
sh "$here/images.sh" "$cache/hello-images"
for name in hello-web hello-redis; do
        if "$berth" image ls -o json | grep -q "/$name:latest"; then
                echo "$name is loaded"
        else
                "$berth" image load -i "$cache/hello-images/$name.tar"
        fi
done

step "berth apply -f $here/stack.yaml"
"$berth" apply -f "$here/stack.yaml"

step "The page of web, through its published port"
url=http://127.0.0.1:8080/
echo "\$ curl $url"
curl -fsS "$url"

step "Now try"
cat <<END
  export PATH=$bin:\$PATH
  berth ps                               what runs
  berth logs -f hello                    what it prints
  berth exec -it hello/web -- sh         a shell inside the VM of web
  berth inspect hello/db                 addresses, start-up phases, health
  berth delete hello                     take it down (--volumes: its data, too)
END
