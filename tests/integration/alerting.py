"""A project with monitored models whose windows are judged by hand, under a clock that tests set."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from custody.app.flag import Flagged, acknowledge, silence
from custody.app.incident_files import recorded_incidents
from custody.app.incidents import update
from custody.app.outbox import Delivery, deliver_now
from custody.app.project import Project, open_project
from custody.core.jsonfile import json_bytes
from custody.domain.incident import Incident
from custody.domain.monitoring import Health, Judged, Signal, Window
from custody.domain.monitors import Every, Level
from custody.domain.record import Kind, Record
from tests.integration.repository import CONFIG, Repository

MONITORS = "every: day\nalert: {channels: [pager], runbook: runbook.md}\n"
RUNBOOK = "# When risk is wrong\n\nCall lending first.\nThen look at the nulls.\n"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NULLS = Signal(
    "nulls", Level.ALERT, "income is missing in 31 % of rows", "income", "share", 0.31, 0.1, (0.28, 0.34), 740
)
DRIFT = Signal("drift", Level.WARN, "debt moved", "debt", "psi", 0.31, 0.22)
BIAS = Signal(
    "bias", Level.ALERT, "defaults lie 0.14 above what was predicted", None, "mean", 0.14, 0.05, (0.1, 0.18), 740
)


def config(channels: str) -> str:
    return f"{CONFIG}channels:\n{channels}"


@dataclass
class Alerting:
    """A project with monitors and what happens to it; time stands still until it is moved."""

    repository: Repository
    now: datetime = NOON
    environ: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, folder: Path, channels: str, files: Mapping[str, str] | None = None) -> Alerting:
        watched = {
            ".mlops/config.yaml": config(channels),
            "models/risk/monitors.yaml": MONITORS,
            "models/risk/runbook.md": RUNBOOK,
            "models/debt/monitors.yaml": "every: day\nalert: {channels: [pager]}\n",
            **(files or {}),
        }
        return cls(Repository.create(folder, watched))

    def copy(self, folder: Path) -> Alerting:
        """Return the same project in another folder."""
        shutil.copytree(self.repository.root, folder / "project")
        return replace(self, repository=replace(self.repository, root=folder / "project"), environ={})

    @property
    def project(self) -> Project:
        return replace(open_project(self.repository.root), clock=lambda: self.now)

    def judge(self, *windows: Judged) -> tuple[Incident, ...]:
        """Record windows as a sweep does, and bring the incidents up."""
        project = self.project
        files = {}
        for item in windows:
            suffix = ".outcomes" if item.what == "outcomes" else ""
            path = f"monitoring/{item.model}/{item.window.period}/{item.window.name}{suffix}.json"
            files[path] = json_bytes(item.to_dict())
        with project.ledger:
            subject = f"monitor: {len(files)} windows"
            project.ledger.append(Record(secrets.token_hex(8), Kind.MONITOR, subject, (), files=files))
            start = min(item.window.start for item in windows)
            return update(project, project.load_valid("HEAD"), {item.model for item in windows}, start)

    def update(self, models: Iterable[str] = ()) -> tuple[Incident, ...]:
        project = self.project
        with project.ledger:
            return update(project, project.load_valid("HEAD"), models)

    def deliver(self, *, again: bool = False) -> Delivery:
        project = self.project
        with project.ledger:
            return deliver_now(project, {**os.environ, **self.environ}, again=again)

    def flag(self, verb: str, what: str, *arguments: str) -> Flagged:
        """Acknowledge or silence, as the verb of that name does."""
        options = dict(zip(arguments[::2], arguments[1::2], strict=False))
        use = {"ack": acknowledge, "silence": silence}[verb]
        project = self.project
        with project.ledger:
            off = "--off" in arguments
            return use(project, what, options.get("--until"), options.get("--reason", ""), off=off)

    def share(self) -> None:
        project = self.project
        with project.ledger:
            project.ledger.fetch()
            assert project.ledger.share().landed

    def incidents(self) -> tuple[Incident, ...]:
        project = self.project
        with project.ledger:
            return recorded_incidents(project.ledger.files)

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)


def day(number: int, *signals: Signal, model: str = "risk", **other: Any) -> Judged:
    """Return the judged inputs of one day of November 2026."""
    start = datetime(2026, 11, number, tzinfo=UTC)
    window = Window(f"{start:%Y-%m-%d}", Every.DAY, start.isoformat(), (start + timedelta(days=1)).isoformat())
    health = Health.ALERT if signals else Health.OK
    return replace(Judged(model, "run1", "v1", window, "inputs", health, 740, "digest", "ref", signals), **other)
