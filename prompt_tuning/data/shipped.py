"""The labelled tasks that ship with the project, by name."""

from pathlib import Path

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.files import FilesTask
from prompt_tuning.data.tables import nearest

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
