"""More of a project than one folder: copies of an applied one, clones of it, a bare host."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.integration.repository import Repository


def copied(made: Repository, folder: Path) -> Repository:
    """Copy a project with its Git repository and its store, to be changed at will."""
    shutil.copytree(made.root.parent, folder / "copy", symlinks=True)
    return Repository(folder / "copy" / made.root.name, folder / "copy" / made.home.name)


def hosted(made: Repository, folder: Path) -> Path:
    """Make a bare repository of the project's branches, and give the project it as `origin`."""
    host = folder / "host.git"
    made.git("clone", "-q", "--bare", str(made.root), str(host))
    made.git("remote", "add", "origin", f"file://{host}")
    made.git("fetch", "-q", "origin")
    return host


def clone(made: Repository, host: Path, folder: Path, *options: str) -> Repository:
    """Clone the host as somebody else would, with an identity."""
    made.git("clone", "-q", *options, f"file://{host}", str(folder))
    cloned = Repository(folder, made.home)
    cloned.git("config", "user.name", "Bob")
    cloned.git("config", "user.email", "bob@example.org")
    return cloned


def deeper(made: Repository, depth: int = 6) -> None:
    """Edit a parameter of `risk`, without a commit."""
    path = "models/risk/pipeline.yaml"
    text = (made.root / path).read_text(encoding="utf-8")
    made.write(path, text.replace("max_depth: 3", f"max_depth: {depth}"))
