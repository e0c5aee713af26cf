"""Profiles: `.mlops/profiles/<p>/<kind>.yaml` below a model's own files.

Maps merge, all else is replaced, `null` removes.

One level: a profile has no profile. A profile's files keep the schemas of a model's, but for required keys; what is
merged keeps the whole schema. Each merged value keeps the place where it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from custody.domain.problem import Place
from custody.domain.spec import Document
from custody.spec.yaml12 import Parsed, parse

KEY = "profile"
"""The key of model.yaml that names one."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: its documents by kind; `sound` tells whether they could all be read."""

    name: str
    documents: Mapping[str, Document]
    sound: bool = True


class LayeredPlaces(Mapping[str, Place]):
    """The places of merged values: where the model itself says it, else where its profile does.

    `covered` are the dotted paths at which the model's value stands for the profile's, with all that is below it.
    """

    __slots__ = ("_covered", "_own", "_profile")

    def __init__(self, own: Mapping[str, Place], profile: Mapping[str, Place], covered: frozenset[str]) -> None:
        self._own = own
        self._profile = profile
        self._covered = covered

    def __getitem__(self, dotted: str) -> Place:
        if dotted in self._own:
            return self._own[dotted]
        if self._hidden(dotted):
            raise KeyError(dotted)
        return self._profile[dotted]

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (item for item in self._profile if item not in self._own and not self._hidden(item))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, dotted: object) -> bool:
        return dotted in self._own or (dotted in self._profile and not self._hidden(str(dotted)))

    def _hidden(self, dotted: str) -> bool:
        if not self._covered:
            return False
        path = dotted.removesuffix("#key")
        while path:
            if path in self._covered:
                return True
            path = path.rpartition(".")[0]
        return False


def merge(profile: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """Return `own` over `profile`, and the dotted paths at which a value of the profile was replaced or removed.

    A `null` removes what the profile has; where the profile has nothing it stays, for the schema to refuse.
    """
    covered: set[str] = set()
    return _merged(profile, own, "", covered), frozenset(covered)


def _merged(profile: Mapping[str, Any], own: Mapping[str, Any], prefix: str, covered: set[str]) -> dict[str, Any]:
    value = dict(profile)
    for key, item in own.items():
        before = profile.get(key)
        if isinstance(before, Mapping) and isinstance(item, Mapping):
            value[key] = _merged(before, item, f"{prefix}{key}.", covered)
            continue
        if key in profile:
            covered.add(f"{prefix}{key}")
        if item is None and key in profile:
            del value[key]
        else:
            value[key] = item
    return value


def layered(own: Parsed | None, profile: Document) -> Parsed:
    """Return a model's file, which may be absent, over the file of its profile."""
    if own is None:
        return Parsed(profile.value, profile.places)
    value, covered = merge(profile.value, own.value)
    return Parsed(value, LayeredPlaces(own.places, profile.places, covered), own.problems, own.text)


def profile_named(data: bytes) -> str | None:
    """Return the profile that the bytes of a model.yaml name; None where they name none or cannot be read."""
    named = parse(data, "model.yaml").value.get(KEY)
    return named if isinstance(named, str) else None
