"""A Git repository with the specs of one dataset and one model."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.unit.spec.project import SOUND


def repository(folder: Path) -> Path:
    """Make `folder` an empty repository on the branch `main`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    return folder


def sound(folder: Path) -> Path:
    """Make `folder` a repository with a sound project, nothing committed."""
    repository(folder)
    for path, text in SOUND.items():
        write(folder, path, text)
    return folder


def write(folder: Path, path: str, text: str) -> None:
    """Write one file, with the folders above it."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
