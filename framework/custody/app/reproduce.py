"""Reproduce: make a recorded run again from its source tree and its data, in a folder of its own, and compare.

The steps get the inputs that the record holds, so that edits since, and overrides of a trial, play no part. Nothing is
recorded, and nothing but the data comes from the content store.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Cancel
from typing import Any

from custody.app.apply import engine_for
from custody.app.code import closures, materialise
from custody.app.project import Project
from custody.app.records import Recorded, find_run
from custody.app.steps import Running, RunSteps
from custody.app.wave import settings_of
from custody.content.store import FileStore
from custody.core.compiler import how_to_run
from custody.core.keys import UPSTREAM
from custody.core.reproduction import Compared, Grade, compare
from custody.core.subject import Lookup
from custody.core.versions import with_recorded
from custody.domain.graph import STEPS, Event, Graph, Node, StepRecord
from custody.domain.record import Run
from custody.domain.spec import DatasetRef, Manifest, ModelSpec, Spec
from custody.errors import CancelledError, CustodyError, GitError, StoreError, UsageError
from custody.ledger.intents import Intents
from custody.ledger.locks import apply_lock


@dataclass(frozen=True, slots=True)
class Reproduced:
    """What came of making a run again: `revision` is the commit, or of a trial the tree, that it was made from."""

    found: Recorded
    revision: str
    trial: bool
    engine: str
    compared: Compared
    seconds: float

    @property
    def ok(self) -> bool:
        return self.compared.grade not in {Grade.DIFFERENT, Grade.FAILED}


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a run is made from: the specs of its revision, with the data version that it read."""

    spec: Spec
    model: ModelSpec
    manifest: Manifest
    revision: str


def reproduce(
    project: Project, target: str, engine: str, progress: Callable[[Event], None], cancel: Cancel
) -> Reproduced:
    """Make the run that `target` names again with `engine` and compare digests, then metrics.

    Raises UsageError where there is no such run, or it did not come to an end; CustodyError where its source is not
    here; StoreError where its data are gone; CancelledError where `cancel` was set.
    """
    found, trial = _find(project, target)
    run = found.made
    if "evaluate" not in run.steps or not all(step.usable for step in run.steps.values()):
        message = f"run {run.id} of {run.model} is {run.status}: there is no result to be made again"
        raise UsageError(message, code="E660", help=(f"custody show {run.id[:8]}",))
    source = _source(project, found, trial=trial)
    with _scratch(project) as folder:
        store = FileStore(folder / "store")
        _data(project, source, run, store)
        made, seconds = _make(project, (source, run), (folder, store), engine, (progress, cancel))
    return Reproduced(found, source.revision, trial, engine, compare(run, made), seconds)


def _find(project: Project, target: str) -> tuple[Recorded, bool]:
    """Return the run, and whether it is a trial."""
    try:
        return find_run(project.ledger, target), False
    except UsageError:
        for trials in project.all_trials:
            with suppress(UsageError):
                return find_run(trials, target), True
        raise


def _source(project: Project, found: Recorded, *, trial: bool) -> _Source:
    run = found.made
    revision = found.entry.trailer("Source") if trial else run.code
    if revision is None or not _is_here(project, revision):
        what = f"{'the source tree' if trial else 'commit'} {str(revision)[:12]} of run {run.id}"
        remote = project.config.remote or "origin"
        branch = project.config.trials if trial else project.config.branch
        raise CustodyError(f"{what} is not in this clone", code="E661", help=(f"git fetch {remote} {branch}",))
    spec, problems = project.load(revision)
    spec = with_recorded(spec, project.ledger.state().datasets)
    model = spec.models.get(run.model)
    name, version = str(run.data.get("dataset")), str(run.data.get("version"))
    manifest = spec.datasets[name].versions.get(version) if name in spec.datasets else None
    if model is None or manifest is None:
        missing = f"the spec of {run.model}" if model is None else f"{name}@{version}"
        because = tuple(str(problem.message) for problem in problems[:3])
        message = f"{missing} cannot be read at {revision[:12]}"
        raise CustodyError(message, code="E662", because=because, help=(f"git show --stat {revision[:12]}",))
    pinned = replace(model, dataset=DatasetRef(name, version))
    return _Source(replace(spec, models={run.model: pinned}), pinned, manifest, revision)


def _is_here(project: Project, revision: str) -> bool:
    try:
        project.worktree.reader(revision)
    except GitError:
        return False
    return True


