"""The models' own code: its closures for the keys, and a copy of it, as committed, for the step processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from custody.core.closure import Closure, Entry, closure
from custody.core.codechange import CodeChange, code_change, same_file
from custody.digest import digest, sha256
from custody.domain.record import Run, State
from custody.domain.revision import Read
from custody.domain.spec import Config, ModelSpec, Spec
from custody.errors import CustodyError

Code = Mapping[str, Closure]
"""The closures of one model by step; steps without code of their own are absent."""


def closures(spec: Spec, read: Read) -> dict[str, Code]:
    """Return the closures of all models that name code of their own."""
    found = {name: dict(_closures(model, spec.config, read)) for name, model in spec.models.items()}
    return {name: code for name, code in found.items() if code}


def digests(
    code: Mapping[str, Code], state: State, read: Read, blob_bytes: Callable[[str], bytes | None], models: str
) -> dict[str, dict[str, str | None]]:
    """Return the closures' digests, as the keys hold them; `models` is the folder of the models.

    Code that was only reformatted since the last run keeps the digest that the run recorded: its files, read back
    from Git, have the same syntax trees. Files of a model that was renamed are found under its former names too.
    """
    found: dict[str, dict[str, str | None]] = {}
    for name, steps in code.items():
        recorded = state.models.get(name)
        run = recorded.run if recorded else None
        if run and recorded and recorded.was:
            run = replace(
                run, closure=_moved(run.closure, f"{models}/{name}", [f"{models}/{was}" for was in recorded.was])
            )
        found[name] = {step: _digest(step, item, run, read, blob_bytes) for step, item in steps.items()}
    return found


def _digest(
    step: str, item: Closure, run: Run | None, read: Read, blob_bytes: Callable[[str], bytes | None]
) -> str | None:
    recorded = run.steps[step].inputs.get("code") if run and step in run.steps else None
    if run is None or recorded in {None, item.digest}:
        return item.digest
    same = all(_same(path, value, run.closure, read, blob_bytes) for path, value in item.files.items())
    return str(recorded) if same else item.digest


def _moved(closure: Mapping[str, str | None], now: str, before: Sequence[str]) -> dict[str, str | None]:
    """Return a recorded closure with the files in the former folders of a model as if they lay in its present one."""
    found: dict[str, str | None] = {}
    for path, blob in closure.items():
        folder = next((folder for folder in before if path.startswith(f"{folder}/")), None)
        found.setdefault(f"{now}/{path.removeprefix(f'{folder}/')}" if folder else path, blob)
    return found


def _same(
    path: str,
    value: str | None,
    closure: Mapping[str, str | None],
    read: Read,
    blob_bytes: Callable[[str], bytes | None],
) -> bool:
    blob = closure.get(path)
    if value is None or blob is None:
        return value is None and blob is None and path in closure
    before, now = blob_bytes(blob), read(path)
    return before is not None and now is not None and same_file(path, before, now)


def code_changes(
    code: Mapping[str, Code], read: Read, blob_bytes: Callable[[str], bytes | None]
) -> Callable[[str, str, Run], CodeChange | None]:
    """Return what tells, of (model, step, run), what changed in the step's code since that run."""

    def changed(model: str, step: str, run: Run) -> CodeChange | None:
        item = code.get(model, {}).get(step)
        return code_change(item, run.closure, read, blob_bytes) if item and run.closure else None

    return changed


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
