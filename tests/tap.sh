# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# Test points of shell tests, in TAP: sourced by tests/vm/lib.sh and tests/system/registry_lib.sh.
# $count and $failed are what they come to. Each returns 0 if it holds.

count=0
failed=0

# ok STATUS NAME: one test point; STATUS as from $?
ok() {
        count=$((count + 1))
        if [ "$1" = 0 ]; then
                echo "ok $count - $2"
        else
                failed=$((failed + 1))
                echo "not ok $count - $2"
        fi
        [ "$1" = 0 ]
}

# is GOT EXPECTED NAME
is() {
        [ "$1" = "$2" ]
        ok $? "$3" && return
        printf '# got      %s\n# expected %s\n' "$(printf %s "$1" | head -c 1000)" "$2"
        return 1
}

# like GOT REGEX NAME (extended regular expression, any line)
like() {
        printf '%s\n' "$1" | grep -qE -e "$2"
        ok $? "$3" && return
        printf '# got:\n'
        printf '%s\n' "$1" | head -n 30 | sed 's/^/#   /'
        printf '# expected to match %s\n' "$2"
        return 1
}

# unlike GOT REGEX NAME
unlike() {
        ! printf '%s\n' "$1" | grep -qE -e "$2"
        ok $? "$3" && return
        printf '%s\n' "$1" | head -n 30 | sed 's/^/#   /'
        return 1
}
