#!/usr/bin/env bash
# Installs the project in .venv (the light core and matplotlib), then trains a prompt on the model that
# ships with it. Some three minutes on two CPU cores, with the installation. Arguments go to demo.py:
#   bash scripts/demo.sh --task spam
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/environment.sh
environment demo
exec python scripts/demo.py "$@"
