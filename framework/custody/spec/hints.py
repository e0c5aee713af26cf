"""What helps: the key that was meant, the file it belongs in, and what this version does not support yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from custody.domain.spec import MODEL_KINDS
from custody.spec.words import listed, say

FILES: Mapping[str, str] = {
    "model": "model.yaml",
    "data": "data.yaml",
    "pipeline": "pipeline.yaml",
    "gates": "gates.yaml",
    "monitors": "monitors.yaml",
    "dataset": "dataset.yaml",
}

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "fairness": ("slices",),
    "thresholds": ("metrics",),
    "limits": ("metrics",),
    "params": ("with",),
    "parameters": ("with",),
    "hyperparameters": ("with",),
    "args": ("with",),
    "kwargs": ("with",),
    "estimator": ("uses", "train"),
    "algorithm": ("uses", "train"),
    "class": ("uses",),
    "function": ("uses",),
    "training": ("train",),
    "fit": ("train",),
    "preprocess": ("prepare",),
    "preprocessing": ("prepare",),
    "random_state": ("seed",),
    "cron": ("schedule",),
    "label": ("target", "value"),
    "y": ("target", "value"),
    "inputs_columns": ("features",),
    "test_size": ("test",),
    "holdout": ("test",),
    "groups": ("group", "slices"),
    "group_by": ("group",),
    "since": ("from",),
    "cut": ("from",),
    "order": ("by",),
    "order_by": ("by",),
    "stratified": ("stratify",),
    "team": ("owner",),
    "owners": ("owner",),
    "use": ("purpose", "purposes"),
    "risk": ("tier",),
    "stage": ("stages",),
    "pii": ("personal",),
    "protected": ("sensitive",),
    "dtype": ("type",),
    "kind": ("type",),
    "enum": ("values",),
    "allowed": ("values",),
    "categories": ("values",),
    "nulls": ("null_max",),
    "max_nulls": ("null_max",),
    "nullable": ("null_max",),
    "minimum": ("min",),
    "maximum": ("max",),
    "drop": ("max_drop",),
    "ratio": ("min_ratio",),
    "disparate_impact": ("min_ratio",),
    "primary_key": ("key",),
    "min_n": ("n",),
    "min_rows": ("n",),
    "retry": ("retries",),
    "time_out": ("timeout",),
    "mem": ("memory",),
    "data": ("dataset",),
    "target": ("value",),
    "window": ("every",),
    "frequency": ("every",),
    "interval": ("every",),
    "labels": ("outcomes",),
    "ground_truth": ("outcomes",),
    "predictions": ("prediction", "live"),
    "threshold": ("limit",),
    "statistic": ("stat",),
    "method": ("stat",),
    "exclude": ("ignore",),
    "timestamp": ("time",),
    "lag": ("delay",),
    "latency": ("delay",),
    "maturity": ("delay",),
    "channel": ("channels",),
    "notify": ("channels",),
    "action": ("do",),
    "actions": ("do",),
}
"""Words of other tools, and what they are called here."""

_LATER: Mapping[str, frozenset[str]] = {
    "model": frozenset({"was", "retire", "notify", "links", "approvals", "serve"}),
    "data": frozenset({"filter", "features_from", "views"}),
    "pipeline": frozenset({"resources", "calibrate", "search", "needs", "threads"}),
    "gates": frozenset({"checks", "waivers"}),
    "dataset": frozenset({"schedule", "license", "retention", "contract", "quarantine", "files", "sources"}),
    "config": frozenset({"requires", "environments", "store", "engine", "notify", "timezones"}),
}
_SHORT = 4
"""In so short a word one letter is much."""
_NEEDLESS = frozenset({"name", "kind", "apiVersion", "metadata"})


@dataclass(frozen=True, slots=True)
class Hint:
    """The words about a key that does not belong where it stands."""

    code: str
    message: str
    label: str = ""
    help: tuple[str, ...] = ()


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `word` was probably meant to be."""
    from difflib import get_close_matches

    known = {name.lower(): name for name in candidates}
    close = get_close_matches(word.lower(), list(known), 1, 0.7 if len(word) > _SHORT else 0.6)
    return known[close[0]] if close else None


def meant(word: str, candidates: Iterable[str], *, most: int = 12) -> tuple[str, ...]:
    """Return the help for an unknown name: the nearest one, else the list of all."""
    names = sorted(candidates)
    near = nearest(word, names)
    if near is not None:
        return (f"did you mean {say(near)}?",)
    return (f"known: {listed(names, most=most)}",) if names else ()


def unknown_key(
    kind: str, parent: str, key: str, known: Iterable[str], top_level: Mapping[str, Iterable[str]], folder: str
) -> Hint:
    """Say what to do about `key`, which stands in `parent` of a file of `kind` but is not one of `known`.

    `top_level` maps each kind of file to its own keys; `folder` is the folder of the file.
    """
    known = tuple(known)
    where = f"`{say(parent, quote=False)}`" if parent else f"{FILES.get(kind, kind)}"
    if not parent and key in _NEEDLESS and kind != "config":
        message = f"{say(key)} is not a key: the file's name is its kind, the folder's name is its name"
        return Hint("E101", message, help=("remove the line",))
    elsewhere = _elsewhere(kind, parent, key, known, top_level)
    if elsewhere:
        return _belongs(key, *elsewhere, kind=kind, folder=folder)
    if key in _LATER.get(kind, ()) and (not parent or kind == "data" or key == "resources"):
        message = f"{say(key)} in {where} is not supported by this version of custody"
        return Hint("E108", message, help=("remove it",))
    message = f"unknown key {say(key)} in {where}"
    alias = next((name for name in _ALIASES.get(key.lower(), ()) if name in known), None)
    if alias:
        return Hint("E101", message, help=(f"did you mean {say(alias)}?",))
    near = nearest(key, known)
    label = "" if near else "not a key here"
    advice = f"did you mean {say(near)}?" if near else f"keys here: {listed(sorted(known))}"
    return Hint("E101", message, label, (advice,))


def _elsewhere(
    kind: str, parent: str, key: str, known: tuple[str, ...], top_level: Mapping[str, Iterable[str]]
) -> tuple[str, str] | None:
    """Find (kind, key) of the file to which `key` belongs, exact names before other words for them."""
    if kind not in FILES:
        return None
    aliases = _ALIASES.get(key.lower(), ())
    if any(name in known for name in aliases):
        return None
    family = (kind, *MODEL_KINDS) if kind in MODEL_KINDS else ("dataset", *MODEL_KINDS)
    near = nearest(key, known)
    others = family if near or parent else dict.fromkeys((*family, *FILES))
    for name in (key, *aliases):
        for other in others:
            if name in top_level.get(other, ()) and (parent or other != kind):
                return other, name
    return None


def _belongs(key: str, other: str, name: str, *, kind: str, folder: str) -> Hint:
    if other == kind:
        return Hint("E105", f"{say(key)} belongs at the top of {FILES[kind]}", help=(f"move it out: `{name}: …`",))
    message = f"{say(key)} belongs in {FILES[other]}, not in {FILES[kind]}"
    if other == "dataset" or kind == "dataset":
        return Hint("E105", message, help=(f"move it to {FILES[other]}",))
    under = f" under `{name}:`" if name != key else ""
    return Hint("E105", message, help=(f"move it to {folder}/{FILES[other]}{under}",))
