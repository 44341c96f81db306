"""What int8 weights change: the loss of prompts that were trained, on their test split.

    python scripts/benchmarks/int8_loss.py spam=runs/spam verse_paraphrase=runs/verses --model pocket_t5

TASK=FOLDER: a shipped task and the MODEL_DIR of a run on it (or a prompt file). Prompts were trained on
the weights as they are; only these evaluations read them as int8. One JSON line a task, under teacher
forcing: `loss_per_token` in nats.
"""

import argparse
from collections.abc import Sequence
import dataclasses

import common
from prompt_tuning import api
from prompt_tuning import models
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import batches
from prompt_tuning.data import shipped
from prompt_tuning.evaluation import held_out
from prompt_tuning.methods import learned
from prompt_tuning.methods import soft_prompt
from prompt_tuning.t5 import execution as executions
from prompt_tuning.training import sharding

SHAPE = 32, 128, 8  # rows of a batch, tokens of inputs and targets


def scores(
    model: weights.FrozenModel, prompt: str, found: Sequence[tuple[batches.Batch, list[str]]]
) -> dict[str, float]:
    """Loss and accuracy of all tokens of the batches' targets."""
    method = soft_prompt.SoftPrompt(len(api.read_prompt(prompt)))
    adapted = learned.adapt(model, method, prompt)
    layout = sharding.Layout()
    params = layout.put_params(adapted.network, adapted.params, layout.mesh())
    return held_out.make_evaluate_loss(adapted.network)(params, found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prompts", nargs="+", metavar="TASK=FOLDER")
    parser.add_argument("--model", default="pocket_t5", help="a shipped model or a folder")
    args = parser.parse_args()
    plain_model = models.PretrainedModel(args.model).load()
    int8_model = dataclasses.replace(plain_model, execution=executions.Execution(int8_weights=True))
    for prompt in args.prompts:
        task, _, path = prompt.partition("=")
        if not path:
            parser.error(f"{prompt!r} must be TASK=FOLDER, as spam=runs/spam.")
        rows = shipped.shipped_task(task).rows(
            "test", plain_model.vocabulary, *SHAPE[1:], shuffle=False
        )
        found = list(batches.eval_batches(rows, *SHAPE))
        plain, int8 = (scores(model, path, found) for model in (plain_model, int8_model))
        differences = {name: int8[name] - plain[name] for name in plain}
        common.show(task=task, plain=plain, int8=int8, difference=differences)


if __name__ == "__main__":
    main()
