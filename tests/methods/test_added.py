"""What is shared by methods that add modules: what was learned is written by one process alone."""

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np
import pytest

from prompt_tuning.checkpoints import described
from prompt_tuning.methods import added
from prompt_tuning.methods import lora
from prompt_tuning.methods import p_tuning
from prompt_tuning.methods import prefix_tuning
from tests import models
from tests.methods import adding

METHODS = [lora.LoRA(), p_tuning.PTuning(), prefix_tuning.PrefixTuning(2, 4)]


@pytest.mark.parametrize("on_host", [False, True], ids=["on every device", "on the host"])
@pytest.mark.parametrize("method", METHODS, ids=lambda x: type(x).__name__)
def test_writing_computes_on_one_device_of_this_process(method, on_host, monkeypatch, tmp_path):
    """Process 0 alone writes: on arrays that lie on all devices, as the loop's do, a computation
    would be one that the other processes have no part in. Those that were gathered are NumPy's.
    """
    assert jax.device_count() > 1
    base = models.tiny_model()
    learned, _ = adding.trained(base, method, scale=0.1)
    expected = method.materialize(learned)
    everywhere = NamedSharding(Mesh(jax.devices(), "all"), PartitionSpec())
    learned = {n: np.asarray(x) for n, x in learned.items()}
    trained = learned if on_host else jax.device_put(learned, everywhere)
    given = {}
    materialize = type(method).materialize

    def watched(self, trained):
        given.update(trained)
        return materialize(self, trained)

    monkeypatch.setattr(type(method), "materialize", watched)
    method.write(base, trained, tmp_path, {})

    assert given.keys() == learned.keys()
    own = {jax.local_devices()[0]}
    assert all(x.devices() == own for x in given.values())
    arrays, _ = described.read(tmp_path / added.FILE)
    assert arrays.keys() == expected.keys()
    for name, x in expected.items():
        np.testing.assert_array_equal(arrays[name], x)
