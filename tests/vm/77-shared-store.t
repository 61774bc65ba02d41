#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two daemons with one image store: what one does to a name, the other sees.
. tests/vm/lib.sh

berth image save hello-web | tar -C "$test_dir" -x
berth system stop >/dev/null
export BERTH_IMAGES="$test_dir/images"
other() {
        BERTH_ROOT=$test_dir/other berth "$@"
}
runs() { # the digest of the image that the replica has
        berth inspect shared/web -o json | jq -r '[.. | .digest? // empty] | unique | join(" ")'
}

layer=$(jq -r '.[0].Layers[0]' "$test_dir/manifest.json")
other image import -q "$test_dir/$layer" one -c 'CMD ["sleep", "1000"]' >/dev/null
other image import -q "$test_dir/$layer" two -c 'CMD ["sleep", "2000"]' >/dev/null
one=$(other image inspect one -o json | jq -r .digest)
two=$(other image inspect two -o json | jq -r .digest)
unlike "$one" "$two" "two images"
cat >"$test_dir/stack.yaml" <<'END'
name: shared
services:
  web: {image: "127.0.0.1:9/app:1", pull_policy: never}
END
run berth apply --detach -f "$test_dir/stack.yaml"
wait_for 'berth ps shared | grep -q failed || berth why shared/web | grep -q "no such image"'
run berth why shared/web
like "$out" 'no such image: .*127.0.0.1:9/app:1' "an image that is not there"

# Nobody applies or asks: the daemon that waits hears of it.
other image tag one 127.0.0.1:9/app:1
# shellcheck disable=SC2016 # evaluated by wait_for
wait_for '[ "$(field_of shared web 1 .state)" = running ]'
is "$(field_of shared web 1 .state)" running "the other daemon brings it: the stack starts"
is "$(runs)" "$one" "with that image"

other image tag two 127.0.0.1:9/app:1
is "$(berth image inspect 127.0.0.1:9/app:1 -o json | jq -r .digest)" "$two" "a name that the other one moves is seen"
is "$(runs)" "$one" "which replaces nothing by itself"
run berth apply -f "$test_dir/stack.yaml" --timeout 2m
is "$code" 0 "until somebody applies"
is "$(runs)" "$two" "then what runs is what the name means"

run other image rm 127.0.0.1:9/app:1
like "$out" "in use by the berthd of $BERTH_ROOT, which shares this store" "the other one does not remove it"
run other image prune --all
is "$(other image ls -q)" "docker.io/library/two:latest
127.0.0.1:9/app:1" "nor prune it, only what nobody uses"
other system stop >/dev/null
finish
