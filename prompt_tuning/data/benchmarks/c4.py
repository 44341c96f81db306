"""C4 for pre-training and LM adaptation, from the files of its Hugging Face repository."""

from pathlib import Path

from prompt_tuning.data import objectives
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.paths import PathLike, expand
from prompt_tuning.data.tasks import TextTask

# T5's names.
OBJECTIVES = {
    "c4_v220_span_corruption": objectives.SpanCorruption,
    "c4_v220_prefix_lm": objectives.PrefixLM,
}


def c4_task(name: str, data_dir: PathLike | None) -> TextTask:
    """English C4 under an objective of `OBJECTIVES`, from `data_dir`/en/c4-train.*.json.gz.

    As many shards as are there are read; all of them do not fit into a host's memory (data/text.py).
    Raises DataError where the folder has none.
    """
    files = {
        split: str(Path(data_dir or "", "en", f"c4-{split}.*.json.gz"))
        for split in ("train", "validation")
    }
    if data_dir is None or not expand(files["train"])[0].is_file():
        raise DataError(
            f"{name}: DATA_DIR is {data_dir}, without files en/c4-train.*.json.gz: set it to a folder "
            "with shards of the Hugging Face repository allenai/c4"
        )
    return TextTask(name, files, OBJECTIVES[name])
