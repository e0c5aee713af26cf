"""What changed in a step's code since a run: the first file whose meaning differs, where in it, and how it is reached.

Pure: files of now come through `read`, those of the run, by blob id, through `old`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from custody.core.closure import Closure
from custody.core.source import first_difference, same_tree
from custody.domain.problem import Place
from custody.domain.revision import Read

Old = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class CodeChange:
    """The place of the change, the files from the entry to it, what happened to the file, and how many more changed."""

    place: Place
    chain: tuple[str, ...]
    what: str
    others: int = 0


def code_change(code: Closure, recorded: Mapping[str, str | None], read: Read, old: Old) -> CodeChange | None:
    """Return what changed in `code` since the run that recorded blob ids as `recorded`; None where it cannot be told.

    The nearest to the entry comes first; what another step's code looked up is no change of this one.
    """
    changed = sorted(_changed(code, recorded, read, old), key=lambda item: (len(item.chain), item.place.path))
    if not changed:
        return None
    first = changed[0]
    return CodeChange(first.place, first.chain, first.what, len(changed) - 1)


def same_file(path: str, before: bytes, now: bytes) -> bool:
    """Whether a file of a closure means the same as before; of what is no Python every byte counts."""
    return same_tree(before, now) if path.endswith(".py") else before == now


def _changed(code: Closure, recorded: Mapping[str, str | None], read: Read, old: Old) -> Iterator[CodeChange]:
    for path, value in code.files.items():
        chain = (*code.chain.get(path, ()), path)
        blob = recorded.get(path)
        if value is None:
            if blob is not None:
                importer = chain[-2] if len(chain) > 1 else path
                yield CodeChange(Place(importer, 1, 1), chain, f"{path} is gone")
            continue
        if blob is None:
            what = "shadows what was found elsewhere" if path in recorded else "is read now"
            yield CodeChange(Place(path, 1, 1), chain, what)
            continue
        before, now = old(blob), read(path)
        if before is not None and now is not None and not same_file(path, before, now):
            line, column = first_difference(before, now) if path.endswith(".py") else _first_line(before, now)
            yield CodeChange(Place(path, line, column), chain, "")


def _first_line(before: bytes, now: bytes) -> tuple[int, int]:
    old, new = before.splitlines(), now.splitlines()
    same = next((at for at, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), len(new) - 1)
    return max(1, same + 1), 1
