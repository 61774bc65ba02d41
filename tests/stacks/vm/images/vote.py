# SPDX-License-Identifier: Apache-2.0
# A vote goes into a list of redis.
import json
import os
import socket

from flask import Flask, request
from redis import Redis

app = Flask(__name__)


@app.route("/", methods=["GET", "POST"])
def vote():
    if request.method == "POST":
        item = {"vote": request.form["vote"], "voter": request.form["voter"]}
        Redis(host="redis", socket_timeout=5).rpush("votes", json.dumps(item))
    return "%s: %s or %s\n" % (
        socket.gethostname(), os.getenv("OPTION_A", "Cats"), os.getenv("OPTION_B", "Dogs"))
