#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The JSON Schema and the loader agree on all manifests of the tests, by Debian's python3-jsonschema.
set -u
if ! /usr/bin/python3 -c 'import jsonschema, yaml' 2>/dev/null; then
        echo "1..0 # SKIP python3-jsonschema or python3-yaml is not installed"
        exit 0
fi
exec /usr/bin/python3 tests/system/json_schema.py "${BUILD:-build}/bin/berth"
