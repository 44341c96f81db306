"""The names of benchmark tasks and mixtures, as T5 and prompt tuning call them, and what they mean.

A name is `[mt5_|byt5_][taskless_|task_index_]STEM[_examples]`, STEM being a task of table.py or a
mixture of mixtures.py: names are taken apart here, not kept in a list.
"""

import re
from difflib import get_close_matches
from typing import NamedTuple

from prompt_tuning.data.benchmarks.benchmark import Benchmark
from prompt_tuning.data.benchmarks.mixtures import MIXTURES, BenchmarkMixture, proportional_rate
from prompt_tuning.data.benchmarks.rows import Source
from prompt_tuning.data.benchmarks.table import BENCHMARKS
from prompt_tuning.data.benchmarks.task import BenchmarkTask, Form
from prompt_tuning.data.examples import DataError

_MODEL, _FORM, _EXAMPLES = "(mt5_|byt5_)?", "(taskless_|task_index_)?", "_examples"
# The others' inputs do not begin with a task's name.
_NAMED_TASKS = ("super_glue_", "glue_", "dpr_", "wsc_dpr_")

# T5's tasks by the index that stands for them; these are the same task in another guise.
_INDEXED = {
    "super_glue": "boolq cb copa multirc record rte wic wsc".split(),
    "glue": "cola mnli mrpc qnli qqp rte sst2 stsb wnli".split(),
}
_SAME = {
    "wsc.fixed": "wsc",
    "axb": "rte",
    "axg": "rte",
    "ax": "mnli",
    "mnli_matched": "mnli",
    "mnli_mismatched": "mnli",
}


class Name(NamedTuple):
    """A name's parts, together the name again."""

    model: str
    form: str
    stem: str
    examples: str


def parse(name: str) -> Name:
    """The parts of a benchmark's name. Raises DataError with near names if it is none."""
    model, form, rest = re.fullmatch(f"{_MODEL}{_FORM}(.*)", name, re.DOTALL).groups(default="")
    shorter = rest.removesuffix(_EXAMPLES)
    stem = rest if rest in MIXTURES else shorter
    if stem not in MIXTURES and _benchmark(stem) is None:
        near = [f"{model}{form}{stem}" for stem in _near(shorter)]
        raise DataError(
            f"no benchmark task or mixture {name!r}"
            + (f"; nearest: {', '.join(map(repr, near))}" if near else "")
        )
    if form and not stem.startswith(_NAMED_TASKS):
        raise DataError(
            f"{name!r}: the inputs of {stem} do not begin with a task's name, so that there is no "
            f"{form} form of it"
        )
    return Name(model, form, stem, rest.removeprefix(stem))


def why_no_benchmark(name: str) -> str | None:
    """What is wrong with the name, or None where `find_benchmark` knows it."""
    try:
        parse(name)
    except DataError as error:
        return str(error)
    return None


def find_benchmark(name: str, source: Source) -> BenchmarkTask | BenchmarkMixture:
    """The task or mixture that a name means, with rows from `source`. Raises DataError with near
    names.
    """
    parts = parse(name)
    if parts.stem not in MIXTURES:
        return _task(parts, source)
    members = [_task(_member(parts, stem), source) for stem in MIXTURES[parts.stem]]
    tasks = {member.name: member for member in members}
    rates = {name: proportional_rate(task.benchmark) for name, task in tasks.items()}
    return BenchmarkMixture(name, tasks, rates)


def _task(parts: Name, source: Source) -> BenchmarkTask:
    benchmark = _benchmark(parts.stem)
    form = Form(
        bytes=parts.model == "byt5_",
        taskless=bool(parts.form),
        task_index=_task_index(benchmark) if parts.form == "task_index_" else None,
    )
    return BenchmarkTask("".join(parts), benchmark, source, form, bool(parts.examples))


def _member(parts: Name, stem: str) -> Name:
    """A mixture's member; one that is not evaluated has no examples to log, and in a zero-shot
    mixture neither has the one that is learned.
    """
    benchmark = _benchmark(stem)
    learned = "_zeroshot_" in parts.stem and benchmark.train_examples
    logged = _EXAMPLES in parts.stem + parts.examples and list(benchmark.splits) != ["train"]
    return Name(parts.model, parts.form, stem, _EXAMPLES if logged and not learned else "")


def _benchmark(stem: str) -> Benchmark | None:
    """GLUE's v002 has the rows of v200: its TFDS version can no longer be read."""
    return BENCHMARKS.get(re.sub("^(glue_.*)_v002$", r"\1_v200", stem))


def _task_index(benchmark: Benchmark) -> int:
    if benchmark is BENCHMARKS["dpr_v001_simple"]:
        return _INDEXED["super_glue"].index("wsc")
    suite, config = benchmark.tfds.partition(":")[0].split("/")
    return _INDEXED[suite].index(_SAME.get(config, config))


def _near(stem: str) -> list[str]:
    stems = [*BENCHMARKS, *MIXTURES]
    return get_close_matches(stem, stems, n=3) or [known for known in stems if stem in known][:3]
