"""Which task a name means: one that ships with the project, or one that seqio knows."""

from pathlib import Path

from prompt_tuning.data.cache import cached_splits
from prompt_tuning.data.cached import CachedTask
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.files import FilesTask
from prompt_tuning.data.paths import PathLike
from prompt_tuning.data.tables import nearest
from prompt_tuning.data.tasks import Task

FOLDER = Path(__file__).parent.parent / "assets" / "tasks"
SPLITS = ("train", "validation", "test")

# Name -> its labels. What the tasks are and where they come from stands in assets/tasks/README.md.
SHIPPED = {
    "gloss_category": ("act", "animal", "body", "food", "object", "person", "plant", "substance"),
    "spam": ("ham", "spam"),
    "verse_paraphrase": ("different", "same"),
    "word_in_context": ("different", "same"),
}


def shipped_task(name: str) -> FilesTask:
    """A labelled task whose files ship with the project. Raises DataError for any other name."""
    if name not in SHIPPED:
        raise DataError(
            f"no shipped task {name!r}; there are {', '.join(SHIPPED)}{nearest(name, list(SHIPPED))}"
        )
    return FilesTask(
        name,
        {split: str(FOLDER / name / f"{split}.tsv") for split in SPLITS},
        labels=SHIPPED[name],
        id_column="id",
        metrics=("accuracy", "macro_f1"),
    )


def find_task(name: str, module: str | None = None, cache_dir: PathLike | None = None) -> Task:
    """The task or mixture called `name`: a shipped one, else one that seqio knows.

    Args:
      name: MIXTURE_OR_TASK_NAME.
      module: MIXTURE_OR_TASK_MODULE, imported first because it registers seqio tasks.
      cache_dir: where a machine without seqio may have tasks that one with seqio has cached.

    Raises:
      DataError: nobody knows the name, or seqio is not installed.
    """
    if name in SHIPPED and module is None:
        return shipped_task(name)
    try:
        from prompt_tuning.data import seqio_tasks  # brings TensorFlow, which most users lack
    except ImportError as error:
        if cache_dir and cached_splits(cache_dir, name):
            return CachedTask(name, cache_dir)
        raise DataError(
            f"MIXTURE_OR_TASK_NAME {name!r} is no shipped task ({', '.join(SHIPPED)})"
            f"{nearest(name, list(SHIPPED))}. Tasks of seqio need "
            f"`pip install 'prompt_tuning[seqio]'` ({error}). Your own files need gin/tasks/files.gin."
        ) from error
    return seqio_tasks.find_task(name, module)
