"""SQuAD and MRQA by hand: what T5's and prompt tuning's preprocessors make of the invented rows."""

import gzip
import json

import pytest

from prompt_tuning.data.benchmarks import question_answering
from prompt_tuning.data.benchmarks.names import parse
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics import check_metrics
from tests.data.benchmarks.helpers import SUPER_GLUE, task_of, texts

FIXTURES = SUPER_GLUE.parent
SQUAD = "squad_v010_allanswers"
_BRIDGE = "The Long Bridge ( built 1902 ) crosses the Mill - Race ; its keeper was J . T . Vane . "

GOLDEN = {
    (SQUAD, "train"): [
        (
            "t1",
            f"question: When was the Long Bridge built ? context: {_BRIDGE}",
            ["1902"],
        ),
        (
            "t2",
            f'question: Who was its " keeper " ? context: {_BRIDGE}',
            ["J . T . Vane"],
        ),
    ],
    (SQUAD, "validation"): [
        (
            "v1",
            "question: What opened in May ? context: Café Orel opened in May . ",
            ["Café Orel", "Orel", "Café Orel opened"],
        )
    ],
    ("mrqa_bio_asq_v100", "validation"): [
        (
            "b1",
            "question: What does Bryo - 1 bind ? context: Moss ( Bryo - 1 ) binds zinc . ",
            ["zinc", "Zn"],
        )
    ],
    ("mrqa_drop_v100", "validation"): [
        (
            "d1",
            "question: How many goals did the Reds score ? "
            "context: The Reds scored 3 goals , the Blues 2 . ",
            ["3"],
        )
    ],
    ("mrqa_duo_rc_v100", "validation"): [
        (
            "u1",
            "question: Who hides the map ? context: A tailor hides a map in a coat . ",
            ["A tailor", "tailor"],
        )
    ],
    ("mrqa_race_v100", "validation"): [
        (
            "r1",
            "question: How did Tim travel ? context: Tim missed the bus . He walked . ",
            ["walked"],
        )
    ],
    ("mrqa_relation_extraction_v100", "validation"): [
        (
            "e1",
            "question: Where was Nera Lind born ? context: Nera Lind was born in Osby . ",
            ["Osby"],
        )
    ],
    ("mrqa_textbook_qa_v100", "validation"): [
        (
            "x1",
            "question: What does lava become ? context: Lava cools into rock . Rock wears down . ",
            ["rock"],
        ),
        (
            "x2",
            "question: What wears down ? context: Lava cools into rock . Rock wears down . ",
            ["Rock", "rock"],
        ),
    ],
}


@pytest.mark.parametrize("source", ["official", "hugging_face"])
@pytest.mark.parametrize("name, split", GOLDEN)
def test_golden(name, split, source):
    folder = FIXTURES / name.split("_")[0] / source
    assert texts(name, split, folder) == [
        {"id": key, "inputs": inputs, "targets": answers[0], "answers": answers}
        for key, inputs, answers in GOLDEN[name, split]
    ]


def test_every_task_and_split_has_a_golden_example():
    in_domain = {(f"mrqa_{name}_v100", split) for name in IN_DOMAIN for split in ENTRIES}
    assert {*GOLDEN, *in_domain} == {
        (benchmark.name, split)
        for benchmark in question_answering.BENCHMARKS
        for split in benchmark.splits
    }


# MRQA's in-domain sets: our name -> (on the shared task's server and in the "subset" column, as the
# shared task's download scripts call the file).
IN_DOMAIN = {
    "news_qa": ("NewsQA", "NewsQA"),
    "trivia_qa": ("TriviaQA-web", "TriviaQA"),
    "search_qa": ("SearchQA", "SearchQA"),
    "hotpot_qa": ("HotpotQA", "HotpotQA"),
    "natural_questions": ("NaturalQuestionsShort", "NaturalQuestions"),
}
ENTRIES = {"train": ("train", ["dyed wool", "wool"]), "validation": ("dev", ["U.K."])}


@pytest.fixture(params=["server", "scripts", "hugging_face"])
def in_domain(request, tmp_path):
    """A folder with every in-domain set, whose one question in each split has the id SET-SPLIT."""
    for split, (folder, answers) in ENTRIES.items():
        questions = {
            name: {"qid": f"{name}-{split}", "question": " Who dyed? ", "answers": answers}
            for name in IN_DOMAIN
        }
        if request.param == "hugging_face":
            rows = [
                questions[name] | {"context": "A [TLE] dyer.", "subset": subset}
                for name, (subset, _) in IN_DOMAIN.items()
            ]
            path = tmp_path / f"mrqa/plain_text/{split}-00000-of-00001.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(map(json.dumps, rows)))
            continue
        (tmp_path / folder).mkdir()
        for name, files in IN_DOMAIN.items():
            lines = [{"header": {}}, {"context": "A [TLE] dyer.", "qas": [questions[name]]}]
            path = tmp_path / folder / f"{files[request.param == 'scripts']}.jsonl.gz"
            path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    return tmp_path


@pytest.mark.parametrize("name", IN_DOMAIN)
def test_mrqa_s_in_domain_sets_are_trained_on_too(name, in_domain):
    for split, answers in (("train", ["dyed wool", "wool"]), ("validation", ["U . K . "])):
        (found,) = texts(f"mrqa_{name}_v100_examples", split, in_domain)
        assert found["inputs"].split() == "question: Who dyed ? context: A [ TLE ] dyer .".split()
        assert (found["id"], found["targets"]) == (f"{name}-{split}", answers[0])
        assert found["answers"] == answers


def test_only_ascii_punctuation_and_space_are_touched():
    row = {
        "id": "q",
        "question": "«Why»\u00a0not?\v!",
        "context": "a\t\r\n b—c`^~",
        "answers": {"text": ["U.S.", " x  y"]},
    }
    (fields,) = question_answering.squad_text(row, False)
    assert fields["inputs"] == "question: «Why»\u00a0not ? \v ! context: a b—c ` ^ ~ "
    assert fields["answers"] == ["U . S . ", " x y"]


def test_scores_take_the_best_answer(pocket):
    task = task_of(SQUAD, FIXTURES / "squad/official")
    examples = task.load("validation", pocket, 64, 16)
    assert task.score(examples, ["the Orel."], pocket) == {
        "squad": 100,
        "squad_em": 100,
        "squad_f1": 100,
    }
    check_metrics(task.metrics, has_labels=False, fields=examples.fields[0])


def test_questions_without_answers_and_without_text_are_named(tmp_path):
    path = tmp_path / "squad/plain_text/train.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"id": "q", "question": "a", "context": "b", "answers": {"text": []}}\n')
    with pytest.raises(DataError, match="train.jsonl, row 1: question q has no answer"):
        texts(SQUAD, "train", tmp_path)
    path.write_text('{"id": "q", "context": "b", "answers": {"text": ["c"]}}\n')
    with pytest.raises(DataError, match="train.jsonl, row 1: no column 'question'"):
        texts(SQUAD, "train", tmp_path)


@pytest.mark.parametrize("form", ["taskless_", "task_index_"])
def test_there_is_no_task_name_to_leave_out(form):
    with pytest.raises(DataError, match="do not begin with a task's name"):
        parse(f"{form}{SQUAD}")
