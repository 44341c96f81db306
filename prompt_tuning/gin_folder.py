"""Where the project's own gin files are: beside the package in a checkout, inside it when installed."""

import pathlib

_PACKAGE = pathlib.Path(__file__).parent
GIN_FOLDER = _PACKAGE / "gin" if (_PACKAGE / "gin").is_dir() else _PACKAGE.parent / "gin"
