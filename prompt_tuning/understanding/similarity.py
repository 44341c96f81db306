"""How alike prompts of tasks and seeds are, in the two ways of SPoT (2110.07904, section 3).

Rows may differ in number, their width may not.
"""

from collections.abc import Sequence

from jaxtyping import Float
import numpy as np

from prompt_tuning.prompts import neighbors

Prompts = Sequence[Float[np.ndarray, "_ D"]]


def average_token(prompts: Prompts) -> Float[np.ndarray, "N N"]:
    """Cosines of the prompts' mean rows: 1 on the diagonal."""
    means = np.stack([rows.mean(axis=0) for rows in prompts])
    return neighbors.cosine_similarities(means, means)


def per_token(prompts: Prompts) -> Float[np.ndarray, "N N"]:
    """Mean cosines of all pairs of a row of the one and a row of the other.

    The diagonal, of a prompt with itself, says how alike its own rows are: 1 only where all point
    the same way.
    """
    return np.array(
        [[neighbors.cosine_similarities(a, b).mean() for b in prompts] for a in prompts]
    )
