"""A reference to code or to a built-in, and how it is to be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Uses:
    """A reference to code and its parameters: `uses:` with `with:`, and how it is to be run.

    `name` is a built-in, `sklearn.<Class>`, `./file.py:function` beside the spec or `package.module:function`.
    `timeout` is in seconds, `memory` in bytes; neither they nor `retries` are inputs of a result.
    """

    name: str
    with_: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    timeout: float | None = None
    retries: int = 0
    memory: int | None = None
