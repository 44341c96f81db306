import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics import METRICS, Results, check_metrics, score
from tests.data.metrics.helpers import BINARY

ILLEGAL = "neither"
NUMBERS = ("0.0", "1.4", "5.0", "3.2")
WORDS = ("the red fox", "a fox", "Bob's hat", "of", "")
OF_BINARY = ("f1", "f1_accuracy", "matthews", "multirc", "gender_parity")
ROWS = 8
seeds = st.integers(0, 10**6)


def results_of(name, targets, predictions):
    """Rows as the metric's tasks have them: pairs, questions of four options, two answers each."""
    fields = [
        {
            "answers": [target, "red"],
            "label": i % 2 if name == "wsc" else 0,
            "idx": i if name == "gender_parity" else {"paragraph": i // 4, "question": 0},
        }
        for i, target in enumerate(targets)
    ]
    return Results(targets, predictions, BINARY, fields)


def texts_of(name):
    return {"pearson_spearman": NUMBERS, "wsc": WORDS[:-1]}.get(
        name, BINARY if name in OF_BINARY else WORDS
    )


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=25)
@given(seed=seeds)
def test_the_order_of_the_rows_does_not_matter(name, seed):
    draw = random.Random(seed)
    results = results_of(name, *(draw.choices(texts_of(name), k=ROWS) for _ in range(2)))
    order = draw.sample(range(ROWS), ROWS)
    shuffled = Results(
        *([side[i] for i in order] for side in (results.targets, results.predictions)),
        results.labels,
        [results.fields[i] for i in order],
    )
    assert METRICS[name](shuffled) == pytest.approx(METRICS[name](results))


@pytest.mark.parametrize("name", sorted(METRICS.keys() - {"illegal_rate", "wsc"}))
def test_predicting_the_targets_scores_100(name):
    texts = list(texts_of(name)) * ROWS
    if name in ("squad", "record"):  # the official scripts find no shared word in no words
        texts = [text for text in texts if text]
    if name == "gender_parity":
        texts = sorted(texts)
    results = results_of(name, texts, texts)
    if name.startswith("macro_f1"):
        results = Results(texts, texts)
    assert METRICS[name](results) == pytest.approx(dict.fromkeys(METRICS[name](results), 100))


@pytest.mark.parametrize("name", METRICS)
def test_a_score_has_the_metric_s_own_name(name):
    # Which evaluation of a run was best is decided by that score.
    texts = list(texts_of(name))
    assert name in METRICS[name](results_of(name, texts * 2, texts[::-1] * 2))


@pytest.mark.parametrize(
    "name",
    ["accuracy", "macro_f1", "f1", "macro_f1_accuracy", "f1_accuracy", "multirc", "gender_parity"],
)
@settings(max_examples=25)
@given(seed=seeds)
def test_illegal_predictions_are_wrong(name, seed):
    draw = random.Random(seed)
    targets, predictions = (draw.choices(BINARY, k=ROWS) for _ in range(2))
    row = draw.randrange(ROWS)
    predictions[row] = targets[row]
    before = METRICS[name](results_of(name, targets, predictions))[name]
    predictions[row] = ILLEGAL
    assert METRICS[name](results_of(name, targets, predictions))[name] <= before
    assert METRICS[name](results_of(name, targets, [ILLEGAL] * ROWS))[name] == 0


def test_both_sides_are_read_through_the_vocabulary(pocket):
    results = Results(
        ["Spam", "Ham"],
        [pocket.decode(pocket.encode("Spam")), "ham"],
        ["Spam", "Ham"],
        [{"answers": ["Spam", "Egg"]}, {"answers": ["Č", "HÁM"]}],
    )
    assert results.targets[0] != results.predictions[0]  # this vocabulary folds case
    found = score(["accuracy", "illegal_rate", "squad"], results, pocket)
    assert (found["accuracy"], found["illegal_rate"], found["squad_em"]) == (100, 0, 50)


def test_an_answer_that_the_vocabulary_cannot_spell_is_found(pocket):
    answer = "Čapek"
    said = pocket.decode(pocket.encode(answer))
    results = Results([answer], [said], fields=[{"answers": [answer]}])
    assert score(["record"], results, pocket)["record_em"] == 100


def test_unknown_metrics_missing_labels_and_missing_fields_are_named():
    with pytest.raises(DataError, match="no metric 'acuracy'.*nearest: 'accuracy'"):
        check_metrics(["acuracy"], has_labels=True)
    for name in ("illegal_rate", *OF_BINARY):
        with pytest.raises(DataError, match=f"{name!r} needs a task with labels"):
            check_metrics(["accuracy", name], has_labels=False)
    with pytest.raises(DataError, match="'squad' needs rows with field 'answers'.*inputs, targets"):
        check_metrics(["squad"], has_labels=False, fields=("inputs", "targets"))
    check_metrics(["squad", "wsc"], has_labels=False, fields=("answers", "label"))
    check_metrics(["accuracy", "macro_f1", "squad"], has_labels=False)
