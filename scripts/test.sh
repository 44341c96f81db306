#!/usr/bin/env bash
# Installs the project in .venv, with seqio's TensorFlow so that its tests run too, then runs the
# tests. Arguments go to pytest:
#   bash scripts/test.sh tests/t5 -k cache
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
environment test,seqio
exec python -m pytest "$@"
