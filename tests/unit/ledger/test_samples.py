"""A ledger as custody 0.1.0 wrote it: its records are read, folded and audited as then, whatever comes later.

`samples/format-1.bundle` holds its branch and is never written again; a new format gets another.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from custody.core.basis import Basis
from custody.domain.audit import Extent
from custody.domain.record import Kind, RunStatus
from custody.domain.spec import Config
from custody.ledger.ledger import GitLedger
from tests.unit.git.repositories import git
from tests.unit.ledger.material import open_ledger

SAMPLE = Path(__file__).parent / "samples" / "format-1.bundle"
CONFIG = Config(id="5b0e6f3c-8f43-4f0e-9a55-6d7b4f3c2a10")
OF_RUNS = {Kind.RUN, Kind.VERDICT, Kind.METADATA}
MONITORING = {Kind.MONITOR, Kind.ALERT, Kind.ACKNOWLEDGE, Kind.SILENCE, Kind.PREDICTIONS}
"""Kinds that this sample is older than."""


@pytest.fixture
def ledger(repository: Path) -> GitLedger:
    git(repository, "fetch", "-q", str(SAMPLE), "mlops/ledger:mlops/ledger")
    return open_ledger(repository, config=CONFIG)


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
    found = {fault.code for looked in ledger.audit(Extent()) for fault in looked.faults}
    assert found <= {"tree.readme"}, "README.md is rendered by what this custody has for it"
