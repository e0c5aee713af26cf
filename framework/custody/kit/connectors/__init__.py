"""Connectors: each is one function `read(with_, *, root, columns, outside=False) -> Source`.

A connector brings a table as it stands in its source, and says where it came from; what the dataset's contract makes
of it is `kit/ingest.py`'s part. `columns` maps a column to its contract (`type`, `format`, `personal` and so on).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from custody.errors import ContractError

BUILT_IN = ("file", "sklearn", "url")

Contract = Mapping[str, Mapping[str, Any]]
"""What is declared of each column, by name."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a connector read: an Arrow table, and a description for the manifest.

    `inferred` holds the type of each column whose type was not declared and had to be guessed from text, `warnings`
    what the person who adds the data should look at.
    """

    table: Any
    description: Mapping[str, Any]
    inferred: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Connector(Protocol):
    """Reads a source."""

    def __call__(self, with_: Mapping[str, Any], *, root: Path, columns: Contract, outside: bool = False) -> Source:
        """Read the source that `with_` describes; `outside` allows paths outside the project.

        Raises ContractError where the source is missing, unreadable or holds values that do not fit their types,
        RefusedError where it lies where it must not be read.
        """


def connector(name: str) -> Connector:
    """Return the connector called `name`; raises ContractError where there is none."""
    if name not in BUILT_IN:
        near = get_close_matches(name, BUILT_IN, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ContractError(
            f"there is no connector called {name!r}",
            help=(f"{hint}in dataset.yaml: source.uses: file, sklearn, url",),
        )
    return cast("Connector", import_module(f"custody.kit.connectors.{name}").read)


def refuse_unknown(with_: Mapping[str, Any], params: Mapping[str, Any], name: str) -> None:
    """Raise ContractError where `with_` holds a key that `params` (a JSON Schema) does not, or lacks one."""
    known = list(params["properties"])
    for key in with_:
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known)}"
            raise ContractError(f"the connector {name} takes no {key!r}", help=(hint,))
    for key in params.get("required", ()):
        if key not in with_:
            raise ContractError(f"the connector {name} needs {key!r} in source.with")
