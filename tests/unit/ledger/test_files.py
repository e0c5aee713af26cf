"""Files of monitoring on a real ledger: which fact stands, whatever the order in which they land."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from custody.core.ownership import owns, stands
from custody.domain.record import Kind, Record
from custody.ledger.ledger import GitLedger
from tests.unit.ledger.material import open_ledger

WINDOW = "monitoring/churn/2012-01/2012-01-05.json"


def fact(number: int, kind: Kind, path: str, model: str | None = None, **value: object) -> Record:
    files = {path: json.dumps(value).encode()}
    return Record(f"record{number}", kind, f"{kind} {number}", (("Model", model),) if model else (), model, files=files)


@pytest.fixture
def ledger(repository: Path) -> GitLedger:
    return open_ledger(repository)


def test_a_window_gives_way_to_a_later_revision_only(ledger: GitLedger) -> None:
    ledger.append(fact(1, Kind.MONITOR, WINDOW, revision=2, rows=10))
    ledger.append(fact(2, Kind.MONITOR, WINDOW, revision=1, rows=9))
    ledger.append(fact(3, Kind.MONITOR, WINDOW, revision=2, rows=8))

    assert json.loads(ledger.files.read(WINDOW) or b"") == {"revision": 2, "rows": 10}

    ledger.append(fact(4, Kind.MONITOR, WINDOW, revision=3, rows=11))

    assert json.loads(ledger.files.read(WINDOW) or b"")["rows"] == 11
    assert ledger.files.under("monitoring") == (WINDOW,)


def test_a_batch_stays_as_it_was_sealed_and_a_silence_is_what_was_said_last(ledger: GitLedger) -> None:
    batch, silence = "predictions/churn/2012-01/b0001.json", "silences/s0001.json"
    ledger.append(fact(1, Kind.PREDICTIONS, batch, "churn", rows=10))
    ledger.append(fact(2, Kind.PREDICTIONS, batch, "churn", rows=11))
    ledger.append(fact(3, Kind.SILENCE, silence, until="2012-02-01"))
    ledger.append(fact(4, Kind.SILENCE, silence, until="2012-01-01"))

    assert json.loads(ledger.files.read(batch) or b"")["rows"] == 10
    assert json.loads(ledger.files.read(silence) or b"")["until"] == "2012-01-01"


@pytest.mark.parametrize(
    ("kind", "model", "path", "expected"),
    [
        (Kind.MONITOR, None, WINDOW, True),
        (Kind.MONITOR, "churn", WINDOW, False),
        (Kind.MONITOR, None, "monitoring/churn/reference.json", True),
        (Kind.MONITOR, None, "monitoring/churn/2012-01/2012-01.outcomes.json", True),
        (Kind.MONITOR, None, "monitoring/churn/2012-01/2012-W01.json", True),
        (Kind.MONITOR, None, "monitoring/churn/2012-01/2012-01-05T07.json", True),
        (Kind.MONITOR, None, "monitoring/../run.json", False),
        (Kind.MONITOR, None, "models/churn/run.json", False),
        (Kind.ALERT, "churn", "incidents/a1b2c3.json", True),
        (Kind.ALERT, None, "incidents/a1b2c3.ack.json", False),
        (Kind.ACKNOWLEDGE, None, "incidents/a1b2c3.ack.json", True),
        (Kind.ACKNOWLEDGE, None, "incidents/a1b2c3.json", False),
        (Kind.PREDICTIONS, "churn", "predictions/risk/2012-01/b0001.json", False),
    ],
)
def test_a_kind_writes_its_own_files_alone(kind: Kind, model: str | None, path: str, expected: bool) -> None:  # noqa: FBT001
    assert owns(Record("id01", kind, "", (), model), path) is expected


def test_a_file_that_cannot_be_read_gives_way() -> None:
    assert stands(WINDOW, b"{", b'{"revision": 1}')
    assert not stands(WINDOW, b'{"revision": 1}', b"[]")
