#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prometheus scrapes two node exporters by name, an alert reaches alertmanager, data outlive it.
# shellcheck disable=SC2317 # `try` calls functions
. tests/stacks/vm/lib.sh

take monitoring
PROMETHEUS_PORT=$(free_port) ALERT_PORT=$(free_port)
export PROMETHEUS_PORT ALERT_PORT
cat >"$test_dir/m/prometheus.yml" <<'YAML'
global: {scrape_interval: 2s, evaluation_interval: 2s}
alerting: {alertmanagers: [{static_configs: [{targets: ["alertmanager:9093"]}]}]}
rule_files: [/etc/prometheus/rules.yml]
scrape_configs:
  - job_name: node
    dns_sd_configs: [{names: [node], type: A, port: 9100, refresh_interval: 2s}]
YAML
cat >"$test_dir/m/rules.yml" <<'YAML'
groups: [{name: all, rules: [{alert: Memory, expr: node_memory_MemTotal_bytes > 0}]}]
YAML
cat >"$test_dir/m/alertmanager.yml" <<'YAML'
route: {receiver: none}
receivers: [{name: none}]
YAML
sed -i 's|^  prometheus:$|&\n    configs: [{source: rules, target: /etc/prometheus/rules.yml}]|' "$test_dir/m/vm/monitoring.yaml"
echo 'configs: {rules: {file: ./rules.yml}}' >>"$test_dir/m/vm/monitoring.yaml"
up

query() { # EXPRESSION: its value
        curl -sS -m 20 -G --data-urlencode "query=$1" \
                "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query" |
                jq -r '.data.result[0].value[1]'
}
queried() {
        [ "$(query "$1")" = "$2" ] && echo "$2"
}
alerts() {
        curl -sS -m 20 "http://127.0.0.1:$ALERT_PORT/api/v2/alerts" | jq -r '.[].labels.alertname' | grep .
}

is "$(try 60 queried 'count(up{job="node"} == 1)' 2)" 2 "both exporters are found by name and scraped"
memory=$(query 'min(node_memory_MemTotal_bytes) / 1048576')
[ "${memory%.*}" -ge 128 ]
ok $? "a VM has the memory that its service is given, and more ($memory MiB)"
like "$(try 60 alerts)" Memory "the alert is at alertmanager"
is "$(berth exec monitoring/prometheus -- id -u)" 65534 "user"
# Samples as they are stored, up to a time: what is there once stays, though more may come.
samples() { # TIME: an instance and a time a line
        curl -sS -m 20 -G --data-urlencode 'query=up{job="node"}[10m]' --data-urlencode "time=$1" \
                "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/query" |
                jq -r '.data.result[] | .metric.instance as $i | .values[] | "\($i) \(.[0])"' | sort
}
now=$(date +%s)
samples "$now" >"$test_dir/before"
like "$(wc -l <"$test_dir/before")" '^ *([2-9]|[1-9][0-9]+)$' "there are samples"
run berth restart monitoring/prometheus --timeout 120s
is "$code" 0 "restart prometheus" || printf '%s\n' "$out" | sed 's/^/# /'
like "$(berth logs monitoring/prometheus)" 'See you next time' "it ended in order"
samples "$now" >"$test_dir/after"
is "$(comm -23 "$test_dir/before" "$test_dir/after")" "" "every sample from before is there" ||
        sed 's/^/# after: /' "$test_dir/after"
edited=$(sed 's/scrape_interval: 2s/scrape_interval: 1s/' "$test_dir/m/prometheus.yml")
printf '%s\n' "$edited" >"$test_dir/m/prometheus.yml" # in place, as with Docker
berth exec monitoring/prometheus -- sh -c 'grep -q "scrape_interval: 1s" /etc/prometheus/prometheus.yml'
ok $? "an edit of the mounted file is seen inside"
berth exec monitoring/prometheus -- sh -c 'kill -HUP 1'
loaded() {
        curl -sS -m 20 "http://127.0.0.1:$PROMETHEUS_PORT/api/v1/status/config" | grep -q 'scrape_interval: 1s' && echo loaded
}
is "$(try 20 loaded)" loaded "and loaded after a signal"
run berth delete monitoring --volumes --timeout 60s
is "$code" 0 "delete"
finish
