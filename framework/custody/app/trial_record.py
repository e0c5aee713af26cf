"""Recording a trial: the same run as an apply would record, on the branch of trials, with no decision after it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from custody.app.adopt import COMMITTED, UNCOMMITTED
from custody.app.conclude import Recorder
from custody.app.conclusion import Conclusion
from custody.app.judging import production_run
from custody.app.origin import Origin
from custody.app.plan import Prepared
from custody.app.project import Project
from custody.core.recording import Source, trial_record
from custody.domain.graph import Outcome
from custody.domain.plan import Change, StageMove
from custody.domain.record import Run


@dataclass(frozen=True, slots=True)
class Tried:
    """What was tried: a source tree, whether it is that of the commit, the branch, and parameters that were set."""

    tree: str
    committed: bool
    branch: str | None
    settings: tuple[str, ...] = ()

    @property
    def trailers(self) -> tuple[tuple[str, str], ...]:
        """What the record says of it."""
        how = COMMITTED if self.committed else UNCOMMITTED
        branch = (("Branch", self.branch),) if self.branch else ()
        return (("Trial", how), *branch, *(("Set", item) for item in self.settings))


class TrialOrigin(Origin):
    """What the runs of one trial are made from: its tree, which need not be that of a commit."""

    def __init__(self, project: Project, prepared: Prepared, tried: Tried) -> None:
        super().__init__(project, prepared)
        self._tried = tried

    @cached_property
    def source(self) -> Source:
        """The commit that the tree stands on; what is not committed has no author, only who and what runs it."""
        source, job = super().source, self._project.job
        return source if self._tried.committed else Source(source.commit, "", job.change, job.url, job.actor)

    @property
    def tree(self) -> str:
        """The tree of the trial."""
        return self._tried.tree


class TrialRecorder(Recorder):
    """Appends the records of one `custody try`. Runs are judged against production, which stays as it is."""

    def __init__(self, project: Project, prepared: Prepared, tried: Tried) -> None:
        super().__init__(project, TrialOrigin(project, prepared, tried))
        self._tried = tried

    def header(self, change: Change, run_id: str) -> dict[str, Any]:
        """Return what an intent keeps; it says that the run is a trial."""
        about = {"source": self._tried.tree, "trailers": [list(item) for item in self._tried.trailers]}
        return {**super().header(change, run_id), "trial": about}

    def settle(self, change: Change) -> Conclusion:
        """Record a trial whose steps are all known."""
        known = tuple(step.known for step in change.steps if step.known)
        return self._record_run(change, secrets.token_hex(8), Outcome(change.model, known))

    def record(self, change: Change, run_id: str, outcome: Outcome) -> Conclusion:
        """Record a trial that needed no step process of its own."""
        return self._record_run(change, run_id, outcome)

    def production(self, model: str) -> Run | None:
        """Return the run in production now."""
        return production_run(self._ledger, self._ledger.model(model))

    def _adoption(self, run: Run) -> str:  # noqa: ARG002
        return ""

    def _append(self, run: Run) -> str:
        record = trial_record(self._record(run), self._tried.tree, self._tried.trailers)
        return (self._project.trials if self._tried.committed else self._project.local_trials).append(record)

    def _decide(self, conclusion: Conclusion, moves: tuple[StageMove, ...]) -> Conclusion:  # noqa: ARG002
        return conclusion
