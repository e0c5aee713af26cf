"""A project: the root that `.mlops/config.yaml` marks, and the adapters that serve it, each made when first asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from custody import __version__
from custody.core.who import Job
from custody.domain.problem import Problem, Severity
from custody.domain.spec import Config, Spec
from custody.errors import InvalidSpecError, UsageError
from custody.git.worktree import GitWorktree, open_worktree

if TYPE_CHECKING:
    from custody.app.content import SharedStore
    from custody.core.sharing import Landed
    from custody.domain.ports import Ledger

CONFIG = ".mlops/config.yaml"
STATE = ".mlops/state"


@dataclass
class Project:
    """Where everything of one project is. `clock` gives the time for records, in UTC; `job` is the CI job at work.

    `config_bytes` is what the configuration was read from, where a file was.
    """

    root: Path
    worktree: GitWorktree
    config: Config
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    job: Job = field(default=Job())
    config_bytes: bytes = b""

    @property
    def state_dir(self) -> Path:
        """What is kept outside Git: logs, Prefect's home, `last.json`, all to be deleted at will; and the journal."""
        return self.root / STATE

    @cached_property
    def store(self) -> SharedStore:
        """The content store of this clone, with `mlops/store` behind it where the ledger is shared."""
        from custody.app.content import SharedStore
        from custody.content.store import FileStore

        return SharedStore(FileStore(self.root / ".mlops" / "store"), self.root, self.config.remote)

    @cached_property
    def ledger(self) -> Ledger:
        return self._ledger(self.config)

    @cached_property
    def trials(self) -> Ledger:
        """The records of `custody try --commit`, on a branch of their own: nothing there is ever decided."""
        return self._ledger(self.config.for_trials())

    @cached_property
    def local_trials(self) -> Ledger:
        """The records of trials of the working tree, which may hold what nobody meant to publish: never shared."""
        return self._ledger(self.config.for_local_trials())

    @property
    def all_trials(self) -> tuple[Ledger, ...]:
        """Where trials are looked for that count in this clone alone, those of the working tree first."""
        return self.local_trials, self.trials

    def _ledger(self, config: Config) -> Ledger:
        from custody.app.readme import render_readme
        from custody.ledger.ledger import GitLedger

        ledger = GitLedger(self.worktree, config, readme=render_readme, tool=f"custody {__version__}", clock=self.clock)
        return ledger.with_content(self.store.files, self._landed)

    def _landed(self) -> Landed:
        from custody.app.landed import LandedSpecs

        return LandedSpecs(self)()

    def now(self) -> str:
        """The time as records hold it: ISO 8601, UTC, whole seconds."""
        return self.clock().isoformat(timespec="seconds")

    def load(
        self, revision: str | None = None, files: Callable[[str], Iterable[str]] | None = None
    ) -> tuple[Spec, tuple[Problem, ...]]:
        """Load the specs of a commit, or of the working tree where `revision` is None, with all their problems.

        Only those that `files` lists below a folder are loaded, where it is given.
        """
        from custody.spec.load import load

        reader = self.worktree.reader(revision)
        loaded = load(reader, files or (lambda under: self.worktree.files(revision, under)))
        return loaded.spec, loaded.problems

    def load_valid(self, revision: str | None = None) -> Spec:
        """Load the specs; raises InvalidSpecError where there is any error."""
        spec, problems = self.load(revision)
        if errors := _errors(problems):
            raise InvalidSpecError(problems, errors)
        return spec


def open_project(start: Path, job: Job | None = None) -> Project:
    """Open the project around `start`, for the CI job that is at work, if any.

    Raises UsageError where no folder above holds `.mlops/config.yaml`.
    """
    root = find_root(start)
    worktree = open_worktree(root)
    data = worktree.reader(None)(CONFIG) or b""
    return Project(root, worktree, _config(root, data), job=job or Job(), config_bytes=data)


def _config(root: Path, data: bytes) -> Config:
    """Return the configuration that these bytes are; raises InvalidSpecError where it has errors."""
    from custody.app.configured import remembered

    if known := remembered(root / STATE, data):
        return known
    from custody.spec.config import load_config

    config, problems = load_config(lambda _: data)
    if config is None:
        raise InvalidSpecError(problems, _errors(problems))
    return config


def find_root(start: Path) -> Path:
    """Return the nearest folder at or above `start` that holds `.mlops/config.yaml`."""
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / CONFIG).is_file():
            return folder
    message = f"no custody project here: neither {here} nor a folder above it holds {CONFIG}"
    raise UsageError(message, code="E600", help=("custody init",))


def _errors(problems: Sequence[Problem]) -> int:
    return sum(problem.severity is Severity.ERROR for problem in problems)
