# shellcheck shell=bash
# Sourced by demo.sh, test.sh and tpu/worker.sh: `environment EXTRAS` makes .venv beside setup.py,
# installs the project there with the given extras, and puts its Python first on PATH. A second call
# is quick.

environment() {
  local root python=${PYTHON:-python3}
  root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "Python 3.10 or newer is needed; PYTHON=$python is $("$python" --version 2>&1)." >&2
    return 1
  }
  # Where venv fails, as without ensurepip, it leaves a folder that has no activate.
  [ -f "$root/.venv/bin/activate" ] || "$python" -m venv "$root/.venv"
  # shellcheck disable=SC1091
  source "$root/.venv/bin/activate"
  python -m pip install --quiet --disable-pip-version-check --editable "${root}[$1]"
}
