#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Updates: start-first loses no request; one that fails is rolled back, and the old VM serves on.
. tests/vm/lib.sh

port=$(free_port)
# manifest VERSION [HEALTHCHECK]: two replicas behind one port that answer with VERSION
manifest() {
        cat >"$test_dir/web.yaml" <<END
name: shop
services:
  web:
    image: hello-web
    command: [sh, -c, "mkdir -p /tmp/w && echo $1 > /tmp/w/v && exec httpd -f -p 80 -h /tmp/w"]
    ports: ["$port:80"]
    stop_grace_period: 1s
    restart: always
    healthcheck:
      test: [CMD, sh, -c, "${2:-wget -q -O /dev/null http://127.0.0.1/v}"]
      interval: 1s
      start_period: 30s
      start_interval: 200ms
      retries: 2
    deploy:
      replicas: 2
      update_config: {order: start-first, failure_action: rollback, monitor: 1500ms}
END
}
answer() {
        curl -fsS -m 10 "http://127.0.0.1:$port/v"
}

manifest one
run berth apply -f "$test_dir/web.yaml" --timeout 3m
is "$code" 0 "two replicas behind one port" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(answer)" one "it answers"

# Requests without a pause until told to stop; what fails is kept.
: >"$test_dir/go"
(
        while [ -e "$test_dir/go" ]; do
                answer >>"$test_dir/answers" 2>>"$test_dir/errors" || echo failed >>"$test_dir/errors"
        done
) &
asker=$!
manifest two
run berth apply -f "$test_dir/web.yaml" --timeout 3m
is "$code" 0 "a start-first update"
rm "$test_dir/go"
wait "$asker"
is "$(cat "$test_dir/errors")" "" "no request was lost"
is "$(sort "$test_dir/answers" | uniq -c | awk '{ print $2 }' | tr '\n' ' ')" "one two " "of both versions"
echo "# $(wc -l <"$test_dir/answers") requests"
is "$(answer)" two "the new one answers"
is "$(berth ps shop -q | sort | tr '\n' ' ')" "shop/web/1 shop/web/2 " "two VMs are left"

ids=$(berth ps shop -o json | jq -r '.[].id' | sort)
manifest three "exit 1"
sed -i 's/start_period: 30s/start_period: 0s/' "$test_dir/web.yaml"
: >"$test_dir/go"
: >"$test_dir/errors"
(
        while [ -e "$test_dir/go" ]; do
                answer >>"$test_dir/answers" 2>>"$test_dir/errors" || echo failed >>"$test_dir/errors"
        done
) &
asker=$!
run berth apply -f "$test_dir/web.yaml" --timeout 3m
is "$code" 1 "an update that does not get healthy fails"
like "$out" 'rolled back' "and says that it was rolled back"
rm "$test_dir/go"
wait "$asker"
is "$(cat "$test_dir/errors")" "" "no request was lost in it"
is "$(answer)" two "the old version serves"
run berth wait shop --timeout 1m
is "$(berth ps shop -o json | jq -r '.[].id' | sort)" "$ids" "by the same VMs"
like "$(berth history shop)" 'rollback of web: the update failed: replica 1: unhealthy' "history tells"
finish
