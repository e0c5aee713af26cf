"""A look into one model's files: which datasets it names, as far as that can be told without all the rest."""

from __future__ import annotations

from custody.domain.revision import Read
from custody.spec.yaml12 import parse


def dataset_named(read: Read, directory: str) -> str | None:
    """Return the name of the dataset that the model in `directory` learns from; None where its own files don't say."""
    path = f"{directory}/data.yaml"
    data = read(path)
    named = parse(data, path).value.get("dataset") if data is not None else None
    return named.partition("@")[0] if isinstance(named, str) else None
