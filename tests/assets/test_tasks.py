"""The labelled tasks that ship with the project: shape, balance, disjoint splits, README."""

import re
from collections import Counter
from pathlib import Path

import pytest

import prompt_tuning

TASKS = Path(prompt_tuning.__file__).parent / "assets/tasks"
SPLITS = ("train", "validation", "test")
LABELS = {
    "gloss_category": {"animal", "plant", "person", "object", "food", "substance", "act", "body"},
    "verse_paraphrase": {"same", "different"},
    "spam": {"spam", "ham"},
    "word_in_context": {"same", "different"},
}


def read(task: str, split: str) -> list[list[str]]:
    header, *rows = (TASKS / task / f"{split}.tsv").read_text(encoding="utf-8").splitlines()
    assert header.split("\t") == ["id", "inputs", "targets"]
    return [row.split("\t") for row in rows]


def bare(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def source_items(task: str, row: list[str]) -> set[str]:
    """What of a row may stand in one split only."""
    name, inputs, _ = row
    if task == "verse_paraphrase":
        chapter = ".".join(name.split(".")[:2])
        return {chapter, *map(bare, inputs.split(" | "))}
    if task == "word_in_context":
        word, _, first, second, _ = name.split(".")
        return {word, first, second, *map(bare, inputs.split(": ", 1)[1].split(" | "))}
    return {name, bare(inputs)}


def five_word_runs(text: str) -> set[tuple[str, ...]]:
    words = bare(text).split()
    return set(zip(*(words[start:] for start in range(5)), strict=False))


@pytest.mark.parametrize("task", LABELS)
@pytest.mark.parametrize("split", SPLITS)
def test_rows_are_whole(task, split):
    rows = read(task, split)
    assert all(len(row) == 3 and all(field.strip() == field != "" for field in row) for row in rows)
    assert {row[2] for row in rows} == LABELS[task]
    assert len({row[0] for row in rows}) == len(rows)
    assert len({row[1] for row in rows}) == len(rows)


@pytest.mark.parametrize("task", LABELS)
def test_splits_share_no_source_item(task):
    items = {
        split: set().union(*(source_items(task, row) for row in read(task, split)))
        for split in SPLITS
    }
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not items[one] & items[other]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("task", [task for task in LABELS if task != "spam"])
def test_balanced(task, split):
    assert len(set(Counter(row[2] for row in read(task, split)).values())) == 1


@pytest.mark.parametrize("split", SPLITS)
def test_spam_has_the_stated_share(split):
    rows = read("spam", split)
    assert Counter(row[2] for row in rows)["spam"] / len(rows) == pytest.approx(0.285, abs=1e-3)


def test_no_evaluated_email_nearly_repeats_one_of_training():
    training = [five_word_runs(row[1]) for row in read("spam", "train")]
    holders: dict[tuple[str, ...], list[int]] = {}
    for place, runs in enumerate(training):
        for run in runs:
            holders.setdefault(run, []).append(place)
    for _, text, _ in read("spam", "validation") + read("spam", "test"):
        runs = five_word_runs(text)
        shared = Counter(place for run in runs for place in holders.get(run, ()))
        assert all(
            count < 0.5 * min(len(runs), len(training[place])) for place, count in shared.items()
        ), text


def test_the_word_alone_does_not_tell_the_label():
    for split in SPLITS:
        counts: dict[str, Counter] = {}
        for name, _, label in read("word_in_context", split):
            counts.setdefault(".".join(name.split(".")[:2]), Counter())[label] += 1
        assert all(count["same"] == count["different"] for count in counts.values())


def test_the_king_james_verse_alone_does_not_tell_the_label():
    for split in SPLITS:
        counts: dict[str, Counter] = {}
        for name, _, label in read("verse_paraphrase", split):
            counts.setdefault(name.rsplit("-", 1)[0], Counter())[label] += 1
        assert all(count["same"] == count["different"] == 1 for count in counts.values())


def test_readme_states_the_true_sizes_and_majorities():
    lines = re.findall(
        r"^\| `(\w+)` \|.*\| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) \|$",
        (TASKS / "README.md").read_text(),
        re.M,
    )
    assert {line[0] for line in lines} == set(LABELS)
    for task, *sizes, majority in lines:
        assert [len(read(task, split)) for split in SPLITS] == list(map(int, sizes))
        labels = Counter(row[2] for row in read(task, "test"))
        assert max(labels.values()) / sum(labels.values()) == pytest.approx(
            float(majority), abs=5e-4
        )


def test_all_tasks_are_small_enough_to_commit():
    assert sum(file.stat().st_size for file in TASKS.rglob("*.tsv")) < 4_000_000
