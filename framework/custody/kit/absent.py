"""Modules that are not installed, remembered as such by a process that asks for them all the time.

scikit-learn tries to import pandas with every array that it looks at, and each try searches all of the import path:
half the time of a small prediction.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


class _Absent(MetaPathFinder):
    """Says at once that a module is not there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname == self.name:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def remember_absent(name: str) -> None:
    """Let importing `name` fail at once in this process from now on, if it is not installed."""
    known = any(isinstance(finder, _Absent) and finder.name == name for finder in sys.meta_path)
    if not known and find_spec(name) is None:
        sys.meta_path.insert(0, _Absent(name))
