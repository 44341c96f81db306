"""Where the invented benchmark files are, and tasks that read them."""

from pathlib import Path

from prompt_tuning.data.benchmarks.names import find_benchmark
from prompt_tuning.data.benchmarks.rows import Folder

SUPER_GLUE = Path(__file__).parents[2] / "fixtures/benchmarks/super_glue"
OFFICIAL, HUGGING_FACE = SUPER_GLUE / "official", SUPER_GLUE / "hugging_face"


def task_of(name: str, folder: Path = OFFICIAL):
    return find_benchmark(name, Folder(folder))


def texts(name: str, split: str, folder: Path = OFFICIAL) -> list[dict]:
    """The task's text examples."""
    return [fields for row in task_of(name, folder).examples(split) for fields in row]
