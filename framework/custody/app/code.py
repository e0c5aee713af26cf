"""The models' own code: its closures for the keys, and a copy of it, as committed, for the step processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from custody.core.closure import Closure, Entry, closure
from custody.digest import digest, sha256
from custody.domain.ports import Read
from custody.domain.spec import Config, ModelSpec, Spec
from custody.errors import CustodyError

Code = Mapping[str, Closure]
"""The closures of one model by step; steps without code of their own are absent."""


def closures(spec: Spec, read: Read) -> dict[str, Code]:
    """Return the closures of all models that name code of their own."""
    found = {name: dict(_closures(model, spec.config, read)) for name, model in spec.models.items()}
    return {name: code for name, code in found.items() if code}


def digests(code: Mapping[str, Code]) -> dict[str, dict[str, str | None]]:
    """Return the closures' digests, as the keys hold them."""
    return {name: {step: item.digest for step, item in closures.items()} for name, closures in code.items()}


def materialise(code: Code, read: Read, under: Path) -> Path:
    """Write the files of `code` as `read` has them below `under`, laid out as in the repository; return the folder.

    The folder's name is the digest of its contents, so that a later edit of the working tree touches nothing that runs.
    """
    contents = {path: read(path) or b"" for item in code.values() for path in item.present}
    folder = under / digest({path: sha256(data) for path, data in contents.items()})[:32]
    for path, data in contents.items():
        target = folder / _safe(path)
        if not target.is_file() or target.read_bytes() != data:
            target.parent.mkdir(parents=True, exist_ok=True)
            aside = target.with_name(f"{target.name}.{os.getpid()}")
            aside.write_bytes(data)
            aside.replace(target)
    return folder


def _closures(model: ModelSpec, config: Config, read: Read) -> Iterator[tuple[str, Closure]]:
    for step, uses in (("prepare", model.prepare), ("train", model.train)):
        entry = Entry.of(uses.name, model.directory)
        if entry is None:
            continue
        found = closure(entry, read, extensions=config.extensions, files=uses.files)
        if found.found:
            yield step, found


def _safe(path: str) -> PurePosixPath:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise CustodyError(f"{path} lies outside the repository", code="E215")
    return pure
