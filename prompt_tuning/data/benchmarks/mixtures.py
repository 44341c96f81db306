"""Mixtures of benchmark tasks: who is in them, and at which rates they are mixed.

Members and rates are those of T5 and of prompt tuning's multi-task runs; names with prefixes are
names.py's part.
"""

import re
from collections.abc import Mapping

from prompt_tuning.data.benchmarks.benchmark import Benchmark
from prompt_tuning.data.benchmarks.question_answering import MRQA_OUT_OF_DOMAIN
from prompt_tuning.data.metrics.super_glue import SUPER_GLUE_SCORES, super_glue_average
from prompt_tuning.data.mixtures import MixedRows
from prompt_tuning.data.tasks import MixtureTask

SUPER_GLUE = "super_glue"  # the score of a whole mixture
LARGEST_RATE = 2**19  # what T5 cuts the number of a task's examples to

# The first decides which evaluation was best.
_SUPER_GLUE = (
    *(f"super_glue_{task}_v102" for task in "boolq cb copa multirc record rte wic".split()),
    "super_glue_wsc_v102_simple_eval",
    "super_glue_wsc_v102_simple_train",
)
_DIAGNOSTICS = ("super_glue_axb_v102", "super_glue_axg_v102")
_DPR = ("dpr_v001_simple",)
_SQUAD = "squad_v010_allanswers"
_GLUE = "cola sst2 mrpc qqp stsb mnli qnli rte mnli_mismatched mnli_matched ax".split()
_MNLI = ("mnli_matched", "mnli_mismatched", "mnli")  # "mnli" itself has no split "validation"

# Name without prefixes -> names of its members.
MIXTURES: Mapping[str, tuple[str, ...]] = {
    "super_glue_v102_proportional": (*_SUPER_GLUE, *_DPR, *_DIAGNOSTICS),
    "super_glue_v102_examples_proportional": _SUPER_GLUE,
    "super_glue_with_dpr_v102_examples_proportional": (*_SUPER_GLUE, *_DPR),
    "wsc_dpr_simple_proportional": (*_SUPER_GLUE[-2:], *_DPR),
    **{
        f"glue_{version}_proportional": tuple(f"glue_{task}_{version}" for task in _GLUE)
        for version in ("v002", "v200")
    },
    **{
        f"glue_mnli_and_dev_{version}": tuple(f"glue_{task}_{version}" for task in _MNLI)
        for version in ("v002", "v200")
    },
    **{  # the paper's Table 2: one is learned, the other answered in its words
        f"glue_{target}_from_{source}_zeroshot_{version}": (
            f"glue_{source}_{version}",
            f"glue_{target}_from_{source}_{version}",
        )
        for target, source in (("mrpc", "qqp"), ("qqp", "mrpc"))
        for version in ("v002", "v200")
    },
    "squad_to_mrqa": (_SQUAD, *(f"mrqa_{name}_v100" for name in MRQA_OUT_OF_DOMAIN)),
    **{f"squad_to_{name}": (_SQUAD, f"mrqa_{name}_v100") for name in MRQA_OUT_OF_DOMAIN},
}


def proportional_rate(benchmark: Benchmark) -> int:
    """Training examples up to T5's limit (1910.10683, section 3.5.2); 0 for what is only
    evaluated.
    """
    return min(benchmark.train_examples, LARGEST_RATE)


def _super_glue_name(member: str) -> str | None:
    """`boolq` for any form of super_glue_boolq_v102; None for other benchmarks' tasks."""
    found = re.search("super_glue_([a-z]+)_", member)
    return found and found[1]


class BenchmarkMixture(MixtureTask):
    """A mixture of which some members are only evaluated: their rate is 0.

    One with all of SuperGLUE's tasks has the benchmark's average, which then tells what was best.
    """

    @property
    def metric(self) -> str:
        short = map(_super_glue_name, self.tasks)
        return SUPER_GLUE if SUPER_GLUE_SCORES.keys() <= set(short) else super().metric

    def summary(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """SuperGLUE's average, where all its eight tasks are scored."""
        by_task = {_super_glue_name(name): found for name, found in scores.items() if found}
        if not SUPER_GLUE_SCORES.keys() <= by_task.keys():
            return {}
        return {SUPER_GLUE: super_glue_average(by_task)}

    def rows(self, split: str, *args, **kwargs) -> MixedRows:
        """Rows of the members with a rate that have the split. Raises DataError if there are none."""
        rates = {name: rate for name, rate in self.rates.items() if rate}
        tasks = {name: self.tasks[name] for name in rates}
        return MixtureTask(self.name, tasks, rates).rows(split, *args, **kwargs)
