"""The original's flags: repeatable files, --gin.NAME=VALUE, and nothing else unnoticed."""

import pytest

from prompt_tuning.cli import flags


def parse(*arguments):
    return flags.parse(arguments, "program", "What it does.")


def test_all_flags():
    found = parse(
        "--gin_file=a.gin",
        "--gin.TRAIN_STEPS=5",
        "--gin_file",
        "b.gin",
        "--gin_search_paths=x,y",
        "--gin_search_paths=z",
        "--gin.SoftPrompt.location=end=x",
        "--dry_run",
        "--coordinator_address=host:1234",
        "--num_processes=2",
        "--process_id=1",
    )
    assert found == flags.Flags(
        gin_files=["a.gin", "b.gin"],
        search_paths=["x", "y", "z"],
        bindings=[("TRAIN_STEPS", "5"), ("SoftPrompt.location", "end=x")],
        dry_run=True,
        traceback=False,
        coordinator_address="host:1234",
        num_processes=2,
        process_id=1,
    )


def test_nothing_is_needed():
    assert parse() == flags.Flags([], [], [])


def test_a_process_may_say_that_it_is_alone():
    assert parse("--num_processes=1").num_processes == 1


@pytest.mark.parametrize(
    "argument, expected",
    [
        ("--num_processes=2", "--coordinator_address and --process_id missing"),
        ("--process_id=0 --coordinator_address=host:1", "--num_processes missing"),
        (
            "--num_processes=2 --process_id=2 --coordinator_address=host:1",
            "--process_id must be from 0 to 1 (--num_processes 2), found 2",
        ),
        (
            "--num_processes=2 --process_id=1 --coordinator_address=host",
            "--coordinator_address must be HOST:PORT, found host",
        ),
        ("--gin_files=a.gin", "no flag --gin_files; did you mean --gin_file?"),
        ("--dry_rn", "no flag --dry_rn; did you mean --dry_run?"),
        ("runs/x.gin", "no flag runs/x.gin"),
        ("--gin.SEED", "--gin.SEED has no value: write --gin.SEED=VALUE"),
        ("--topology=", "--topology has no value"),
        (
            "--gin.MODEL_DIR=",
            """--gin.MODEL_DIR has no value: write --gin.MODEL_DIR=VALUE, or --gin.MODEL_DIR='""'""",
        ),
    ],
)
def test_bad_flags_end_with_two(capsys, argument, expected):
    with pytest.raises(SystemExit) as caught:
        parse(*argument.split())
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err
