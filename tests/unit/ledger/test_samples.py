"""Ledgers as custody 0.1.0 wrote them: their records are read, folded and audited as then, whatever comes later.

The bundles below `samples` hold their branches and are never written again; a new format gets another.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from custody.core.basis import Basis
from custody.core.profiles import from_texts
from custody.domain.audit import Extent
from custody.domain.batch import Batch
from custody.domain.incident import Flag, Incident
from custody.domain.monitoring import Health, Judged
from custody.domain.monitors import Level
from custody.domain.record import Kind, RunStatus
from custody.domain.reference import Reference
from custody.domain.spec import Config
from custody.ledger.ledger import GitLedger
from tests.unit.git.repositories import git
from tests.unit.ledger.material import open_ledger

SAMPLES = Path(__file__).parent / "samples"
CONFIG = Config(id="5b0e6f3c-8f43-4f0e-9a55-6d7b4f3c2a10")
OF_RUNS = {Kind.RUN, Kind.VERDICT, Kind.METADATA}
MONITORING = {Kind.MONITOR, Kind.ALERT, Kind.ACKNOWLEDGE, Kind.SILENCE, Kind.PREDICTIONS}
"""Kinds that are in a sample of their own."""


@pytest.fixture
def ledger(repository: Path) -> GitLedger:
    return sampled(repository, "format-1.bundle")


@pytest.fixture
def monitored(repository: Path) -> GitLedger:
    return sampled(repository, "monitoring-1.bundle")


def sampled(repository: Path, name: str) -> GitLedger:
    git(repository, "fetch", "-q", str(SAMPLES / name), "mlops/ledger:mlops/ledger")
    return open_ledger(repository, config=CONFIG)


def faults(ledger: GitLedger) -> set[str]:
    return {fault.code for looked in ledger.audit(Extent()) for fault in looked.faults}


def test_each_kind_of_record_is_read(ledger: GitLedger) -> None:
    entries = list(ledger.entries())
    assert {entry.kind for entry in entries} | MONITORING == set(Kind)
    for entry in entries:
        record = ledger.record(entry.commit)
        assert record is not None
        assert (record.id, record.kind, record.subject) == (entry.id, entry.kind, entry.subject)
        assert ledger.run(entry) is not None or entry.kind not in OF_RUNS
    assert [entry.subject for entry in entries[-2:]] == [
        "train debt: rmse 17.13, 1/1 gates passed",
        "data loans@v1: 400 rows, 7 columns",
    ]


def test_what_follows_is_what_followed(ledger: GitLedger) -> None:
    state = ledger.state()
    assert (state.head, [*state.models], [*state.datasets]) == (
        "7f266a626c966c57250c0b45db2575aeef656c0c",
        ["arrears", "debt", "risk"],
        ["loans@v1"],
    )
    arrears, risk = state.models["arrears"], state.models["risk"]
    assert (arrears.was, arrears.stages["production"].version, [*arrears.versions]) == (("debt",), "v1", ["v1"])
    assert (risk.retired, [*risk.versions], dict(risk.stages)) == (True, ["v1", "v2"], {})
    assert arrears.run is not None
    assert (arrears.run.status, arrears.run.params) == (RunStatus.REJECTED, {"alpha": 3.0})
    assert risk.run is not None
    assert round(risk.run.metrics["roc_auc"], 4) == 0.9051
    basis = Basis.from_dict(risk.run.basis)
    assert basis is not None
    assert (basis.run, basis.stages) == (risk.run.id, {"production": "auto"})
    assert state.datasets["loans@v1"]["rows"] == 400


def test_no_fault_is_found_in_it(ledger: GitLedger) -> None:
    assert faults(ledger) <= {"tree.readme"}, "README.md is rendered by what this custody has for it"


def test_what_monitoring_recorded_is_read(monitored: GitLedger) -> None:
    kinds = {entry.kind for entry in monitored.entries()}
    assert kinds >= MONITORING
    files = {path: json.loads(monitored.files.read(path) or b"") for path in paths(monitored)}
    window = Judged.from_dict(files["monitoring/risk/2024-02/2024-02.json"])
    assert (window.health, window.rows, [signal.key for signal in window.signals]) == (
        Health.ALERT,
        100,
        ["nulls|income|share"],
    )
    profile = from_texts(window.profile, window.rows, window.reference)
    assert profile.columns["income"].nulls == 100
    outcomes = Judged.from_dict(files["monitoring/risk/2024-02/2024-02.outcomes.json"])
    assert (outcomes.health, outcomes.joined, round(outcomes.measures["accuracy"][0], 2)) == (Health.OK, 1.0, 0.8)
    incident = Incident.from_dict(files["incidents/4188c750d68e.json"])
    assert (incident.opened, incident.level, incident.pages) == ("2024-02", Level.ALERT, 1)
    assert Flag.from_dict(files["incidents/4188c750d68e.ack.json"]).reason == "looking"
    batch = Batch.from_dict(next(value for path, value in files.items() if path.startswith("predictions/")))
    assert (batch.rows, batch.version, batch.source) == (40, "v1", "log")
    assert Reference.from_dict(files["monitoring/risk/reference.json"]).digest == window.reference
    assert faults(monitored) <= {"tree.readme"}


def paths(ledger: GitLedger) -> list[str]:
    folders = ("monitoring", "incidents", "silences", "predictions")
    return [path for folder in folders for path in ledger.files.under(folder)]
