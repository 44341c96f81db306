"""Tasks and mixtures of seqio: the `[seqio]` extra. Outside t5x/ it and TensorFlow are imported here only."""

from prompt_tuning.data.seqio_tasks.provider import SeqioTask, find_task

__all__ = ["SeqioTask", "find_task"]
