"""Git objects that are kept in memory until they are packed: a file for each would cost more than making it."""

from __future__ import annotations

import struct
import subprocess
import zlib
from hashlib import sha1
from pathlib import Path

import pygit2


class Unpacked(pygit2.OdbBackend):
    """A backend for the object database of one open repository; libgit2 calls what ends in `_cb`."""

    def __init__(self, folder: Path, shared: Unpacked | None = None) -> None:
        """`shared`: the backend of the same repository, opened elsewhere, whose objects this one shows too."""
        super().__init__()
        self._folder = folder.absolute()
        self._objects: dict[str, tuple[int, bytes]] = shared._objects if shared else {}

    def write_cb(self, oid: pygit2.Oid, data: bytes, kind: int) -> None:
        self._objects[str(oid)] = kind, bytes(data)

    def read_cb(self, oid: pygit2.Oid) -> tuple[int, bytes]:
        return self._objects[str(oid)]

    def read_prefix_cb(self, oid: pygit2.Oid) -> tuple[int, bytes, pygit2.Oid]:
        return (*self._objects[str(oid)], oid)

    def read_header_cb(self, oid: pygit2.Oid) -> tuple[int, int]:
        kind, data = self._objects[str(oid)]
        return kind, len(data)

    def exists_cb(self, oid: pygit2.Oid) -> bool:
        return str(oid) in self._objects

    def exists_prefix_cb(self, oid: pygit2.Oid) -> pygit2.Oid:
        return oid if str(oid) in self._objects else self._objects[str(oid)]

    def refresh_cb(self) -> None:
        """Nothing else writes here."""

    def pack(self) -> None:
        """Write all objects to a pack of the repository, as differences where Git finds them worth it."""
        if not self._objects:
            return
        packs = self._folder / ".git/objects/pack"
        plain = self._git("index-pack", "--stdin", data=self._plain()).split()[-1]
        options = ("-q", "--no-reuse-delta", "--window=6", "--threads=2")
        ids = "\n".join(self._objects).encode()
        made = self._git("pack-objects", *options, f"{packs}/pack", data=ids).split()[-1]
        # a pack without a single difference is the plain one
        for path in packs.glob(f"pack-{plain}.*") if made != plain else ():
            path.unlink()
        self._objects.clear()

    def _plain(self) -> bytes:
        """Return a pack that holds every object whole."""
        parts = [b"PACK", struct.pack(">II", 2, len(self._objects))]
        for kind, data in self._objects.values():
            parts += [_header(kind, len(data)), zlib.compress(data, 1)]
        body = b"".join(parts)
        return body + sha1(body, usedforsecurity=False).digest()

    def _git(self, *arguments: str, data: bytes) -> str:
        done = subprocess.run(["git", *arguments], cwd=self._folder, check=True, capture_output=True, input=data)
        return done.stdout.decode()


def _header(kind: int, size: int) -> bytes:
    """Return what stands before an object in a pack: its type and size, seven bits a byte after the first four."""
    first, size = kind << 4 | size & 15, size >> 4
    found = bytearray()
    while size:
        found.append(first | 128)
        first, size = size & 127, size >> 7
    found.append(first)
    return bytes(found)
