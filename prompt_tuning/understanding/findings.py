"""All that is found of some prompts: computed here, shown by tables.py and report.py."""

from collections.abc import Sequence
import dataclasses

from jaxtyping import Float
import numpy as np

from prompt_tuning.prompts import neighbors
from prompt_tuning.understanding import attention
from prompt_tuning.understanding import control
from prompt_tuning.understanding import norms
from prompt_tuning.understanding import similarity
from prompt_tuning.understanding import statistics
from prompt_tuning.understanding import subjects

NEAREST = 5
DRAWS = 10  # of the control, so that its own spread is known


@dataclasses.dataclass(frozen=True)
class Neighborhood:
    """A prompt's rows among the vocabulary's, and the control's.

    Attributes:
      nearest: of each row.
      statistics: of these.
      control_nearest: of each row of each draw of the control.
      control_statistics: of each draw.
      norms: of the rows.
    """

    nearest: neighbors.Neighbors
    statistics: statistics.Statistics
    control_nearest: list[neighbors.Neighbors]
    control_statistics: list[statistics.Statistics]
    norms: Float[np.ndarray, "P"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """Of one subject.

    Attributes:
      subject: the prompts.
      neighborhoods: by stack.
      training: None unless they are a run's.
      attention: None where it was not asked for.
    """

    subject: subjects.Subject
    neighborhoods: dict[str, Neighborhood]
    training: norms.Training | None
    attention: attention.Masses | None


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Of several prompts of a stack, each with each."""

    names: list[str]
    average_token: Float[np.ndarray, "N N"]
    per_token: Float[np.ndarray, "N N"]


@dataclasses.dataclass(frozen=True)
class Findings:
    """Of all subjects.

    Attributes:
      base: name of the model or table.
      control: of control.KINDS.
      labels: their pieces.
      vocabulary_norms: of the table's rows.
      prompts: one a subject.
      similarities: by stack, where several subjects have a prompt of it.
      examples: what attention was looked at over; None if it was not.
    """

    base: str
    control: str
    labels: statistics.Pieces
    vocabulary_norms: Float[np.ndarray, "N"]
    prompts: list[Finding]
    similarities: dict[str, Similarity]
    examples: str | None


def find(
    prompts: Sequence[subjects.Subject],
    base: subjects.Base,
    *,
    labels: Sequence[str] = (),
    kind: str = "norms",
    seed: int = 0,
    mass: attention.AttentionMass | None = None,
) -> Findings:
    """Looks at the prompts.

    Args:
      prompts: of this base.
      base: a model, or its table and vocabulary.
      labels: whose pieces are looked for among the neighbours.
      kind: of the control.
      seed: of the control.
      mass: looks at attention.
    """
    pieces = statistics.label_pieces(labels, base.vocabulary)
    table = np.asarray(base.table)  # may be on disk, and is read for each draw

    def neighborhood(rows: Float[np.ndarray, "P D"]) -> Neighborhood:
        draws = control.draws(rows, kind, DRAWS, seed)
        found = [neighbors.nearest(x, table, base.vocabulary, NEAREST) for x in (rows, *draws)]
        numbers = [statistics.statistics(x, table, base.vocabulary, pieces) for x in found]
        return Neighborhood(found[0], numbers[0], found[1:], numbers[1:], norms.row_norms(rows))

    return Findings(
        base=base.name,
        control=kind,
        labels=pieces,
        vocabulary_norms=norms.vocabulary_norms(table, base.vocabulary),
        prompts=[
            Finding(
                subject,
                {stack: neighborhood(rows) for stack, rows in subject.prompts.items()},
                norms.training(subject.given),
                mass(subject) if mass else None,
            )
            for subject in prompts
        ],
        similarities=_similarities(prompts),
        examples=mass.of if mass else None,
    )


def _similarities(prompts: Sequence[subjects.Subject]) -> dict[str, Similarity]:
    found = {}
    for stack in subjects.STACKS:
        having = {x.name: x.prompts[stack] for x in prompts if stack in x.prompts}
        if len(having) > 1:
            rows = list(having.values())
            found[stack] = Similarity(
                list(having), similarity.average_token(rows), similarity.per_token(rows)
            )
    return found
