"""The file of a fitted estimator: skops rewritten in a canonical form, so that equal estimators have equal bytes.

A zip (`archive`) of `custody.json` (what the estimator expects and answers), `schema.json` (its tree of objects) and a
file an array. Nothing in it is a pickle. Loading goes in a fixed order: the digest, the zip, our closed list of names,
the bounds of compiled trees, and only then skops. This module is the one home of skops.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from custody.content import archive, bounds
from custody.content.allowlist import audit, nodes, trusted_names
from custody.content.archive import ArtifactError
from custody.digest import canonical_json, sha256

__all__ = ["FORMAT", "Artifact", "ArtifactError", "dump", "load", "read_meta"]

FORMAT = 1
_PROTOCOL = 2
_NULL = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": "null", "is_json": True}
_VOLATILE = ("_stop_words_id",)
"""Attributes that hold an address in memory: caches, which the estimator does without."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A loaded estimator and its metadata: `features`, `kinds`, `target`, `task`, `classes` and so on.

    `meta["modules"]` lists the first-party modules whose classes and functions it names.
    """

    estimator: Any
    meta: Mapping[str, Any]


def dump(estimator: Any, meta: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of `estimator` with `meta`, a JSON object.

    Equal in every process and folder for equal estimators. Raises ArtifactError where it holds something that
    could not be loaded again, such as a lambda.
    """
    raw = _skops_bytes(estimator)
    with zipfile.ZipFile(io.BytesIO(raw)) as source:
        files = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(files.pop(archive.SCHEMA))
    schema.pop("_skops_version", None)
    renamed, members = _named_by_content(files)
    try:
        schema = _canonical(schema, renamed)
    except RecursionError as error:
        raise ArtifactError("the estimator is nested too deep to be stored") from error
    modules = _first_party_modules(schema)
    _check_storable(schema, modules)
    members[archive.SCHEMA] = _compact(schema)
    members[archive.META] = canonical_json({**meta, "format": FORMAT, "modules": modules})
    return archive.write_archive(members)


def load(data: bytes, *, digest: str, trusted_modules: Collection[str] = ()) -> Artifact:
    """Return the estimator in `data`, whose SHA-256 must be `digest`.

    `trusted_modules` are first-party modules, imported already, whose own classes and functions it may name.
    Raises ArtifactError for anything else than what `dump` writes, before any of it is constructed.
    """
    members, meta = _open(data, digest)
    try:
        schema = json.loads(members[archive.SCHEMA])
        if not isinstance(schema, dict) or schema.get("protocol") != _PROTOCOL:
            raise ArtifactError("the artifact's schema has a protocol that this custody does not read")
        _check_names(schema, meta, trusted_modules)
        _check_files(schema, members)
        bounds.check_schema(schema, members)
        estimator = _construct(data, trusted_names(schema, trusted_modules))
    except RecursionError as error:
        raise ArtifactError("the artifact is nested too deep") from error
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, IndexError) as error:
        raise ArtifactError(f"the artifact cannot be read: {_first_line(error)}") from error
    bounds.check_objects(estimator)
    return Artifact(estimator, meta)


def read_meta(data: bytes, *, digest: str) -> Mapping[str, Any]:
    """Return the metadata of an artifact whose SHA-256 must be `digest`; constructs nothing."""
    return _open(data, digest)[1]


def _open(data: bytes, digest: str) -> tuple[dict[str, bytes], Mapping[str, Any]]:
    actual = sha256(data)
    if actual != digest:  # before anything is opened
        raise ArtifactError(f"the artifact has the digest {actual[:12]}, recorded is {digest[:12]}: it was changed")
    members = archive.read_archive(data)
    try:
        meta = json.loads(members[archive.META])
    except (ValueError, RecursionError) as error:
        raise ArtifactError("the artifact's description cannot be read") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise ArtifactError(f"the artifact is not of format {FORMAT}, the one that this custody reads")
    return members, meta


def _skops_bytes(estimator: Any) -> bytes:
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        raw: bytes = skops.io.dumps(estimator)
    except UnsupportedTypeException as error:
        raise ArtifactError(f"the estimator cannot be stored: {_first_line(error)}") from error
    except RecursionError as error:
        raise ArtifactError("the estimator refers to itself and cannot be stored") from error
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise ArtifactError(f"{type(estimator).__name__} cannot be stored: {_first_line(error)}") from error
    return raw


