"""The content store on disk: bytes by SHA-256, below `sha256/<2 digits>/<62 digits>`, written once and read-only.

It opens no format and knows no meaning; what an object is, its reader says. A name is the digest that `sha256sum`
prints, so that anybody can check the store without custody.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from custody.errors import StoreError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PIECE = 1 << 20
_SPARE = 16 << 20
"""Bytes that stay free on the disk beyond what is added."""
_ABANDONED = 24 * 3600
"""Seconds after which a file that was never finished belongs to a process that died."""


class FileStore:
    """Bytes by their SHA-256 below `root`, safe to share between processes that write at the same time.

    An object is written aside, synced, made read-only and renamed, so that a name either holds all of its bytes
    or does not exist. Users' files are copied, never linked or moved.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._swept = False

    def put(self, data: bytes) -> str:
        """Store `data` durably and return its digest; an object that is there and whole is left alone.

        Raises StoreError where the store cannot be written to.
        """
        digest = hashlib.sha256(data).hexdigest()
        if self._whole(digest):
            return digest
        return self._write([data], len(data))

    def put_file(self, path: Path) -> str:
        """Store a copy of the file at `path`, hashed while it is copied, and return its digest.

        Raises StoreError where the file cannot be read, changes meanwhile, or the store cannot be written to.
        """
        try:
            with path.open("rb") as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    raise StoreError(f"{path} is not an ordinary file")
                digest = self._write(_pieces(file), before.st_size)
                after = os.fstat(file.fileno())
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}") from error
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise StoreError(f"{path} was changed while it was copied", help=("run the command again",))
        return digest

    def ready(self) -> None:
        """Raise StoreError where nothing could be stored now."""
        try:
            incoming = self._incoming()
            _refuse_full_disk(self.root, 0)
            with tempfile.TemporaryFile(dir=incoming):
                return
        except OSError as error:
            raise _unwritable(self.root, error) from error

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified; raises StoreError where they are missing or damaged.

        Damaged ones are set aside, so that whoever needs them next fetches or makes them anew.
        """
        path = self._place(digest)
        try:
            with _open(path) as file:
                data = file.read()
        except FileNotFoundError:
            raise _missing(digest, self.root) from None
        except OSError as error:
            raise StoreError(f"object {digest[:12]}… cannot be read: {error.strerror} ({path})") from error
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise _damaged(digest, path, found, self._set_aside(path))
        return data

    def digest_of(self, digest: str) -> str:
        """Return the digest that the stored bytes really have; raises StoreError where they cannot be read."""
        path = self._place(digest)
        try:
            with _open(path) as file:
                hasher = hashlib.sha256()
                for piece in _pieces(file):
                    hasher.update(piece)
                return hasher.hexdigest()
        except FileNotFoundError:
            raise _missing(digest, self.root) from None
        except OSError as error:
            raise StoreError(f"object {digest[:12]}… cannot be read: {error.strerror} ({path})") from error

    def path(self, digest: str) -> Path:
        """Return the path of the stored file; raises StoreError where it is missing. Verifies nothing."""
        path = self._place(digest)
        if not _ordinary(path):
            raise _missing(digest, self.root)
        return path

    def has(self, digest: str) -> bool:
        """Whether the object is here. Never raises."""
        return bool(_DIGEST.fullmatch(digest)) and _ordinary(self._place(digest))

    def digests(self) -> Iterator[str]:
        """Yield the names of all objects that are here. Verifies nothing."""
        for path in (self.root / "sha256").glob("??/*"):
            if _DIGEST.fullmatch(digest := path.parent.name + path.name):
                yield digest

    def _place(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise StoreError(f"{digest[:80]!r} is not the name of an object: 64 hexadecimal digits are expected")
        return self.root / "sha256" / digest[:2] / digest[2:]

    def _whole(self, digest: str) -> bool:
        """Whether the object is here and undamaged: what is acknowledged as stored must be there to be read."""
        try:
            self.get(digest)
        except StoreError:
            return False
        return True

    def _write(self, pieces: Iterable[bytes], size: int) -> str:
        try:
            return self._write_aside(pieces, size)
        except OSError as error:
            raise _unwritable(self.root, error) from error

    def _write_aside(self, pieces: Iterable[bytes], size: int) -> str:
        incoming = self._incoming()
        self._sweep(incoming)
        _refuse_full_disk(self.root, size)
        handle, name = tempfile.mkstemp(dir=incoming)
        aside = Path(name)
        try:
            hasher = hashlib.sha256()
            with os.fdopen(handle, "wb") as file:
                for piece in pieces:
                    hasher.update(piece)
                    file.write(piece)
                file.flush()
                os.fchmod(file.fileno(), 0o444)
                os.fsync(file.fileno())
            digest = hasher.hexdigest()
            self._adopt(aside, digest)
        finally:
            aside.unlink(missing_ok=True)
        return digest

    def _adopt(self, aside: Path, digest: str) -> None:
        if self._whole(digest):
            return
        target = self._place(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() and not target.is_symlink():
            self._set_aside(target)
        # a rename replaces what is damaged, and is harmless where another process was quicker
        aside.replace(target)
        for directory in (target.parent, target.parent.parent, self.root):
            _sync_directory(directory)

    def _incoming(self) -> Path:
        incoming = self.root / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        return incoming

    def _set_aside(self, path: Path) -> Path | None:
        """Move what is no object out of the place of one, and return where to; None where that cannot be done."""
        aside = self.root / "damaged" / f"{path.parent.name}{path.name}-{time.time_ns()}"
        try:
            aside.parent.mkdir(exist_ok=True)
            path.replace(aside)
        except OSError:
            return None
        return aside

    def _sweep(self, incoming: Path) -> None:
        """Remove, once a store, what processes that died have left unfinished."""
        if self._swept:
            return
        self._swept = True
        for entry in incoming.iterdir():
            # another process may finish or sweep the same file meanwhile
            with suppress(FileNotFoundError):
                if entry.lstat().st_mtime < time.time() - _ABANDONED:
                    entry.unlink()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _open(path: Path) -> BinaryIO:
    # a link in the place of an object could lead anywhere
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    return os.fdopen(handle, "rb")


def _ordinary(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _refuse_full_disk(root: Path, size: int) -> None:
    free = shutil.disk_usage(root).free
    if free < size + _SPARE:
        raise StoreError(
            f"the disk of the content store {root} is too full: {size:,} bytes are to be added, {free:,} are free",
            help=(f"df -h {root}", f"du -sh {root}"),
        )


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _missing(digest: str, root: Path) -> StoreError:
    return StoreError(f"object {digest[:12]}… is not in the content store {root}", code="store.missing")


def _damaged(digest: str, path: Path, found: str, aside: Path | None) -> StoreError:
    what = f"object {digest[:12]}… is damaged: its bytes have the digest {found[:12]}…; "
    again = "run the command again, which fetches or makes it anew"
    if aside is not None:
        return StoreError(f"{what}{again}", code="store.damaged", help=(f"ls -l {aside}   it was set aside",))
    return StoreError(f"{what}remove it and {again}", code="store.damaged", help=(f"rm -f {path}",))


def _unwritable(root: Path, error: OSError) -> StoreError:
    message = f"the content store {root} cannot be written to: {error.strerror}"
    return StoreError(message, code="store.unwritable", help=(f"df -h {root}", f"ls -ld {root}"))
