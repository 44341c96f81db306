"""Loading takes the memory of the placed weights and about one array: measured in a real process."""

import json
import pathlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from prompt_tuning.checkpoints import hugging_face_names
from prompt_tuning.checkpoints import native
from prompt_tuning.data import vocabulary
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import parameters

# 90 million parameters, 358 MB in float32, of which the vocabulary's table is 66 MB.
CONFIG = t5_config.t5_1_1("small", num_encoder_layers=8, num_decoder_layers=8, d_ff=1536)
MEASURE = """
    import pathlib, sys, threading, time
    import jax
    from prompt_tuning import models
    from prompt_tuning.t5 import network
    from prompt_tuning.training import sharding

    def anonymous():  # not counting what of the files is in the system's cache
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("RssAnon"))

    def watch():
        global peak
        while True:
            peak = max(peak, anonymous())
            time.sleep(0.001)

    layout = sharding.Layout()
    jax.block_until_ready(jax.numpy.zeros(3) + 1)
    model = models.PretrainedModel(sys.argv[1], sys.argv[2]).load()
    before = peak = anonymous()
    threading.Thread(target=watch, daemon=True).start()
    placed = layout.put_params(network.T5(model.config), model.params, layout.mesh())
    total = sum(x.nbytes for x in placed.values())
    largest = max(x.nbytes for x in placed.values())
    time.sleep(0.05)
    print((peak - before) / 1e6, total / 1e6, largest / 1e6)
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same zeros in the project's format and in Hugging Face's, as files with holes."""
    names = hugging_face_names.names_of(CONFIG)
    shapes = parameters.expected_shapes(CONFIG)
    found = {}
    for kind in ("native", "hugging_face"):
        folder = found[kind] = tmp_path_factory.mktemp(kind)
        arrays = shapes
        if kind == "hugging_face":
            turned = lambda name: name.endswith(hugging_face_names.TRANSPOSED)
            arrays = {names[k]: x[::-1] if turned(k) else x for k, x in shapes.items()}
            described = hugging_face_config()
            (folder / "config.json").write_text(json.dumps(described))
            (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
        else:
            native.write_native(folder, CONFIG, {"x": np.zeros(1)}, vocabulary.ByteVocabulary())
        write_holes(folder / "model.safetensors", arrays)
    return found


def hugging_face_config():
    return {
        "model_type": "t5",
        "vocab_size": CONFIG.vocab_size,
        "d_model": CONFIG.d_model,
        "d_kv": CONFIG.head_dim,
        "d_ff": CONFIG.d_ff,
        "num_layers": CONFIG.num_encoder_layers,
        "num_heads": CONFIG.num_heads,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
    }


def write_holes(file: pathlib.Path, shapes):
    """A safetensors file of float32 zeros that takes no room on the disk."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.unlink(missing_ok=True)
    with open(file, "wb") as opened:
        opened.write(len(text).to_bytes(8, "little") + text)
        opened.truncate(8 + len(text) + end)


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["native", "hugging_face"])
def test_one_array_beside_the_placed_weights(folders, kind, dtype):
    command = [sys.executable, "-c", textwrap.dedent(MEASURE), str(folders[kind]), dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, total, largest = map(float, done.stdout.split())
    stored = largest * (2 if dtype == "bfloat16" else 1)  # float32 on disk
    assert 0.9 * total < peak < total + largest + stored + 30  # MB; the last for all else
