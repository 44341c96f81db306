"""Several prompts on one frozen model, asked together: prompt ensembling (paper, section 6).

Every batch holds each of its examples once for each prompt, so the model is read once for all.
"""

import collections
from collections.abc import Callable, Iterator, Sequence
import dataclasses
import inspect
import itertools

import numpy as np

from prompt_tuning.data import examples as data
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import predict
from prompt_tuning.t5 import parameters

Combine = Callable[[Sequence[predict.Prediction]], predict.Prediction]


@dataclasses.dataclass(frozen=True)
class Members:
    """The N prompts of an ensemble, and how their answers become one."""

    bank: predict.Bank
    combine: Combine

    def __len__(self) -> int:
        return len(next(iter(self.bank.values())))


class EnsemblePredictor:
    """As `predict.Predictor`, whose network is a method's `per_row`, with N answers made one."""

    def __init__(self, predictor: predict.Predictor, members: Members):
        self._predictor, self._members = predictor, members

    def __call__(
        self, params: parameters.Flat, examples: data.Examples
    ) -> Iterator[predict.Prediction]:
        """Yields the combined prediction of each example, and those of all prompts in "members"."""
        size = len(self._members)
        repeated = examples.take(np.repeat(np.arange(len(examples)), size).tolist())
        answers = self._predictor(
            params,
            repeated,
            self._members.bank,
            which=np.tile(np.arange(size), len(examples)).tolist(),
            numbers=np.repeat(np.arange(len(examples)), size).tolist(),
        )
        while asked := list(itertools.islice(answers, size)):
            combined = self._members.combine(asked)
            yield combined | {"members": [answer["prediction"] for answer in asked]}


def check_decoder(combine: Combine, task_name: str, decoder: decoders.Decoder) -> None:
    """Raises ValueError where the task's decoder does not give what `combine` needs."""
    # What a configuration names comes wrapped.
    needs_labels = inspect.unwrap(combine) is inspect.unwrap(mean_log_probability)
    if needs_labels and not decoder.ranks_labels:
        raise ValueError(
            "An ensemble by mean log-probability needs that of every label, but task "
            f"{task_name} is decoded by {decoder}: set DECODER = @RankLabels(), or, of a task without "
            "labels, ENSEMBLE = @majority_vote."
        )


def majority_vote(members: Sequence[predict.Prediction]) -> predict.Prediction:
    """The prediction that most prompts give; among equals, the one of the higher total probability.

    Its score is the mean log-probability that these prompts give to it.
    """
    votes = collections.defaultdict(list)
    for member in members:
        votes[member["prediction"]].append(member["score"])
    prediction, scores = max(
        votes.items(), key=lambda vote: (len(vote[1]), np.logaddexp.reduce(vote[1]))
    )
    fields = {name: value for name, value in members[0].items() if name != "label_scores"}
    return fields | {"prediction": prediction, "score": float(np.mean(scores))}


def mean_log_probability(members: Sequence[predict.Prediction]) -> predict.Prediction:
    """The label of the highest mean log-probability. Needs the decoder RankLabels."""
    labels = members[0]["label_scores"]
    means = {
        label: float(np.mean([member["label_scores"][label] for member in members]))
        for label in labels
    }
    best = max(means, key=means.get)
    return members[0] | {"prediction": best, "score": means[best], "label_scores": means}
