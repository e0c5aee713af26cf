"""What one process of a server does beside the answers: seal the journal, share, and record what runs where."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from custody.app.deployed import Told, deployed
from custody.app.project import Project, open_project
from custody.app.sealing import seal
from custody.app.servers import workers
from custody.core.stages import NONE

_EVERY = 2.0
"""Seconds between two turns."""
_FETCH = 15.0
"""Seconds between two fetches of a shared ledger."""


class Keeper:
    """Keeps a project of its own: it is used beside the threads that answer."""

    def __init__(
        self, project: Project, server: str, where: str, models: tuple[str, ...], say: Callable[[str], None]
    ) -> None:
        self._project = open_project(project.root, project.job)
        self._server, self._where, self._models = server, where, models
        self._say = say
        self._said: dict[str, str] = {}
        self._recorded: dict[str, tuple[str, str]] = {}
        self._next = self._fetch = 0.0

    def run(self, ended: Event) -> None:
        """Take turns until `ended` is set, the first one at once."""
        self.turn()
        while not ended.wait(_EVERY):
            self.turn()

    def turn(self) -> None:
        """Do what is due; what fails is said once and tried again."""
        if time.monotonic() < self._next:
            return
        self._try("record", self._record)
        self._try("seal", lambda: self._seal(apart=True))
        self._try("fetch", self._follow)
        self._next = time.monotonic() + _EVERY / 2

    def finish(self) -> None:
        """Seal all that the workers left, and record that nothing runs here any more."""
        self._try("seal", lambda: self._seal(apart=False))
        self._try("record", self._leave)

    def _record(self) -> None:
        """Record a version once all workers answer with it."""
        alive = workers(self._project.worktree.common_dir, self._server)
        for model in self._models:
            serving = {(item["stage"], item["version"]) for worker in alive if (item := worker.serving.get(model))}
            if len(serving) == 1 and all(model in worker.serving for worker in alive):
                (found,) = serving
                if found[0] and self._recorded.get(model) != found:
                    deployed(self._project, model, Told(found[1], self._where, found[0]))
                    self._recorded[model] = found

    def _leave(self) -> None:
        while self._recorded:
            model, (stage, _) = self._recorded.popitem()
            deployed(self._project, model, Told(NONE, self._where, stage, remark="the server was stopped"))

    def _seal(self, *, apart: bool) -> None:
        sealed = seal(self._project, self._models, apart=apart)
        for path in sealed.damaged:
            self._say(f"a part of {path} cannot be read; it is kept, its other predictions are sealed")
        if sealed.batches:
            shared = self._project.ledger.share()
            reason = () if shared.landed else (f"not shared yet: {shared.reason}",)
            for line in (*shared.left_out, *reason):
                self._once(line, line)

    def _follow(self) -> None:
        if self._project.config.remote and time.monotonic() >= self._fetch:
            self._fetch = time.monotonic() + _FETCH
            self._project.ledger.fetch()

    def _try(self, what: str, do: Callable[[], object]) -> None:
        try:
            do()
            self._said.pop(what, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on answering
            self._once(what, f"cannot {what}: {error}")

    def _once(self, what: str, line: str) -> None:
        if self._said.get(what) != line:
            self._said[what] = line
            self._say(line)
