"""Temporary repositories, made and read with the real git, and shut off from the machine's own configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pygit2
from pygit2.enums import ConfigLevel

_LEVELS = (ConfigLevel.GLOBAL, ConfigLevel.XDG, ConfigLevel.SYSTEM)


@contextmanager
def own_home(home: Path) -> Iterator[None]:
    """Let git and libgit2 find no configuration but what lies in `home`."""
    before = {level: pygit2.settings.search_path[level] for level in _LEVELS}
    changed = {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}
    saved = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    for level in _LEVELS:
        pygit2.settings.search_path[level] = str(home)
    try:
        yield
    finally:
        for level, path in before.items():
            pygit2.settings.search_path[level] = path
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def git(path: Path, *arguments: str, check: bool = True) -> str:
    """Run git in `path` and return what it prints."""
    done = subprocess.run(
        ["git", "-C", str(path), *arguments], check=False, capture_output=True, text=True, errors="replace"
    )
    if check and done.returncode:
        raise AssertionError(f"git {arguments}: {done.stderr}")
    return done.stdout


def make_repository(path: Path, *, identity: bool = True) -> Path:
    """Make a repository on the branch main, without a commit."""
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "-q", "-b", "main")
    if identity:
        git(path, "config", "user.name", "Ada Byron")
        git(path, "config", "user.email", "ada@example.org")
    return path


def commit(path: Path, message: str = "a commit", **files: str) -> str:
    """Write files, commit all there is, and return the commit's id."""
    for name, text in files.items():
        write(path, name, text)
    git(path, "add", "-A")
    who = ("-c", "user.name=Ada Byron", "-c", "user.email=ada@example.org")
    git(path, *who, "commit", "-q", "--allow-empty", "-m", message)
    return git(path, "rev-parse", "HEAD").strip()


def write(path: Path, name: str, text: str) -> None:
    target = path / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
