"""A benchmark's task as training and evaluation see it: one of its text forms, from one source.

Which form a name means is names.py's part.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from prompt_tuning.data.benchmarks.benchmark import Benchmark, Fields, Row
from prompt_tuning.data.benchmarks.rows import BAD_ROW, Source
from prompt_tuning.data.benchmarks.text import UNKNOWN
from prompt_tuning.data.examples import DataError, Examples, Report, examples_from_tokens
from prompt_tuning.data.metrics import Results, illegal_rate, score
from prompt_tuning.data.tables import missing_column
from prompt_tuning.data.tasks import ExamplesTask
from prompt_tuning.data.vocabulary import EOS_ID, ByteVocabulary, Vocabulary


@dataclass(frozen=True)
class Form:
    """How a task differs from T5's own.

    Attributes:
      bytes: made for a byte vocabulary (`byt5_`), not a SentencePiece one.
      taskless: inputs without their first word, the task's name (`taskless_`, `task_index_`).
      task_index: the sentinel that stands before the input tokens instead (`task_index_`).
    """

    bytes: bool = False
    taskless: bool = False
    task_index: int | None = None


@dataclass(frozen=True)
class BenchmarkTask(ExamplesTask):
    """A benchmark's task in T5's text format.

    Attributes:
      name: as the user typed it.
      benchmark: what it is made of.
      source: where its rows come from.
      form: its variant of the text.
      log_examples: whether predictions are also to be shown in TensorBoard (`_examples`).
    """

    name: str
    benchmark: Benchmark
    source: Source
    form: Form = Form()
    log_examples: bool = False

    @property
    def metrics(self) -> Sequence[str]:
        return self.benchmark.metrics

    @property
    def splits(self) -> Collection[str]:
        return self.benchmark.splits.keys()

    @property
    def label_texts(self) -> tuple[str, ...] | None:
        """The legal target texts in order, or None for a free-text task."""
        return None if self.benchmark.labels is None else tuple(self.benchmark.labels)

    def check(self, split: str, vocabulary: Vocabulary) -> None:
        super().check(split, vocabulary)
        self.check_vocabulary(vocabulary)

    def identity(self, split: str) -> dict[str, object]:
        form = self.form
        found = {"definition": [self.benchmark.name, form.taskless, form.task_index]}
        sources = self.source.identity(self.benchmark, split)
        return found if sources is None else found | {"sources": sources}

    def read(
        self, split: str, vocabulary: Vocabulary, inputs_length: int, targets_length: int
    ) -> Examples:
        rows = list(self.examples(split))
        fields = [example for examples in rows for example in examples]
        if not fields:
            raise DataError(f"task {self.name}, split {split!r}: no examples in {len(rows)} rows")
        report = Report(rows_read=len(rows), rows_skipped=sum(not examples for examples in rows))
        return examples_from_tokens(
            [row.get("id", f"{split}:{index}") for index, row in enumerate(fields)],
            fields,
            [[*self.input_tokens(row, vocabulary), EOS_ID] for row in fields],
            [[*vocabulary.encode(row["targets"]), EOS_ID] for row in fields],
            inputs_length,
            targets_length,
            report,
        )

    def score(
        self, examples: Examples, predictions: Sequence[str], vocabulary: Vocabulary
    ) -> dict[str, float]:
        """The benchmark's metrics (percentages) for one predicted text an example, in the examples'
        order, and the illegal rate where there are labels. None of a split whose answers are not
        public: of that there are only predictions.
        """
        if not self._have_answers(examples.fields):
            return {}
        illegal = [] if self.label_texts is None else [illegal_rate.__name__]
        names = dict.fromkeys([*self.metrics, *illegal])
        return self.score_fields(examples.fields, predictions, vocabulary, list(names))

    def score_fields(
        self,
        fields: Sequence[Fields],
        predictions: Sequence[str],
        vocabulary: Vocabulary,
        metrics: Sequence[str],
    ) -> dict[str, float]:
        """As `score`, by the named metrics and on the examples' fields alone.

        Raises DataError where these have no answers to compare with.
        """
        if not self._have_answers(fields):
            raise DataError(
                f"task {self.name}: these examples have no answers to compare with (a test split?): "
                "evaluate another split"
            )
        targets = [row["targets"] for row in fields]
        results = Results(targets, predictions, self.label_texts, fields)
        return score(metrics, results, vocabulary)

    def examples(self, split: str) -> Iterator[list[Fields]]:
        """The text examples of each row of the split, in the task's form; a row may have none.

        Raises DataError by the row's place, also where a split to learn from or to be scored on has
        a row without an answer.
        """
        for where, row in self.source.rows(self.benchmark, split):
            try:
                examples = list(self.benchmark.text(row, split == "train"))
            except KeyError as error:
                raise DataError(f"{where}: {missing_column(error.args[0], list(row))}") from error
            except BAD_ROW as error:
                raise DataError(f"{where}: {error}") from error
            if not split.startswith("test") and _has_no_answer(row, examples):
                raise DataError(f"{where}: no label, which only rows of test splits may lack")
            yield [self._in_form(fields) for fields in examples]

    def input_tokens(self, fields: Fields, vocabulary: Vocabulary) -> list[int]:
        """An example's inputs as tokens, without end of sequence."""
        tokens = vocabulary.encode(fields["inputs"])
        index = self.form.task_index
        return tokens if index is None else [vocabulary.sentinel_id(index), *tokens]

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Raises DataError for a vocabulary of another kind than the task's."""
        if isinstance(vocabulary, ByteVocabulary) == self.form.bytes:
            return
        expected, change = (
            ("bytes", "leave `byt5_` out of")
            if self.form.bytes
            else ("SentencePiece pieces", "put `byt5_` before")
        )
        raise DataError(
            f"task {self.name} is made of {expected}, the model reads {vocabulary.name}: "
            f"{change} the task's name"
        )

    def _have_answers(self, fields: Sequence[Fields]) -> bool:
        """Raises DataError where only some of the examples have one."""
        unknown = [row for row in fields if not row["targets"] or row.get("label") == UNKNOWN]
        if unknown and len(unknown) < len(fields):
            raise DataError(
                f"task {self.name}: example {unknown[0].get('id')!r} has no answer, while others of "
                "its split have"
            )
        return not unknown

    def _in_form(self, fields: Fields) -> Fields:
        if not self.form.taskless:
            return fields
        return fields | {"inputs": re.sub("^[^ ]* ", "", fields["inputs"])}


def _has_no_answer(row: Row, examples: Sequence[Fields]) -> bool:
    return row.get("label") == UNKNOWN or not all(fields["targets"] for fields in examples)
