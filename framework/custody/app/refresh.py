"""Refresh: reads the sources of datasets again; new data becomes a version in the ledger, named by its time.

For schedules: the same data is no version and causes no run. Models that say `@latest` follow with the next apply.

A dataset is due where the `schedule` of a model that follows it has fired since its newest version was read. Nothing
else is remembered, so that a runner without memory knows it: missed times are caught up at once, and while there is no
new data each call looks again.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from custody.app.branch import require_ledger, serve
from custody.app.ingest import Stamp, contract, read, store_reading
from custody.app.project import Project
from custody.app.who import source_of
from custody.core.cron import parse_cron
from custody.core.recording import data_record
from custody.core.versions import time_label, with_recorded
from custody.domain.spec import LATEST, DatasetSpec, Spec
from custody.errors import CustodyError, UsageError
from custody.spec.hints import meant


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of one dataset: `version` is the new one, None where there is no new data or reading failed.

    `latest` is the version that it was compared with, `users` are the models that follow; `error` says why not.
    """

    dataset: str
    version: str | None
    latest: str | None
    rows: int | None = None
    users: tuple[str, ...] = ()
    error: CustodyError | None = None


def refresh(project: Project, names: Sequence[str], by: str, *, due: bool = False) -> tuple[Refreshed, ...]:
    """Read the sources of the datasets `names`, as the commit on the branch declares them, and record what is new.

    Without names: those with a source that a model refers to as `@latest`. With `due`: those of them that are due. A
    source that fails keeps no other from being read. Raises UsageError for a dataset without a source, RefusedError
    where the commit is not on the branch.
    """
    commit = project.worktree.head()
    if commit is None:
        raise UsageError("there is no commit yet", code="E410", help=('git add -A && git commit -m "Add datasets"',))
    serve(project, commit)
    if project.ledger.remote is not None:
        project.ledger.fetch(first=bool(project.worktree.repository.shallow_boundary))
    require_ledger(project)
    spec = with_recorded(project.load_valid(commit), project.ledger.state().datasets)
    wanted = _wanted(spec, names)
    if due:
        zone, now = _zone(spec), project.clock()
        wanted = tuple(dataset for dataset in wanted if _is_due(spec, dataset, zone, now))
    return tuple(_refreshed(project, spec, dataset, commit, by) for dataset in wanted)


def _wanted(spec: Spec, names: Sequence[str]) -> tuple[DatasetSpec, ...]:
    if not names:
        followed = {model.dataset.name for model in spec.models.values() if model.dataset.version == LATEST}
        return tuple(item for name, item in spec.datasets.items() if name in followed and item.source)
    for name in names:
        if name not in spec.datasets:
            raise UsageError(f"there is no dataset {name}", code="E644", help=meant(name, spec.datasets))
        if spec.datasets[name].source is None:
            place = spec.datasets[name].document.path
            message = f"the dataset {name} declares no source"
            raise UsageError(message, code="E645", help=(f"add source: to {place}",))
    return tuple(spec.datasets[name] for name in dict.fromkeys(names))


def _zone(spec: Spec) -> tzinfo:
    try:
        return UTC if spec.config.timezone == "UTC" else ZoneInfo(spec.config.timezone)
    except (KeyError, ValueError, OSError) as error:
        message = f"this machine does not know the time zone {spec.config.timezone}"
        raise UsageError(message, code="E221", help=("pip install tzdata",)) from error


def _is_due(spec: Spec, dataset: DatasetSpec, zone: tzinfo, now: datetime) -> bool:
    latest = dataset.versions.get(dataset.latest or "")
    read_at = _moment(latest.as_of) if latest else None
    followers = (model for model in spec.models.values() if str(model.dataset) == f"{dataset.name}@{LATEST}")
    fired = (parse_cron(model.schedule).last(now, zone) for model in followers if model.schedule)
    return any(at is not None and (read_at is None or at > read_at) for at in fired)


def _moment(text: str) -> datetime | None:
    """Return when a version was read; None where the text of a committed version is no time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _refreshed(project: Project, spec: Spec, dataset: DatasetSpec, commit: str, by: str) -> Refreshed:
    latest = dataset.versions.get(dataset.latest or "")
    before = latest.version if latest else None
    users = tuple(name for name, model in spec.models.items() if str(model.dataset) == f"{dataset.name}@{LATEST}")
    try:
        if dataset.source is None:
            raise UsageError(f"the dataset {dataset.name} declares no source", code="E645")
        reading = read(dataset.source, contract(dataset, latest), dataset.key, root=project.root)
        if latest and latest.logical == reading.logical:
            return Refreshed(dataset.name, None, before, latest.rows, users)
        now = project.now()
        stamp = Stamp(time_label(now, dataset.versions), now, by, before)
        manifest = store_reading(reading, dataset, stamp, project.store)
    except CustodyError as error:
        return Refreshed(dataset.name, None, before, users=users, error=error)
    source = source_of(project, project.worktree.commit(commit))
    record = data_record(secrets.token_hex(8), manifest, source, now, dataset.classification)
    project.ledger.append(record)
    return Refreshed(dataset.name, manifest.version, before, manifest.rows, users)
