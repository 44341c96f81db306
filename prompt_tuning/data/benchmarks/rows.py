"""The rows of a split of a benchmark: from files in a folder, or from TensorFlow Datasets.

Reading single files is formats.py's part; what text becomes of a row, the benchmark's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable

from prompt_tuning.data.benchmarks import formats
from prompt_tuning.data.benchmarks.benchmark import Benchmark, Files, Row
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.paths import PathLike, file_hash
from prompt_tuning.data.tables import RowError, missing_column

PlacedRows = Iterator[tuple[str, Row]]
# What a row whose values are of other types than expected makes its readers raise.
BAD_ROW = (RowError, TypeError, AttributeError, IndexError, ValueError)


@runtime_checkable
class Source(Protocol):
    """Where rows come from."""

    def rows(self, benchmark: Benchmark, split: str) -> PlacedRows:
        """(where the row stands, for messages; the row) of the split, in a fixed order."""
        ...

    def identity(self, benchmark: Benchmark, split: str) -> list | None:
        """JSON-able; tells a changed source. None where this machine does not have the source."""
        ...


@dataclass(frozen=True)
class Folder:
    """The benchmark's own files, or those of its Hugging Face repository, in `folder`.

    Which of the two they are is told by which of them exist.
    """

    folder: PathLike

    def rows(self, benchmark: Benchmark, split: str) -> PlacedRows:
        """Raises DataError by file and row, or by the files that were looked for."""
        files, paths = self._files(benchmark, split)
        for path in paths:
            for number, line in formats.read_lines(path, files.headerless.get(split)):
                where = formats.place(path, number)
                for row in _rows_of(files, line, where):
                    yield where, row

    def identity(self, benchmark: Benchmark, split: str) -> list | None:
        if not any(self._matching(files, split) for files in _both(benchmark)):
            return None
        _, paths = self._files(benchmark, split)
        return [[path.name, file_hash(path)] for path in paths]

    def _files(self, benchmark: Benchmark, split: str) -> tuple[Files, list[Path]]:
        for files in _both(benchmark):
            if any(self._matching(files, any_split) for any_split in files.paths):
                paths = self._matching(files, split)
                if not paths:
                    raise DataError(
                        f"{benchmark.name}: {self.folder} has files of other splits, but no "
                        f"{files.paths[split]} for {split}"
                    )
                _check_one_format(paths)
                return files, paths
        official, hugging_face = (files.paths[split] for files in _both(benchmark))
        raise DataError(
            f"{benchmark.name}: {self.folder} has neither the benchmark's own file {official} nor "
            f"the Hugging Face repository's {hugging_face} (.parquet or .jsonl): change DATA_DIR"
        )

    def _matching(self, files: Files, split: str) -> list[Path]:
        pattern = files.paths[split]
        found = {*Path(self.folder).glob(pattern), *Path(self.folder).glob(f"{pattern}.gz")}
        return sorted(path for path in found if path.is_file() and formats.is_readable(path))


@dataclass(frozen=True)
class Tfds:
    """TensorFlow Datasets, which fetches what `data_dir` (None for its own default) lacks."""

    data_dir: PathLike | None = None

    def rows(self, benchmark: Benchmark, split: str) -> PlacedRows:
        """Raises DataError where TFDS is not installed or cannot give the data."""
        tfds = tfds_reader(benchmark.name, "the benchmark's files")
        rows = tfds.read(benchmark.tfds, benchmark.splits[split], self.data_dir)
        for number, row in enumerate(rows):
            yield f"{benchmark.tfds}, {split}, row {number}", row

    def identity(self, benchmark: Benchmark, split: str) -> list | None:
        """The name with its version, which a machine without TFDS knows too."""
        return [benchmark.tfds]


def _both(benchmark: Benchmark) -> tuple[Files, Files]:
    return benchmark.official, benchmark.hugging_face


def _check_one_format(paths: list[Path]) -> None:
    """Two formats would be the same rows twice."""
    formats_found = {path.name.rsplit(".", 1)[-1] for path in paths}
    if len(formats_found) > 1:
        raise DataError(
            f"the same rows in several formats? Leave one of {', '.join(map(str, paths))}"
        )


def _rows_of(files: Files, line: Row, where: str) -> list[Row]:
    try:
        return list(files.to_rows(line))
    except KeyError as error:
        raise DataError(f"{where}: {missing_column(error.args[0], list(line))}") from error
    except BAD_ROW as error:
        raise DataError(f"{where}: {error}") from error


def tfds_reader(name: str, files: str) -> ModuleType:
    """data/seqio_tasks/tfds_rows.py, which brings TensorFlow. Raises DataError where that is not
    installed, and says which `files` the task called `name` can be read from instead.
    """
    try:
        from prompt_tuning.data.seqio_tasks import tfds_rows
    except ImportError as error:
        raise DataError(
            f"{name}: without DATA_DIR rows come from TensorFlow Datasets, which needs "
            f"`pip install 'prompt_tuning[seqio]'` ({error}); or set DATA_DIR to a folder with {files}"
        ) from error
    return tfds_rows
