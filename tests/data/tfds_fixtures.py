"""Rows of TensorFlow Datasets without a network: its mock data, and a C4 of a few documents."""

import contextlib
import threading
from unittest import mock

import tensorflow as tf
import tensorflow_datasets as tfds

_READER = tfds.core.dataset_builder.FileReaderBuilder
_WSC_COLUMNS = ("text", "span1_index", "span1_text", "span2_index", "span2_text", "label")
_WSC = [
    ("he saw it .", 0, "he", 2, "it", 0),
    ("Ann thanked Bo since she was helped .", 0, "Ann", 4, "she", 1),
    ("the cup fell on the tray , so it broke .", 0, "the cup", 8, "it", 1),
]


@contextlib.contextmanager
def mocked_tfds(num_examples=5):
    """Random rows that fit their schema; of WSC invented ones, whose spans stand where they say.

    Seqio reads members of a mixture in several threads, which TFDS's mock files cannot bear.
    """
    load, one_at_a_time = tfds.load, threading.Lock()

    def load_alone(*args, **kwargs):
        with one_at_a_time:
            return load(*args, **kwargs)

    with tfds.testing.mock_data(num_examples=num_examples):
        random_rows = _READER._as_dataset

        def rows(builder, *args, **kwargs):
            config = builder.builder_config
            if config is not None and config.name.startswith("wsc"):
                return _wsc_rows(num_examples)
            return random_rows(builder, *args, **kwargs)

        with (
            mock.patch.object(_READER, "_as_dataset", rows),
            mock.patch.object(tfds, "load", load_alone),
        ):
            yield


def _wsc_rows(count):
    rows = [_WSC[index % len(_WSC)] for index in range(count)]
    columns = {name: list(values) for name, values in zip(_WSC_COLUMNS, zip(*rows))}
    return tf.data.Dataset.from_tensor_slices(columns | {"idx": list(range(count))})


def make_c4(folder, documents):
    """Writes TFDS's c4/en:2.2.0 of these documents (split -> texts) into `folder`."""
    with tfds.core.registered.skip_registration():

        class C4(tfds.core.GeneratorBasedBuilder):
            name = "c4"
            BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="en", version="2.2.0")]

            def _info(self):
                features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
                return tfds.core.DatasetInfo(builder=self, features=features)

            def _split_generators(self, downloads):
                return {split: self._generate_examples(texts) for split, texts in documents.items()}

            def _generate_examples(self, texts):
                yield from ((index, {"text": text}) for index, text in enumerate(texts))

    tfds.disable_progress_bar()
    C4(data_dir=folder, config="en").download_and_prepare()
