"""environment.sh makes the environment where there is none, or half of one."""

import os
import pathlib
import shutil
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts/environment.sh"
# In place of Python and its venv; what it is asked to do is appended to a log.
PYTHON = """#!/usr/bin/env bash
echo "$*" >> "$LOG"
if [ "$2" = venv ]; then
  mkdir -p "$3/bin"
  echo ':' > "$3/bin/activate"
fi
"""


@pytest.mark.parametrize("left", ["nothing", "half", "all"])
def test_what_is_missing_is_made(tmp_path, left):
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    if left != "nothing":
        (tmp_path / ".venv/bin").mkdir(parents=True)
    if left == "all":
        (tmp_path / ".venv/bin/activate").write_text(":\n")
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHON": "python",
        "LOG": str(tmp_path / "log"),
    }
    command = f"set -euo pipefail; source {tmp_path}/scripts/environment.sh; environment demo"
    subprocess.run(["bash", "-c", command], env=environment, check=True)
    asked = (tmp_path / "log").read_text()
    assert (f"-m venv {tmp_path}/.venv" in asked) == (left != "all")
    assert f"--editable {tmp_path}[demo]" in asked
