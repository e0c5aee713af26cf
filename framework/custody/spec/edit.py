"""Editing one value of a spec file as text: comments, order and style of everything else stay as they are."""

from __future__ import annotations

from typing import Any

from custody.domain.problem import Place
from custody.errors import CustodyError
from custody.spec.emit import flow, scalar
from custody.spec.yaml12 import Parsed, parse


def set_stage(data: bytes, path: str, stage: str, value: str) -> bytes:
    """Return the bytes of a `model.yaml` in which `stages:` points `stage` to `value`.

    1. The stage is written: its value is replaced.
    2. Others are: it becomes the first of them, in the style of the file.
    3. There is no `stages:` or an empty one: a line of its own.

    Raises CustodyError, with the edit to make by hand, where the file cannot be read or is written in another way.
    """
    before = parse(data, path)
    present = before.value.get("stages") or {}
    if before.problems or not before.value or not isinstance(present, dict):
        raise _by_hand(path, stage, value)
    wanted = {**before.value, "stages": {**present, stage: value}}
    try:
        edited = _edit(before, stage, scalar(value)).encode()
    except (KeyError, IndexError, ValueError) as error:
        raise _by_hand(path, stage, value) from error
    after = parse(edited, path)
    if after.problems or after.value != wanted:
        raise _by_hand(path, stage, value)
    return b"\xef\xbb\xbf" + edited if data.startswith(b"\xef\xbb\xbf") else edited


def set_remote(data: bytes, path: str, remote: str) -> bytes:
    """Return the bytes of a `config.yaml` that names `remote`, as they are where it names one already.

    Raises CustodyError, with the edit to make by hand, where the file cannot be read.
    """
    before = parse(data, path)
    if before.problems or not before.value:
        raise CustodyError(f"{path} cannot be read", code="E604", help=("custody check", f"write `remote: {remote}`"))
    if before.value.get("remote"):
        return data
    lines = before.text.splitlines(keepends=True)
    after = before.places.get("ledger#key") or before.places.get("branch#key")
    line = after.line if after else len(lines)
    entry = f"remote: {scalar(remote)}  # where the ledger is shared\n"
    if line and not _ending(lines[line - 1]):
        lines[line - 1] += "\n"
    edited = "".join([*lines[:line], entry, *lines[line:]]).encode()
    if parse(edited, path).value != {**before.value, "remote": remote}:
        raise CustodyError(f"{path} is not edited by itself", code="E604", help=(f"write `remote: {remote}`",))
    return edited


def set_parameter(data: bytes, path: str, where: tuple[str, ...], value: Any) -> bytes:
    """Return the bytes of a `pipeline.yaml` with `value` at `where`, such as `("train", "with", "max_depth")`.

    1. It is written there, on one line: the value is replaced.
    2. The mapping that it belongs to has others: it becomes the first of them, in the style of the file.
    3. Only the mapping above is there: `with: {…}` is added to it, or `seed: …` as a line of its own.

    Raises CustodyError, with the edit to make by hand, where the file cannot be read or is written in another way.
    """
    before = parse(data, path)
    shown = f"{'.'.join(where)}: {flow(value)}"
    by_hand = CustodyError(
        f"{path} is written in a way that is not edited by itself", code="E604", help=(f"write `{shown}` in {path}",)
    )
    try:
        wanted = _with(before.value, where, value)
        edited = _placed(before, where, value).encode()
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise by_hand from error
    after = parse(edited, path)
    if before.problems or after.problems or after.value != wanted:
        raise by_hand
    return b"\xef\xbb\xbf" + edited if data.startswith(b"\xef\xbb\xbf") else edited


def _with(value: Any, where: tuple[str, ...], item: Any) -> dict[str, Any]:
    name, rest = where[0], where[1:]
    return {**value, name: _with(value.get(name, {}), rest, item) if rest else item}


def _placed(parsed: Parsed, where: tuple[str, ...], value: Any) -> str:
    lines = parsed.text.splitlines(keepends=True)
    dotted, above = ".".join(where), ".".join(where[:-1])
    if dotted in parsed.places:
        return _replaced(lines, parsed.places[dotted], flow(value))
    if not above:
        if lines and not _ending(lines[-1]):
            lines[-1] += "\n"
        return "".join([*lines, f"{where[-1]}: {flow(value)}\n"])
    if above in parsed.places:
        return _added(lines, parsed.places[above], f"{where[-1]}: {flow(value)}")
    return _placed(parsed, where[:-1], {where[-1]: value})


def _edit(parsed: Parsed, stage: str, value: str) -> str:
    lines = parsed.text.splitlines(keepends=True)
    places, present = parsed.places, parsed.value.get("stages")
    if isinstance(present, dict) and stage in present:
        return _replaced(lines, places[f"stages.{stage}"], value)
    if present:
        return _added(lines, places["stages"], f"{stage}: {value}")
    entry = f"stages: {{{stage}: {value}}}"
    if "stages" in parsed.value:
        key, empty = places["stages#key"], places["stages"]
        written = lines[key.line - 1][empty.column - 1 :] if empty.line == key.line else ""
        rest = written.removeprefix("{}").removeprefix("null").removeprefix("~").strip()
        lines[key.line - 1] = entry + (f"  {rest}" if rest else "") + _ending(lines[key.line - 1])
        return "".join(lines)
    if lines and not _ending(lines[-1]):
        lines[-1] += "\n"
    return "".join([*lines, entry + (_ending(lines[0]) if lines else "\n")])


def _replaced(lines: list[str], place: Place, value: str) -> str:
    line, start = lines[place.line - 1], place.column - 1
    lines[place.line - 1] = line[:start] + value + line[start + place.width :]
    return "".join(lines)


def _added(lines: list[str], place: Place, entry: str) -> str:
    """Put `entry` before the first of a mapping that is not empty; `place` is where that begins."""
    line, start = lines[place.line - 1], place.column - 1
    if line[start] == "{":
        lines[place.line - 1] = f"{line[: start + 1]}{entry}, {line[start + 1 :].lstrip(' ')}"
    else:
        lines.insert(place.line - 1, f"{line[:start]}{entry}{_ending(line) or chr(10)}")
    return "".join(lines)


def _ending(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _by_hand(path: str, stage: str, value: str) -> CustodyError:
    edit = f"write `stages: {{{stage}: {value}}}` in {path}"
    return CustodyError(f"{path} is written in a way that is not edited by itself", code="E604", help=(edit,))
