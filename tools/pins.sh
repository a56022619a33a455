#!/usr/bin/env bash
# Prints the `pip:` list of conda.yaml, one requirement a line; needs no Python, so set-up can start
# from it.
set -euo pipefail
awk '/^ *- pip:/ { listed = 1; next } listed && $1 == "-" { print $2 }' \
    "$(dirname "${BASH_SOURCE[0]}")/../conda.yaml"
