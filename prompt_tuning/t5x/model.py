"""The T5X model: this project's network with a method's modules; loss and decoding are T5X's."""

import dataclasses
import functools
import pathlib
import tempfile

import jax.numpy as jnp
import optax
import seqio
from t5x import models
import tensorflow as tf

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.methods import method as methods
from prompt_tuning.methods import soft_prompt
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import losses
from prompt_tuning.t5x import optimizer as optimizers
from prompt_tuning.training import optimizers as training_optimizers


@dataclasses.dataclass(frozen=True)
class Adaptation:
    """A method and the frozen model that it adapts.

    Attributes:
      checkpoint: T5X's, of the frozen model. T5X restores its weights; methods look up what they
        need, such as rows of the vocabulary table, on disk.
      config: of the network; the checkpoint must agree with it.
      method: what is added to the network, and what is trained: a `SoftPrompt`.
      vocabulary: of the checkpoint and of the task.

    Raises ValueError for another method.
    """

    checkpoint: str
    config: t5_config.T5Config
    method: methods.Method
    vocabulary: seqio.Vocabulary

    def __post_init__(self):
        # T5X never calls `Method.materialize`, and its rules know neither where "added" axes lie nor
        # that a base checkpoint lacks parameters that are not called prompts.
        if not isinstance(self.method, soft_prompt.SoftPrompt):
            raise ValueError(
                f"T5X trains soft prompts alone: METHOD must be SoftPrompt, found "
                f"{type(self.method).__name__}. Set METHOD = @soft_prompt.SoftPrompt(), or run "
                "prompt_tuning.train, .eval or .infer, which take every method."
            )

    @functools.cached_property
    def base(self) -> weights.FrozenModel:
        """The frozen model as methods take it, on disk; raises CheckpointError."""
        return weights.open_model(
            self.checkpoint,
            dtype=self.config.dtype,
            dropout_rate=self.config.dropout_rate,
            config=self.config,
            vocabulary=self.our_vocabulary,
        )

    @functools.cached_property
    def our_vocabulary(
        self,
    ) -> vocabularies.SentencePieceVocabulary | vocabularies.ByteVocabulary:
        """The same vocabulary without seqio; its file may lie in a bucket."""
        if isinstance(self.vocabulary, seqio.ByteVocabulary):
            return vocabularies.ByteVocabulary(self.vocabulary.extra_ids)
        file = self.vocabulary.sentencepiece_model_file
        extra_ids = self.vocabulary.extra_ids or 0  # None: the file has them, or there are none
        if pathlib.Path(file).is_file():
            return vocabularies.SentencePieceVocabulary(file, extra_ids)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, pathlib.Path(file).name)
            tf.io.gfile.copy(file, str(path))
            return vocabularies.SentencePieceVocabulary(path, extra_ids)


class _TokensAreIntegers(models.EncoderDecoderModel):
    """T5X's model for a network that takes token ids as they are.

    `t5x.eval` does not say of which type its inputs are, and T5X then assumes floats.
    """

    def get_initial_variables(self, rng, input_shapes, input_types=None):
        types = input_types or dict.fromkeys(input_shapes, jnp.int32)
        return super().get_initial_variables(rng, input_shapes, types)


def encoder_decoder(
    adaptation: Adaptation, optimizer: optax.GradientTransformation
) -> models.EncoderDecoderModel:
    """T5X's model of the adapted network, with the loss of our own loop: a sum, with z-loss.

    It predicts with T5X's beam search of one beam, greedily.

    Args:
      adaptation: of which model, and how.
      optimizer: of what the method trains; all else stays as it is.
    """
    method = adaptation.method
    return _TokensAreIntegers(
        module=method.network(adaptation.base),
        input_vocabulary=adaptation.vocabulary,
        output_vocabulary=adaptation.vocabulary,
        optimizer_def=optimizers.OptaxWrapper(
            training_optimizers.freeze(optimizer, method.trainable)
        ),
        z_loss=losses.Z_LOSS,
    )
