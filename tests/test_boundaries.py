"""Who may import what: gin only at the edge, seqio and TensorFlow only in the seqio provider."""

import ast
import pathlib

import prompt_tuning

PACKAGE = pathlib.Path(prompt_tuning.__file__).parent
ALLOWED = {
    "gin": ("gin_registration.py", "cli/", "t5x/"),
    "seqio": ("data/seqio_tasks/", "t5x/"),
    "tensorflow": ("data/seqio_tasks/", "t5x/"),
    "tensorflow_datasets": ("data/seqio_tasks/",),
    "t5x": ("t5x/",),
}


def imported(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_imports_stay_within_their_bounds():
    found = {
        (str(file.relative_to(PACKAGE)), name)
        for file in PACKAGE.rglob("*.py")
        for name in imported(file)
        if name in ALLOWED
    }
    assert any(name == "gin" for _, name in found)
    outside = [(file, name) for file, name in found if not file.startswith(ALLOWED[name])]
    assert not outside


def test_only_entry_points_reach_the_edge():
    users = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if "prompt_tuning.cli" in file.read_text(encoding="utf-8")
        and not file.is_relative_to(PACKAGE / "cli")
    }
    entry_points = {"train.py", "eval.py", "infer.py", "compile.py", "experiments/sweep.py"}
    assert users == entry_points
