"""Trace: the chain of custody of one run, each fact with the Git object that proves it and the command that shows it.

The commands are plain Git: they work without custody, from any folder of a clone that has the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from custody.app.authorship import authorship
from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.app.records import Recorded, find_record, find_run, recorded
from custody.core.recording import gate_line
from custody.domain.graph import StepRecord
from custody.domain.record import Entry, Kind, Run
from custody.domain.revision import Commit
from custody.domain.spec import PROFILES
from custody.errors import GitError, UsageError
from custody.spec.profile import profile_named

_SHORT = 12
NOTES = "mlops"


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: a label, words, the Git object that proves it (`<commit>`, `<blob>` or `<commit>:<path>`), a command.

    `value` is the fact for programs, where the words are not enough; `facts` are what it consists of.
    """

    label: str
    text: str
    object: str | None = None
    command: str | None = None
    value: Any = None
    facts: tuple[Fact, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {"label": self.label, "text": self.text, "object": self.object, "command": self.command}
        if self.value is not None:
            value["value"] = self.value
        if self.facts:
            value["facts"] = [fact.to_dict() for fact in self.facts]
        return value


@dataclass(frozen=True, slots=True)
class Trace:
    """The answer: what was asked for, what it is, and its facts."""

    target: str
    title: str
    facts: tuple[Fact, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"target": self.target, "title": self.title, "facts": [fact.to_dict() for fact in self.facts]}


def trace(project: Project, target: str) -> Trace:
    """Trace MODEL[@STAGE | @vN], a run, a trial, or a commit of the source branch.

    Raises UsageError where nothing is recorded of it, LedgerError where an id is ambiguous or a shared ledger was not
    fetched.
    """
    require_ledger(project)
    try:
        found = find_run(project.ledger, target)
    except UsageError:
        for trials in project.all_trials:
            if find_record(trials, target):
                found = find_run(trials, target)
                return Trace(target, f"trial of {_title(found)}", tuple(_trial(project, found)))
        if entry := find_record(project.ledger, target):
            return Trace(target, entry.subject, tuple(_record(project, entry)))
        commit = _source_commit(project, target)
        if commit is None:
            raise
        return _trace_commit(project, target, commit)
    return Trace(target, _title(found), tuple(_chain(project, found)))


def _record(project: Project, entry: Entry) -> Iterator[Fact]:
    """A record that is about no run, such as a version of a dataset."""
    yield _record_fact(entry)
    dataset, _, rest = (entry.trailer("Data") or "").partition("@")
    if rest:
        yield from _version(project, entry.trailer("Code"), dataset, rest.partition(" ")[0])


def _source_commit(project: Project, target: str) -> Commit | None:
    try:
        return project.worktree.commit(target)
    except GitError:
        return None


def _trace_commit(project: Project, target: str, commit: Commit) -> Trace:
    """The records that name a source commit, each run with its whole chain."""
    state = project.ledger.state()
    entries = [entry for entry in project.ledger.entries() if entry.trailer("Code") == commit.id]
    if not entries:
        message = f"nothing is recorded of commit {commit.id[:_SHORT]} ({commit.subject})"
        raise UsageError(message, code="E603", help=("custody log",))
    facts = [*_people_of(commit), _notes(commit.id), *(_record_fact(entry) for entry in reversed(entries))]
    runs = [str(entry.trailer("Run")) for entry in reversed(entries) if entry.kind == Kind.RUN and entry.trailer("Run")]
    for run_id in dict.fromkeys(runs):
        found = recorded(project.ledger, state, run_id)
        command, proof = _in_ledger(found.holder, f"models/{found.run.model}/run.json")
        facts.append(Fact("run", _title(found), proof, command, facts=tuple(_chain(project, found))))
    return Trace(target, f"commit {commit.id[:_SHORT]} · {commit.subject}", tuple(facts))


def _title(found: Recorded) -> str:
    run = found.run
    parts = [found.model if found.model == run.model else f"{found.model} (then {run.model})"]
    parts += [f"{found.version}"] if found.version else []
    parts += [f"in {', '.join(found.stages)}"] if found.stages else []
    return " · ".join([*parts, f"run {run.id}", str(run.status)])


def _chain(project: Project, found: Recorded) -> Iterator[Fact]:
    yield _who_ran(found)
    yield from _behind(found.entry)
    yield from _people(project, found.made)
    yield from _code(project, found.made)
    yield from _data(project, found)
    yield from _recipe(found)
    yield from _results(project, found)
    yield from _history(found)


def _trial(project: Project, found: Recorded) -> Iterator[Fact]:
    """The chain of a trial; its code is the source tree beside its record, not that of the commit it stands on."""
    entry = found.entry
    yield _who_ran(found)
    yield from _behind(entry)
    words = [str(entry.trailer("Trial"))]
    words += [f"{word} {entry.trailer(key)}" for word, key in (("on", "Branch"), ("with", "Set")) if entry.trailer(key)]
    yield Fact("tried", ", ".join(words), f"{entry.commit}:source", f"git show {entry.commit[:_SHORT]}:source")
    yield from _people(project, found.run)
    yield from _data(project, found)
    yield from _recipe(found)
    yield from _results(project, found)


def _who_ran(found: Recorded) -> Fact:
    run, entry = found.run, found.entry
    who = entry.trailer("Actor") or run.actor or entry.author
    spent = f", {run.seconds:.1f} s" if run.seconds is not None else ""
    when = run.finished or entry.at
    value = {"actor": who, "at": when, "plan": run.plan, "job": entry.trailer("Job"), "tool": entry.trailer("Tool")}
    return Fact("ran", f"{who} on {when}{spent}", entry.commit, _show(entry.commit), value)


def _behind(entry: Entry) -> Iterator[Fact]:
    """Who and what the record itself names: the people behind its specs, their request, the job that recorded it."""
    for label, key in (("behalf", "Behalf"), ("change", "Change"), ("job", "Job"), ("adopted", "Adopted")):
        if value := entry.trailer(key):
            yield Fact(label, value, entry.commit, _show(entry.commit), value)


def _people(project: Project, run: Run) -> Iterator[Fact]:
    if run.code is None:
        return
    commit = _source_commit(project, run.code)
    if commit is None:
        text = f"commit {run.code[:_SHORT]} is not in this clone (git fetch --unshallow)"
        yield Fact("applied", text, run.code, None)
        return
    paths = [*_spec_files(project, run), *(path for path, blob in run.closure.items() if blob)]
    behind = authorship(project.worktree, run.code, paths)
    unsure = "" if behind.complete else " (the history of this clone ends here)"
    yield _person("wrote", behind.written.author, behind.written.authored, behind.written, unsure)
    if behind.merged:
        yield _person("merged", behind.merged.author, behind.merged.committed, behind.merged)
    elif behind.written.committer != behind.written.author:
        yield _person("committed", behind.written.committer, behind.written.committed, behind.written)
    yield _person("applied", "commit", commit.committed, commit)
    yield _notes(commit.id)


def _people_of(commit: Commit) -> Iterator[Fact]:
    yield _person("wrote", commit.author, commit.authored, commit)
    if commit.committer != commit.author:
        yield _person("committed", commit.committer, commit.committed, commit)


def _person(label: str, who: str, when: str, commit: Commit, remark: str = "") -> Fact:
    text = f"{who} on {when}: {commit.subject}{remark}" if who != "commit" else f"{commit.subject} ({when})"
    value = {"who": who, "at": when, "commit": commit.id, "subject": commit.subject}
    return Fact(label, text, commit.id, _show(commit.id), value)


def _notes(commit: str) -> Fact:
    return Fact("notes", "what came of this commit", commit, f"git log --notes={NOTES} -1 {commit[:_SHORT]}")


def _spec_files(project: Project, run: Run) -> tuple[str, ...]:
    """The files beside the model's spec and of its profile at the commit that ran; none where it is not here."""
    worktree, directory = project.worktree, f"{project.config.models}/{run.model}"
    try:
        own = tuple(worktree.files(run.code, directory))
        named = profile_named(worktree.reader(run.code)(f"{directory}/model.yaml") or b"")
        return own + (tuple(worktree.files(run.code, f"{PROFILES}/{named}")) if named else ())
    except GitError:
        return ()


def _code(project: Project, run: Run) -> Iterator[Fact]:
    specs = [(path, _blob(project, run.code, path)) for path in _spec_files(project, run) if path.endswith(".yaml")]
    files = tuple(_file(path, blob) for path, blob in specs if blob)
    if files:
        yield Fact(
            "spec",
            f"{len(files)} files at {str(run.code)[:_SHORT]}",
            run.code,
            _show(str(run.code)),
            facts=files,
        )
    present = {path: blob for path, blob in run.closure.items() if blob}
    absent = [path for path, blob in run.closure.items() if blob is None]
    if run.closure:
        text = f"{len(present)} files of own code; {len(absent)} further names were looked up and not found"
        value = {"absent": absent}
        yield Fact(
            "code",
            text,
            run.code,
            _show(str(run.code)),
            value,
            tuple(_file(path, blob) for path, blob in present.items()),
        )
    elif run.steps:
        yield Fact("code", "none of its own: built-in steps only", run.code, _show(str(run.code)))


def _file(path: str, blob: str) -> Fact:
    return Fact(path, f"blob {blob[:_SHORT]}", blob, f"git cat-file -p {blob[:_SHORT]}")


def _blob(project: Project, revision: str | None, path: str) -> str | None:
    try:
        return project.worktree.blob(revision, path) if revision else None
    except GitError:
        return None


def _data(project: Project, found: Recorded) -> Iterator[Fact]:
    run = found.run
    if not run.data:
        return
    name, version = str(run.data.get("dataset")), str(run.data.get("version"))
    rows = run.data.get("rows")
    size = f", {rows:,} rows" if isinstance(rows, int) else ""
    text = f"{name}@{version} sha256:{run.data.get('logical')}{size}"
    run_json = f"models/{run.model}/run.json"
    command, proof = _in_ledger(found.holder, run_json)
    yield Fact("data", text, proof, command, dict(run.data), tuple(_version(project, run.code, name, version)))
    for column, item in run.data.get("inputs", {}).items():
        words = f"{item.get('model')}@{item.get('at')}: {item.get('version')}, run {item.get('run')}"
        yield Fact("input", f"{column} = {words}, artifact sha256:{item.get('artifact')}", proof, command, dict(item))


def _version(project: Project, code: str | None, name: str, version: str) -> Iterator[Fact]:
    """The record of a dataset version on the ledger, and its manifest as it was committed."""
    state = project.ledger.state()
    head, record = state.head, state.datasets.get(f"{name}@{version}")
    if record and head:
        path = f"datasets/{name}/{version}.json"
        proof, command = f"{head}:{path}", f"git show {head[:_SHORT]}:{path}"
        source = record.get("source") or {}
        words = f"{source.get('uses', 'not said')} {_pairs(source.get('with') or {})}".rstrip()
        yield Fact("source", words, proof, command, dict(source))
        yield Fact("added", f"{record.get('by', '?')} on {record.get('as_of', '?')}", proof, command)
        for item in record.get("files", ()):
            yield Fact(str(item.get("path")), f"sha256:{item.get('sha256')}, {item.get('size')} bytes", proof, command)
    path = f"{project.config.datasets}/{name}/versions/{version}.yaml"
    blob = _blob(project, code, path)
    if blob:
        yield _file(path, blob)


def _recipe(found: Recorded) -> Iterator[Fact]:
    run = found.run
    command, proof = _in_ledger(found.holder, f"models/{run.model}/spec.yaml")
    uses = {name: step.inputs.get("uses") for name, step in run.steps.items() if step.inputs.get("uses")}
    for name, code in uses.items():
        yield Fact(name, str(code), proof, command)
    yield Fact("parameters", _pairs(run.params) or "defaults", proof, command, dict(run.params))
    if run.seed is not None:
        yield Fact("seed", str(run.seed), proof, command, run.seed)
    command, proof = _in_ledger(found.holder, f"models/{run.model}/run.json")
    if run.environment.get("python"):
        yield Fact("environment", _environment(run), proof, command, dict(run.environment), tuple(_lock(run)))
    steps = tuple(Fact(name, _step(step), proof, command, _step_value(step)) for name, step in run.steps.items())
    if steps:
        yield Fact("steps", f"{len(steps)}, each with the key of all its inputs", proof, command, facts=steps)


def _environment(run: Run) -> str:
    environment = run.environment
    words = [f"Python {environment['python']}"] if environment.get("python") else []
    words += [str(environment[name]) for name in ("platform",) if environment.get(name)]
    packages = environment.get("distributions") or ()
    words += [f"{len(packages)} distribution{'s' * (len(packages) != 1)}"] if packages else []
    return ", ".join(words) or f"{len(environment)} facts"


def _lock(run: Run) -> Iterator[Fact]:
    blob = run.environment.get("lock")
    if isinstance(blob, str) and re.fullmatch(r"[0-9a-f]{40,64}", blob):
        yield _file("lock file", blob)


def _step(step: StepRecord) -> str:
    words = [str(step.status)]
    words += [f"from run {step.source[:8]}"] if step.source else []
    words += [f"in {step.seconds:.2f} s"] if step.seconds is not None else []
    words += [f"key {step.key[:19]}"] if step.key else []
    words += [f"{step.output.ref.kind} sha256:{step.output.ref.object[:_SHORT]}"] if step.output else []
    return ", ".join(words)


def _step_value(step: StepRecord) -> dict[str, Any]:
    return {
        "key": step.key,
        "status": str(step.status),
        "source": step.source,
        "output": step.output.ref.to_dict() if step.output else None,
    }


def _results(project: Project, found: Recorded) -> Iterator[Fact]:
    run = found.run
    command, proof = _in_ledger(found.holder, f"models/{run.model}/run.json")
    if run.artifact:
        here = (
            "in the store of this clone" if project.store.files.has(run.artifact) else "not in the store of this clone"
        )
        yield Fact("artifact", f"sha256:{run.artifact} ({here})", proof, command, run.artifact)
    if run.metrics:
        shown = ", ".join(
            f"{name} {'none' if value is None else f'{value:.6g}'}" for name, value in run.metrics.items()
        )
        yield Fact("metrics", shown, proof, command, dict(run.metrics))
    if run.failure:
        log = f" (log sha256:{run.failure.log})" if run.failure.log else ""
        yield Fact("failed", f"{run.failure.step}: {run.failure.error}{log}", proof, command, run.failure.to_dict())
    if run.verdict:
        judged = found.holder
        gates = tuple(Fact("gate", gate_line(gate), proof, command, gate.to_dict()) for gate in run.verdict.gates)
        text = f"{run.verdict.count} passed" if gates else "none declared"
        baseline = f", against run {run.verdict.baseline[:8]}" if run.verdict.baseline else ""
        yield Fact("gates", f"{text}{baseline}, judged {judged.at}", judged.commit, _show(judged.commit), facts=gates)


def _history(found: Recorded) -> Iterator[Fact]:
    entries = tuple(_record_fact(entry) for entry in found.history)
    last = found.history[-1] if found.history else found.entry
    yield Fact("history", f"{len(entries)} records", last.commit, _show(last.commit), facts=entries)


def _record_fact(entry: Entry) -> Fact:
    text = f"{entry.subject} — {entry.trailer('Actor') or entry.author} on {entry.at}"
    return Fact(str(entry.kind), text, entry.commit, _show(entry.commit), {"record": entry.id, "at": entry.at})


def _show(commit: str) -> str:
    return f"git show --stat {commit[:_SHORT]}"


def _in_ledger(entry: Entry, path: str) -> tuple[str, str]:
    """Return the command that shows a file of the ledger at a record, and the object's full name."""
    return f"git show {entry.commit[:_SHORT]}:{path}", f"{entry.commit}:{path}"


def _pairs(values: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items() if value is not None)
