#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# git over ssh and http, cgit behind nginx and fcgiwrap; MariaDB: all of it in folders of the host.
. tests/stacks/vm/lib.sh

take forge
mkdir -p "$test_dir/m/gitea/git/.ssh" "$test_dir/m/mysql"
WEB_PORT=$(free_port) SSH_PORT=$(free_port)
export WEB_PORT SSH_PORT
ssh-keygen -q -t ed25519 -N '' -f "$test_dir/key"
cp "$test_dir/key.pub" "$test_dir/m/gitea/git/.ssh/authorized_keys"
up

export GIT_SSH_COMMAND="ssh -i $test_dir/key -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=$test_dir/known"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
url=ssh://git@127.0.0.1:$SSH_PORT/data/git/demo.git
git init -q -b main "$test_dir/w"
cd "$test_dir/w" || exit 1
seq 1 20000 >numbers
git add numbers
git -c user.name=t -c user.email=t@t.test commit -q -m first
run timeout 60 git push -q "$url" main
is "$code" 0 "push over ssh" || printf '%s\n' "$out" | sed 's/^/# /'
cd - >/dev/null || exit 1
like "$(curl -sS -m 30 "http://127.0.0.1:$WEB_PORT/demo.git/log/")" first "cgit shows the commit"
run timeout 60 git clone -q "http://127.0.0.1:$WEB_PORT/demo.git" "$test_dir/c"
is "$code" 0 "clone over http" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(tail -n 1 "$test_dir/c/numbers")" 20000 "what was pushed"
is "$(berth exec forge/server -- stat -c %U:%u /data/git/demo.git/HEAD)" git:1234 "repositories are of USER_UID"
like "$(berth logs forge/server)" 'GET /demo.git/log/' "nginx logs to /dev/stdout"

sql() {
        berth exec forge/db -- mariadb --user=root --password=gitea -N -B gitea -e "$1" 2>&1
}
sql 'CREATE TABLE t (a INT) ENGINE=InnoDB; INSERT INTO t VALUES (1), (2)'
is "$(sql 'SELECT SUM(a) FROM t')" 3 "a table in a folder of the host"
[ -f "$test_dir/m/mysql/gitea/t.ibd" ]
ok $? "it is there"
run berth restart forge --timeout 240s
is "$code" 0 "restart all" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(sql 'SELECT SUM(a) FROM t')" 3 "the table is still there"
run timeout 60 git ls-remote "$url"
like "$out" 'refs/heads/main' "and the repository, with the same host key"
run berth delete forge --volumes --timeout 60s
is "$code" 0 "delete"
[ -f "$test_dir/m/mysql/gitea/t.ibd" ]
ok $? "folders of the host are not volumes"
finish
