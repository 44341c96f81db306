"""Commands set up the package's log; each test gets it as it was."""

import logging

import pytest


@pytest.fixture(autouse=True)
def log_as_it_was():
    package = logging.getLogger("prompt_tuning")
    before = package.handlers, package.level, package.propagate
    yield
    package.handlers, package.level, package.propagate = before
