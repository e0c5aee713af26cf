"""Versions in the ledger that scheduled fetches named by their time."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from custody.core.recording import Source, data_record
from custody.core.versions import time_label, with_recorded
from custody.domain.spec import Manifest, Spec, is_timed
from tests.unit.spec.project import loaded


def recorded(*manifests: Manifest) -> dict[str, dict[str, object]]:
    source = Source("c" * 40, "")
    records = [data_record("r" * 16, item, source, "2026-11-25T00:00:00+00:00") for item in manifests]
    return {
        f"{item.dataset}@{item.version}": json.loads(next(iter(record.files.values())))
        for item, record in zip(manifests, records, strict=True)
    }


def reviewed() -> tuple[Spec, Manifest]:
    spec = loaded().spec
    return spec, spec.datasets["customers"].versions["v4"]


def test_a_timed_version_comes_back_from_its_record_and_is_latest() -> None:
    spec, v4 = reviewed()
    timed = replace(v4, version="2026-11-25", as_of="2026-11-25T02:00:00+00:00", document=None)
    dataset = with_recorded(spec, recorded(timed)).datasets["customers"]
    found = dataset.versions["2026-11-25"]
    assert dataset.latest == "2026-11-25"
    assert (found.logical, found.files, found.as_of) == (v4.logical, v4.files, timed.as_of)
    assert found.stored_columns == v4.stored_columns
    assert found.columns["signup"]["kind"] == "date"


def test_a_reviewed_version_that_was_read_later_is_latest() -> None:
    spec, v4 = reviewed()
    timed = replace(v4, version="2026-11-01", as_of="2026-11-01T02:00:00+00:00", document=None)
    assert with_recorded(spec, recorded(timed)).datasets["customers"].latest == "v4"


def test_a_reviewed_version_whose_file_is_gone_stays_gone() -> None:
    spec, v4 = reviewed()
    assert with_recorded(spec, recorded(replace(v4, version="v9"))) is spec


def test_a_second_version_of_a_day_has_the_time_of_day() -> None:
    assert time_label("2026-11-24T02:17:00+00:00", ()) == "2026-11-24"
    second = time_label("2026-11-24T02:17:00+00:00", ("v1", "2026-11-24"))
    assert second == "2026-11-24T021700"
    assert is_timed(second)
    assert max("2026-11-24", second) == second


@pytest.mark.parametrize("label", ["v3", "2026-11", "2026-11-24x", "2026-11-24T02:17"])
def test_other_labels_are_not_of_a_time(label: str) -> None:
    assert not is_timed(label)
