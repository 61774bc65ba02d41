#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Rules that grep can check: licence lines, one door for each library, contracts of public functions,
# no paths of the machine this was written on.
set -eu

bad=0
complain() {
        printf '%s\n' "$2" | sed "s|^|$1: |" >&2
        bad=1
}

for file in $(git ls-files '*.c' '*.h' '*.sh' '*.t' Makefile .ci/run); do
        head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
                complain "no licence line" "$file"
done

found=$(git ls-files -s '*.t' | grep -v '^100755' || true)
[ -z "$found" ] || complain "a test that cannot be executed (chmod +x)" "$found"

# door HEADER FILES...: only these files may include the header
door() {
        header=$1
        shift
        found=$(git grep -lE "^#include <($header)" -- '*.c' '*.h' | grep -vxE "$(echo "$*" | tr ' ' '|')" || true)
        [ -z "$found" ] || complain "only $* may include $header" "$found"
}

door 'yaml.h' 'schema/yaml\.c'
door 'curl/' 'base/http[a-z_]*\.[ch]'
door 'archive' 'storage/(layer|tar|archive)[a-z_]*\.c' 'tests/unit/storage/[a-z_]*\.c'
door 'isa-l/' 'storage/gunzip\.c'
door 'ext2fs/' 'storage/ext4[a-z_]*\.[ch]' 'tests/unit/storage/[a-z_]*\.c'
door 'sqlite3.h' 'orchestrator/store[a-z_]*\.[ch]' 'tests/unit/orchestrator/[a-z_]*\.c' 'tests/sim/disk.c'
door 'openssl/' 'base/digest\.c'
door 'llhttp.h' 'orchestrator/api/[a-z_]*\.[ch]'

found=$(git ls-files '*.h' ':!tests' | xargs awk -f tests/lint/contracts.awk || true)
[ -z "$found" ] || complain "every public function has a /** block" "$found"

# Paths that only this machine has: the tree itself and what is above it, and the home folder.
mine=$HOME
folder=$(pwd -P)
while [ "$folder" != / ]; do
        case $folder in
        /home | /root | /tmp | /usr | /usr/* | /var | /var/* | /srv | /opt | /mnt | /builds) ;;
        *)
                mine="$mine|$folder"
                ;;
        esac
        folder=$(dirname "$folder")
done
found=$(git grep -nE "(^|[^A-Za-z0-9_./)])($mine)/" || true)
[ -z "$found" ] || complain "a path of this machine" "$found"

exit $bad
