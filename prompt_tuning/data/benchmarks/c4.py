"""C4 for pre-training and LM adaptation, from the files of its Hugging Face repository or from
TensorFlow Datasets.

The objectives are data/objectives.py's part, how text becomes rows data/text.py's.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from prompt_tuning.data import objectives
from prompt_tuning.data.benchmarks.rows import tfds_reader
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.paths import PathLike, expand
from prompt_tuning.data.tasks import HELD_OUT_METRIC, Task, TextTask, check_split
from prompt_tuning.data.text import BlockRows, join_documents
from prompt_tuning.data.vocabulary import Vocabulary

# T5's names.
OBJECTIVES = {
    "c4_v220_span_corruption": objectives.SpanCorruption,
    "c4_v220_prefix_lm": objectives.PrefixLM,
}
TFDS = "c4/en:2.2.0"
SPLITS = ("train", "validation")
BLOCK = 8192  # documents that are read at once: some 3.5 million tokens
_SHARDS = "shards of the Hugging Face repository allenai/c4"


def c4_task(
    name: str, data_dir: PathLike | None = None, tfds_data_dir: PathLike | None = None
) -> Task:
    """English C4 under an objective of `OBJECTIVES`: as many shards as `c4_files` finds, or without
    `data_dir` the whole of TensorFlow Datasets' in `tfds_data_dir` (None for its own default).
    """
    if not data_dir:
        return TfdsTextTask(name, tfds_data_dir)
    return TextTask(name, c4_files(name, data_dir), OBJECTIVES[name])


def c4_files(name: str, data_dir: PathLike) -> Mapping[str, str]:
    """Of each split, the pattern of its files. Raises DataError where there are none to train on."""
    files = {split: str(Path(data_dir, "en", f"c4-{split}.*.json.gz")) for split in SPLITS}
    if not expand(files["train"])[0].is_file():
        raise DataError(
            f"{name}: DATA_DIR {data_dir} has no files en/c4-train.*.json.gz: set it to a folder with "
            f"{_SHARDS}, or leave it out for TensorFlow Datasets"
        )
    return files


@dataclass(frozen=True)
class TfdsTextTask:
    """C4 from TensorFlow Datasets, of which a block of documents at a time is read and tokenised,
    by every process; nothing of it is cached.

    Attributes:
      name: of `OBJECTIVES`.
      data_dir: where TFDS has its data; None for its own default.
    """

    name: str
    data_dir: PathLike | None = None

    @property
    def metric(self) -> str:
        return HELD_OUT_METRIC

    @property
    def splits(self) -> Collection[str]:
        return SPLITS

    def rows(
        self,
        split: str,
        vocabulary: Vocabulary,
        inputs_length: int,
        targets_length: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        cache_dir: PathLike | None = None,
    ) -> BlockRows:
        """Corrupted chunks of the split's text; with `shuffle` off always the same."""
        del cache_dir
        check_split(self, split)
        tfds = tfds_reader(self.name, _SHARDS)
        documents = tfds.size(TFDS, split, self.data_dir)
        blocks = max(1, round(documents / BLOCK))

        def read(block: int) -> Int[np.ndarray, "_"]:
            start, stop = (documents * end // blocks for end in (block, block + 1))
            part = f"{split}[{start}:{stop}]"
            rows = tfds.read(TFDS, part, self.data_dir)
            return join_documents((row["text"] for row in rows), vocabulary, f"{TFDS}, {part}")

        objective = OBJECTIVES[self.name](vocabulary, inputs_length, targets_length)
        return BlockRows(read, blocks, objective, seed, shuffle, self.name)
