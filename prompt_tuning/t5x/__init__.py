"""T5X as the trainer: this project's network, soft prompts and optimizers in the real T5X.

T5X's own entry points run it (`python -m t5x.train`, `t5x.eval`, `t5x.infer`) with the files of
gin/t5x/. Only imported where T5X is installed; nothing else in the project imports this folder.
"""
