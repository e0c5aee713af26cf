"""The settings of one clone that make Git itself show the ledger: its notes in `git log`, and two aliases.

They go to the repository's own configuration, never to a person's.
"""

from __future__ import annotations

from collections.abc import Mapping

import pygit2

from custody.errors import GitError
from custody.git.objects import FAILURES, Repository

NOTES_REF = "refs/notes/mlops"
DISPLAY = "notes.displayRef"


def reading_aliases(ledger: str) -> Mapping[str, str]:
    """Return the aliases by name: `git mlog [-- PATH]` lists records, `git mshow COMMIT` shows one with its notes."""
    words = "%C(yellow)%h%C(reset) %C(cyan)%ad%C(reset) %s %C(dim)(%an%(trailers:key=Change,valueonly,separator=%x20))"
    log = f"log --no-merges --full-history --date=format:'%Y-%m-%d %H:%M' --format='{words}%C(reset)' {ledger}"
    return {"alias.mlog": log, "alias.mshow": "show --stat --notes=mlops"}


def missing_settings(repository: Repository, ledger: str) -> tuple[str, ...]:
    """Return the names of those settings that the clone does not have; what a person has set counts, too."""
    found = repository.raw.config
    missing = [name for name in reading_aliases(ledger) if name not in found]
    return (*([] if NOTES_REF in found.get_multivar(DISPLAY) else [DISPLAY]), *missing)


def set_reading(repository: Repository, ledger: str) -> tuple[str, ...]:
    """Set what is missing in the clone's own configuration and return its names. Raises GitError where that fails."""
    missing = missing_settings(repository, ledger)
    try:
        own = pygit2.Config(str(repository.common_dir / "config"))
        for name in missing:
            if name == DISPLAY:
                own.set_multivar(name, "^$", NOTES_REF)
            else:
                own[name] = reading_aliases(ledger)[name]
    except FAILURES as error:
        path = repository.common_dir / "config"
        raise GitError(
            f"the configuration of this clone cannot be written: {error}", help=(f"ls -l {path}",)
        ) from error
    return missing
