"""What may travel in Git: the stricter of what the spec said that ran and of what has landed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from custody.core.sharing import CLASSES, TRAVELS, Landed, named_by, strictest
from custody.domain.batch import Batch
from custody.domain.record import Kind, Record

FILE = "b" * 64
NOTHING = Landed()


def refusal(ran: str | None, landed: Landed = NOTHING, dataset: str = "loans") -> str:
    value = {"dataset": dataset, "version": "v1", "files": [{"sha256": FILE}], "classification": ran}
    files = {f"datasets/{dataset}/v1.json": json.dumps(value).encode()}
    [item] = named_by([Record("r", Kind.DATA, "data", (), files=files)], landed)
    assert item.travels == (not item.refusal)
    return item.refusal


@pytest.mark.parametrize("ran", CLASSES)
@pytest.mark.parametrize("there", CLASSES)
def test_the_stricter_word_decides(ran: str, there: str) -> None:
    said = refusal(ran, Landed({"loans": (there, "on main")}))
    assert (said == "") == ({ran, there} <= TRAVELS)
    assert strictest([ran, there]) in {ran, there}
    assert (strictest([ran, there]) in TRAVELS) == (said == "")


def test_what_nobody_knows_is_the_strictest() -> None:
    assert strictest([*CLASSES, "of no readable classification"]) == "of no readable classification"
    assert refusal(None) == "loans@v1 (loans is of no recorded classification)"
    assert refusal("public", Landed(unseen="main is not in this clone")) == (
        "loans@v1 (nothing is known of loans: main is not in this clone)"
    )


def test_another_name_opens_nothing_and_a_landed_one_does() -> None:
    landed = Landed({"loans": ("restricted", "on main")}, {FILE: frozenset({"loans@v1"})})
    assert refusal("public", landed, "credits") == (
        "credits@v1 (its data are loans@v1, and loans is restricted on main)"
    )
    reviewed = replace(landed, classes={**landed.classes, "credits": ("public", "on main")})
    assert refusal("public", reviewed, "credits") == ""


def test_predictions_travel_as_their_dataset_may() -> None:
    batch = Batch(
        "b1", "risk", "r1", "v1", "a" * 64, 1, "2026-11-24T08:30:00.000000+00:00", "2026-11-24T08:30:00.000000+00:00",
        FILE, "c" * 64, "serve", {"true": 1}, "loans", "internal",
    )  # fmt: skip

    def named(item: Batch, landed: Landed = NOTHING) -> tuple[str, tuple[str, ...]]:
        record = Record("b1", Kind.PREDICTIONS, "p", (), "risk", files={"f.json": json.dumps(item.to_dict()).encode()})
        [found] = named_by([record], landed)
        return found.refusal, found.digests

    assert named(batch) == ("", (FILE,))
    assert named(replace(batch, classification="confidential"))[0] == "predictions of risk (loans is confidential)"
    landed = Landed({"loans": ("restricted", "on main")})
    assert named(batch, landed)[0] == "predictions of risk (loans is restricted on main)"
    assert named(replace(batch, classification=None))[0].endswith("is of no recorded classification)")
