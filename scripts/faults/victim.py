"""Training that kills itself, as a preempted machine does: `python victim.py N FOLDER --gin_file=...`

SIGKILL comes just before the Nth time that Python opens, makes, renames or removes something below
FOLDER, which is inside a save more often than not. With N 0 it never comes, and the number of times is
written to FOLDER.touches. What TensorStore writes passes by unseen: kills by the clock (kills.py) meet it.
"""

import os
import pathlib
import signal
import sys

REMOVES = {"os.remove", "os.rmdir"}
EVENTS = REMOVES | {"open", "os.mkdir", "os.rename", "os.truncate"}


def main() -> None:
    number, folder, *arguments = sys.argv[1:]
    touches = 0

    def count(event: str, values: tuple) -> None:
        nonlocal touches
        if event not in EVENTS:
            return
        # Whole folders are removed by names within them, in none but FOLDER here.
        inside = event in REMOVES and values[1] != -1
        if inside or os.path.abspath(str(values[0])).startswith(folder):
            touches += 1
            if touches == int(number):
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    sys.argv = ["train", *arguments]
    from prompt_tuning import train

    train.main()
    if number == "0":
        pathlib.Path(folder).with_suffix(".touches").write_text(str(touches))


if __name__ == "__main__":
    main()
