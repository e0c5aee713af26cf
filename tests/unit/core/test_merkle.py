"""Merkle roots against the definition of RFC 6962, and proofs that hold for the right row alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.merkle import canonical_row, leaf, proof, proves, root

ROWS = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


def defined(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, as it is written there."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + defined(leaves[:half]) + defined(leaves[half:])).digest()


@given(ROWS)
def test_the_root_is_that_of_rfc_6962(rows: list[bytes]) -> None:
    leaves = [leaf(row) for row in rows]
    assert root(leaves) == defined(leaves).hex()


def test_known_roots() -> None:
    assert root([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    # the first test vectors of Certificate Transparency: leaves "", 00, 10
    leaves = [leaf(b""), leaf(b"\x00"), leaf(b"\x10")]
    assert root(leaves[:1]) == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root(leaves) == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"


@given(ROWS, st.data())
def test_a_proof_holds_for_its_row_at_its_place_alone(rows: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf(row) for row in rows]
    index = data.draw(st.integers(0, len(rows) - 1))
    path, top, size = proof(leaves, index), root(leaves), len(rows)
    assert proves(rows[index], index, size, path, top)
    assert not proves(rows[index] + b"x", index, size, path, top)
    assert not proves(rows[index], index, size, (*path, "00" * 32), top)
    assert not proves(rows[index], index, size, path, "00" * 32)
    assert not proves(rows[index], size, size, path, top)
    if path:
        assert not proves(rows[index], index, size, path[1:], top)
        assert not proves(rows[index], index, size, ("no digits", *path[1:]), top)


def test_there_is_no_proof_for_a_row_that_is_not_there() -> None:
    with pytest.raises(IndexError):
        proof([leaf(b"a")], 1)


def test_rows_are_canonical() -> None:
    at = datetime(2026, 11, 24, 8, tzinfo=UTC)
    row = {"b": float("nan"), "a": 1.0, "time": at, "c": 1}
    assert canonical_row(row) == b'{"a":1.0,"b":null,"c":1,"time":"2026-11-24T08:00:00.000000+00:00"}'
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_row({"a": float("inf")})
