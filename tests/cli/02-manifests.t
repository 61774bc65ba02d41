#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Which manifests a command reads: the usual names, overrides, folders above, the environment, .env.
. tests/vm/lib.sh

dir=$test_dir/shop
mkdir -p "$dir/sub/deep" "$dir/other" "$test_dir/empty"
# shellcheck disable=SC2016 # for berth to replace
printf 'services: {web: {image: "a:${TAG:-none}", volumes: ["./x:/x"]}}\n' >"$dir/docker-compose.yml"
printf 'services: {web: {tty: true}}\n' >"$dir/compose.override.yaml"
printf 'services: {web: {init: true}}\n' >"$dir/sub/more.yaml"
echo TAG=dotenv >"$dir/.env"

# config DIR ARGUMENTS...: what berth reads there, as "name image keys"
config() {
        (
                cd "$1" || exit 1
                shift
                berth config -o json "$@" |
                        jq -r '[.name, .services.web.image, .services.web.volumes[0].source,
                                (.services.web | keys | map(select(. == "tty" or . == "init")) | join("+"))]
                                | join(" ")'
        )
}

is "$(config "$dir")" "shop a:dotenv $dir/x tty" "the usual name, an override, .env"
is "$(config "$dir/sub/deep")" "shop a:dotenv $dir/x tty" "the same from a folder below"
is "$(config "$dir/sub" -f ../docker-compose.yml)" "shop a:dotenv $dir/x " "-f alone has no override"
is "$(config / -f "$dir/docker-compose.yml" -f "$dir/sub/more.yaml")" "shop a:dotenv $dir/x init" \
        "paths start from the first file's folder"
is "$(config "$dir/other" -f ../docker-compose.yml --project-directory .)" "other a:none $dir/other/x " \
        "--project-directory"
printf 'services: {web: {init: true}}\n' >"$dir/docker-compose.override.yml"
is "$(config "$dir")" "shop a:dotenv $dir/x init" "the override of the same name goes before others"

export BERTH_FILE="docker-compose.yml:sub/more.yaml" COMPOSE_FILE=nowhere.yaml
is "$(config "$dir")" "shop a:dotenv $dir/x init" "BERTH_FILE goes above COMPOSE_FILE"
unset BERTH_FILE COMPOSE_FILE
echo 'COMPOSE_FILE=docker-compose.yml;sub/more.yaml
COMPOSE_PATH_SEPARATOR=;' >>"$dir/.env"
is "$(config "$dir")" "shop a:dotenv $dir/x init" "files that .env names"
echo TAG=one >"$dir/one.env"
echo TAG=two >"$dir/two.env"
is "$(BERTH_ENV_FILES=one.env,two.env config "$dir")" "shop a:two $dir/x init" "BERTH_ENV_FILES"
is "$(BERTH_ENV_FILES=one.env,two.env config "$dir" --env-file one.env)" "shop a:one $dir/x init" \
        "--env-file goes above it"
is "$(BERTH_PROJECT_NAME=mine config "$dir")" "mine a:dotenv $dir/x init" "BERTH_PROJECT_NAME"

run sh -c "cd '$test_dir/empty' && exec berth config"
is "$code" 66 "no manifest in sight"
like "$out" 'compose.yaml' "names are proposed"
printf 'services: {web: {image: b\n' >"$test_dir/bad.yaml"
printf 'services: {web: {imagee: a}}\n' >"$test_dir/other.yaml"
run berth validate -f "$test_dir/bad.yaml" -f "$test_dir/other.yaml"
is "$code" 65 "two bad files"
like "$out" 'bad.yaml:2:1: error: ' "the one that is no YAML is told"
like "$out" "other.yaml:1:18: error: services.web.imagee: unknown key; did you mean 'image'" "and the other's mistake"
finish
