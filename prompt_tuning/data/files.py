"""Tasks in plain TSV, CSV or JSONL files, defined by a handful of values: "your own task in one gin
file".

Reading rows is tables.py's part; tasks from seqio are in seqio_tasks/.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from prompt_tuning.data.examples import (
    DataError,
    Examples,
    Report,
    examples_from_tokens,
    label_texts,
)
from prompt_tuning.data.metrics import Results, check_metrics, illegal_rate, score
from prompt_tuning.data.paths import Paths, expand, file_hash
from prompt_tuning.data.tables import Columns, RowError, nearest, read_table
from prompt_tuning.data.tasks import ExamplesTask, MixtureTask, Task
from prompt_tuning.data.templates import column_names, fill, without_control_characters
from prompt_tuning.data.vocabulary import EOS_ID, Vocabulary

_SKIPPED_SHOWN = 10


@dataclass(frozen=True)
class FilesTask(ExamplesTask):
    """A text-to-text task read from files.

    Attributes:
      name: what the task is called in reports and cache files.
      files: path, or several, of each split; `*` in a file's name matches any.
      inputs, targets: a column's name, or a template such as `"premise: {premise} hypothesis:
        {hypothesis}"`.
      labels: the texts that are legal targets, or a mapping from what the file says to those texts.
      id_column: the column of example ids; without one an id is `file:row`.
      metrics: names in data/metrics.
      on_bad_row: "fail" stops at the first malformed row, "skip" leaves such rows out and counts
        them.

    Malformed is a row with a missing column, a value that is no text, number or truth value, bad
    UTF-8, empty inputs or targets, a target that is no label, or an id that was there before.
    Surrounding white space is cut off; control characters other than tab and line ends become
    spaces, and the rows where that happened are counted.
    """

    name: str
    files: Mapping[str, Paths]
    inputs: str = "inputs"
    targets: str = "targets"
    labels: Sequence[str] | Mapping[str, str] | None = None
    id_column: str | None = None
    metrics: Sequence[str] = ("accuracy",)
    on_bad_row: str = "fail"

    def __post_init__(self):
        if self.on_bad_row not in ("fail", "skip"):
            raise DataError(
                f"task {self.name}: on_bad_row is 'fail' or 'skip', found {self.on_bad_row!r}"
            )
        if not isinstance(self.files, Mapping):
            raise DataError(
                f"task {self.name}: files (DATA_FILES) must be a mapping from splits to paths, found "
                f"{self.files!r}"
            )
        if self.labels is not None:
            self._check_label_types()
        check_metrics(self.metrics, self.labels is not None, fields=("inputs", "targets"))

    def _check_label_types(self) -> None:
        if not self.labels:
            raise DataError(f"task {self.name}: labels is empty: leave it out for free text")
        labels = self.labels
        if isinstance(labels, str) or not all(isinstance(x, str) for x in label_texts(labels)):
            raise DataError(
                f"task {self.name}: labels (CLASS_LABELS) must be a list of texts, or a mapping to texts, "
                f"found {labels!r}"
            )

    @property
    def splits(self) -> Collection[str]:
        return self.files.keys()

    @property
    def label_texts(self) -> tuple[str, ...] | None:
        """The legal target texts in order, or None for a free-text task."""
        return None if self.labels is None else label_texts(self.labels)

    def identity(self, split: str) -> dict[str, object]:
        definition = [self.inputs, self.targets, self.labels, self.id_column, self.on_bad_row]
        paths = expand(self.files[split])
        found = {"definition": definition, "files": [path.name for path in paths]}
        if not all(path.is_file() for path in paths):
            return found
        return found | {"sources": [file_hash(path) for path in paths]}

    def read(
        self, split: str, vocabulary: Vocabulary, inputs_length: int, targets_length: int
    ) -> Examples:
        """Raises DataError by file and row."""
        self._check_labels(vocabulary, targets_length)
        paths = expand(self.files[split])
        if not paths:
            raise DataError(f"task {self.name}, split {split!r}: no data files: check DATA_FILES")
        skipped: list[str] = []
        rows = self._usable_rows(paths, vocabulary, skipped)
        if not rows:
            raise DataError(
                f"task {self.name}: none of {len(skipped)} rows is usable; {skipped[0]}"
            )
        report = Report(
            rows_read=len(rows) + len(skipped),
            rows_skipped=len(skipped),
            first_skipped=tuple(skipped[:_SKIPPED_SHOWN]),
            control_characters_replaced=sum(row.cleaned for row in rows),
        )
        ids, fields, inputs, targets, _ = zip(*rows)
        return examples_from_tokens(
            ids, fields, inputs, targets, inputs_length, targets_length, report
        )

    def score(
        self, examples: Examples, predictions: Sequence[str], vocabulary: Vocabulary
    ) -> dict[str, float]:
        """The task's metrics (percentages) for one predicted text an example, in the examples'
        order.

        A task with labels gets its illegal rate, asked for or not: it tells a prompt that has not
        learned the task from one that has not learned what the answers are.
        """
        results = Results(
            [row["targets"] for row in examples.fields],
            predictions,
            self.label_texts,
            examples.fields,
        )
        names = (
            self.metrics
            if self.labels is None
            else dict.fromkeys([*self.metrics, illegal_rate.__name__])
        )
        return score(list(names), results, vocabulary)

    def _usable_rows(
        self, paths: Sequence[Path], vocabulary: Vocabulary, skipped: list[str]
    ) -> list["_Row"]:
        """The rows in file order; what is wrong with the others goes to `skipped`, if the task
        skips, or ends it.
        """
        rows: dict[str, _Row] = {}
        names_differ = len({path.name for path in paths}) == len(paths)
        for path in paths:
            name = path.name if names_differ else str(path)
            if not path.is_file():
                raise DataError(f"task {self.name}: no data file {path}: check DATA_FILES")
            for number, columns in read_table(path, self._columns):
                try:
                    row = self._row(columns, f"{name}:{number}", vocabulary)
                    if row.id in rows:
                        raise RowError(f"id {row.id!r:.80} was there before")
                    rows[row.id] = row
                except RowError as error:
                    skipped.append(f"{path}, row {number}: {error}")
                    if self.on_bad_row == "fail":
                        raise DataError(
                            f"{skipped[-1]}; FilesTask.on_bad_row = 'skip' leaves such rows out"
                        ) from error
        return list(rows.values())

    @property
    def _columns(self) -> dict[str, str]:
        """Names of columns, and the flags that ask for them."""
        names = dict.fromkeys(column_names(self.inputs), "INPUTS")
        names |= dict.fromkeys(column_names(self.targets), "TARGETS")
        return names | ({self.id_column: "ID_COLUMN"} if self.id_column else {})

    def _row(self, columns: Columns | RowError, place: str, vocabulary: Vocabulary) -> "_Row":
        if isinstance(columns, RowError):
            raise columns
        raw = [fill(self.inputs, columns), fill(self.targets, columns)]
        clean = [without_control_characters(text) for text in raw]
        fields = {"inputs": clean[0].strip(), "targets": self._label(clean[1].strip())}
        tokens = {side: vocabulary.encode(text) for side, text in fields.items()}
        for side, text in fields.items():
            if not tokens[side]:
                raise RowError(
                    f"the {side} are empty"
                    if not text
                    else f"{vocabulary.name} has no tokens for {side} {text!r:.80}"
                )
        name = fill(self.id_column, columns).strip() if self.id_column else place
        if not name:
            raise RowError(f"column {self.id_column!r} (the id) is empty")
        return _Row(
            name, fields, [*tokens["inputs"], EOS_ID], [*tokens["targets"], EOS_ID], clean != raw
        )

    def _label(self, raw: str) -> str:
        if self.labels is None or not raw:
            return raw
        labels = self._label_of_raw
        if raw not in labels:
            raise RowError(
                f"unknown label {raw!r:.80}; the task's are {', '.join(map(repr, labels))}"
                f"{nearest(raw, list(labels))}: change CLASS_LABELS or FilesTask.labels"
            )
        return labels[raw]

    @property
    def _label_of_raw(self) -> dict[str, str]:
        return (
            dict(self.labels)
            if isinstance(self.labels, Mapping)
            else {label: label for label in self.labels}
        )

    def _check_labels(self, vocabulary: Vocabulary, targets_length: int) -> None:
        seen: dict[str, str] = {}
        for label in self.label_texts or ():
            tokens = [*vocabulary.encode(label), EOS_ID]
            if len(tokens) > targets_length:
                raise DataError(
                    f"task {self.name}: label {label!r:.80} has {len(tokens)} tokens with the end of "
                    f"sequence, which targets {targets_length} in TASK_FEATURE_LENGTHS would cut to "
                    "what is no label: raise them"
                )
            text = vocabulary.decode(tokens[:-1])
            if text in seen:
                raise DataError(
                    f"task {self.name}: {vocabulary.name} reads labels {seen[text]!r} and "
                    f"{label!r} both as {text!r}: change one"
                )
            seen[text] = label


class _Row(NamedTuple):
    id: str
    fields: dict[str, str]
    inputs: list[int]
    targets: list[int]
    cleaned: bool


def files_mixture(
    name: str,
    folder: str,
    rates: Mapping[str, float | int],
    tasks: Mapping[str, Task] = MappingProxyType({}),
    task_rates: Mapping[str, float | int] = MappingProxyType({}),
) -> MixtureTask:
    """A mixture of many training files of one form: `folder/NAME.tsv`, with columns inputs and
    targets.

    Args:
      name: of the mixture.
      folder: where the files lie.
      rates: name of a file, without its ending -> its rate.
      tasks: other tasks in the mixture, by name.
      task_rates: their rates.
    """
    of_files = {
        file: FilesTask(file, {"train": str(Path(folder, f"{file}.tsv"))}, on_bad_row="skip")
        for file in rates
    }
    return MixtureTask(name, of_files | dict(tasks), dict(rates) | dict(task_rates))
