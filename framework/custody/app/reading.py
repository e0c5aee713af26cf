"""What reads specs and plans here, as one digest: custody's own files, Python, and the installed scikit-learn.

What is remembered of a plan, or of the configuration, is worth something only under the same one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from custody import __version__
from custody.digest import digest

_PARTS = ("app", "core", "domain", "kit", "kit/connectors", "spec", "spec/schemas")


@cache
def reader() -> str:
    """Return the digest. Files are told by size and time, as Git's index does; nothing is imported or read."""
    package = Path(__file__).parents[1]
    files = [item for part in _PARTS for item in _files(package / part)]
    found = find_spec("sklearn")
    checked = list(_files(Path(found.origin).parent, "__init__.py")) if found and found.origin else []
    return digest([__version__, sys.version, str(package), files, checked])


def _files(folder: Path, name: str = "") -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of the files in the folder, in order of name."""
    with os.scandir(folder) as entries:
        wanted = [entry for entry in entries if entry.name == name or (not name and entry.is_file())]
    for entry in sorted(wanted, key=lambda entry: entry.name):
        status = entry.stat()
        yield entry.name, status.st_size, status.st_mtime_ns
