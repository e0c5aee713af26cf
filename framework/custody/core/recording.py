"""What is written for each event: subjects that a person reads, bodies, trailers and notes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from custody.core.fold import next_version
from custody.core.jsonfile import json_bytes
from custody.core.parameters import params_trailer
from custody.domain.graph import Outcome, StepStatus
from custody.domain.plan import MONITORING, Category, Reason, StageMove
from custody.domain.record import Entry, Failure, Hold, Kind, ModelState, Record, Run, RunStatus
from custody.domain.spec import Manifest, ModelSpec, Task, is_timed
from custody.domain.verdict import GateResult

KEY_PREFIX = 16
"""Characters of a step's key in the trailer `Steps`, by which the index finds it; the whole key is in run.json."""
SUBJECT = 120
"""Characters of a subject; longer ones are cut."""
_REFUSED = {
    "purpose.refused": "is not allowed",
    "version.edited": "was edited after it was recorded",
    "stage.unknown": "is not a registered version or run",
    "input.missing": "is not there",
    "rename.refused": "is no rename",
}
_VERBS = {Category.REEVALUATE.word: "evaluate"}
_DEFAULT_METRICS = {Task.CLASSIFICATION: ("roc_auc", "f1_macro", "accuracy"), Task.REGRESSION: ("rmse", "r2", "mae")}


@dataclass(frozen=True, slots=True)
class Source:
    """The commit that the specs were read from, and who is behind it: `behalf` names author and merger.

    `change` is the pull or merge request that brought it, `job` the address of the job that records, `actor` who
    started it where that is not told by Git's own identity; each empty where nothing is known.
    """

    commit: str
    behalf: str
    change: str = ""
    job: str = ""
    actor: str = ""

    def to_dict(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in ("commit", "behalf", "change", "job", "actor")}

    @property
    def trailers(self) -> tuple[tuple[str, str], ...]:
        """The trailers that say all this."""
        told = (("Behalf", self.behalf), ("Change", self.change), ("Job", self.job), ("Actor", self.actor))
        return (("Code", self.commit), *((name, _line(value)) for name, value in told if value.strip()))


def primary_metric(model: ModelSpec | None, run: Run) -> str | None:
    """Return the metric that stands for the run: the first that a gate names, else the usual one of the task."""
    declared = tuple(run.limits.get("metrics", ()))
    usual = _DEFAULT_METRICS[model.task] if model else ()
    names = (*declared, *usual, *run.metrics)
    return next((name for name in names if run.metrics.get(name) is not None), None)


def run_record(run: Run, spec: bytes, source: Source, metric: str | None, before: float | None) -> Record:
    """Return the record of a run; `before` is the value of `metric` in the run in production, if any."""
    return Record(
        id=run.id,
        kind=Kind.RUN,
        subject=_run_subject(run, metric, before),
        trailers=(*run_trailers(run), *source.trailers),
        model=run.model,
        body=_run_body(run),
        files=_files(run, spec),
        notes=((source.commit, f"run {run.id[:8]} {_run_subject(run, metric, before)}"),),
    )


def trial_record(record: Record, tree: str, trailers: Sequence[tuple[str, str]]) -> Record:
    """Return the record of a run as that of a trial of the source tree `tree`; it leaves no notes."""
    subject = f"try {record.subject.partition(' ')[2]}"
    own = (("Source", tree), *trailers)
    return replace(record, subject=subject, trailers=(*record.trailers, *own), notes=(), source=tree)


def verdict_record(record_id: str, run: Run, spec: bytes, source: Source, run_commit: str | None) -> Record:
    """Return the record of a stored evaluation that was judged again under other limits."""
    passed = "passed" if run.status is RunStatus.PASSED else "failed"
    count = run.verdict.count if run.verdict else "0/0"
    subject = f"judge {run.model}: run {run.id[:8]}, {count} gates passed"
    line = f"judged again: {passed}, {count} gates"
    return Record(
        id=record_id,
        kind=Kind.VERDICT,
        subject=subject,
        trailers=(*run_trailers(run), *source.trailers),
        model=run.model,
        body=_run_body(run),
        files=_files(run, spec),
        notes=_notes((source.commit, subject), (run_commit, line)),
    )


