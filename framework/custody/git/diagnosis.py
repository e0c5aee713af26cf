"""Questions about Git itself, the clone and its remote. Nothing is changed, here or there."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pygit2

from custody.git.objects import FAILURES, Repository
from custody.git.refs import STALE
from custody.git.transport import clean_text, promises, remote_path

_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Protection:
    """Whether a remote on this machine refuses a rewrite and a deletion; `config` is the file that says so."""

    rewrites: bool
    deletions: bool
    config: Path


def git_version() -> tuple[int, ...] | None:
    """Return the version of the git binary; None where there is none."""
    done = _git(Path.cwd(), "version")
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", done[1]) if done else None
    return tuple(int(part) for part in found.groups() if part) if found else None


def kind_of(repository: Repository, remote: str | None) -> tuple[str, ...]:
    """Return what is special about a clone: shallow, partial, a linked working tree."""
    words = ["shallow"] if repository.shallow_boundary else []
    words += ["partial"] if remote and promises(repository, remote) else []
    return (
        *words,
        *(["linked working tree"] if repository.git_dir.resolve() != repository.common_dir.resolve() else []),
    )


def reach(repository: Repository, remote: str) -> str | None:
    """Ask the remote for its branches; return why it does not answer, None where it does."""
    done = _git(repository.git_dir, "ls-remote", "--heads", remote)
    if done is None:
        return f"no answer for {_PATIENCE:.0f} s"
    return None if done[0] == 0 else (clean_text(done[2]).splitlines() or ["no answer"])[0]


def protection_of(repository: Repository, remote: str) -> Protection | None:
    """Return how a remote that is a path protects its branches; None where that cannot be told from here."""
    path = remote_path(repository, remote)
    if path is None:
        return None
    file = path / "config"
    try:
        config = pygit2.Config(str(file))
        told = [_flag(config, name) for name in ("receive.denyNonFastForwards", "receive.denyDeletes")]
    except FAILURES:
        return None
    return Protection(told[0], told[1], file)


def setting(repository: Repository, name: str) -> str | None:
    """Return a setting of Git as it applies to this clone; None where it is not set."""
    try:
        return str(repository.raw.config[name])
    except FAILURES:
        return None


def left_locks(repository: Repository) -> tuple[Path, ...]:
    """Return lock files of Git that are older than a live one would be: those of custody's refs and of the index."""
    folders = [repository.common_dir / "refs" / name for name in ("heads/mlops", "notes", "custody", "remotes")]
    found = [path for folder in folders if folder.is_dir() for path in folder.rglob("*.lock")]
    found += [repository.git_dir / "index.lock", repository.common_dir / "packed-refs.lock"]
    return tuple(path for path in found if _older(path))


def _older(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > STALE
    except OSError:
        return False


def _flag(config: pygit2.Config, name: str) -> bool:
    try:
        return bool(config.get_bool(name))
    except KeyError:
        return False


def _git(where: Path, *arguments: str) -> tuple[int, str, str] | None:
    """Run git without a terminal to ask at; None where there is none, or it takes too long."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=where,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
