#!/usr/bin/env bash
# Installs the project with its test extra in .venv, then runs the tests. Arguments go to pytest:
#   bash scripts/test.sh tests/t5 -k cache
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
environment test
exec python -m pytest "$@"
