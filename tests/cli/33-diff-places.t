#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each new value of a diff with its place in the manifest's files. The images do not exist: no VM
# ever runs.
. tests/vm/lib.sh

dir=$test_dir/shop
mkdir -p "$dir/parts"
cd "$dir" || exit 99
cat >parts/base.yaml <<'END'
services:
  common:
    image: none:1
    pull_policy: never
    labels: {team: shop}
END
cat >compose.yaml <<'END'
name: shop
include: [parts/cache.yaml]
services:
  web:
    extends: {file: parts/base.yaml, service: common}
    env_file: web.env
    environment: {GREETING: hello, DB_PASSWORD: tiger}
    ports: ["127.0.0.1::80"]
    secrets: [key]
  gone: {image: "none:1", pull_policy: never}
secrets: {key: {file: ./key.txt}}
END
printf 'services:\n  cache: {image: "none:1", pull_policy: never}\n' >parts/cache.yaml
printf '# of web\nMODE=dev\n' >web.env
echo first-secret >key.txt

run berth diff
is "$code" 1 "diff of a new stack"
like "$out" '^  \+ service web  .*create   # compose.yaml:4:3$' "a service is where its name stands"
like "$out" '^  \+ service cache  .*create   # parts/cache.yaml:2:3$' "also one that is included"
run berth apply --detach
is "$code" 0 "the stack is taken" || printf '%s\n' "$out" | sed 's/^/# /'
run berth diff
is "$out" "No changes. Stack shop matches the manifest." "no difference"

sed -i 's/none:1/none:2/; s/team: shop/team: store/' parts/base.yaml
sed -i 's/GREETING: hello/GREETING: moin/; s/tiger/lion/; s/::80/::81/; /gone/d' compose.yaml
sed -i 's/MODE=dev/MODE=test/' web.env
sed -i 's/}$/, scale: 2}/' parts/cache.yaml
echo second-secret >key.txt
run berth diff
is "$code" 1 "diff of many changes"
is "$(printf '%s\n' "$out" | sed 1d)" '  ~ service cache            update in place, VM keeps running   # parts/cache.yaml:2:3
      + scale: 2   # parts/cache.yaml:2:55
  - service gone             remove (not in manifest)
-/+ service web              recreate: a new VM, named volumes stay   # compose.yaml:4:3
      ~ environment.DB_PASSWORD: (sensitive) changed   # forces recreate, compose.yaml:7:48
      ~ environment.GREETING: hello -> moin   # forces recreate, compose.yaml:7:29
      ~ environment.MODE: dev -> test   # forces recreate, web.env:2:1
      ~ image: none:1 -> none:2   # forces recreate, parts/base.yaml:3:12
      ~ labels.team: shop -> store   # parts/base.yaml:5:20
      ~ ports[0].target: 80 -> 81   # compose.yaml:8:13
      ~ secrets.key.content: (sensitive) changed   # forces recreate, compose.yaml:10:23
Plan: 1 to update in place, 1 to recreate, 1 to remove.' "each value with its place, secrets with nothing else"
is "$(berth apply --dry-run)" "$out" "a dry run tells the same"

berth diff -o json >"$test_dir/diff.json"
# value PATH: before, after and place of a field of web
value() {
        jq -r --arg path "$1" '.changes[] | select(.name == "web") | .fields[] |
                select(.path == $path) | [.before, .after, .file, .line, .column] |
                join(" ")' <"$test_dir/diff.json"
}
is "$(value environment.GREETING)" '"hello" "moin" compose.yaml 7 29' "-o json: values, file, line, column"
is "$(value image)" '"none:1" "none:2" parts/base.yaml 3 12' "the other file's"
is "$(jq -r '.changes[] | select(.name == "web") | [.file, .line, .column] | join(" ")' <"$test_dir/diff.json")" \
        "compose.yaml 4 3" "the service's own"
is "$(jq -c '.changes[] | select(.name == "gone") | has("file")' <"$test_dir/diff.json")" false "none of what is removed"
unlike "$(cat "$test_dir/diff.json")" 'secret"|lion|tiger|-secret' "no secret"

sed '/GREETING/d' compose.yaml >less.yaml
printf 'services: {web: {image: "none:3"}}\n' >over.yaml
run berth diff -f less.yaml -f over.yaml
like "$out" '^      ~ image: none:1 -> none:3   # forces recreate, over.yaml:1:25$' "a file that is merged over the first"
like "$out" '^      - environment.GREETING: hello   # forces recreate$' "a value that goes has no place"
run sh -c 'berth diff -f - <compose.yaml'
like "$out" '^      ~ environment.GREETING: hello -> moin   # forces recreate, -:7:29$' "standard input"
finish
