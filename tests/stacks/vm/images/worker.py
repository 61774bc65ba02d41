# SPDX-License-Identifier: Apache-2.0
# Takes votes out of redis and puts them into PostgreSQL.
import json
import signal
import sys
import time

import psycopg2
from redis import Redis
from redis.exceptions import RedisError


def stop(_signal, _frame):
    print("worker stops", flush=True)
    sys.exit(0)


def connect():
    db = psycopg2.connect(host="db", user="postgres", password="postgres", connect_timeout=10)
    db.autocommit = True
    cursor = db.cursor()
    cursor.execute("SELECT pg_advisory_lock(1)")
    cursor.execute("CREATE TABLE IF NOT EXISTS votes (id text PRIMARY KEY, vote text NOT NULL)")
    cursor.execute("SELECT pg_advisory_unlock(1)")
    print("connected", flush=True)
    return db


def main():
    signal.signal(signal.SIGTERM, stop)
    redis = Redis(host="redis", socket_timeout=20)
    db = vote = None
    while True:
        try:
            db = db or connect()
            item = None if vote else redis.blpop("votes", timeout=5)
            vote = json.loads(item[1]) if item else vote
            if vote:
                db.cursor().execute(
                    "INSERT INTO votes VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET vote = %s",
                    (vote["voter"], vote["vote"], vote["vote"]))
                print("vote of %s" % vote["voter"], flush=True)
            vote = None
        except psycopg2.Error as error:  # the vote is kept for the next connection
            print("db: %s" % error, file=sys.stderr)
            db = None
            time.sleep(1)
        except RedisError as error:
            print("redis: %s" % error, file=sys.stderr)
            time.sleep(1)


main()
