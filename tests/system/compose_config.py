#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`berth config` against `docker-compose config` (Debian's 1.29) on the stacks in tests/stacks.

Both results are brought to one form and compared key by key. What 1.29 cannot read is listed with
its reason; what differs must be in EXPLAINED. docs/compose-config.md is made from the outcome
(UPDATE=1 writes it) and must be up to date.
"""
import glob
import json
import os
import re
import shlex
import subprocess
import sys

import yaml

DOCS = "docs/compose-config.md"
# key: why both tools may differ there
EXPLAINED = {
    "networks": "container_name and links are aliases in berth; Compose keeps them apart",
    "depends_on": "links imply depends_on in berth",
}
UNITS = {"h": 3600000, "m": 60000, "s": 1000, "ms": 1}


def run(command, folder):
    env = {"HOME": "/home/me", "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def words(value):
    return None if value is None else value if isinstance(value, list) else shlex.split(value)


def duration(value):
    parts = re.findall(r"([0-9.]+)(ms|h|m|s)", str(value))
    return sum(float(n) * UNITS[u] for n, u in parts)


def size(value):
    match = re.match(r"^([0-9.]+) *([bkmgt]?)", str(value).lower())
    return int(float(match.group(1)) * 1024 ** "bkmgt".index(match.group(2) or "b"))


def port(value):
    if isinstance(value, dict):
        return "%s:%s:%s/%s" % (value.get("host_ip", ""), value.get("published", ""),
                                value["target"], value.get("protocol", "tcp"))
    text, _, protocol = str(value).partition("/")
    parts = ([""] * 3 + text.split(":"))[-3:]
    return "%s/%s" % (":".join(parts), protocol or "tcp")


def volume(value):
    if isinstance(value, dict):
        read_only = value.get("read_only", False)
        return "%s:%s:%s" % (value.get("source", ""), value["target"].rstrip("/"),
                             "ro" if read_only else "rw")
    parts = value.split(":")
    if len(parts) == 1:
        parts = ["", parts[0]]
    options = parts[2].split(",") if len(parts) > 2 else []
    return "%s:%s:%s" % (parts[0], parts[1].rstrip("/"), "ro" if "ro" in options else "rw")


def pairs(value):
    if isinstance(value, list):
        value = dict((v.split("=", 1) + [""])[:2] for v in value)
    return {k: "" if v is None else str(v) for k, v in (value or {}).items()}


def networks(value):
    value = value if isinstance(value, dict) else {k: None for k in value or ["default"]}
    return {k: {"aliases": sorted((v or {}).get("aliases", [])), "ip": (v or {}).get("ipv4_address")}
            for k, v in value.items()}


def health(value):
    if not value:
        return None
    result = {k: duration(value[k]) for k in ("interval", "timeout", "start_period") if k in value}
    test = value.get("test")
    if test:
        result["test"] = ["CMD-SHELL", test] if isinstance(test, str) else test
    if value.get("retries") is not None:
        result["retries"] = value["retries"]
    if value.get("disable"):
        result["disable"] = True
    return result


def depends(value):
    value = value if isinstance(value, dict) else {k: {} for k in value or []}
    return {k: v.get("condition", "service_started") for k, v in value.items()}


def service(s):
    """One form for both tools."""
    limits = s.get("deploy", {}).get("resources", {}).get("limits", {})
    restart = s.get("restart", "no")
    policy = s.get("deploy", {}).get("restart_policy")
    if policy:
        restart = {"any": "always", "none": "no"}.get(policy["condition"], policy["condition"])
        if policy.get("max_attempts"):
            restart += ":%d" % policy["max_attempts"]
    memory = s.get("mem_limit", limits.get("memory"))
    tmpfs = [":%s:rw" % t.split(":")[0] for t in words(s.get("tmpfs")) or []]
    ulimits = s.get("ulimits", {})
    return {
        "image": s.get("image"),
        "command": words(s.get("command")),
        "entrypoint": words(s.get("entrypoint")),
        "environment": pairs(s.get("environment")),
        "labels": pairs(s.get("labels")),
        "sysctls": pairs(s.get("sysctls")),
        "ports": sorted(port(p) for p in s.get("ports", [])),
        "volumes": sorted([volume(v) for v in s.get("volumes", [])] + tmpfs),
        "networks": networks(s.get("networks")),
        "depends_on": depends(s.get("depends_on")),
        "healthcheck": health(s.get("healthcheck")),
        "restart": restart,
        "replicas": s.get("scale", s.get("deploy", {}).get("replicas", 1)),
        "memory": size(memory) if memory is not None else None,
        "cpus": float(s.get("cpus", limits.get("cpus", 0))),
        "shm_size": size(s["shm_size"]) if "shm_size" in s else None,
        "cap_add": sorted(s.get("cap_add", [])),
        "dns": words(s.get("dns")),
        "stop": duration(s.get("stop_grace_period", "10s")),
        "ulimits": {k: v if isinstance(v, dict) else {"soft": v, "hard": v}
                    for k, v in ulimits.items()},
        "secrets": sorted(x if isinstance(x, str) else x["source"] for x in s.get("secrets", [])),
        "configs": sorted(x if isinstance(x, str) else x["source"] for x in s.get("configs", [])),
        "flags": [bool(s.get(k)) for k in ("tty", "stdin_open", "read_only", "privileged", "init")],
        "names": [s.get(k) for k in ("user", "working_dir", "hostname", "domainname",
                                     "stop_signal", "network_mode")],
    }


def unescape(value):
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [unescape(v) for v in value]
    if isinstance(value, dict):
        return {k: unescape(v) for k, v in value.items()}
    return value


def compare(path, berth, rows):
    """The number of differences that nothing explains."""
    folder, file = os.path.split(path)
    name = file[:-5]
    code, out, error = run(["docker-compose", "-f", file, "config"], folder)
    if code != 0:
        reason = " ".join(line.strip() for line in error.strip().split("\n")[1:] or [error.strip()])
        rows.append("| %s | not read by 1.29 | %s |" % (name, reason[:160].replace("|", "/")))
        return 0
    theirs = unescape(yaml.safe_load(out))
    code, out, error = run([berth, "config", "-o", "json", "-f", file], folder)
    if code != 0:
        print("# %s: berth: %s" % (name, error))
        return 1
    ours = json.loads(out)
    bad = 0
    same = True
    if set(theirs["services"]) != set(ours["services"]):
        print("# %s: services %s" % (name, sorted(set(theirs["services"]) ^ set(ours["services"]))))
        return 1
    for one in sorted(ours["services"]):
        left, right = service(theirs["services"][one]), service(ours["services"][one])
        for key in left:
            if left[key] == right[key]:
                continue
            same = False
            if key in EXPLAINED:
                rows.append("| %s | %s.%s | %s |" % (name, one, key, EXPLAINED[key]))
            else:
                bad += 1
                print("# %s.%s.%s: compose %s, berth %s" % (name, one, key, left[key], right[key]))
    if same:
        rows.append("| %s | equal | |" % name)
    return bad


def golden(path, berth):
    """`berth config` gives what tests/stacks/expected has, and reading that back gives the same."""
    folder, file = os.path.split(path)
    expected = os.path.join(folder, "expected", file)
    _, text, error = run([berth, "config", "-f", file], folder)
    shown = text.replace(os.path.abspath(folder), "/DIR")
    if os.environ.get("UPDATE"):
        os.makedirs(os.path.dirname(expected), exist_ok=True)
        open(expected, "w", encoding="utf-8").write(shown)
    if not os.path.exists(expected) or open(expected, encoding="utf-8").read() != shown:
        print("# %s: not as %s has it %s" % (path, expected, error))
        return 1
    _, again, error = run([berth, "config", "-f", os.path.join("expected", file)], folder)
    if again != shown:
        print("# %s: reading it back gives another result %s" % (expected, error))
        return 1
    return 0


def main():
    berth = os.path.abspath(sys.argv[1])
    rows = []
    number = 0
    failed = 0
    paths = sorted(glob.glob("tests/stacks/*.yaml"))
    for path in paths:
        bad = compare(path, berth, rows) + golden(path, berth)
        number += 1
        failed += bad > 0
        print("%s %d - %s" % ("not ok" if bad else "ok", number, path))
    text = ("# berth config and docker-compose config\n\nThe stacks in tests/stacks, read by Debian's "
            "docker-compose 1.29 and by berth, key by key\n(tests/system/compose_config.t makes this "
            "table; UPDATE=1 writes it).\n\n| Stack | Difference | Why |\n|---|---|---|\n"
            + "\n".join(rows) + "\n")
    if os.environ.get("UPDATE"):
        open(DOCS, "w", encoding="utf-8").write(text)
    number += 1
    same = os.path.exists(DOCS) and open(DOCS, encoding="utf-8").read() == text
    failed += not same
    print("%s %d - %s" % ("ok" if same else "not ok", number, DOCS))
    print("1..%d" % number)
    return failed > 0 or len(paths) < 20


sys.exit(main())
