"""What must hold of a record by itself: its trailers, its keys, its verdict and its effect, computed again. Pure.

Everything here is untrusted: a record that cannot be read the way custody writes it is a fault, never a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from custody.core.gates import judge
from custody.core.keys import UPSTREAM, step_key
from custody.core.predictions import batch_id, batch_path, batch_trailers
from custody.core.recording import run_trailers
from custody.domain.audit import Fault
from custody.domain.batch import Batch
from custody.domain.graph import StepRecord
from custody.domain.record import Entry, Kind, ModelState, Record, Run, RunStatus
from custody.domain.verdict import Verdict
from custody.errors import CustodyError

_LATER = frozenset({"Params", "Started", "Finished", "Seconds"})
"""Those that the first writers of this format left out."""
MetricsOf = Callable[[str], Mapping[str, Any] | None]
"""Return the recorded metrics of a run; None where it is not known."""
OF_RUN = (
    *("Run", "Status", "Category", "Data", "Artifact", "Metrics", "Params", "Gates", "Failed", "Log", "Key", "Steps"),
    *("Plan", "Started", "Finished", "Seconds"),
)
"""Trailers that follow from `run.json`."""
_WRONG = (CustodyError, KeyError, ValueError, TypeError, AttributeError, ArithmeticError, LookupError)
"""What reading and judging a file of unknown origin may raise."""
_SHORT = 12
_KEPT = 10_000


def fault(entry: Entry, code: str, expected: str, found: str, help: str = "") -> Fault:
    """Return a fault of a record."""
    where = f"record {entry.commit[:_SHORT]} ({entry.subject})"
    model, run = entry.trailer("Model"), entry.trailer("Run")
    return Fault(code, where, expected, found, help or f"git show {entry.commit[:_SHORT]}", entry.commit, model, run)


class Keys:
    """Computes keys of steps; what one key was computed from is kept, since most steps are there many times."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, step: StepRecord) -> str:
        """Return the key that the inputs of the step give."""
        parts = step.step, step.inputs, step.upstream
        # not the values themselves: 1 and 1.0 are equal, and make different keys
        told = repr(parts)
        if self._known.get(step.key) == told:
            return step.key
        made = step_key(*parts)
        if made == step.key:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[made] = told
        return made


def run_faults(entry: Entry, run: Run, metrics_of: MetricsOf, keys: Keys) -> Iterator[Fault]:
    """Yield what is wrong with a run or a verdict and its `run.json`."""
    for check in (_trailers, partial(_keys, keys), _measured):
        try:
            yield from check(entry, run)
        except _WRONG as error:
            yield fault(entry, "run.unreadable", "run.json as custody writes it", f"{type(error).__name__}: {error}")
            return
    yield from _verdict(entry, run, metrics_of)


def recomputed(run: Run, metrics_of: MetricsOf, against: str | None) -> Verdict | None:
    """Return the verdict that the recorded limits give on the recorded evaluation, against the run `against`.

    None where that run is not known. Raises what an evaluation of the wrong shape leads to.
    """
    baseline = metrics_of(against) if against else None
    if against and baseline is None:
        return None
    evaluate = run.steps.get("evaluate")
    facts = evaluate.output.facts if evaluate and evaluate.output else {}
    return judge(run.limits, facts, baseline, against)


def effect_faults(entry: Entry, before: ModelState, after: ModelState, record: Record) -> Iterator[Fault]:
    """Yield what is wrong with a decision: one that lands takes effect, or it was never custody's."""
    effect = record.effect
    if record.kind is Kind.REGISTER:
        expected, version = f"v{len(before.versions) + 1}", str(effect.get("version"))
        item = after.versions.get(version)
        if item is None or item.record != record.id:
            known = before.version_of(str(effect.get("run")))
            found = f"{version}, and run {effect.get('run')} is {known} already" if known else version
            yield fault(entry, "version.gap", f"the next version, {expected}, of a run that is none yet", found)
    elif record.kind is Kind.PROMOTION:
        stage = str(effect.get("stage"))
        pointer, present = after.stages.get(stage), before.stages.get(stage)
        if pointer is not None if effect.get("run") is None else pointer is None or pointer.record != record.id:
            expected = f"a promotion of a version, off run {present.run if present else 'none'}, that names all holds"
            found = f"run {effect.get('run')} as {effect.get('version')}, replaces {effect.get('replaces')}"
            yield fault(entry, "promotion.void", expected, found)
    elif record.kind is Kind.RENAME and after.was[:1] != (effect.get("was"),):
        expected = "a model that has records, and a name that has none of its own"
        yield fault(entry, "rename.void", expected, f"{effect.get('was')} to {record.model}")