def _named_by_content(files: Mapping[str, bytes]) -> tuple[dict[str, str], dict[str, bytes]]:
    renamed, members = {}, {}
    for name, content in files.items():
        suffix = name.rpartition(".")[2]
        clean = content
        if suffix == "npy":
            clean = archive.canonical_array(content)
        elif suffix == "npz":
            clean = archive.canonical_sparse(content)
        renamed[name] = f"{sha256(clean)}.{suffix}"
        members[renamed[name]] = clean
    return renamed, members


def _canonical(value: Any, renamed: Mapping[str, str]) -> Any:
    """Return a schema without addresses, with files named by content, sets in order and ufuncs under one name."""
    if isinstance(value, list):
        return [_canonical(item, renamed) for item in value]
    if not isinstance(value, dict):
        return value
    loader = value.get("__loader__")
    if not isinstance(loader, str):
        return {key: _canonical(item, renamed) for key, item in value.items() if key not in _VOLATILE}
    node = {key: _canonical(item, renamed) for key, item in value.items() if key != "__id__"}
    if "file" in node:
        node["file"] = renamed[node["file"]]
    if loader == "DictNode":
        _drop_volatile_keys(node, list(value["content"]))
    if loader == "SetNode":
        node["content"] = sorted(node["content"], key=_compact)
    if loader == "PartialNode" and not node["content"]["namespace"].get("content"):
        node["content"]["namespace"] = dict(_NULL)  # empty or none: it depends on who has looked at it
    if loader == "FunctionNode":
        node["__module__"] = _home(node["__module__"], node["__class__"])
    return node


def _drop_volatile_keys(node: dict[str, Any], keys: list[str]) -> None:
    types = node["key_types"]["content"]
    if len(types) == len(keys) and any(key in _VOLATILE for key in keys):
        node["key_types"]["content"] = [kind for key, kind in zip(keys, types, strict=True) if key not in _VOLATILE]


def _home(module: str, name: str) -> str:
    """Return the public module of a ufunc; the one that skops finds depends on what was imported first."""
    import scipy.special

    found = getattr(sys.modules.get(module), name, None)
    if isinstance(found, np.ufunc):
        for home in (np, scipy.special):
            if getattr(home, name, None) is found:
                return home.__name__
    return module


def _first_party_modules(schema: Any) -> list[str]:
    foreign = {"builtins", "collections", "functools", "numpy", "scipy", "sklearn"}
    named = {str(node.get("__module__")) for node in nodes(schema) if node["__loader__"] != "JsonNode"}
    return sorted(name for name in named if name.partition(".")[0] not in foreign)


def _check_storable(schema: Any, modules: Collection[str]) -> None:
    found = next(audit(schema, modules), None)
    if found is None:
        return
    own = next((name for name in modules if found.name.startswith(f"{name}.")), None)
    name = found.name.rpartition(".")[2]
    if own and (own == "__main__" or not hasattr(sys.modules.get(own), name)):
        message = f"the fitted estimator holds {name!r} of {own}, which is not defined at the top level of a module"
        help_ = "move it to the top level of the file: lambdas and inner functions have no name to load them by"
        raise ArtifactError(message, help=(help_,))
    message = f"the fitted estimator holds {found.name}, which is not on the list of what is safe to load again"
    raise ArtifactError(message)


def _check_names(schema: Any, meta: Mapping[str, Any], trusted: Collection[str]) -> None:
    found = next(audit(schema, trusted), None)
    if found is None:
        return
    missing = [name for name in meta.get("modules", ()) if name not in trusted]
    if missing and any(found.name.startswith(f"{name}.") for name in missing):
        raise ArtifactError(f"the artifact names {found.name}, and the code of {missing[0]} was not given")
    raise ArtifactError(f"the artifact names {found.name} ({found.loader}), which is not on the list of safe names")


def _check_files(schema: Any, members: Mapping[str, bytes]) -> None:
    for node in nodes(schema):
        if "file" in node and node["file"] not in members:
            raise ArtifactError(f"the artifact misses its array {node['file']}")


def _construct(data: bytes, trusted: list[str]) -> Any:
    import skops.io

    return skops.io.loads(data, trusted=trusted)


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
