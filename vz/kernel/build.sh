#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Build the guest kernel once and print where it is.
#
#   usage: build.sh            (no arguments; progress on stderr, the path of vmlinux on stdout)
#
# The result lives in ${BERTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/berth}/kernel-KEY/:
#   vmlinux     uncompressed, with the PVH entry note, without debug symbols
#   System.map  its symbols, to read a panic's addresses with
#   config      the complete configuration
# KEY is a hash of the source package's version, the fragment, the patches and this script, so a
# change of any of them builds anew and everything else is found at once. The build goes on in a
# folder aside and is renamed when whole: what is found is complete. Several runs at once wait for
# the first.
#
# environment: JOBS (default: one a processor)

set -eu
LC_ALL=C
export LC_ALL
umask 022

package=linux-source-6.1
source_tar=/usr/src/$package.tar.xz
jobs=${JOBS:-$(nproc)}

say() {
        printf 'kernel: %s\n' "$*" >&2
}

die() {
        say "$*"
        exit 1
}

# need COMMAND PACKAGE: stop with the way out when a command is missing.
need() {
        command -v "$1" >/dev/null || die "$1 is missing: apt-get install $2"
}

check_tools() {
        need gcc gcc
        need make make
        need flex flex
        need bison bison
        need bc bc
        need xz xz-utils
        need patch patch
        need flock util-linux
        [ -e /usr/include/gelf.h ] || die "libelf's headers are missing: apt-get install libelf-dev"
}

# key: what the result depends on, as a short hash. Comments in the fragment do not count.
key() {
        version=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null) ||
                die "no kernel source: apt-get install $package"
        {
                printf '%s\n' "$version"
                grep -E '^(CONFIG_|# CONFIG_.* is not set)' "$here/config"
                cat "$here"/*.patch "$here/build.sh"
        } | sha256sum | cut -c 1-16
}

# Without documentation and the bulk of drivers that no VM has: their Kconfig files are read, their
# sources are not.
unpack() {
        say "unpacking $source_tar"
        tar -C "$work" --strip-components=1 -xf "$source_tar" \
                --exclude="$package/Documentation/*.rst" \
                --exclude="$package/Documentation/devicetree/*.yaml" \
                --exclude="$package/drivers/gpu/*.[ch]" \
                --exclude="$package/drivers/media/*.[ch]" \
                --exclude="$package/drivers/infiniband/*.[ch]" \
                --exclude="$package/drivers/net/ethernet/*.[ch]" \
                --exclude="$package/drivers/net/wireless/*.[ch]" \
                --exclude="$package/drivers/scsi/*.[ch]" \
                --exclude="$package/drivers/staging/*.[ch]" \
                --exclude="$package/sound/*.[ch]" \
                --exclude="$package/tools/testing/*" \
                --exclude="$package/tools/perf/*"
}

# survived: every line of the fragment is in the final .config, or say which is not.
survived() {
        lost=$(awk '
                NR == FNR { if (/^CONFIG_/) have[$0] = 1; next }
                /^CONFIG_/ && !($0 in have) { print "  " $0 }
                /^# CONFIG_.* is not set$/ && (($2 "=y") in have) { print "  " $0 }
        ' "$work/.config" "$here/config")
        [ -z "$lost" ] || die "these lines of vz/kernel/config do not hold in this source:
$lost"
}

# kmake ARG...: make in the kernel tree, quiet; the log's end is shown when it fails.
kmake() {
        make -C "$work" -s -j "$jobs" "$@" >>"$work/build.log" 2>&1 && return
        tail -n 30 "$work/build.log" >&2
        die "make $* failed in the kernel source (its last lines are above)"
}

build() {
        unpack
        for patch in "$here"/*.patch; do
                patch -d "$work" -p1 -s --no-backup-if-mismatch <"$patch" >&2 ||
                        die "$patch does not fit this source"
        done
        # tinyconfig, but with the fragment as a part of what it starts from: options that nobody
        # asked for stay off, even those that become visible only through the fragment.
        cat "$work/kernel/configs/tiny-base.config" "$here/config" >"$work/.fragment"
        kmake KCONFIG_ALLCONFIG=.fragment allnoconfig
        survived
        say "compiling with $jobs jobs (a few minutes, once)"
        kmake vmlinux
        mkdir "$work/.done"
        objcopy --strip-all "$work/vmlinux" "$work/.done/vmlinux"
        cp "$work/System.map" "$work/.done/System.map"
        cp "$work/.config" "$work/.done/config"
        sync "$work/.done/vmlinux"
        mv -T "$work/.done" "$result"
}

# No argument or environment of a caller's make or compiler may reach the kernel's.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES ARCH CROSS_COMPILE KBUILD_OUTPUT KCFLAGS KAFLAGS \
        KCPPFLAGS LDFLAGS LLVM W V O C M

# The same kernel for the same key, wherever and whenever it is built.
export KBUILD_BUILD_USER=berth KBUILD_BUILD_HOST=berth KBUILD_BUILD_VERSION=1
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970'

here=$(cd "$(dirname "$0")" && pwd)
cache=${BERTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/berth}
key=$(key)
result=$cache/kernel-$key

if [ ! -e "$result/vmlinux" ]; then
        check_tools
        [ -r "$source_tar" ] || die "$source_tar is missing: apt-get install $package"
        mkdir -p "$cache"
        exec 9>"$cache/kernel.lock"
        flock -n 9 || {
                say "waiting for another build"
                flock 9
        }
        if [ ! -e "$result/vmlinux" ]; then
                # With the lock held, a work folder is a killed build's.
                rm -rf "$cache"/.kernel-work.*
                work=$(mktemp -d "$cache/.kernel-work.XXXXXX")
                trap 'rm -rf "$work"' EXIT
                trap 'exit 130' HUP INT TERM
                build
        fi
fi
printf '%s\n' "$result/vmlinux"
