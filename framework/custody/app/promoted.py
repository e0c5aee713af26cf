"""Which artifact answers for a model: a registered version, found on the ledger and verified by its digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custody.app.code import closures, materialise
from custody.app.project import Project
from custody.app.records import Recorded, find_run, named_now
from custody.core.stages import PRODUCTION
from custody.domain.record import Run
from custody.domain.serving import Promoted
from custody.domain.spec import DatasetSpec
from custody.errors import CustodyError, UsageError
from custody.spec.load import load_dataset


@dataclass(frozen=True, slots=True)
class Source:
    """An artifact to load: what it is, its file, and the code of its own that it names, laid out as committed.

    `formats` are how the dataset writes dates and times. `made` is what the model was called when the run was made.
    """

    promoted: Promoted
    path: Path
    made: str
    code: Path | None
    directory: str
    extensions: tuple[str, ...]
    formats: Mapping[str, str]

    def to_payload(self) -> dict[str, Any]:
        """Return it as a step process takes it."""
        return {
            "promoted": self.promoted.to_dict(),
            "artifact": str(self.path),
            "made": self.made,
            "code": str(self.code) if self.code else None,
            "directory": self.directory,
            "extensions": list(self.extensions),
            "formats": dict(self.formats),
        }


def find_promoted(project: Project, target: str) -> Source:
    """Return what MODEL, MODEL@STAGE or MODEL@vN stands for: the stage `production` where none is named.

    Raises UsageError where there is no such version, StoreError where its artifact is not here, CustodyError where it
    reads other models or its source commit is not here.
    """
    name, _, which = target.partition("@")
    state = named_now(project.ledger.state(), name)
    if state is not None and not which and not state.stages:
        known = ", ".join(state.versions) or "none"
        message = f"nothing of {name} is promoted; its versions: {known}"
        raise UsageError(message, code="E603", help=(f"custody promote {name}", f"custody status {name}"))
    found = find_run(project.ledger, target)
    if found.version is None or found.run.artifact is None:
        message = f"{target} is run {found.run.id[:8]}, which is no registered version of {found.model}"
        raise UsageError(message, code="E603", help=(f"custody log {found.model}",))
    return source_of_run(project, found)


def stage_of(project: Project, target: str) -> str | None:
    """Return the stage that MODEL or MODEL@STAGE means now; None where it names a version, or there is none."""
    name, _, which = target.partition("@")
    state = named_now(project.ledger.state(), name)
    if state is None:
        return None
    if which:
        return which if which in state.stages else None
    return PRODUCTION if PRODUCTION in state.stages else next(iter(state.stages), None)


def source_of_run(project: Project, found: Recorded) -> Source:
    """Return the artifact of a recorded run; raises as `find_promoted` does."""
    from custody.content.artifact import read_meta

    run, artifact = found.made, str(found.run.artifact)
    meta = read_meta(project.store.get(artifact), digest=artifact)
    if meta.get("inputs"):
        columns = ", ".join(meta["inputs"])
        raise CustodyError(
            f"{found.model} reads the scores of other models ({columns}): it is not served or predicted with by itself",
            help=(f"custody show {found.run.id[:8]}", "predict with those models, and join their scores yourself"),
        )
    datasets = tuple(_datasets(project, run))
    promoted = Promoted(
        model=found.model,
        version=found.version or "",
        run=run.id,
        artifact=artifact,
        task=meta["task"],
        features=tuple(meta["features"]),
        kinds=tuple(meta["kinds"]),
        classes=tuple(meta["classes"]),
        positive=meta.get("positive"),
        key=_key(datasets),
        hidden=tuple(name for name in meta["features"] if _personal(datasets, name)),
        dataset=str(run.data.get("dataset")),
        classification=run.data.get("classification"),
    )
    code, directory = _code(project, run) if meta["modules"] else (None, "")
    extensions = project.config.extensions if code else ()
    formats = {column.name: column.format for item in datasets for column in item.columns.values() if column.format}
    return Source(promoted, project.store.path(artifact), run.model, code, directory, extensions, formats)


def personal_among(project: Project, run: Run, columns: Iterable[str]) -> frozenset[str]:
    """Return those of `columns` that are declared personal now, or were at the commit of the run."""
    datasets = tuple(_datasets(project, run))
    return frozenset(name for name in columns if _personal(datasets, name))


def _datasets(project: Project, run: Run) -> list[DatasetSpec]:
    """Return what is declared of the dataset now, and was at the commit of the run, as far as it can be read."""
    found = []
    for revision in dict.fromkeys((run.code, project.worktree.head())):
        try:
            read = project.worktree.reader(revision)
            dataset = (
                load_dataset(read, f"{project.config.datasets}/{run.data.get('dataset')}")[0] if revision else None
            )
        except CustodyError:
            continue
        found += [dataset] if dataset else []
    return found


def _key(datasets: tuple[DatasetSpec, ...]) -> str | None:
    key = datasets[-1].key if datasets else None
    return None if key is None or _personal(datasets, key) else key


def _personal(datasets: tuple[DatasetSpec, ...], column: str) -> bool:
    return any(item.columns[column].personal for item in datasets if column in item.columns)


def _code(project: Project, run: Run) -> tuple[Path, str]:
    """Lay out the code of the model as it was committed; return the folder, and the model's own in it."""
    if run.code is None:
        raise CustodyError(f"run {run.id[:8]} names no commit that its code could be read from")
    read = project.worktree.reader(run.code)
    spec, _ = project.load(run.code)
    model = spec.models.get(run.model)
    code = closures(spec, read).get(run.model)
    if model is None or code is None:
        raise CustodyError(f"the code of {run.model} cannot be read at {run.code[:12]}", help=(f"git show {run.code}",))
    return materialise(code, read, project.state_dir / "code"), model.directory
