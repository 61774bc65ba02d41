#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `berth config` and `docker-compose config` mean the same by the stacks in tests/stacks.
set -u
if ! command -v docker-compose >/dev/null || ! /usr/bin/python3 -c 'import yaml' 2>/dev/null; then
        echo "1..0 # SKIP docker-compose or python3-yaml is not installed"
        exit 0
fi
exec /usr/bin/python3 tests/system/compose_config.py "${BUILD:-build}/bin/berth"
