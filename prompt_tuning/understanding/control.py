"""Random vectors to hold a prompt's rows against: what would be found where nothing was learned."""

from jaxtyping import Float
import numpy as np

# Kind -> what it keeps of the prompt, in the words of the report.
KINDS = {
    "norms": "random directions, each row with the norm of the prompt's row",
    "dimensions": "normal noise, each dimension with the mean and the standard deviation that it has "
    "over the prompt's rows",
}


def draws(
    prompt: Float[np.ndarray, "P D"], kind: str, count: int, seed: int = 0
) -> list[Float[np.ndarray, "P D"]]:
    """`count` independent controls of a prompt, as many rows each.

    "norms" knows nothing of where the rows point; "dimensions" keeps what all rows have in common,
    so with few rows it is close to their mean.

    Args:
      prompt: the rows.
      kind: of KINDS.
      count: how many.
      seed: of the noise.
    """
    if kind not in KINDS:
        raise ValueError(f"control must be one of {', '.join(KINDS)}, found {kind!r}.")
    if kind == "dimensions" and len(prompt) < 2:
        raise ValueError(
            "control 'dimensions' needs a standard deviation over rows, but the prompt has one row: "
            "set control to 'norms'."
        )
    noise = np.random.default_rng(seed).standard_normal((count, *prompt.shape), dtype=np.float32)
    if kind == "dimensions":
        return list(prompt.mean(axis=0) + prompt.std(axis=0) * noise)
    norms = np.linalg.norm(prompt, axis=1, keepdims=True)
    return list(noise * norms / np.linalg.norm(noise, axis=2, keepdims=True))
