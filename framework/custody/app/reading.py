"""What reads specs and plans here, as one digest: custody's own files, Python, and the installed scikit-learn.

What is remembered of a plan, or of the configuration, is worth something only under the same one: on this machine, or
for what travels with the records, anywhere.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from custody import __version__
from custody.digest import digest, sha256
from custody.domain.spec import Config
from custody.git.identities import Identities

_SETTINGS = ".mlops"
_OWN = (".mlops/store/", ".mlops/state/")
_PARTS = ("app", "core", "domain", "kit", "kit/channels", "kit/connectors", "spec", "spec/schemas")


@cache
def reader() -> str:
    """Return the digest. Files are told by size and time, as Git's index does; nothing is imported or read."""
    package = Path(__file__).parents[1]
    files = [item for part in _PARTS for item in _files(package / part)]
    found = find_spec("sklearn")
    checked = list(_files(Path(found.origin).parent, "__init__.py")) if found and found.origin else []
    return digest([__version__, sys.version, str(package), files, checked])


@cache
def sources() -> str:
    """Return the digest as every machine has it that runs the same: files are told by their bytes, which are read."""
    package = Path(__file__).parents[1]
    read = hashlib.sha256()
    for part in _PARTS:
        for name, size, _ in _files(package / part):
            read.update(f"{part}/{name} {size}\n".encode())
            read.update((package / part / name).read_bytes())
    found = find_spec("sklearn")
    checked = sha256(Path(found.origin).read_bytes()) if found and found.origin else None
    python = [sys.implementation.name, *sys.version_info[:3]]
    return digest([__version__, python, read.hexdigest(), checked])


def base_of(config: Config, ids: Identities, reader_: str) -> str | None:
    """Return the digest of what everything found depends on, `reader_` read it; None where it cannot be told."""
    lines = []
    for name, folder in sorted(ids.children(_SETTINGS).items()):
        path = f"{_SETTINGS}/{name}"
        if f"{path}/" in _OWN:
            continue
        identity = ids.folder(path) if folder else ids.file(path)
        if folder and identity is None:
            return None
        lines.append((name, identity))
    lock = ids.file(config.lock) if config.lock else None
    return digest([reader_, lines, lock])


def _files(folder: Path, name: str = "") -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of the files in the folder, in order of name."""
    with os.scandir(folder) as entries:
        wanted = [entry for entry in entries if entry.name == name or (not name and entry.is_file())]
    for entry in sorted(wanted, key=lambda entry: entry.name):
        status = entry.stat()
        yield entry.name, status.st_size, status.st_mtime_ns
