"""Following the ledger: what is newly promoted is loaded beside what answers, and takes over between two requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event

from custody.app.project import Project
from custody.app.promoted import find_promoted
from custody.app.servers import Announcement
from custody.errors import CustodyError, UsageError
from custody.serving.models import Models


class Follower:
    """Keeps the models of one worker at what is promoted."""

    def __init__(
        self,
        project: Project,
        targets: Mapping[str, str],
        stages: Mapping[str, str],
        models: Models,
        announcement: Announcement,
        say: Callable[[str], None],
    ) -> None:
        """`targets` are MODEL@STAGE or MODEL@vN by the name that is served; `say` is told of what changes or fails."""
        self._project = project
        self._targets = targets
        self._stages = stages
        self._models = models
        self._announcement = announcement
        self._say = say
        self._head: str | None = None
        self._failed: dict[str, str] = {}

    def run(self, stop: Event, poll: float) -> None:
        """Look at the ledger every `poll` seconds until `stop` is set."""
        while not stop.wait(poll):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on answering
                self._complain("", f"the ledger cannot be followed: {error}")

    def look(self) -> None:
        """Take over what is promoted now, where the ledger has moved or something failed before."""
        head = self._project.ledger.head()
        if head == self._head and not self._failed:
            return
        self._failed.pop("", None)
        for name, target in self._targets.items():
            self._follow(name, target)
        self._head = head
        self._announcement.tell(self._models.serving(), self._stages)

    def _follow(self, name: str, target: str) -> None:
        from custody.app.scorer import ArtifactScorer

        before = self._models.serving()[name]
        try:
            source = find_promoted(self._project, target)
            if before is None or source.promoted != before:
                self._models.put(name, ArtifactScorer(source))
                if before is not None:
                    self._say(f"{name}: {source.promoted.version} answers now (was {before.version})")
            self._failed.pop(name, None)
        except UsageError as error:
            # nothing is promoted any more: an answer of what was withdrawn would be worse than none
            self._models.put(name, None)
            self._complain(name, f"{name}: nothing answers now: {error.message}")
        except (CustodyError, OSError) as error:
            kept = f"{before.version} goes on answering" if before else "nothing answers"
            self._complain(name, f"{name}: {kept}: {error}")

    def _complain(self, name: str, text: str) -> None:
        """Say what is wrong, once."""
        if self._failed.get(name) != text:
            self._failed[name] = text
            self._say(text)
