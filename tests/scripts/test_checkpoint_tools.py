"""The checkpoint tools on tiny models: conversions in all directions, comparisons, short errors."""

import dataclasses
import functools
import importlib
import json
import pathlib
import subprocess
import sys
import weakref

import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.checkpoints import stored
from prompt_tuning.checkpoints import t5x
from prompt_tuning.checkpoints import tensors
from prompt_tuning.checkpoints import weights
from prompt_tuning.prompts import files

TOOLS = pathlib.Path(__file__).parents[2] / "scripts/checkpoints"
PROMPT = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
ENCODER, DECODER = files.parameter("encoder"), files.parameter("decoder")


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a tool: what it prints and its exit code; `code` is the one that is expected."""
    monkeypatch.syspath_prepend(str(TOOLS))

    def run(tool, *arguments, code=0):
        try:
            found = importlib.import_module(tool).main([str(x) for x in arguments])
        except SystemExit as end:
            found = end.code
        out, err = capsys.readouterr()
        assert (found or 0) == code, out + err
        assert (len(err.splitlines()) == 1 and "Traceback" not in err) if code == 2 else not err
        return err if code == 2 else out

    return run


@pytest.fixture
def vocabulary(model_folder):
    return "--vocabulary_file", model_folder / "vocabulary.model", "--extra_ids", 32


@pytest.fixture
def prompt(tmp_path):
    files.write_prompt(tmp_path / "prompt.npy", PROMPT)
    return tmp_path / "prompt.npy"


def arrays(path):
    return {name: np.asarray(x) for name, x in weights.read_checkpoint(path).params.items()}


def changed(model_folder, folder, name, change):
    """A model like that of the fixture, but for one parameter."""
    model = weights.load_model(model_folder)
    params = model.params | {name: change(model.params[name])}
    weights.save_model(folder, model, params, dtype="float32")
    return folder


def test_a_model_goes_through_all_formats_unchanged(run, model_folder, vocabulary, tmp_path):
    here = model_folder
    for number, (to, *options) in enumerate(
        [
            ("hugging_face",),
            ("t5x", "--step", 7),
            ("native", *vocabulary),
            ("t5x", "--step", 7),
            ("hugging_face", *vocabulary),
            ("native",),
        ]
    ):
        out = tmp_path / f"{number}_{to}"
        run("convert_checkpoint", here, out, "--to", to, *options)
        here = out / "checkpoint_7" if to == "t5x" else out
        assert weights.format_of(here) == to
        expected, found = arrays(model_folder), arrays(here)
        assert expected.keys() == found.keys()
        for name, x in expected.items():
            np.testing.assert_array_equal(x, found[name], err_msg=name)
            assert x.dtype == found[name].dtype
        said = run("compare_checkpoints", model_folder, here, *vocabulary)
        assert "fingerprints agree" in said and "A and B are the same" in said
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("to", ["native", "hugging_face", "t5x"])
def test_types_are_kept_or_cast(run, model_folder, tmp_path, to):
    where = "checkpoint_0" if to == "t5x" else "."
    cast, kept = tmp_path / "cast", tmp_path / "kept"
    options = "--to", to, "--step", 0
    run("convert_checkpoint", model_folder, cast, *options, "--dtype", "bfloat16")
    run("convert_checkpoint", cast / where, kept, *options)
    for found in arrays(cast / where), arrays(kept / where):
        for name, x in arrays(model_folder).items():
            assert found[name].dtype == jnp.bfloat16
            np.testing.assert_array_equal(found[name], x.astype(jnp.bfloat16))
    # Rounding is a difference, and within a tolerance it is not.
    run("compare_checkpoints", model_folder, cast / where, code=1)
    run("compare_checkpoints", model_folder, cast / where, "--atol", 0.05)


def test_differences_are_shown_largest_first(run, model_folder, tmp_path):
    name = "decoder/layers_1/mlp/wo/kernel"
    other = changed(model_folder, tmp_path / "other", name, lambda x: x + np.float32(0.5))
    said = run("compare_checkpoints", model_folder, other, code=1)
    assert name in said and "fingerprints differ" in said and "1 differ" in said
    expected = 0.5 * 32**0.5 * 16**0.5 / np.linalg.norm(arrays(model_folder)[name])
    row = next(line for line in said.splitlines() if line.startswith(name))
    assert row.split()[1:] == ["0.5", f"{expected:.3g}"]
    run("compare_checkpoints", model_folder, other, "--atol", 0.6)
    run("compare_checkpoints", model_folder, other, "--atol", 0.4, code=1)

    both = changed(other, tmp_path / "both", "encoder/encoder_norm/scale", lambda x: x - 2)
    lines = run("compare_checkpoints", model_folder, both, code=1).splitlines()
    assert lines[1].startswith("encoder/encoder_norm/scale") and lines[2].startswith(name)

    nan = changed(model_folder, tmp_path / "nan", name, lambda x: x * np.float32(np.nan))
    run("compare_checkpoints", model_folder, nan, "--atol", 1e9, code=1)


def test_another_configuration_or_vocabulary_is_another_model(run, model_folder, tmp_path):
    for name, change in {
        "extra_ids": lambda config: config["vocabulary"].update(extra_ids=31),
        "activation": lambda config: config["t5"].update(activation="relu"),
    }.items():
        out = tmp_path / name
        run("convert_checkpoint", model_folder, out, "--to", "native")
        config = json.loads((out / "config.json").read_text())
        change(config)
        (out / "config.json").write_text(json.dumps(config))
    said = run("compare_checkpoints", model_folder, tmp_path / "extra_ids", code=1)
    assert "vocabularies differ" in said and "0 differ" in said
    said = run("compare_checkpoints", model_folder, tmp_path / "activation", code=1)
    assert "T5Config.activation differs: gelu, relu" in said and "fingerprints differ" in said


def test_what_a_t5x_checkpoint_does_not_tell_is_told(run, model_folder, vocabulary, tmp_path):
    model = weights.load_model(model_folder)
    config = dataclasses.replace(model.config, relpos_max_distance=40, activation="relu")
    model = dataclasses.replace(model, config=config)
    weights.save_model(tmp_path / "model", model, model.params, dtype="float32")
    to_t5x = "convert_checkpoint", tmp_path / "model", tmp_path / "t5x", "--to", "t5x", "--step", 7
    said = run(*to_t5x)
    assert "Not in OUT" in said and "Not in IN" not in said and "'relpos_max_distance': 40" in said
    bare = tmp_path / "t5x/checkpoint_7"

    back = "convert_checkpoint", bare, "--to", "hugging_face", *vocabulary
    distance, told = ("--relpos_max_distance", 40), ("--activation", "relu")
    said = run(*back, tmp_path / "assumed", *told)
    assert "Not in IN" in said and "{'relpos_max_distance': 128}" in said
    assert "give --relpos_max_distance." in said
    assert "Not in" not in run(*back, tmp_path / "back", *distance, *told)
    found = weights.read_checkpoint(tmp_path / "back").config
    assert (found.relpos_max_distance, found.activation) == (40, "relu")
    run("compare_checkpoints", tmp_path / "model", tmp_path / "back")

    said = run("compare_checkpoints", tmp_path / "model", bare, *vocabulary, code=1)
    assert "T5Config.relpos_max_distance differs: 40, 128" in said
    assert "T5Config.activation differs: relu, gelu" in said
    said = run("compare_checkpoints", tmp_path / "model", bare, *vocabulary, *distance, *told)
    assert "fingerprints agree" in said
    shown = run("inspect_checkpoint", bare, "--fingerprint", *vocabulary, *distance, *told)
    assert "relpos_max_distance=40" in shown and model.fingerprint in shown

    own, step = tmp_path / "own.safetensors", ("--step", 8)
    files.write_prompts(own, {ENCODER: PROMPT}, {"fingerprint": model.fingerprint})
    build = "build_t5x_checkpoint", bare, own, tmp_path / "built", *step, *vocabulary
    assert "was trained on" in run(*build, code=2)
    run(*build, *distance, *told)


def test_prompts_are_compared(run, prompt, tmp_path):
    files.write_prompts(tmp_path / "more.safetensors", {ENCODER: PROMPT, DECODER: PROMPT}, {})
    said = run("compare_checkpoints", prompt, tmp_path / "more.safetensors", code=1)
    assert f"only in B: {DECODER}" in said and "1 arrays are equal" in said
    files.write_prompt(tmp_path / "short.npy", PROMPT[1:])
    said = run("compare_checkpoints", prompt, tmp_path / "short.npy", code=1)
    assert f"shapes differ: {ENCODER}: [5, 16], [4, 16]" in said


def test_the_exit_code_is_the_shell_s(model_folder, prompt):
    command = [sys.executable, TOOLS / "compare_checkpoints.py", model_folder, prompt]
    assert subprocess.run(command, capture_output=True).returncode == 1


def test_a_model_is_shown_without_reading_it(run, model_folder, monkeypatch):
    shown = run("inspect_checkpoint", model_folder)
    assert "a model in the project's format" in shown and "d_model=16" in shown
    assert "vocabulary.model+32, 4,096 ids" in shown
    assert f"{sum(x.size for x in arrays(model_folder).values()):,}, float32" in shown
    row = "token_embedder/embedding"
    line = next(line for line in shown.splitlines() if line.startswith(row))
    assert line.removeprefix(row).strip() == "[4096, 16]  float32"

    values = run("inspect_checkpoint", model_folder, "--values", "--fingerprint")
    x = arrays(model_folder)[row]
    line = next(line for line in values.splitlines() if line.startswith(row))
    assert [float(number) for number in line.split()[-3:]] == pytest.approx(
        [x.mean(), x.std(), np.sqrt(np.square(x).sum())], rel=1e-3
    )
    assert weights.open_model(model_folder).fingerprint in values

    def refuse(*_):
        raise AssertionError("a value was read")

    monkeypatch.setattr(stored.StoredArray, "__getitem__", refuse)
    assert run("inspect_checkpoint", model_folder) == shown
    assert "the project's format" in run("inspect_checkpoint", "pocket_t5")


def test_a_run_s_best_prompt_is_shown(run, tmp_path):
    about = {"task": "spam", "score": "93.5"}
    files.write_prompts(tmp_path / "run/best" / files.DESCRIBED, {ENCODER: PROMPT}, about)
    shown = run("inspect_checkpoint", tmp_path / "run")
    norms = np.sqrt(np.square(PROMPT).sum(axis=1))
    assert f"mean {norms.mean():.4g}, min {norms.min():.4g}, max {norms.max():.4g}" in shown
    assert "[5, 16]" in shown and "task: spam" in shown and "score: 93.5" in shown
    assert "run/best: prompts" in shown


def test_variables_are_extracted_from_models_and_prompts(run, model_folder, prompt, tmp_path):
    out = tmp_path / "out.npy"
    for path, name, expected in (
        (model_folder, "encoder/encoder_norm/scale", arrays(model_folder)),
        (model_folder, "target/token_embedder/embedding", arrays(model_folder)),
        (prompt, ENCODER, {ENCODER: PROMPT}),
    ):
        run("extract_variable", path, name, out)
        np.testing.assert_array_equal(np.load(out), expected[name.removeprefix("target/")])
        out.unlink()
    said = run("extract_variable", model_folder, "encoder/encoder_norm/scales", out, code=2)
    assert "NAME" in said and "encoder/encoder_norm/scale," in said and not out.exists()


def test_bfloat16_is_extracted_as_float32(run, model_folder, tmp_path):
    run("convert_checkpoint", model_folder, tmp_path / "a", "--to", "native", "--dtype", "bfloat16")
    run("extract_variable", tmp_path / "a", "token_embedder/embedding", tmp_path / "a.npy")
    expected = arrays(tmp_path / "a")["token_embedder/embedding"].astype(np.float32)
    found = np.load(tmp_path / "a.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_a_prompt_goes_through_all_forms_unchanged(run, prompt, model_folder, tmp_path):
    here, base = prompt, ("--base_model", "google/t5-base-lm-adapt")
    run("convert_checkpoint", model_folder, tmp_path / "model", "--to", "hugging_face")
    for out, to, *options in (
        ("a.safetensors", "safetensors"),
        ("peft", "peft", *base),
        ("b.npy", "numpy"),
        ("c", "peft", "--base_model", tmp_path / "model"),
        ("d.safetensors", "safetensors"),
    ):
        run("convert_prompt", here, tmp_path / out, "--to", to, *options)
        here = tmp_path / out
        np.testing.assert_array_equal(files.read_prompt(here), PROMPT)
        assert "A and B are the same" in run("compare_checkpoints", prompt, here)
    assert files.read_prompts(here).about["base_model"] == str(tmp_path / "model")
    config = json.loads((tmp_path / "peft/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == base[1]


def test_a_t5x_checkpoint_is_built_and_taken_apart(run, model_folder, prompt, tmp_path):
    run("build_t5x_checkpoint", model_folder, prompt, tmp_path / "out", "--step", 1_150_000)
    built = tmp_path / "out/checkpoint_1150000"
    found = t5x.read_t5x_prompt(str(built))
    assert list(found) == [ENCODER]
    np.testing.assert_array_equal(found[ENCODER], PROMPT)
    parameters = arrays(built)
    for name, x in arrays(model_folder).items():
        np.testing.assert_array_equal(parameters[name], x)

    shown = run("inspect_checkpoint", built)
    assert "a T5X checkpoint" in shown and "row norms" in shown and "not in it" in shown
    assert f"only in B: {ENCODER}" in run("compare_checkpoints", model_folder, built, code=1)
    run("extract_variable", built, f"target/{ENCODER}", tmp_path / "again.npy")
    run("convert_prompt", built, tmp_path / "converted.npy", "--to", "numpy")
    for name in ("again.npy", "converted.npy"):
        np.testing.assert_array_equal(np.load(tmp_path / name), PROMPT)


def test_a_prompt_of_another_model_is_refused(run, model_folder, vocabulary, tmp_path):
    fingerprint = weights.open_model(model_folder).fingerprint
    for name, about in (("own", fingerprint), ("other", "0" * 16)):
        path = tmp_path / f"{name}.safetensors"
        files.write_prompts(path, {ENCODER: PROMPT}, {"fingerprint": about})
    run("convert_checkpoint", model_folder, tmp_path / "base", "--to", "t5x", "--step", 0)
    base, step = tmp_path / "base/checkpoint_0", ("--step", 1)
    own, other = tmp_path / "own.safetensors", tmp_path / "other.safetensors"
    build = "build_t5x_checkpoint"
    said = run(build, base, own, tmp_path / "out", *step, code=2)
    assert "--vocabulary_file" in said and "--any_base_model" in said
    said = run(build, base, other, tmp_path / "out", *step, *vocabulary, code=2)
    assert "was trained on" in said and "--any_base_model" in said
    assert not (tmp_path / "out").exists()
    run(build, base, own, tmp_path / "own", *step, *vocabulary)
    run(build, base, other, tmp_path / "any", *step, "--any_base_model")


def test_a_tool_overwrites_nothing(run, model_folder, prompt, tmp_path):
    out = tmp_path / "out.safetensors"
    out.write_text("mine")
    for tool, *arguments in (
        ("convert_checkpoint", model_folder, out, "--to", "native"),
        ("convert_checkpoint", model_folder, out, "--to", "t5x", "--step", 1),
        ("convert_prompt", prompt, out, "--to", "safetensors"),
        ("extract_variable", prompt, ENCODER, out),
        ("build_t5x_checkpoint", model_folder, prompt, out, "--step", 1),
    ):
        said = run(tool, *arguments, code=2)
        assert "OUT" in said and "is there already" in said
    assert out.read_text() == "mine"
    assert {x.name for x in tmp_path.iterdir()} == {out.name, prompt.name}


def test_errors_name_what_to_change(run, model_folder, prompt, tmp_path):
    files.write_prompt(tmp_path / "wide.npy", np.ones((3, 24), np.float32))
    both = tmp_path / "both.safetensors"
    files.write_prompts(both, {ENCODER: PROMPT, DECODER: PROMPT}, {})
    shipped = tmp_path / "shipped.safetensors"
    files.write_prompts(shipped, {ENCODER: PROMPT}, {"base_model": "pocket_t5"})
    run("convert_checkpoint", model_folder, tmp_path / "t5x", "--to", "t5x", "--step", 3)
    theirs = tmp_path / "theirs"
    run("convert_checkpoint", model_folder, theirs, "--to", "hugging_face")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.model").write_text("no SentencePiece model")
    bare, out = tmp_path / "t5x/checkpoint_3", tmp_path / "out"
    before = {x.name for x in tmp_path.iterdir()}
    native_of = ("convert_checkpoint", bare, out, "--to", "native")
    for expected, tool, *arguments in (
        ("--vocabulary_file", *native_of),
        ("--vocabulary_file", *native_of, "--vocabulary_file", tmp_path / "none.model"),
        ("--vocabulary_file", *native_of, "--vocabulary_file", tmp_path / "text.model"),
        ("EXTRA_IDS", *native_of, "--vocabulary_file", "pocket_t5", "--extra_ids", 99),
        ("--relpos_max_distance: ", "convert_checkpoint", theirs, out, "--to", "native", "--relpos_max_distance", 40),
        ("IN: T5Config.relpos_max_distance", *native_of, "--relpos_max_distance", 16),
        ("--step", "convert_checkpoint", model_folder, out, "--to", "t5x"),
        ("IN: expected a model", "convert_checkpoint", prompt, out, "--to", "native"),
        ("IN: there is no", "convert_checkpoint", tmp_path / "no", out, "--to", "native"),
        ("IN: ", "convert_checkpoint", tmp_path / "empty", out, "--to", "native"),
        ("checkpoint_3", "convert_checkpoint", tmp_path / "t5x", out, "--to", "hugging_face"),
        ("IN: expected prompts", "convert_prompt", model_folder, out, "--to", "numpy"),
        ("--base_model", "convert_prompt", prompt, out, "--to", "peft"),
        ("width", "convert_prompt", tmp_path / "wide.npy", out, "--to", "peft", "--base_model", theirs),
        ("Hugging Face's format", "convert_prompt", prompt, out, "--to", "peft", "--base_model", model_folder),
        ("Hugging Face's format", "convert_prompt", shipped, out, "--to", "peft"),
        ("Hugging Face's format", "convert_prompt", prompt, out, "--to", "peft", "--base_model", "pocket_t5"),
        ("--to safetensors", "convert_prompt", both, out, "--to", "numpy"),
        (".safetensors", "convert_prompt", both, out, "--to", "safetensors"),
        ("A: there is no", "compare_checkpoints", tmp_path / "no", prompt),
        ("--vocabulary_file", "inspect_checkpoint", bare, "--fingerprint"),
        ("PATH: there is no", "inspect_checkpoint", tmp_path / "no"),
        ("width", "build_t5x_checkpoint", model_folder, tmp_path / "wide.npy", out, "--step", 1),
    ):  # fmt: skip
        assert expected in run(tool, *arguments, code=2)
        assert {x.name for x in tmp_path.iterdir()} == before


@pytest.mark.parametrize("to", ["native", "hugging_face", "t5x"])
def test_nothing_half_written_stays(run, model_folder, tmp_path, monkeypatch, to):
    real = stored.StoredArray.__getitem__

    def failing(x, index):
        if x.shape == (32, 16):
            raise OSError("the disk is gone")
        return real(x, index)

    monkeypatch.setattr(stored.StoredArray, "__getitem__", failing)
    arguments = model_folder, tmp_path / "out", "--to", to, "--step", 1
    assert "the disk is gone" in run("convert_checkpoint", *arguments, code=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("to", ["native", "hugging_face", "t5x"])
def test_one_array_is_in_memory_at_a_time(run, model_folder, tmp_path, monkeypatch, to):
    """One array, or one part of a safetensors file, which is made as small as an array here."""
    real, read, alive = stored.StoredArray.__getitem__, [], []

    def noting(x, index):
        found = real(x, index)
        alive.append(sum(reference() is not None for reference in read))
        read.append(weakref.ref(found))
        return found

    monkeypatch.setattr(stored.StoredArray, "__getitem__", noting)
    small_parts = functools.partial(tensors.write_tensors, part_bytes=1)
    monkeypatch.setattr(tensors, "write_tensors", small_parts)
    arguments = model_folder, tmp_path / "out", "--to", to, "--step", 1, "--dtype", "bfloat16"
    run("convert_checkpoint", *arguments)
    assert len(read) >= len(weights.open_model(model_folder).params)
    vectors = sum(x.ndim == 1 for x in weights.open_model(model_folder).params.values())
    assert max(alive) <= (vectors + 1 if to == "t5x" else 1)  # T5X's index file holds the vectors
