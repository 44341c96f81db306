"""Compiling is what takes time here, and what methods compute is no matter of how it is optimised."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def all_of_them(quick_compilation):
    pass
