"""The code behind a step: every first-party file that importing its entry reads, and every name it looks up in vain.

Static: files are parsed, never run. A name is looked for where the step's process looks: in the model's own directory,
then in the extension roots in their order, a package before a module of the same name. What is found nowhere is another
library's; the places where it would have been found are recorded as absent, since a file added there would shadow it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from custody.core.imports import Import, Scan, scan
from custody.digest import digest, sha256
from custody.domain.problem import Place, Problem, Severity
from custody.domain.revision import Read

VERSION = "c2"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a step's own code begins: a file beside the spec or a module; `directory` is the model's.

    `path` (for `./steps.py:prepare`) is from the project root; `module` is dotted. Exactly one of them is set.
    """

    directory: str
    function: str
    path: str | None = None
    module: str | None = None

    @classmethod
    def of(cls, uses: str, directory: str) -> Self | None:
        """Return the entry that `uses:` names; None where it names a built-in or leaves the model's directory."""
        place, colon, function = uses.partition(":")
        if not colon or not place or not function:
            return None
        if not place.startswith("./"):
            return cls(directory, function, module=place) if _dotted(place) else None
        path = posixpath.normpath(posixpath.join(directory, place))
        inside = path.startswith(f"{directory}/") and path.endswith(".py")
        return cls(directory, function, path=path) if inside else None


@dataclass(frozen=True, slots=True)
class Closure:
    """The files that a step's code consists of.

    `files` maps a path to the SHA-256 of its meaning (of its bytes for declared `files:` and for what is no Python),
    None where a file was looked for and is not there. `chain` maps a path to the files that lead to it from the entry.
    """

    files: Mapping[str, str | None]
    chain: Mapping[str, tuple[str, ...]]
    digest: str
    found: bool = True
    """Whether the entry itself is first-party code; else it is installed code, or missing."""
    warnings: tuple[Problem, ...] = field(default=())

    @property
    def present(self) -> tuple[str, ...]:
        """The files that are there, in order of path: what has to be laid out for the step to run."""
        return tuple(path for path, value in self.files.items() if value is not None)


def closure(
    entry: Entry,
    read: Read,
    *,
    extensions: Sequence[str] = (),
    files: Sequence[str] = (),
    scan: Callable[[bytes], Scan] = scan,
) -> Closure:
    """Return the closure of `entry` in the revision that `read` reads.

    `extensions` are roots from the project root; `files` are further files that the code reads (`./x` is beside the
    spec, all else from the project root). `scan` may be a memoised one: it is pure.
    """
    declared = tuple(declared_path(path, entry.directory) for path in files)
    walk = _Walk(read, (entry.directory, *extensions), scan, frozenset(declared))
    found = walk.enter(entry)
    for path in declared:
        data = None if path.startswith(("../", "/")) else read(path)
        walk.files[path] = None if data is None else sha256(data)
        walk.chain.setdefault(path, ())
    ordered = dict(sorted(walk.files.items()))
    named = {_own_name(path, entry.directory): value for path, value in ordered.items()}
    return Closure(ordered, walk.chain, digest([VERSION, named]), found, tuple(walk.warnings))


def _own_name(path: str, directory: str) -> str:
    """Return a path as the digest has it: one beside the spec is named from there, so that a model may be renamed."""
    return f"./{path.removeprefix(f'{directory}/')}" if path.startswith(f"{directory}/") else path


def declared_path(path: str, directory: str) -> str:
    """Return a declared file's path from the project root; `./x` is beside the spec."""
    return posixpath.normpath(posixpath.join(directory, path) if path.startswith("./") else path)


@dataclass(slots=True)
class _Walk:
    """One walk over the imports, breadth first, so that every chain is a shortest one."""

    read: Read
    roots: tuple[str, ...]
    scan: Callable[[bytes], Scan]
    declared: frozenset[str]
    files: dict[str, str | None] = field(default_factory=dict)
    chain: dict[str, tuple[str, ...]] = field(default_factory=dict)
    scans: dict[str, Scan] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)
    queue: list[str] = field(default_factory=list)

    def enter(self, entry: Entry) -> bool:
        if entry.path is None:
            found = self._descend(self.roots, entry.module or "", ())[1]
        else:
            self._packages(entry.path, entry.directory)
            found = self._look(entry.path, ())
        for path in self.queue:  # grows while it is walked
            for item in self.scans[path].imports:
                self._follow(item, path)
        return found

    def _packages(self, path: str, directory: str) -> None:
        """Look at the `__init__.py` of every folder from the model's own down to the file's."""
        folder = directory
        for part in ("", *posixpath.dirname(path).removeprefix(directory).strip("/").split("/")):
            folder = _join(folder, part) if part else folder
            self._look(_join(folder, "__init__.py"), ())

    def _follow(self, item: Import, importer: str) -> None:
        chain = (*self.chain[importer], importer)
        start = self._above(importer, item.level) if item.level else self.roots
        folders, _ = self._descend(start, item.module, chain)
        for name in self._names(item, folders):
            self._descend(folders, name, chain)

    def _names(self, item: Import, folders: tuple[str, ...]) -> Iterator[str]:
        """Yield the names that a `from` import may find as submodules; `*` stands for what `__all__` lists."""
        for name in item.names:
            if name != "*":
                yield name
            for folder in folders if name == "*" else ():
                package = self.scans.get(_join(folder, "__init__.py"))
                yield from package.exported if package else ()

    def _descend(self, folders: tuple[str, ...], module: str, chain: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
        """Look up a dotted name below `folders`; return the folders of its submodules and whether it was found.

        A module that is no package has no folder. A package without `__init__.py` is a namespace, which may lie in
        several roots and is not known to be there until something below it is found.
        """
        found = False
        for part in module.split(".") if module else ():
            inner = tuple(_join(folder, part) for folder in folders)
            for path in inner:
                if self._look(_join(path, "__init__.py"), chain):
                    folders, found = (path,), True
                    break
                if self._look(f"{path}.py", chain):
                    folders, found = (), True
                    break
            else:
                folders, found = inner, False
        return folders, found

    def _above(self, importer: str, level: int) -> tuple[str, ...]:
        """Return the folder that a relative import starts from; none where it leaves the root."""
        folder = posixpath.dirname(importer)
        for _ in range(level - 1):
            if folder in self.roots or not folder:
                return ()
            folder = posixpath.dirname(folder)
        return (folder,)

    def _look(self, path: str, chain: tuple[str, ...]) -> bool:
        """Whether the file is there; the first look records it and queues it for its imports."""
        if path in self.files:
            return self.files[path] is not None
        data = self.read(path)
        self.chain[path] = chain
        if data is None:
            self.files[path] = None
            return False
        seen = self.scan(data)
        self.files[path], self.scans[path] = seen.meaning, seen
        self.queue.append(path)
        self.warnings += [
            Problem(
                "W210",
                sight.message,
                Place(path, sight.line, sight.column, sight.width),
                excerpt=sight.excerpt,
                label="not seen by custody",
                help=("list what it reads under `files:`, so that a change of it is noticed",),
                severity=Severity.WARNING,
            )
            for sight in seen.sights
            if sight.reads is None or not self._declares(sight.reads, path)
        ]
        return True

    def _declares(self, literal: str, importer: str) -> bool:
        candidates = (literal, posixpath.join(posixpath.dirname(importer), literal))
        return any(posixpath.normpath(path) in self.declared for path in candidates)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and folder != "." else name


def _dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))
