#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command line without a daemon: help, mistakes, exit codes, checking of manifests.
. tests/vm/lib.sh

run berth --version
is "$code" 0 "--version"
like "$out" '^berth [0-9]+\.[0-9]+\.[0-9]+$' "tells the version"
run berth
is "$code" 64 "no command is a mistake"
like "$out" 'Usage: berth' "answered with the overview"
run berth help
is "$code" 0 "help"

bad=
names=$(berth --help | sed -n 's/^  \([a-z]\{1,\}\( [a-z]\{1,\}\)\{0,1\}\)  .*/\1/p' | grep -v '^berth')
for name in $(echo "$names" | tr ' ' _); do
        words=$(echo "$name" | tr _ ' ')
        # shellcheck disable=SC2086 # one or two words
        help=$(berth $words --help 2>&1) || bad="$bad $name"
        echo "$help" | grep -q "^Usage: berth $words" || bad="$bad $name"
done
is "$bad" "" "--help of each command"
is "$(echo "$names" | wc -l)" 47 "of which there are 47"

run berth aply
is "$code" 64 "an unknown command"
like "$out" "did you mean 'berth apply'" "gets a suggestion"
run berth image lod
like "$out" "did you mean 'berth image load'" "also one of two words"
run berth volume
is "$code" 64 "half a command"
like "$out" 'berth volume ls' "gets the list of its other halves"
run berth apply --tiemout 5s
is "$code" 64 "an unknown option"
like "$out" 'did you mean --timeout' "gets a suggestion"
run berth apply --timeout soon
is "$code" 64 "a value that is none"
run berth ps -o xml
is "$code" 64 "an unknown format"
run berth exec web
is "$code" 64 "a missing command line"
run berth exec -t web -- sh
is "$code" 64 "a terminal where there is none"

mkdir "$test_dir/m"
cat >"$test_dir/m/good.yaml" <<'YAML'
name: shop
services:
  web:
    image: web:1
    environment:
      GREETING: ${WHO:-nobody}
YAML
printf 'services:\n  web:\n    imag: web:1\n    ports: [70000]\n' >"$test_dir/m/bad.yaml"

run berth validate -f "$test_dir/m/good.yaml"
is "$code" 0 "a valid manifest"
run berth validate -o json -f "$test_dir/m/good.yaml"
is "$code $out" "0 []" "no findings as JSON"
run berth validate -o json -f "$test_dir/m/bad.yaml"
is "$code" 65 "findings as JSON"
like "$out" '"code": "unknown-key"' "have codes"
printf 'services:\n  a: {image: a, cpuset: "0"}\n  b: {image: b, profiles: [more]}\n' >"$test_dir/m/warn.yaml"
run berth validate -f "$test_dir/m/warn.yaml"
is "$code" 0 "a warning is none"
run berth validate --strict --profile more -f "$test_dir/m/warn.yaml"
is "$code" 65 "--strict: it is an error"
run env BERTH_FILE="$test_dir/m/good.yaml:$test_dir/m/warn.yaml" BERTH_PROFILES=more berth config
like "$code $(echo "$out" | grep -c image)" '^0 3$' "BERTH_FILE and BERTH_PROFILES"
run berth validate -f "$test_dir/m/bad.yaml"
is "$code" 65 "an invalid one"
like "$out" "bad.yaml:3:5: error: services.web.imag: unknown key; did you mean 'image'" "its unknown key"
like "$out" 'bad.yaml:4:[0-9]+: error: services.web.ports' "and its other mistake"
run berth apply -f "$test_dir/m/bad.yaml"
is "$code" 65 "is not applied"
run berth diff -f "$test_dir/m/bad.yaml"
is "$code" 65 "is not compared"
run berth validate -f "$test_dir/m/none.yaml"
is "$code" 66 "a file that is not there"
run sh -c "cd '$test_dir' && berth apply"
is "$code" 66 "a folder without a manifest"
like "$out" 'name the manifest with -f' "tells the way out"
run env WHO=me berth config -f "$test_dir/m/good.yaml" -o json
is "$(printf %s "$out" | jq -r .services.web.environment.GREETING)" me "config is interpolated"
berth config -f "$test_dir/m/good.yaml" >"$test_dir/m/again.yaml"
is "$(berth config -f "$test_dir/m/again.yaml" | cksum)" "$(cksum <"$test_dir/m/again.yaml")" \
        "config of config is the same"

like "$(berth explain services.web.healthcheck.interval)" '^services\.\*\.healthcheck\.interval' "explain"
like "$(berth explain services.web.ports)" 'for example:' "explain shows how it is written"
run berth explain services.prots
like "$out" "did you mean 'ports'" "a misspelled key is not taken for a service"
run berth explain helthcheck
is "$code" 1 "explain of nothing"
like "$out" "did you mean 'healthcheck'" "suggests"

run berth system status
is "$code" 1 "no daemon runs"
run berth system stop
is "$code" 0 "stopping none is fine"
[ ! -e "$BERTH_ROOT" ]
ok $? "and none of this started one or made a folder"

long=$(printf '%0100d' 0)
run berth --root "/tmp/$long" ps
is "$code" 64 "a root that is too long for a socket"
like "$out" '107 bytes' "is refused with the limit"
mkdir "$test_dir/empty"
cp "$(command -v berth)" "$test_dir/empty/berth"
run env PATH=/nonexistent "$test_dir/empty/berth" ps
like "$out" 'start berthd: berthd: cannot execute' "a berthd that cannot be found"
ok $((code == 0)) "is an error"
finish