def metadata_record(
    record_id: str, run: Run, spec: bytes, source: Source, reasons: Sequence[Mapping[str, Any]]
) -> Record:
    """Return the record of changed metadata or monitors: no step ran."""
    words = ", ".join(
        f"{reason['subject']} {_short(reason['before'])} → {_short(reason['after'])}" for reason in reasons
    )
    verb = "monitors" if any(reason["code"] in MONITORING for reason in reasons) else "describe"
    words = words.removeprefix("monitors ")
    trailers = (("Model", run.model), ("Run", run.id), *source.trailers)
    subject = _line(f"{verb} {run.model}: {words}")[:SUBJECT]
    notes = _notes((source.commit, subject))
    return Record(record_id, Kind.METADATA, subject, trailers, run.model, files=_files(run, spec), notes=notes)


def data_record(
    record_id: str, manifest: Manifest, source: Source, at: str, classification: str | None = None
) -> Record:
    """Return the record of a dataset version, with its whole manifest but for the profile."""
    name = f"{manifest.dataset}@{manifest.version}"
    # a version that is named by its time has no file, so that its record tells what a plan needs
    kinds = {column: facts.get("kind") for column, facts in manifest.columns.items()}
    value = {
        "format": 1,
        "dataset": manifest.dataset,
        "version": manifest.version,
        "rows": manifest.rows,
        "logical": manifest.logical,
        **({"classification": classification} if classification else {}),
        "files": [{"path": item.path, "size": item.size, "sha256": item.sha256} for item in manifest.files],
        "columns": {column: facts.get("digest") for column, facts in manifest.columns.items()},
        **({"kinds": kinds} if is_timed(manifest.version) else {}),
        "source": dict(manifest.source),
        "as_of": manifest.as_of,
        "by": manifest.by,
        "parent": manifest.parent,
        "code": source.commit,
        "recorded": at,
    }
    columns = len(manifest.stored_columns)
    subject = f"data {name}: {manifest.rows:,} rows, {columns} columns"
    trailers = (("Data", f"{name} sha256:{manifest.logical}"), *source.trailers)
    path = f"datasets/{manifest.dataset}/{manifest.version}.json"
    return Record(record_id, Kind.DATA, subject, trailers, files={path: json_bytes(value)})


def register_record(
    record_id: str, run: Run, state: ModelState, at: str, run_commit: str | None, source: Source | None = None
) -> Record | None:
    """Return the decision that makes `run` the next version; None where it is one already."""
    if state.version_of(run.id):
        return None
    version = next_version(state)
    trailers = [("Model", run.model), ("Version", version), ("Run", run.id)]
    trailers += [("Artifact", run.artifact)] if run.artifact else []
    trailers += source.trailers if source else []
    effect = {"version": version, "run": run.id, "artifact": run.artifact, "at": at}
    subject = f"register {run.model} {version}: run {run.id[:8]}"
    notes = _notes((run_commit, f"registered as {run.model} {version}"))
    return Record(record_id, Kind.REGISTER, subject, tuple(trailers), run.model, effect=effect, notes=notes)


def promotion_record(
    record_id: str, move: StageMove, state: ModelState, source: Source, at: str, run_commit: str | None
) -> Record | None:
    """Return the decision that points `move.stage` to `move.run`; None where it points there already.

    It names the open holds of `move.releases` and so ends them; None where another one is open. A cleared stage points
    to nothing. `run_commit` is the commit that recorded the run, for its note.
    """
    run = None if move.cleared else move.run
    pointer = state.stages.get(move.stage)
    present = pointer.run if pointer else None
    holds = tuple(hold.record for hold in state.holds_on(move.stage))
    if (present == run and not holds) or not set(holds) <= set(move.releases):
        return None
    version = state.version_of(run) if run else None
    older = pointer is not None and version is not None and _number(version) < _number(pointer.version)
    verb = "roll back" if older or run is None else "promote"
    was = f" (was {pointer.version})" if pointer else ""
    subject = f"{verb} {state.name}: {move.stage} → {version or 'nothing'}{was}"
    if present == run:
        verb, subject = "release", f"release {state.name}: {move.stage} stays {version or 'nothing'}"
    subject += f"; hold {', '.join(hold[:8] for hold in holds)} ends" if holds else ""
    trailers = [("Model", state.name), ("Stage", move.stage)]
    trailers += [("Version", version)] if version else []
    trailers += [("Run", run)] if run else []
    trailers += [("Replaces", present)] if present else []
    trailers += source.trailers
    effect: dict[str, Any] = {"stage": move.stage, "run": run, "version": version, "replaces": present, "at": at}
    effect |= {"releases": holds} if holds else {}
    notes = _notes((source.commit, subject), (run_commit, f"{move.stage}: {verb}d as {version}" if run else ""))
    return Record(record_id, Kind.PROMOTION, subject, tuple(trailers), state.name, effect=effect, notes=notes)


