"""Tasks and mixtures of seqio. The only folder that imports seqio and TensorFlow: the `[seqio]`
extra.
"""

from prompt_tuning.data.seqio_tasks.provider import SeqioTask, find_task

__all__ = ["SeqioTask", "find_task"]
