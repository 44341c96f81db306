"""A T5X checkpoint is read from gs:// as from a folder, without credentials."""

import http.server
import json
import pathlib
import sys
import threading
import urllib.parse

import numpy as np
import orbax.checkpoint as ocp
import pytest

from prompt_tuning.checkpoints import t5x
from prompt_tuning.checkpoints.stored import CheckpointError
from prompt_tuning.t5 import parameters

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"


class FakeStorage(http.server.BaseHTTPRequestHandler):
    """Google Cloud Storage's JSON API, as far as reading and listing one bucket, "public", go."""

    def do_GET(self):
        self.server.headers_seen.append({key.lower() for key in self.headers})
        url = urllib.parse.urlsplit(self.path)
        bucket, _, name = url.path.removeprefix("/storage/v1/b/").partition("/o")
        query = dict(urllib.parse.parse_qsl(url.query))
        if bucket != "public":
            return self._answer(403, json.dumps({"error": {"code": 403}}).encode())
        if not name:
            return self._answer(200, json.dumps({"items": self._items(query)}).encode())
        file = FIXTURES / urllib.parse.unquote(name.removeprefix("/"))
        if not file.is_file():
            return self._answer(404, b"{}")
        if query.get("ifGenerationNotMatch") == "1":
            return self._answer(304, b"")
        return self._part(file.read_bytes())

    def _items(self, query: dict[str, str]) -> list[dict[str, str]]:
        names = sorted(
            str(file.relative_to(FIXTURES)) for file in FIXTURES.rglob("*") if file.is_file()
        )
        first, end = query.get("startOffset", ""), query.get("endOffset", "~")
        return [
            {"name": name, "generation": "1", "size": "1"} for name in names if first <= name < end
        ]

    def _part(self, content: bytes) -> None:
        if "range" not in self.headers:
            return self._answer(200, content)
        first, last = self.headers["range"].removeprefix("bytes=").split("-")
        start, stop = (
            (int(first), int(last or len(content)) + 1)
            if first
            else (len(content) - int(last), None)
        )
        part = content[start:stop]
        self._answer(206, part, f"bytes {start}-{start + len(part) - 1}/{len(content)}")

    def _answer(self, status: int, content: bytes, content_range: str | None = None) -> None:
        self.send_response(status)
        self.send_header("x-goog-generation", "1")
        self.send_header("content-length", str(len(content)))
        if content_range:
            self.send_header("content-range", content_range)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def storage():
    """One for all tests: TensorStore looks at its address but once in a process."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeStorage)
    server.headers_seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENSORSTORE_GCS_HTTP_URL", f"http://127.0.0.1:{server.server_port}")
        yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "folder",
    ["t5x_checkpoint/checkpoint_3", "t5x_orbax/t5/checkpoint_2", "t5x_orbax/umt5/checkpoint_2"],
)
def test_a_bucket_is_read_as_a_folder(storage, folder):
    address = f"gs://public/{folder}"
    assert t5x.is_t5x(address)
    found = t5x.read_t5x(address, None)
    local = t5x.read_t5x(str(FIXTURES / folder), None)
    assert found.config == local.config
    assert set(found.params) == set(local.params)
    for name in found.params:
        np.testing.assert_array_equal(found.params[name], local.params[name])
    assert storage.headers_seen
    assert not any("authorization" in headers for headers in storage.headers_seen)


def test_arrays_in_folders_of_their_own_are_read_in_a_bucket(storage, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "FIXTURES", tmp_path)
    prompt = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    name = "encoder/prompt/prompt/prompt"
    tree = {"target": parameters.unflatten({name: prompt})}
    handler = ocp.PyTreeCheckpointHandler(use_ocdbt=False)
    ocp.Checkpointer(handler).save(tmp_path / "folders" / "checkpoint_5" / "state", tree)
    assert t5x.is_t5x("gs://public/folders/checkpoint_5")
    found = t5x.read_t5x_prompt("gs://public/folders/checkpoint_5")
    np.testing.assert_array_equal(found[name], prompt)
    with pytest.raises(CheckpointError, match="the newest is gs://public/folders/checkpoint_5"):
        t5x.read_t5x("gs://public/folders", None)


def test_a_model_dir_in_a_bucket_is_not_a_checkpoint(storage):
    assert t5x.is_t5x("gs://public/t5x_checkpoint/")
    with pytest.raises(CheckpointError, match="gs://public/t5x_checkpoint/checkpoint_3"):
        t5x.read_t5x("gs://public/t5x_checkpoint/", None)


def test_what_is_not_in_a_bucket_is_told_by_its_address(storage):
    assert not t5x.is_t5x("gs://public/released_prompts")
    with pytest.raises(CheckpointError, match="gs://public/released_prompts is no T5X checkpoint"):
        t5x.read_t5x("gs://public/released_prompts", None)
    with pytest.raises(CheckpointError, match="gs://private/model.* cannot be read.*403"):
        t5x.is_t5x("gs://private/model")
