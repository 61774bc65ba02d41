# SPDX-License-Identifier: Apache-2.0
# Takes votes out of redis and puts them into PostgreSQL.
import json
import signal
import sys
import time

import psycopg2
from redis import Redis


def stop(_signal, _frame):
    print("worker stops", flush=True)
    sys.exit(0)


def main():
    signal.signal(signal.SIGTERM, stop)
    redis = Redis(host="redis")
    while True:
        try:
            db = psycopg2.connect(host="db", user="postgres", password="postgres")
            break
        except psycopg2.OperationalError as error:
            print("waiting for db: %s" % error, file=sys.stderr)
            time.sleep(1)
    db.autocommit = True
    cursor = db.cursor()
    cursor.execute("SELECT pg_advisory_lock(1)")
    cursor.execute("CREATE TABLE IF NOT EXISTS votes (id text PRIMARY KEY, vote text NOT NULL)")
    cursor.execute("SELECT pg_advisory_unlock(1)")
    print("connected", flush=True)
    while True:
        item = redis.blpop("votes", timeout=0)
        vote = json.loads(item[1])
        cursor.execute("INSERT INTO votes VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET vote = %s",
                       (vote["voter"], vote["vote"], vote["vote"]))
        print("vote of %s" % vote["voter"], flush=True)


main()
