"""The project's own data in SuperGLUE's layout is read as the benchmark's files are."""

import subprocess
import sys

import pytest

from prompt_tuning.data.find_task import find_task


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pytestconfig):
    folder = tmp_path_factory.mktemp("superglue")
    script = pytestconfig.rootpath / "scripts/make_superglue_format.py"
    subprocess.run([sys.executable, script, folder], check=True)
    return folder


@pytest.mark.parametrize(
    ("name", "labels", "start"),
    [
        ("super_glue_rte_v102", {"entailment", "not_entailment"}, "rte hypothesis: "),
        ("super_glue_boolq_v102", {"True", "False"}, "boolq passage: "),
        ("super_glue_wic_v102", {"True", "False"}, "wic sentence1: "),
    ],
)
def test_each_split_is_read_with_its_labels(folder, name, labels, start):
    task = find_task(name, data_dir=str(folder))
    for split in ("train", "validation", "test"):
        examples = [fields for row in task.examples(split) for fields in row]
        assert len(examples) > 100
        assert {fields["targets"] for fields in examples} == labels
        assert all(fields["inputs"].startswith(start) for fields in examples)