def hold_record(record_id: str, hold: Hold, state: ModelState, source: Source, run_commit: str | None) -> Record:
    """Return the fact that holds a stage; its `record` is `record_id`. `run_commit` is that of the run held off."""
    came, goes = (state.version_of(run) if run else None for run in (hold.from_, hold.to))
    reason, by = line_of(hold.reason), line_of(hold.by)
    subject = _line(f"hold {state.name}: {hold.stage} → {goes or 'nothing'} (was {came or 'nothing'}): {reason}")
    trailers = [("Model", state.name), ("Stage", hold.stage), ("Run", hold.to)] if hold.to else [("Model", state.name)]
    effect = {"stage": hold.stage, "from": hold.from_, "to": hold.to, "reason": reason, "by": by, "at": hold.at}
    notes = _notes((run_commit, f"{hold.stage}: held off, rolled back to {goes or 'nothing'}: {reason}"))
    people = source.trailers
    return Record(record_id, Kind.HOLD, subject[:SUBJECT], (*trailers, *people), state.name, effect=effect, notes=notes)


def retire_record(record_id: str, state: ModelState, source: Source) -> Record | None:
    """Return the decision that retires a model whose directory is gone; None where it is retired."""
    if state.retired:
        return None
    trailers = (("Model", state.name), *source.trailers)
    subject = f"retire {state.name}: its directory is gone"
    return Record(record_id, Kind.RETIRE, subject, trailers, state.name, notes=((source.commit, subject),))


def gc_record(record_id: str, kept: Mapping[str, int], dropped: Mapping[str, int], source: Source) -> Record:
    """Return the record of content that was dropped from the branch; `kept` and `dropped` are bytes by digest."""
    after = sum(kept.values())
    sizes = f"{after + sum(dropped.values()):,} → {after:,} bytes"
    subject = f"gc store: {_objects(dropped)} dropped, {len(kept):,} kept ({sizes})"
    told = (("Dropped", dropped), ("Kept", kept))
    trailers = [(name, f"{_objects(items)}, {sum(items.values())} bytes") for name, items in told]
    return Record(record_id, Kind.GC, subject, (*trailers, *source.trailers), body="\n".join(sorted(dropped)))


def _objects(items: Mapping[str, int]) -> str:
    return f"{len(items)} object{'' if len(items) == 1 else 's'}"


def gate_line(gate: GateResult) -> str:
    """Return one gate in words: `pass roc_auc.min 0.9912 ≥ 0.97`."""
    sign = {"max": "≤", "max_drop": "worse by at most"}.get(gate.gate.rpartition(".")[2], "≥")
    value = "none" if gate.value is None else f"{gate.value:.6g}"
    words = f"{'pass' if gate.passed else 'FAIL'} {gate.gate}"
    words += f"[{gate.slice}]" if gate.slice is not None else ""
    words += f" {value} {sign} {gate.limit:g}"
    words += f" than {gate.baseline:.6g}" if gate.baseline is not None else ""
    return words + (f" ({gate.note})" if gate.note else "")


def line_of(text: str) -> str:
    """Return a text that a person gave as one line that a trailer can hold."""
    return _line(" ".join(text.split()))


def refusal(reason: Reason) -> str:
    """Return in words why a model was refused."""
    return f"{reason.subject} {_REFUSED[reason.code]}: {reason.note}"


def failure_of(outcome: Outcome) -> Failure:
    """Return why a run ended early: the step that failed, or where it was cancelled."""
    failed = outcome.failed
    if failed is None or failed.status is StepStatus.CANCELLED:
        step = failed.step if failed else "start"
        return Failure(step, "cancelled", failed.log if failed else None)
    return Failure(failed.step, failed.error or str(failed.status), failed.log)


