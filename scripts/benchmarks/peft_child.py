"""Hugging Face PEFT's side, as a child of common.py: T5 1.1 with random weights, or those of a folder.

Settings are PEFT's defaults, the optimizer the paper's (Lester et al. 2021, appendix A.2).
"""

import common


def system(name, mode, config, python, pythonpath, **settings) -> common.System:
    """This child, for a parent: "prompt" and "full" train, "generate".

    `config` holds the fields of our T5Config, `pythonpath` what else the Python needs.
    """
    settings |= {"mode": mode, "config": config}
    return common.System(name, "peft_child.py", settings, python, common.environment(pythonpath))


def build(settings) -> common.Served:
    import peft
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model_of(settings, device)
    parameters = sum(x.numel() for x in model.parameters())
    if settings["mode"] != "full":
        model = with_prompt(model, settings["prompt_length"])

    def tokens(length):
        rows = settings["shape"]["batch"], settings["shape"][length]
        return torch.randint(2, settings["config"]["vocab_size"], rows, device=device)

    inputs, targets = tokens("inputs"), tokens("targets")
    make = _generate if settings["mode"] == "generate" else _train
    step, report = make(model, settings, inputs, targets)

    def full_report():
        found = {
            "parameters": parameters,
            "device": {"kind": device},
            "versions": {x.__name__: x.__version__ for x in (torch, transformers, peft)},
        }
        if device == "cuda":
            found["device"] = {
                "kind": torch.cuda.get_device_name(),
                "peak_mib": torch.cuda.max_memory_allocated() // 2**20,
            }
        return found | report()

    return common.Served(step, full_report)


def with_prompt(model, length):
    import peft

    prompt = peft.PromptTuningConfig(
        task_type=peft.TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=length
    )
    return peft.get_peft_model(model, prompt).to(model.device)


def model_of(settings, device):
    """On its device from the start, in the type it is used in."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    config = settings["config"]
    dtype = getattr(torch, config["dtype"])
    if "folder" in settings:
        model = T5ForConditionalGeneration.from_pretrained(settings["folder"], dtype=dtype)
        return model.to(device)
    torch.set_default_dtype(dtype)
    with torch.device(device):
        model = T5ForConditionalGeneration(
            T5Config(
                vocab_size=config["vocab_size"],
                d_model=config["d_model"],
                d_kv=config["head_dim"],
                d_ff=config["d_ff"],
                num_layers=config["num_encoder_layers"],
                num_decoder_layers=config["num_decoder_layers"],
                num_heads=config["num_heads"],
                dropout_rate=config["dropout_rate"],
                feed_forward_proj="gated-gelu",
                tie_word_embeddings=False,
                decoder_start_token_id=0,
                pad_token_id=0,
                eos_token_id=1,
            )
        )
        # Transformers 5 ties a T5's logits whatever it is told; T5 1.1's are not.
        if model.lm_head.weight is model.shared.weight:
            table = torch.empty_like(model.shared.weight).normal_(0, config["d_model"] ** -0.5)
            model.lm_head.weight = torch.nn.Parameter(table)
            model.config.tie_word_embeddings = False
    torch.set_default_dtype(torch.float32)
    return model


def adafactor(trained, learning_rate):
    from transformers.optimization import Adafactor

    return Adafactor(
        trained,
        lr=learning_rate,
        scale_parameter=False,
        relative_step=False,
        warmup_init=False,
        weight_decay=1e-5,
        decay_rate=-0.8,
    )


def _train(model, settings, inputs, targets):
    import torch

    model.train()
    mask = torch.ones_like(inputs)
    trained = [x for x in model.parameters() if x.requires_grad]
    optimizer = adafactor(trained, 1e-3 if settings["mode"] == "full" else 0.3)
    losses = []

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_ids=inputs, attention_mask=mask, labels=targets).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    def report():
        size = sum(x.numel() for x in trained)
        return {"loss": [losses[0], losses[-1]], "trained_parameters": size}

    return step, report


def _generate(model, settings, inputs, targets):
    import torch

    model.eval()
    length = targets.shape[1]
    options = dict(max_new_tokens=length, min_new_tokens=length, do_sample=False, num_beams=1)
    written = []

    def step():
        with torch.no_grad():
            tokens = model.generate(
                input_ids=inputs, attention_mask=torch.ones_like(inputs), **options
            )
        written[:] = tokens[:, 1:].tolist()  # without the start token
        assert len(written[0]) == length, written[0]

    return step, lambda: {"first_row": written[0]}


if __name__ == "__main__":
    common.serve(build)
