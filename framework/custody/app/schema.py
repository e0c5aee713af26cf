"""`schema`: the JSON Schema of a kind of spec file, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from custody.spec.schema import KINDS, schema

__all__ = ["KINDS", "schema_of"]


def schema_of(kind: str) -> Mapping[str, Any]:
    """Return the schema (draft-07) of `kind`; raises UsageError where there is no such kind."""
    return schema(kind)
