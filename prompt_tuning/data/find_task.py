"""Which task a name means: one that ships with the project, a public benchmark's, or one that seqio
knows.
"""

import logging

from prompt_tuning.data.benchmarks import c4
from prompt_tuning.data.benchmarks.names import find_benchmark, why_no_benchmark
from prompt_tuning.data.benchmarks.rows import Folder, Tfds
from prompt_tuning.data.cache import cached_splits
from prompt_tuning.data.cached import CachedTask
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.paths import PathLike
from prompt_tuning.data.shipped import SHIPPED, shipped_task
from prompt_tuning.data.tables import nearest
from prompt_tuning.data.tasks import Task

log = logging.getLogger(__name__)
# Where the original registers the benchmarks that we have under the same names.
MODULES_OF_THE_ORIGINAL = tuple(
    f"prompt_tuning.data.{module}"
    for module in ("super_glue", "glue", "glue_transfer", "qa", "tasks")
)


def find_task(
    name: str,
    module: str | None = None,
    cache_dir: PathLike | None = None,
    data_dir: PathLike | None = None,
    tfds_data_dir: PathLike | None = None,
) -> Task:
    """The task or mixture called `name`: a shipped one, a public benchmark's, or one that seqio
    knows.

    Args:
      name: MIXTURE_OR_TASK_NAME.
      module: MIXTURE_OR_TASK_MODULE, imported first because it registers seqio tasks; the name is
        then seqio's, except that a benchmark's name beside a module of the original's is ours.
      cache_dir: where a machine without seqio may have tasks that one with seqio has cached.
      data_dir: folder with a benchmark's or C4's files; None for TensorFlow Datasets.
      tfds_data_dir: where TensorFlow Datasets has its data; None for its own default.

    Raises:
      DataError: nobody knows the name, or seqio is not installed.
    """
    if module in MODULES_OF_THE_ORIGINAL and why_no_benchmark(name) is None:
        log.info(
            "MIXTURE_OR_TASK_MODULE %r is the original's: our own benchmark %r is used",
            module,
            name,
        )
        module = None
    if module is None:
        if name in SHIPPED:
            return shipped_task(name)
        if name in c4.OBJECTIVES:
            return c4.c4_task(name, data_dir, tfds_data_dir)
        if why_no_benchmark(name) is None:
            return find_benchmark(name, Folder(data_dir) if data_dir else Tfds(tfds_data_dir))
    try:
        from prompt_tuning.data import seqio_tasks  # brings TensorFlow, which most users lack
    except ImportError as error:
        if cache_dir and cached_splits(cache_dir, name):
            return CachedTask(name, cache_dir)
        raise DataError(
            f"{_not_ours(name, module)}. Tasks of seqio need `pip install 'prompt_tuning[seqio]'` "
            f"({error}). Your own files need gin/tasks/files.gin."
        ) from error
    try:
        return seqio_tasks.find_task(name, module)
    except DataError as error:
        raise DataError(f"{_not_ours(name, module)}. {error}") from error


def _not_ours(name: str, module: str | None) -> str:
    """Why the name was left to seqio."""
    if module is not None:
        found = f"MIXTURE_OR_TASK_MODULE {module!r} makes {name!r} a task of seqio"
        if name in SHIPPED:
            return f"{found}; leave it out for the shipped task {name!r}"
        return f"{found}; {why_no_benchmark(name)}" if module in MODULES_OF_THE_ORIGINAL else found
    return (
        f"MIXTURE_OR_TASK_NAME {name!r} is no shipped task ({', '.join(SHIPPED)})"
        f"{nearest(name, [*SHIPPED, *c4.OBJECTIVES])}; {why_no_benchmark(name)}"
    )