@contextmanager
def _scratch(project: Project) -> Iterator[Path]:
    """Give a folder of its own that is gone afterwards."""
    under = project.state_dir / "reproduce"
    under.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=under))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _data(project: Project, source: _Source, run: Run, store: FileStore) -> None:
    """Bring the table that the run read, and the models whose scores it read.

    Where the table is gone, the fetch step reads the source of the version again.
    """
    fetched = run.steps["fetch"].output
    wanted = [source.manifest.files[0].sha256, fetched.ref.object if fetched else ""]
    wanted += [str(item) for step in run.steps.values() for item in (step.inputs.get("inputs") or {}).values()]
    for digest in dict.fromkeys(wanted):
        if digest and project.store.has(digest):
            store.put(project.store.get(digest))


def _make(
    project: Project,
    what: tuple[_Source, Run],
    where: tuple[Path, FileStore],
    engine_name: str,
    watch: tuple[Callable[[Event], None], Cancel],
) -> tuple[dict[str, StepRecord], float]:
    """Run all steps anew; return their records by name and the seconds that they took."""
    (source, run), (folder, store) = what, where
    progress, cancel = watch
    code = closures(source.spec, project.worktree.reader(source.revision)).get(run.model)
    own = materialise(code, project.worktree.reader(source.revision), folder / "code") if code else None
    intent = Intents(folder).open(run.id, {})
    steps = RunSteps(
        {run.model: Running(run.id, intent, source.model.directory, own)},
        Lookup(lambda _: None, lambda *_: (), lambda _: False),
        store,
        store.root,
        folder / "logs",
        source.spec.config.extensions,
    )
    engine = engine_for(project, engine_name, 1)
    lock = nullcontext() if engine_name == "inline" else apply_lock(project.worktree.common_dir)
    try:
        with lock, engine.session():
            (outcome,) = engine.execute(Graph(tuple(_nodes(project, source, run))), steps, progress, cancel)
    finally:
        intent.close()
    if outcome.cancelled or cancel.is_set():
        raise CancelledError(f"interrupted; run {run.id} was not made again", help=(f"custody reproduce {run.id[:8]}",))
    made = {step.step: step for step in outcome.steps}
    if "fetch" not in made or not made["fetch"].usable:
        raise _gone(source, run, made.get("fetch"))
    return made, outcome.seconds


def _nodes(project: Project, source: _Source, run: Run) -> Iterator[Node]:
    """Yield the steps with the inputs that the record holds, whatever the specs say by now."""
    threads = _threads(run)
    for name in STEPS:
        if name not in run.steps:
            continue
        uses = how_to_run(source.model, name)
        yield Node(
            id=f"{run.model}/{name}",
            model=run.model,
            step=name,
            inputs=run.steps[name].inputs,
            upstream={role: f"{run.model}/{maker}" for role, maker in UPSTREAM[name].items()},
            settings={**_settings(project, source, run, name), **threads},
            timeout=uses.timeout,
            memory=uses.memory,
        )


def _settings(project: Project, source: _Source, run: Run, step: str) -> Mapping[str, Any]:
    """Return what the step is told beside its inputs; the estimator is the one that the record names."""
    found = settings_of(project, source.spec, run.model, step)
    uses = run.steps[step].inputs.get("uses")
    if step != "train" or uses == source.model.train.name:
        return found
    from custody.spec.estimators import locate

    return {**found, "estimator": locate(str(uses))}


def _threads(run: Run) -> dict[str, int]:
    recorded = run.environment.get("threads")
    count = recorded.get("OMP_NUM_THREADS") if isinstance(recorded, Mapping) else None
    return {"threads": count} if isinstance(count, int) and count > 0 else {}


def _gone(source: _Source, run: Run, fetched: StepRecord | None) -> StoreError:
    """Say which bytes are missing, which manifest names them, and where they came from."""
    manifest = source.manifest
    label = f"{manifest.dataset}@{manifest.version}"
    path = f"{source.spec.datasets[manifest.dataset].directory}/versions/{manifest.version}.yaml"
    origin = ", ".join(f"{name}: {value}" for name, value in manifest.source.items() if name != "raw")
    return StoreError(
        f"run {run.id} cannot be made again: the data of {label} are gone",
        code="E663",
        because=(
            f"sha256:{manifest.files[0].sha256}, as {path} at {source.revision[:12]} names it, is not in the store",
            f"it came from {origin}: {fetched.error if fetched else 'not read'}",
        ),
        help=(f"custody data verify {label} --source", "custody sync   fetches what mlops/store has"),
    )
