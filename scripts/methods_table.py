"""Prints how many parameters each method trains on T5 1.1, in Markdown: prompt_tuning/methods/README.md.

    python scripts/methods_table.py

Counted are the shapes that the methods give (no weight is made), and each number must be that of its
formula.
"""

from collections.abc import Mapping, Sequence

from prompt_tuning.experiments import parameters
from prompt_tuning.t5 import config as t5_config

# Of the parameters that are trained, in the letters of `dimensions`, as Python.
FORMULAS = {
    "soft prompt": "P*D",
    "model tuning": "2*V*D + N*(12*D*H*K + 6*D*F + 5*D) + 2*D + 64*H",
    "prompt design": "0",
    "prefix tuning": "3*(P*D + D*h + h) + 6*N*H*K*(h + 1)",
    "P-tuning": "P*D + 8*D**2 + 6*D",
    "WARP": "(P + C)*D",
    "soft words": "(N + 1)*P*D",
    "adapters": "5*N*(2*m*D + D + m) + (5*N + 2)*D",
    "LoRA": "6*N*r*(D + H*K)",
    "IA3": "N*(6*H*K + 2*F)",
}
# Of those that predict, where a method keeps others than it trains.
KEPT = {"prefix tuning": "6*N*P*H*K", "P-tuning": "P*D"}

Numbers = Mapping[tuple[str, str], tuple[int, int]]  # by line and size: trained, kept


def dimensions(size: str) -> dict[str, int]:
    """What the letters of formulas are."""
    config = t5_config.t5_1_1(size)
    model = dict(D=config.d_model, H=config.num_heads, K=config.head_dim, F=config.d_ff)
    model |= dict(V=config.vocab_size, N=config.num_encoder_layers)  # of each stack
    own = dict(P=parameters.ROWS, C=parameters.CLASSES, h=parameters.HIDDEN)
    return model | own | dict(m=parameters.WIDTH, r=parameters.RANK)


def by_formula() -> Numbers:
    def value(formula, size):
        return eval(formula, {}, dimensions(size))

    return {
        (name, size): (value(formula, size), value(KEPT.get(name, formula), size))
        for name, formula in FORMULAS.items()
        for size in t5_config.SIZES
    }


def counted() -> Numbers:
    """By the shapes of what each method makes."""
    counts = parameters.count(parameters.METHODS)
    of_rows = [x for x in counts if x.length in (None, parameters.ROWS)]
    return {(x.method, x.size): (x.trained, x.served) for x in of_rows}


def check(numbers: Numbers, expected: Numbers) -> None:
    """Raises ValueError where numbers are not those of the formulas."""
    for key, found in numbers.items():
        if found != expected[key]:
            raise ValueError(
                f"{' at '.join(key)}: expected, by its formulas, {expected[key]} parameters trained and "
                f"kept, found {found}. Change FORMULAS or KEPT, or the method."
            )


def methods_table(numbers: Numbers) -> str:
    """A row a method, and one more where others are kept than are trained."""
    rows = []
    for name, formula in FORMULAS.items():
        rows.append(_row(name, formula, [numbers[name, s][0] for s in t5_config.SIZES]))
        if name in KEPT:
            kept = [numbers[name, s][1] for s in t5_config.SIZES]
            rows.append(_row(f"{name}, kept", KEPT[name], kept))
    return _table(["method", "parameters", *t5_config.SIZES], rows)


def lengths_table() -> str:
    """The paper's Table 4: a soft prompt's parameters, and their share of all with them."""
    numbers = by_formula()
    model = {size: numbers["model tuning", size][0] for size in t5_config.SIZES}
    rows = []
    for length in parameters.LENGTHS:
        own = {size: length * dimensions(size)["D"] for size in t5_config.SIZES}
        shares = {size: 100 * n / (n + model[size]) for size, n in own.items()}
        rows.append([str(length), *(f"{own[s]:,} ({shares[s]:.5f} %)" for s in t5_config.SIZES)])
    return _table(["P", *t5_config.SIZES], rows)


def _row(name: str, formula: str, numbers: Sequence[int]) -> list[str]:
    return [name, f"`{formula}`", *(f"{n:,}" for n in numbers)]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    numeric = len(t5_config.SIZES)
    rule = ["---"] * (len(header) - numeric) + ["--:"] * numeric
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def main() -> None:
    numbers = counted()
    check(numbers, by_formula())
    print(methods_table(numbers), lengths_table(), sep="\n\n")


if __name__ == "__main__":
    main()
