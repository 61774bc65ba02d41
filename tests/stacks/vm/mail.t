#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Mail by SMTP through postfix and LMTP into dovecot, read by IMAP; the mailbox outlives restarts.
# shellcheck disable=SC2317 # `try` calls functions
. tests/stacks/vm/lib.sh

take mail
mkdir -p "$test_dir/m/data/logs"
SMTP_PORT=$(free_port) IMAP_PORT=$(free_port)
export SMTP_PORT IMAP_PORT
up

is "$(berth exec mail/mailserver -- hostname -f)" mail.example.com "the full host name"
send() { # SUBJECT
        printf 'From: a@b.test\nTo: post@example.com\nSubject: %s\n\nhello\n' "$1" >"$test_dir/letter"
        curl -sS -m 60 --mail-from a@b.test --mail-rcpt post@example.com -T "$test_dir/letter" \
                "smtp://127.0.0.1:$SMTP_PORT/client.test"
}
letter() { # NUMBER: once it is there
        curl -sS -m 30 -u post@example.com:geheim "imap://127.0.0.1:$IMAP_PORT/INBOX;MAILINDEX=$1" |
                tr -d '\r' | sed -n 's/^Subject: //p' | grep .
}
send one
is $? 0 "SMTP takes a letter"
is "$(try 30 letter 1)" one "IMAP gives it out"
like "$(cat "$test_dir/m/data/logs/mail.log")" 'status=sent' "the log is in a folder of the host"
is "$(berth exec mail/mailserver -- sh -c 'stat -c %U /var/mail/example.com/post')" vmail "the mailbox is vmail's"
run berth restart mail/mailserver --timeout 120s
is "$code" 0 "restart" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(try 30 letter 1)" one "the letter is still there"
send two
is "$(try 30 letter 2)" two "and the next one comes"
run berth delete mail --volumes --timeout 60s
is "$code" 0 "delete"
finish