def last_entry(entry: Entry | None) -> dict[str, Any]:
    """Return what a plan says of the last record."""
    if entry is None:
        return {}
    who = entry.trailer("Actor") or entry.author
    code = entry.trailer("Code")
    return {
        "id": entry.id,
        "subject": entry.subject,
        "when": entry.at,
        "who": who,
        "commit": entry.commit,
        "code": code,
    }


def _run_subject(run: Run, metric: str | None, before: float | None) -> str:
    return _line(_run_words(run, metric, before))[:SUBJECT]


def _run_words(run: Run, metric: str | None, before: float | None) -> str:
    verb = _VERBS.get(run.category, "train")
    match run.status:
        case RunStatus.BLOCKED:
            return f"refuse {run.model}: {run.failure.error if run.failure else 'blocked'}"
        case RunStatus.FAILED | RunStatus.CRASHED | RunStatus.INTERRUPTED:
            where = f" at {run.failure.step}: {run.failure.error}" if run.failure else ""
            return f"{verb} {run.model}: {run.status}{where}"
    value = run.metrics.get(metric or "")
    score = f"{metric} {value:.4g}" if value is not None else "no metric"
    change = f" ({value - before:+.3g})" if value is not None and before is not None else ""
    gates = f"{run.verdict.count} gates passed" if run.verdict and run.verdict.gates else "no gates"
    return f"{verb} {run.model}: {score}{change}, {gates}"


def run_trailers(run: Run) -> tuple[tuple[str, str], ...]:
    """Return what the trailers say of a run, all of which `run.json` holds too."""
    data = f"{run.data['dataset']}@{run.data['version']} sha256:{run.data['logical']}" if run.data else ""
    judged = [name for name in run.limits.get("metrics", {}) if name in run.metrics]
    values = {name: run.metrics[name] for name in (*judged, *run.metrics)}
    measured = (f"{name}={value:.6g}" for name, value in values.items() if value is not None)
    usable = (f"{name}={step.key[:KEY_PREFIX]}" for name, step in run.steps.items() if step.usable)
    failure = run.failure
    trailers = (
        ("Model", run.model),
        ("Run", run.id),
        ("Status", str(run.status)),
        ("Category", run.category),
        ("Data", data),
        ("Artifact", run.artifact or ""),
        ("Metrics", " ".join(measured)),
        ("Params", params_trailer(run)),
        ("Gates", run.verdict.count if run.verdict else ""),
        ("Failed", _line(f"{failure.step}: {failure.error}") if failure else ""),
        ("Log", (failure.log or "") if failure else ""),
        ("Key", run.key or ""),
        ("Steps", " ".join(usable)),
        ("Plan", run.plan or ""),
        ("Started", run.started or ""),
        ("Finished", run.finished or ""),
        ("Seconds", "" if run.seconds is None else f"{run.seconds:.3f}"),
    )
    return tuple((name, value) for name, value in trailers if value)


def _run_body(run: Run) -> str:
    lines = [f"Why: {_line(_reason(reason))}" for reason in run.reasons]
    if run.failure:
        lines.append(_line(f"Failed: {run.failure.step}: {run.failure.error}"))
    if run.verdict:
        lines += [_line(gate_line(gate)) for gate in run.verdict.gates]
    return "\n".join(lines)


def _reason(reason: Mapping[str, Any]) -> str:
    words = f"{reason['code']} {reason['subject']}"
    if reason.get("before") is not None or reason.get("after") is not None:
        words += f" {_short(reason.get('before'))} → {_short(reason.get('after'))}"
    return words + (f" ({reason['note']})" if reason.get("note") else "")


def _files(run: Run, spec: bytes) -> dict[str, bytes]:
    folder = f"models/{run.model}"
    return {f"{folder}/spec.yaml": spec, f"{folder}/run.json": json_bytes(run.to_dict())}


def _notes(*lines: tuple[str | None, str]) -> tuple[tuple[str, str], ...]:
    return tuple((commit, _line(line)) for commit, line in lines if commit and line)


def _number(version: str) -> int:
    return int(version.removeprefix("v"))


def _short(value: Any) -> str:
    return "nothing" if value is None else str(value)[:60]


def _line(text: str) -> str:
    """One line of printable characters: what comes from errors and specs may hold anything."""
    return "".join(char if char.isprintable() else " " for char in text)[:500]
