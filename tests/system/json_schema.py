#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""schema/stack.schema.json against what the loader says, by a validator that is not ours.

For each manifest of the tests: when `berth validate` takes it, the schema must; when berth finds an
unknown or refused key or a value of a wrong type, the schema must refuse it, too. Other findings
(names that lead nowhere, clashing ports) are beyond a schema.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

import jsonschema
import yaml

STRUCTURE = {"unknown-key", "unsupported-key", "bad-type"}


class Loader(yaml.SafeLoader):
    """YAML 1.2's types, as editors have them."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^(?:[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+)$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("merge", r"^<<$", ["<"]),
):
    Loader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(pattern), list(first))
RESET = object()
Loader.add_constructor("!reset", lambda loader, node: RESET)


def override(loader, node):
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


Loader.add_constructor("!override", override)
# The value of a number does not matter here, and PyYAML reads some in another way.
Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: number(node.value))


def number(text):
    try:
        return int(text.replace("_", ""), 8 if re.match(r"^[-+]?0[0-7]", text) else 0)
    except ValueError:
        return 1


def text_keys(value):
    """Keys are text to JSON Schema; what is reset is not there."""
    if isinstance(value, dict):
        return {str(k): text_keys(v) for k, v in value.items() if v is not RESET}
    if isinstance(value, list):
        return [text_keys(v) for v in value]
    return value


def without_off(doc):
    """A schema cannot know which profiles are on: what a VM cannot do is taken in the others."""
    services = doc.get("services") if isinstance(doc, dict) else None
    if isinstance(services, dict):
        kept = {k: v for k, v in services.items() if not (isinstance(v, dict) and "profiles" in v)}
        doc = dict(doc, services=kept)
    return doc


def cases(path):
    """(title, {file: text}, [NAME=VALUE]) of a conformance file."""
    case = None
    for line in open(path, encoding="utf-8").read().split("\n"):
        if line.startswith("== "):
            if case:
                yield case
            case = (line[3:], {}, [])
            part = None
        elif line.startswith("-- ") and case:
            words = line[3:].split(" ", 1)
            part = {"service": "service", "stack": "stack.yaml"}.get(words[0])
            if words[0] == "file":
                part = words[1]
            elif words[0] == "env":
                case[2].append(words[1])
            if part:
                case[1][part] = ""
        elif case and part:
            case[1][part] += line + "\n"
    if case:
        yield case


def stack_of(body):
    head = "services:\n  web:\n"
    if "image:" not in body and "build:" not in body:
        head += "    image: a\n"
    return head + "".join("    " + line + "\n" for line in body.rstrip("\n").split("\n"))


class Check:
    def __init__(self, berth, schema):
        self.berth = berth
        self.validator = jsonschema.Draft7Validator(schema)
        self.failed = 0
        self.count = 0

    def docs(self, text):
        try:
            return [text_keys(d) for d in yaml.load_all(text, Loader) if d is not None]
        except yaml.YAMLError:
            return None

    def run(self, title, folder, files, environ):
        command = [self.berth, "validate", "-o", "json"]
        for file in files:
            command += ["-f", file]
        env = {"HOME": "/home/me", "PATH": os.environ["PATH"]}
        env.update(e.split("=", 1) for e in environ)
        done = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
        try:
            findings = json.loads(done.stdout)
        except ValueError:
            return self.fail(title, "berth says " + done.stderr.decode())
        errors = [f for f in findings if f["severity"] == "error"]
        refused = []
        for file in files:
            docs = self.docs(open(os.path.join(folder, file), encoding="utf-8", newline="").read())
            for doc in docs or []:
                refused += list(self.validator.iter_errors(doc if errors else without_off(doc)))
        self.count += 1
        if not errors and refused:
            return self.fail(title, "the schema refuses: %s" % refused[0].message[:300])
        structure = [f for f in errors if f["code"] in STRUCTURE and f.get("file") in files]
        if structure and not refused:
            return self.fail(title, "the schema takes what berth refuses: %s" % structure[0])
        return None

    def fail(self, title, why):
        self.failed += 1
        print("# %s: %s" % (title, why))


def modeline(path):
    found = re.search(r"^# yaml-language-server: \$schema=(\S+)$",
                      open(path, encoding="utf-8").read(), re.M)
    return found and os.path.samefile(os.path.join(os.path.dirname(path), found.group(1)),
                                      "schema/stack.schema.json")


def main():
    berth = os.path.abspath(sys.argv[1])
    schema = json.load(open("schema/stack.schema.json", encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    print("ok 1 - the schema is one")
    check = Check(berth, schema)
    for path in sorted(glob.glob("tests/conformance/*/*.txt")):
        for title, parts, environ in cases(path):
            with tempfile.TemporaryDirectory() as folder:
                for name, text in parts.items():
                    if name == "service":
                        name, text = "stack.yaml", stack_of(text)
                    target = os.path.join(folder, name)
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    open(target, "w", encoding="utf-8").write(text)
                files = ["stack.yaml"] + [n for n in parts if n.startswith("over")]
                check.run("%s: %s" % (path, title), folder, files, environ)
    print("%s 2 - %d conformance cases" % ("not ok" if check.failed else "ok", check.count))
    failed = check.failed
    others = sorted(glob.glob("tests/stacks/*.yaml") + glob.glob("tests/unit/schema/stacks/**/*.y*ml", recursive=True)
                    + glob.glob("manifests/examples/**/*.y*ml", recursive=True))
    for path in others:
        check.run(path, os.path.dirname(path), [os.path.basename(path)], [])
    print("%s 3 - %d stacks and examples" % ("not ok" if check.failed > failed else "ok",
                                           len(others)))
    lost = [p for p in glob.glob("manifests/examples/**/*.y*ml", recursive=True) if not modeline(p)]
    print("%s 4 - each example names the schema in its modeline %s"
          % ("not ok" if lost else "ok", " ".join(lost)))
    print("1..4")
    return check.failed > 0 or bool(lost)


sys.exit(main())
