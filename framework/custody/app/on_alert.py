"""What an alert brings about by itself: `on_alert` of monitors.yaml, within its guard rails.

Deeds go the ways that a person's do: a model is trained as a trial of the commit, judged by the gates, held against
the one that serves, and only then applied; a stage goes back by a hold. What was done, and what a guard withheld, is
recorded in the incident.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from custody.app.apply import ApplyOptions, apply
from custody.app.contest import Contest, Running, contest
from custody.app.incident_files import acknowledgement, recorded_incidents
from custody.app.incident_files import incident as incident_now
from custody.app.incidents import record
from custody.app.monitored import Acted
from custody.app.project import Project
from custody.app.records import Recorded, recorded
from custody.app.refresh import refresh
from custody.app.rollback import hold, version_before
from custody.app.trial import TrialOptions, try_models
from custody.app.watched import watch
from custody.app.windows_recorded import judged_windows
from custody.core.choice import Choice
from custody.core.guards import (
    RETRAIN,
    ROLLBACK,
    Case,
    Deed,
    Earlier,
    acts_on,
    facts_with,
    failing_outcomes,
    in_order_of_time,
    latest_outcomes,
    retraining_withheld,
    rollback_withheld,
    withheld_lines,
)
from custody.core.holds import hold_words
from custody.core.paging import acknowledged
from custody.core.stages import AUTO, PRODUCTION
from custody.domain.incident import Incident
from custody.domain.monitoring import Window
from custody.domain.monitors import Every, Monitors
from custody.domain.plan import Category
from custody.domain.record import ModelState, Run, RunStatus
from custody.domain.spec import LATEST, ModelSpec, Spec
from custody.errors import CustodyError

TRAINED = frozenset({Category.NEW, Category.REBUILD, Category.RETRAIN})
_ALL = ""
"""Before any month: all windows."""
_INTERRUPTED = "it was interrupted"


def act(project: Project, spec: Spec, how: Running) -> tuple[Acted, ...]:
    """Do what open alerts ask for, as far as no guard withholds it, and record that in the incidents.

    `spec` is that of the commit. A deed that fails is withheld with its error. Raises LedgerError where the ledger
    cannot be read or appended to.
    """
    acted: list[Acted] = []
    known = recorded_incidents(project.ledger.files)
    for incident in known:
        if acts_on(incident):
            acted += _on_incident(project, spec, incident, known, how)
    return tuple(acted)


def _on_incident(
    project: Project, spec: Spec, incident: Incident, known: tuple[Incident, ...], how: Running
) -> Iterator[Acted]:
    done: list[Deed] = []
    withheld: list[Acted] = []
    for name in incident.models:
        model = spec.models.get(name)
        if model is None or model.monitors is None:
            continue
        for result in _on_model(_Doer(project, spec, model, incident, how), known):
            if isinstance(result, Deed):
                done.append(result)
            else:
                withheld.append(result)
    before = withheld_lines(incident)
    lines = tuple(f"{item.what} of {item.model}: {item.line}" for item in withheld)
    if done or lines != before:
        # read again: a sweep may have gone on with the incident while a model was trained
        now = incident_now(project.ledger.files, incident.id) or incident
        # who heard of the incident hears of what was done; what is withheld is a line that goes with the next message
        told = now.told if done else ()
        record(project, (replace(now, revision=now.revision + 1, facts=facts_with(now, done, lines), to=told),))
    yield from (Acted(incident.id, deed.model, deed.what, deed.line, deed.undo) for deed in done)
    yield from (replace(item, new=line not in before) for item, line in zip(withheld, lines, strict=True))


def _on_model(doer: _Doer, known: tuple[Incident, ...]) -> Iterator[Deed | Acted]:
    """Yield what came of the deeds that a model asks for, in their order; after one that was done no other is."""
    for what in doer.deeds:
        try:
            result = doer.retrain(known) if what == RETRAIN else doer.roll_back(known)
        except CustodyError as error:
            result = error.message
        if isinstance(result, Deed):
            yield result
            return
        yield Acted(doer.incident.id, doer.model.name, what, result, withheld=True)


class _Doer:
    """Does the deeds of one model in one incident. Each returns the deed, or why it is withheld."""

    def __init__(self, project: Project, spec: Spec, model: ModelSpec, incident: Incident, how: Running) -> None:
        self.project = project
        self.spec = spec
        self.model = model
        self.incident = incident
        self.how = how
        self.monitors = model.monitors or Monitors(Every.DAY)
        self.stage = self.monitors.stage

    @property
    def deeds(self) -> tuple[str, ...]:
        return tuple(what for what in self.monitors.on_alert.do if what != "notify")

    def retrain(self, known: tuple[Incident, ...]) -> Deed | str:
        """Train on the newest data as a trial; apply it where its gates pass and it beats the model that serves."""
        case = self._case(known)
        latest = latest_outcomes(case)
        why = retraining_withheld(case)
        if why or latest is None:
            return why or "no outcomes"
        dataset = self.spec.datasets[self.model.dataset.name]
        if not in_order_of_time(self.model, dataset):
            return "its split is not in order of the dataset's time: no outcome is later than what it would learn from"
        if failed := self._refreshed():
            return failed
        options = TrialOptions((self.model.name,), (), True, self.how.jobs, self.how.engine, False, self._alert)
        result = try_models(self.project, options, self.how.progress, self.how.cancel)
        (tried,) = (item for item in result.models if item.model == self.model.name)
        if tried.run is None or tried.category not in TRAINED:
            idle = tried.category in {Category.NOOP, Category.METADATA, Category.MONITOR}
            return tried.note or ("there is no new data" if idle else f"the plan says {tried.category.word}")
        return self._tried(tried.run, latest.window)

    def roll_back(self, known: tuple[Incident, ...]) -> Deed | str:
        """Hold the stage at the version before, where that one is better on the window that alarms."""
        case, state = self._case(known), self._state()
        target = version_before(self.project, state, self.stage)
        before = recorded(self.project.ledger, self.project.ledger.state(), target[1]) if target else None
        window = failing_outcomes(case)
        why = rollback_withheld(case, self._earlier(before) if before else None)
        if why or before is None or window is None or target is None:
            return why or "there is no earlier version"
        found = self._contest(before, window)
        if not found.won:
            return f"{target[0]} is no better: {found}"
        undo = self._hold(target[0], f"{target[0]} is better: {found}")
        return self._deed(ROLLBACK, f"{self.stage} is held at {target[0]}: {found}", undo)

    def _earlier(self, before: Recorded) -> Earlier:
        manifest = self.spec.resolve(self.model.dataset)
        there = {*(manifest.stored_columns if manifest else ()), *self.model.inputs}
        train = before.run.steps.get("train")
        needed = train.inputs.get("features", ()) if train else ()
        missing = tuple(name for name in needed if name not in there)
        return Earlier(before.version or before.run.id[:8], before.run.finished, missing)

    def _refreshed(self) -> str | None:
        """Read the source of the model's dataset again; return why what it holds cannot be learnt from."""
        dataset = self.spec.datasets[self.model.dataset.name]
        if dataset.source is None or self.model.dataset.version != LATEST:
            return None
        (found,) = refresh(self.project, (dataset.name,), self.project.job.actor or self.project.ledger.actor)
        return f"the new data is refused: {found.error.message}" if found.error else None

    def _tried(self, run: Run, window: Window) -> Deed | str:
        """Judge a challenger: its own run, its gates, then the rows on which the champion failed."""
        if run.status is not RunStatus.PASSED:
            return self._failed(run)
        try:
            found = self._contest(self._trial(run), window)
        except CustodyError as error:
            if self.how.cancel.is_set():
                return _INTERRUPTED
            return self._lost(run, f"it could not be compared: {error.message}")
        return self._won(run, found) if found.won else self._lost(run, f"it is no better: {found}")

    def _failed(self, run: Run) -> Deed | str:
        """Return what is said of a challenger that did not pass; data that cannot be learnt from is no attempt."""
        if run.status is RunStatus.INTERRUPTED:
            return _INTERRUPTED
        if run.failure and run.failure.step == "validate":
            return f"the new data fails its contract: {run.failure.error}"
        why = f"{run.failure.step}: {run.failure.error}" if run.failure else str(run.status)
        if run.status is RunStatus.REJECTED and run.verdict:
            why = f"its gates fail ({', '.join([gate.gate for gate in run.verdict.gates if not gate.passed][:3])})"
        return self._deed(RETRAIN, f"trained trial {run.id[:8]}: {why}")

    def _won(self, run: Run, found: Contest) -> Deed:
        choice = Choice((self.model.name,), alert=f"{self._alert}; better: {found}")
        options = ApplyOptions(choice, self.how.jobs, self.how.engine)
        applied = apply(self.project, options, self.how.progress, self.how.cancel, self.how.say)
        made = next((item for item in applied.models if item.model == self.model.name), None)
        moved = [move for move in made.promoted if move.stage == self.stage] if made else []
        undo = ""
        if moved:
            line = f"{self.stage} is {moved[0].version or run.id[:8]} now: {found}"
            undo = f"custody rollback {self.model.name}{self._option}"
        else:
            told = (made.note if made else "") or f"stages says {self.model.stages.get(self.stage)}"
            line = f"{made.registered if made and made.registered else run.id[:8]} is better ({found}); {told}"
        return self._deed(RETRAIN, line, undo)

    def _lost(self, run: Run, why: str) -> Deed:
        """Keep what serves: where the stage follows the specs, the next apply would promote what passed its gates."""
        pointer = self._state().stages.get(self.stage)
        line, undo = f"trained trial {run.id[:8]}: {why}", ""
        if pointer and self.model.stages.get(self.stage) == AUTO:
            undo = self._hold(pointer.version, line)
            line += f"; {self.stage} is held at {pointer.version}"
        return self._deed(RETRAIN, line, undo)

    def _hold(self, version: str, why: str) -> str:
        """Hold the stage at a version, and return the command that ends the hold."""
        done = hold(self.project, self.model.name, version, self.stage, f"{self._alert}; {why}")
        record = done.held.record[:8] if done.held else ""
        return f"custody rollback {self.model.name} --release {record}{self._option}"

    def _contest(self, one: Recorded, window: Window) -> Contest:
        found, _ = watch(self.project, self.spec, (self.model.name,))
        if not found:
            raise CustodyError(f"nothing of {self.model.name} is in {self.stage}")
        return contest(self.project, found[0], one, window, self.how)

    def _trial(self, run: Run) -> Recorded:
        entry = self.project.trials.find_entry(run.id)
        if entry is None:
            raise CustodyError(f"trial {run.id[:8]} is not recorded")
        return Recorded(run, entry, entry, (), None, (), self.model.name)

    def _case(self, known: tuple[Incident, ...]) -> Case:
        files, at = self.project.ledger.files, self.project.now()
        flag = acknowledgement(files, self.incident.id)
        taken = flag if flag and acknowledged(self.incident, flag, at) else None
        windows = judged_windows(files, self.model.name, _ALL)
        state = self._state()
        held = next((hold_words(item, state) for item in state.holds_on(self.stage)), None)
        by = taken.by if taken else None
        return Case(self.model.name, self.monitors, self.incident, windows, known, at, by, held)

    def _state(self) -> ModelState:
        return self.project.ledger.model(self.model.name)

    def _deed(self, what: str, line: str, undo: str = "") -> Deed:
        return Deed(what, self.model.name, self.project.now(), f"{what} of {self.model.name}: {line}", undo)

    @property
    def _option(self) -> str:
        return "" if self.stage == PRODUCTION else f" --stage {self.stage}"

    @property
    def _alert(self) -> str:
        suspect = self.incident.signals[0].text if self.incident.signals else self.incident.subject
        return f"incident {self.incident.id}: {suspect}"
