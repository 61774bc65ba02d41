#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Python, redis, two Python workers, PostgreSQL and Node, used from the host; data outlive restarts.
# shellcheck disable=SC2317 # `try` calls functions
. tests/stacks/vm/lib.sh

take voting
mkdir "$test_dir/m/healthchecks"
cat >"$test_dir/m/healthchecks/redis.sh" <<'END'
#!/bin/sh
[ "$(redis-cli -h "$(hostname -i)" ping)" = PONG ]
END
cat >"$test_dir/m/healthchecks/postgres.sh" <<'END'
#!/bin/bash
set -eo pipefail
[ "$(PGPASSWORD=postgres psql -h "$(hostname -i)" -U postgres -d postgres --quiet --no-align --tuples-only -c 'SELECT 1')" = 1 ]
END
chmod +x "$test_dir/m/healthchecks"/*
VOTE_PORT=$(free_port) RESULT_PORT=$(free_port) REDIS_PORT=$(free_port) DB_PORT=$(free_port)
export VOTE_PORT RESULT_PORT REDIS_PORT DB_PORT
up

sql() {
        PGPASSWORD=postgres psql -h 127.0.0.1 -p "$DB_PORT" -U postgres -AtX -c "$1" 2>&1
}
vote() {
        curl -sS -m 20 -d "vote=$1" -d "voter=$2" "http://127.0.0.1:$VOTE_PORT/" >/dev/null
}
counted() {
        curl -sS -m 20 "http://127.0.0.1:$RESULT_PORT/" | grep -F "$1"
}

like "$(curl -sS -m 20 "http://127.0.0.1:$VOTE_PORT/")" '^vote: Tea or Coffee$' "the page"
for i in 1 2 3 4 5; do
        vote a "v$i"
done
# Two workers take votes at once: a voter's second vote is the last one only when the first counts.
is "$(try 60 counted '{"vote":"a","count":5}')" '[{"vote":"a","count":5}]' "votes reach the result"
vote b v5
vote b v6
is "$(try 60 counted '[{"vote":"a","count":4},{"vote":"b","count":2}]')" \
        '[{"vote":"a","count":4},{"vote":"b","count":2}]' "a second vote of the same voter replaces the first"
is "$(sql 'SELECT text FROM notes')" "from the config" "the initial script ran"
is "$(sql 'SHOW lc_collate')" en_US.utf8 "in the image's locale"
is "$(sql "SELECT sum(i) FROM generate_series(1, 200000) i")" \
        20000100000 "a query"
sql 'CREATE TABLE big AS SELECT i, md5(i::text) t FROM generate_series(1, 200000) i' >/dev/null
is "$(sql 'SET max_parallel_workers_per_gather=4; SET parallel_setup_cost=0; SET parallel_tuple_cost=0;
        SET min_parallel_table_scan_size=0; SELECT count(DISTINCT t) FROM big')" \
        "SET
SET
SET
SET
200000" "parallel workers in /dev/shm"
is "$(berth exec voting/db -- df -k --output=size /dev/shm | tail -n 1 | tr -d ' ')" 262144 "shm_size"
is "$(redis-cli -p "$REDIS_PORT" SET greeting hello)" OK "redis from the host"
is "$(berth exec voting/worker/1 -- id -un)" nobody "the image's user"

# ended WHAT: by its log from line $seen on, db ended in order and found that when it came back,
# also when a healthcheck was under way and was killed.
ended() {
        life=$(berth logs voting/db | tail -n +"$((seen + 1))")
        like "$life" 'database system is shut down' "$1: it was shut down, not killed"
        like "$life" 'database system was shut down at' "$1: and found itself in order"
        unlike "$life" 'was interrupted|not properly shut down|abnormal' "$1: it needs no recovery" ||
                printf '%s\n' "$life" | sed 's/^/# /'
}
seen=$(berth logs voting/db | wc -l)
run berth restart voting/db --timeout 120s
is "$code" 0 "restart db" || printf '%s\n' "$out" | sed 's/^/# /'
ended restart
is "$(try 20 sql 'SELECT count(*) FROM big')" 200000 "tables are still there"
run berth restart voting/redis --timeout 60s
is "$code" 0 "restart redis" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(redis-cli -p "$REDIS_PORT" GET greeting)" hello "the append-only file, too"
vote b v7
is "$(try 60 counted '{"vote":"b","count":3}')" \
        '[{"vote":"a","count":4},{"vote":"b","count":3}]' "votes are counted again"

sed -i 's/shm_size: 256m/shm_size: 128m/' "$test_dir/m/vm/voting.yaml"
seen=$(berth logs voting/db | wc -l)
up
ended apply
is "$(sql 'SELECT count(*) FROM big')" 200000 "an apply that replaces db keeps them"
like "$(berth logs voting/worker)" 'vote of v7' "logs of workers"

run berth delete voting --volumes --timeout 60s
is "$code" 0 "delete"
finish
