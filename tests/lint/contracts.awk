# SPDX-License-Identifier: Apache-2.0
# Prints each prototype in a header that has no /** block above it. Prototypes without an empty line
# between them share the block above the first.
FNR == 1 {
        depth = 0
        text = ""
        documented = 0
        comment = ""
}

# Comments between declarations: the kind of the one that ends now is what counts.
comment == "" && text == "" && depth == 0 && /^\/\*/ {
        comment = /^\/\*\*/ ? "contract" : "remark"
}
comment != "" {
        if (/\*\//) {
                documented = comment == "contract"
                comment = ""
        }
        next
}

/^[ \t]*$/ && text == "" {
        documented = 0
        next
}
/^#/ || /^[A-Z_]+\(.*\);?$/ {
        while (/\\$/ && (getline > 0))
                ;
        next
}
/^extern "C"/ { next }

{
        if (text == "" && depth == 0)
                start = FNR
        line = $0
        sub(/\/\*.*/, "", line)
        text = text line
        depth += gsub(/\{/, "{", line) - gsub(/\}/, "}", line)
        if (depth == 0 && line ~ /[;}][ \t]*$/) {
                if (text !~ /[{}]/ && text !~ /^(typedef|static_assert|_Static_assert|extern|struct [a-z_0-9]+;)/ &&
                    text ~ /[a-z_0-9] *\(/ && !documented) {
                        printf "%s:%d: no contract: %s\n", FILENAME, start, text
                        bad = 1
                }
                text = ""
        }
}

END { exit bad }
