"""PEFT's side of lengths.py: each batch is padded to its longest example, as Transformers' collators do."""

import common
import mixture_lengths
import peft_child


def build(settings) -> common.Served:
    import torch
    import transformers
    from torch.nn.utils.rnn import pad_sequence

    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = peft_child.model_of(settings, device)
    model = peft_child.with_prompt(model, settings["prompt_length"])
    model.train()
    optimizer = peft_child.adafactor([x for x in model.parameters() if x.requires_grad], 0.3)
    losses, columns = [], []

    def padded(rows, fill):
        rows = [torch.tensor(row, dtype=torch.long) for row in rows]
        return pad_sequence(rows, batch_first=True, padding_value=fill).to(device)

    def step():
        inputs, targets = zip(*mixture_lengths.of_step(settings, len(losses)))
        inputs, labels = padded(inputs, 0), padded(targets, -100)
        columns.append(inputs.numel())
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_ids=inputs, attention_mask=(inputs != 0).long(), labels=labels).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    def report():
        return {
            "columns_per_example": sum(columns) / len(columns) / settings["shape"]["batch"],
            "loss": [losses[0], losses[-1]],
        }

    return common.Served(step, report)


if __name__ == "__main__":
    common.serve(build)
