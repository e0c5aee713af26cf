"""The windows that were judged, as they stand on the ledger, and the references that they were judged by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from custody.core.due import end_of
from custody.core.jsonfile import json_object
from custody.domain.monitoring import Judged
from custody.domain.ports import Files
from custody.errors import LedgerError

REFERENCE = "reference.json"
_FOLDERS = 2
"""A window lies in the folder of a month below its model's."""


def path_of(judged: Judged) -> str:
    """Return the file of a window."""
    suffix = ".outcomes" if judged.what == "outcomes" else ""
    return f"monitoring/{judged.model}/{judged.window.period}/{judged.window.name}{suffix}.json"


def reference_path(model: str) -> str:
    """Return the file of a model's reference."""
    return f"monitoring/{model}/{REFERENCE}"


def recorded_windows(files: Files, *names: str) -> tuple[Judged, ...]:
    """Return the windows of a model, by its name and former ones, in order of time.

    Raises LedgerError where one cannot be read.
    """
    paths = [path for name in names for path in files.under(f"monitoring/{name}") if path.count("/") > _FOLDERS]
    return tuple(sorted((_window(files, path) for path in paths), key=lambda item: (end_of(item.window), item.what)))


def recorded_reference(files: Files, model: str) -> Mapping[str, Any] | None:
    """Return the reference of a model with its key; None where there is none that can be read: it is made again."""
    data = files.read(reference_path(model))
    try:
        return json_object(data) if data else None
    except ValueError:
        return None


def _window(files: Files, path: str) -> Judged:
    try:
        return Judged.from_dict(json_object(files.read(path) or b""))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> LedgerError:
    message = f"{path} on the ledger cannot be read: {type(error).__name__}: {error}"
    return LedgerError(message, code="E702", help=("custody verify",))
