#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make images under the names that the stacks of tests/stacks use, from Debian packages as they are
# (maintainer scripts run), with entrypoints in the style of the official images.
#
#   images.sh BIN STORE [IMAGE...]     e.g. images.sh build/bin build/tests/stack-images postgres
#
# Root folders of packages are kept in the cache (~/.cache/berth/userland-*.tar); an image is made
# again when what it is made of changed.
set -eu

bin=$(cd "$1" && pwd)
mkdir -p "$2"
store=$(cd "$2" && pwd)
shift 2
here=$(cd "$(dirname "$0")" && pwd)
cache=${BERTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/berth}
work=$(mktemp -d "${TMPDIR:-/tmp}/berth-s.XXXXXX")
export BERTH_ROOT="$work/r" BERTH_IMAGES="$store"
trap '"$bin/berth" system stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
trap 'trap "" INT TERM; exit 130' INT TERM
mkdir -p "$cache" "$store"

suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
# The same package sources as this machine's: the first file that names any.
for sources in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        ! grep -qsE '^(deb|Types:)' "$sources" || break
done

# userland PACKAGES [HOOK]: a root folder with Debian's essential packages and these, as a tar
userland() {
        tar=$cache/userland-$(printf %s "$suite $*" | sha256sum | cut -c1-16).tar
        [ ! -s "$tar" ] || return 0
        echo "image: Debian userland with $1"
        # shellcheck disable=SC2016 # $1 is the hook's
        mmdebstrap --quiet --format=tar --variant=essential --include="$1" \
                --aptopt='APT::Install-Recommends "false"' \
                --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
                --dpkgopt='path-exclude=/usr/share/locale/*' \
                --customize-hook="${2:-true}" --customize-hook='rm -rf "$1"/var/lib/apt/lists/*' \
                "$suite" "$tar.new" "$sources"
        mv "$tar.new" "$tar"
}

# image NAME FILES CHANGE...: the userland in $tar, with FILES (of images/) in /usr/local/bin
image() {
        name=$1 files=$2
        shift 2
        stamp=$store/.made-$(printf %s "$name" | tr /: __)
        made=$({
                printf '%s\n' "$tar" "$@"
                for file in $files; do
                        cat "$here/images/$file"
                done
        } | sha256sum)
        if [ "$(cat "$stamp" 2>/dev/null)" = "$made" ]; then
                return
        fi
        cp --reflink=auto "$tar" "$work/root.tar"
        mkdir -p "$work/root/usr/local/bin"
        for file in $files; do
                install -m 755 "$here/images/$file" "$work/root/usr/local/bin/$file"
                tar -C "$work/root" --numeric-owner --owner=0 --group=0 -rf "$work/root.tar" \
                        "./usr/local/bin/$file"
        done
        for change in 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' "$@"; do
                printf '%s\n' "$change"
        done >"$work/changes"
        set --
        while read -r change; do
                set -- "$@" -c "$change"
        done <"$work/changes"
        "$bin/berth" image import -q "$work/root.tar" "$name" "$@" >/dev/null
        rm -f "$work/root.tar"
        printf '%s\n' "$made" >"$stamp"
        echo "image: $name"
}

postgres() {
        # shellcheck disable=SC2016 # $1 is the hook's
        userland postgresql-15,gosu,locales \
                'chroot "$1" localedef -i en_US -f UTF-8 en_US.UTF-8'
        image postgres:15-alpine postgres-entrypoint 'ENV LANG=en_US.utf8' \
                'ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
                'ENV PGDATA=/var/lib/postgresql/data' 'VOLUME /var/lib/postgresql/data' \
                'ENTRYPOINT ["postgres-entrypoint"]' 'CMD ["postgres"]' 'STOPSIGNAL SIGINT' 'EXPOSE 5432'
}

redis() {
        userland redis-server,gosu
        image redis:alpine redis-entrypoint 'VOLUME /data' 'WORKDIR /data' \
                'ENTRYPOINT ["redis-entrypoint"]' 'CMD ["redis-server"]' 'EXPOSE 6379'
}

