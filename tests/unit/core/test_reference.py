"""A reference reads back from its file as it was."""

from __future__ import annotations

import json

import pytest

from custody.core.jsonfile import json_bytes
from custody.domain.monitoring import Counts, Edges
from custody.domain.monitors import Every
from custody.domain.reference import Known, Limit, Reference, Volume

NUMBER = Known(
    Edges((1.0, 2.5), low=0.0, high=9.0, mode=1.0),
    Counts((4, 5, 6), nulls=1, mode=3, least=0.0, greatest=9.0),
    {"training": Limit(0.31, 200, 52, (0.1, 0.2), 0.4), "previous": Limit(0.2, 200, 48)},
    mode=0.5,
    greatest=100.0,
)
CATEGORY = Known(
    Edges(values=("a", "b"), kind="text", mode="a", others=("z",)),
    Counts((9, 5, 2)),
    why="each window holds one value",
    steady=True,
    always=(0,),
    closed=True,
)
REFERENCE = Reference(
    "bikes",
    "r1",
    "rentals@v1",
    "e" * 64,
    16,
    Every.WEEK,
    52,
    "psi",
    {"temp": NUMBER, "plan": CATEGORY},
    prediction=NUMBER,
    volume=Volume((20.0,)),
    outcomes={"r2": 0.8},
    others={"rentals@v2": {"temp": Counts((1, 2, 3))}},
)


def test_it_reads_back_and_is_named_by_its_bytes():
    read = Reference.from_dict(json.loads(json_bytes(REFERENCE.to_dict())))
    assert read == REFERENCE
    assert read.digest == REFERENCE.digest
    assert Reference.from_dict(Reference("m", "r", "d", "e", 0, None, 0, "psi", {}).to_dict()).every is None


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="format 2"):
        Reference.from_dict(REFERENCE.to_dict() | {"format": 2})


def test_a_constant_is_a_column_that_held_one_value_and_shows_it():
    def known(edges: Edges, *cells: int) -> bool:
        return Known(edges, Counts(cells)).constant

    assert known(Edges(low=3.0, high=3.0), 9)
    assert known(Edges(values=("a",), kind="text", others=()), 9, 0)
    assert not known(Edges(values=("a",), kind="text", others=("b",)), 999, 1)
    assert not known(Edges(values=("a",), kind="text", others=None), 999, 1)
    assert not known(Edges(hidden=True), 9)
    assert not known(Edges(), 0)