def version_faults(entry: Entry, value: Mapping[str, Any], path: str) -> Iterator[Fault]:
    """Yield what is wrong with the record of a dataset version that wrote `path`."""
    name = f"{value.get('dataset')}@{value.get('version')}"
    expected, found = f"{name} sha256:{value.get('logical')}", entry.trailer("Data")
    if found != expected:
        yield fault(entry, "data.trailers", f"Data: {expected}, as {path} says", f"Data: {found}")
    if path != f"datasets/{value.get('dataset')}/{value.get('version')}.json":
        yield fault(entry, "data.trailers", f"{path} about the version that it is called after", name)


def batch_faults(entry: Entry, batch: Batch, path: str) -> Iterator[Fault]:
    """Yield what is wrong with the record of sealed predictions that wrote `path`."""
    said = dict(reversed(entry.trailers))
    for name, value in batch_trailers(batch):
        if said.get(name) != value:
            yield fault(entry, "batch.trailers", f"{name}: {value}, as {path} says", f"{name}: {said.get(name)}")
    if path != batch_path(batch) or batch.id != batch_id(batch.model, batch.run, batch.root):
        yield fault(entry, "batch.name", f"{path} about the batch that its root and its run name", batch.id)


def _trailers(entry: Entry, run: Run) -> Iterator[Fault]:
    said = dict(reversed(entry.trailers))
    expected = {name: value.strip(" ") for name, value in run_trailers(run)}
    for name in ("Model", *OF_RUN):
        if (name in said or name not in _LATER) and not _says(name, said.get(name), expected.get(name)):
            told = (f"{name}: {value}" if value else f"no {name}" for value in (expected.get(name), said.get(name)))
            yield fault(entry, "run.trailers", f"{next(told)}, as run.json says", next(told))
    if entry.kind == Kind.RUN and said.get("Code") != run.code:
        yield fault(entry, "run.trailers", f"Code: {run.code}, as run.json says", f"Code: {said.get('Code')}")


def _says(name: str, one: str | None, other: str | None) -> bool:
    """Whether two trailers say the same; the order of metrics is one of importance, and may be another one."""
    if name != "Metrics" or one is None or other is None:
        return one == other
    return sorted(one.split()) == sorted(other.split())


def _keys(keys: Keys, entry: Entry, run: Run) -> Iterator[Fault]:
    """A key is what its inputs give, and a step was fed what the steps before it made."""
    for name, step in run.steps.items():
        made = keys.of(step)
        if made != step.key:
            yield fault(entry, "run.key", f"{name} with the key of its inputs, {made[:19]}", step.key[:19])
        for role, maker in UPSTREAM.get(name, {}).items():
            source = run.steps.get(maker)
            if source and source.output and step.upstream.get(role) != source.output.ref.digest:
                expected = f"{name} on the {role} that {maker} made, {source.output.ref.digest[:_SHORT]}"
                yield fault(entry, "run.key", expected, str(step.upstream.get(role))[:_SHORT])


def _measured(entry: Entry, run: Run) -> Iterator[Fault]:
    """The artifact and the metrics of a run are those of its steps."""
    train, evaluate = run.steps.get("train"), run.steps.get("evaluate")
    artifact = train.output.ref.object if train and train.usable and train.output else None
    if artifact != run.artifact:
        yield fault(entry, "run.artifact", f"the artifact of its training, {artifact}", str(run.artifact))
    metrics = evaluate.output.facts.get("metrics", {}) if evaluate and evaluate.usable and evaluate.output else {}
    for name in sorted({*metrics, *run.metrics}):
        if metrics.get(name) != run.metrics.get(name):
            yield fault(entry, "run.metrics", f"{name} {metrics.get(name)}, as evaluated", str(run.metrics.get(name)))


def _verdict(entry: Entry, run: Run, metrics_of: MetricsOf) -> Iterator[Fault]:
    """The verdict is what the recorded limits give on the recorded evaluation, and the status follows from it."""
    if run.verdict is None:
        if run.complete:
            yield fault(entry, "verdict.missing", f"a verdict, since the run {run.status}", "none")
        return
    try:
        again = recomputed(run, metrics_of, run.verdict.baseline)
        same = again == run.verdict
        passed = run.verdict.passed
    except _WRONG as error:
        yield fault(entry, "verdict.differs", "limits and an evaluation that can be judged", f"{error}")
        return
    if again is None:
        expected = f"a verdict against a run that is recorded before, {run.verdict.baseline}"
        yield fault(entry, "verdict.baseline", expected, "no record of it")
    elif not same:
        yield fault(entry, "verdict.differs", f"{again.count} gates passed, judged again", _told(run.verdict, again))
    if (
        again
        and run.status is not (RunStatus.PASSED if again.passed else RunStatus.REJECTED)
        and passed == again.passed
    ):
        yield fault(entry, "verdict.status", "passed" if again.passed else "rejected", str(run.status))


def _told(stored: Verdict, again: Verdict) -> str:
    if stored.limits != again.limits:
        return f"a verdict on other limits, {stored.limits[:_SHORT]}"
    wrong = [one.gate for one, other in zip(stored.gates, again.gates, strict=False) if one != other]
    return f"{stored.count}{'; it differs in ' + ', '.join(wrong[:3]) if wrong else ''}"