mariadb() {
        # The package makes its first database; images leave that to their entrypoint.
        # shellcheck disable=SC2016 # $1 is the hook's
        userland mariadb-server,gosu,tzdata \
                'rm -rf "$1"/var/lib/mysql/*; chroot "$1" chown mysql:mysql /var/lib/mysql'
        for name in mariadb:lts mysql:8; do
                image "$name" mariadb-entrypoint 'ENV LANG=C.UTF-8' 'VOLUME /var/lib/mysql' \
                        'ENTRYPOINT ["mariadb-entrypoint"]' 'CMD ["mariadbd"]' 'EXPOSE 3306'
        done
}

python() {
        userland python3-flask,gunicorn,python3-redis,python3-psycopg2
        image examplevotingapp/vote vote.py 'WORKDIR /usr/local/bin' 'EXPOSE 80' \
                'CMD ["gunicorn", "vote:app", "-b", "0.0.0.0:80", "--log-file", "-", "--workers", "2"]'
        image examplevotingapp/worker worker.py 'CMD ["python3", "-u", "/usr/local/bin/worker.py"]' \
                'USER nobody'
}

node() {
        # shellcheck disable=SC2016 # $1 is the hook's
        userland nodejs,node-pg,node-mysql \
                'install -d -o 33 -g 33 "$1/var/www/html/storage/upload"'
        image examplevotingapp/result result.js 'ENV PORT=80' 'EXPOSE 80' \
                'CMD ["node", "/usr/local/bin/result.js"]'
        image fireflyiii/core:latest 'ledger.js ledger-entrypoint' 'USER www-data' 'EXPOSE 8080' \
                'ENTRYPOINT ["ledger-entrypoint"]' 'CMD ["node", "/usr/local/bin/ledger.js"]'
}

monitoring() {
        # shellcheck disable=SC2016 # $1 is the hook's
        userland prometheus,prometheus-alertmanager,prometheus-node-exporter \
                'install -d -o 65534 -g 65534 "$1/prometheus" "$1/alertmanager"'
        image prom/prometheus:v2.48.0 '' 'USER nobody' 'EXPOSE 9090' 'VOLUME /prometheus' \
                'ENTRYPOINT ["prometheus"]' 'WORKDIR /prometheus'
        image prom/alertmanager:v0.26.0 '' 'USER nobody' 'EXPOSE 9093' 'VOLUME /alertmanager' \
                'ENTRYPOINT ["prometheus-alertmanager"]' 'WORKDIR /alertmanager'
        image prom/node-exporter:v1.7.0 '' 'USER nobody' 'EXPOSE 9100' \
                'ENTRYPOINT ["prometheus-node-exporter"]'
}

forge() {
        userland nginx-light,fcgiwrap,cgit,git,openssh-server,gosu
        image gitea/gitea:1.21 forge-entrypoint 'VOLUME /data' 'EXPOSE 22' 'EXPOSE 3000' \
                'ENTRYPOINT ["forge-entrypoint"]' 'CMD ["nginx", "-g", "daemon off;"]'
}

mail() {
        userland postfix,dovecot-imapd,dovecot-lmtpd,iproute2
        image mailserver/docker-mailserver:13 mail-entrypoint \
                'ENTRYPOINT ["mail-entrypoint"]' 'EXPOSE 25' 'EXPOSE 143'
}

# alpine is busybox here.
alpine() {
        tar=$work/alpine.tar
        mkdir -p "$work/alpine/bin" "$work/alpine/var/spool/cron/crontabs" "$work/alpine/tmp" \
                "$work/alpine/etc" "$work/alpine/root"
        cp /bin/busybox "$work/alpine/bin/"
        for applet in $(/bin/busybox --list); do
                [ "$applet" = busybox ] || ln -s busybox "$work/alpine/bin/$applet"
        done
        echo 'root:x:0:0:root:/root:/bin/sh' >"$work/alpine/etc/passwd"
        echo 'root:x:0:' >"$work/alpine/etc/group"
        ln -s ../var/spool/cron/crontabs "$work/alpine/etc/crontabs"
        tar -C "$work/alpine" --numeric-owner --owner=0 --group=0 --sort=name -cf "$tar" .
        image alpine '' 'ENV PATH=/bin' 'CMD ["sh"]'
}

[ $# -gt 0 ] || set -- postgres redis mariadb python node monitoring forge mail alpine
for name; do
        "$name"
done
