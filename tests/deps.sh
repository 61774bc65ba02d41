#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Debian packages that berth needs, in one list. Installs what is missing: what it takes to build
# and run (`deps.sh demo`), or to test as well.
set -eu

build='gcc make musl-tools linux-libc-dev pkg-config libc6-dev libjansson-dev libssl-dev libyaml-dev libcurl4-openssl-dev
libarchive-dev libisal-dev libext2fs-dev libev-dev libsqlite3-dev node-llhttp'
kernel='linux-source-6.1 flex bison bc libelf-dev xz-utils cpio patch'
run='qemu-system-x86 e2fsprogs slirp4netns curl'
images='mmdebstrap busybox-static umoci skopeo jq'
test='perl zstd dnsutils iproute2 procps shellcheck clang clang-format clang-tidy cppcheck socat
libcap2-bin python3-jsonschema python3-yaml docker-compose docker-registry apache2-utils podman
openssl faketime postgresql-client redis-tools git openssh-client docker.io'

[ "${1:-}" != demo ] || test=
missing=
# shellcheck disable=SC2086 # the lists are words
for package in $build $kernel $run $images $test; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' ||
                missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "installing:$missing"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo apt-get install -qq -y --no-install-recommends $missing >/dev/null
