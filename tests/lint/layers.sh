#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# stdin: "folder allowed..." a line. Prints each include that crosses a forbidden border.
set -eu
found=$(while read -r dir allowed; do
        [ -d "$dir" ] || continue
        find "$dir" -name '*.[ch]' -exec grep -nH '^#include "' {} + |
                sed -n 's/^\([^:]*\):\([0-9]*\):#include "\([a-z_]*\)\/\(.*\)"/\1:\2 \3 \4/p' |
                while read -r where target file; do
                        case " $dir $allowed " in
                        *" $target "*) ;;
                        *) echo "$where: $dir may not use $target" ;;
                        esac
                        # Of the guest's program, the host sees the wire format only.
                        [ "$target" != vminit ] || [ "$dir" = vminit ] || [ "$file" = wire.h ] ||
                                echo "$where: only vminit/wire.h is shared with the host"
                        # The command line is a client of the API and of nothing else.
                        case "$where" in
                        orchestrator/cli/*)
                                case "$target/$file" in
                                base/* | schema/* | orchestrator/cli/* | orchestrator/api/wire.h) ;;
                                *) echo "$where: the command line may not use $target/$file" ;;
                                esac
                                ;;
                        esac
                done
done)
[ -z "$found" ] || {
        echo "$found"
        exit 1
}
