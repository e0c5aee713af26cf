"""The zip file of an artifact, written in one canonical form and read with suspicion.

Canonical: members sorted by name and stored without compression (compressed bytes depend on the zlib build), one fixed
date, no extra fields; an array is named by the SHA-256 of its bytes. May import numpy; knows nothing of skops.
"""

from __future__ import annotations

import ast
import io
import math
import re
import zipfile
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from custody.errors import StoreError

META = "custody.json"
SCHEMA = "schema.json"
MAX_MEMBERS = 100_000
MAX_BYTES = 4 * 2**30
MAX_SCHEMA = 512 * 2**20

_NAME = re.compile(r"custody\.json|schema\.json|[0-9a-f]{64}\.(npy|npz|bin)")
_SPARSE_NAME = re.compile(r"[a-z_]{1,16}\.npy")
_DATE = (1980, 1, 1, 0, 0, 0)
_MAX_HEADER = 10_000
_LEAST = 10
_UTF8 = 3


class ArtifactError(StoreError):
    """An estimator cannot be stored safely, or a stored one is not safe to load."""


def write_archive(members: Mapping[str, bytes]) -> bytes:
    """Return the canonical zip of `members`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3
            info.external_attr = 0o600 << 16
            archive.writestr(info, members[name])
    return buffer.getvalue()


def read_archive(data: bytes) -> dict[str, bytes]:
    """Return the members of an artifact; raises ArtifactError for whatever `write_archive` would not have written."""
    members = _members(data, _NAME)
    if META not in members or SCHEMA not in members:
        raise ArtifactError("this is not a custody artifact: its description is missing")
    if len(members[SCHEMA]) > MAX_SCHEMA:
        raise ArtifactError(f"the artifact's schema has {len(members[SCHEMA]):,} bytes, more than {MAX_SCHEMA:,}")
    for name, content in members.items():
        if name.endswith(".npy"):
            check_array(content)
        elif name.endswith(".npz"):
            for inner in _members(content, _SPARSE_NAME).values():
                check_array(inner)
    return members


def canonical_array(data: bytes) -> bytes:
    """Return the bytes of an `.npy` file with the padding of structured rows set to zero."""
    if b"'descr': [" not in data[:128]:
        return data
    array = np.load(io.BytesIO(data), allow_pickle=False)
    clean = np.zeros(array.shape, array.dtype, order="F" if np.isfortran(array) else "C")
    _copy_fields(array, clean)
    buffer = io.BytesIO()
    np.save(buffer, clean, allow_pickle=False)
    return buffer.getvalue()


def canonical_sparse(data: bytes) -> bytes:
    """Return a scipy `.npz` file with its arrays stored uncompressed, in order of name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return write_archive({name: archive.read(name) for name in archive.namelist()})


def check_array(data: bytes) -> None:
    """Refuse an `.npy` file that holds Python objects or whose header promises another length than it has."""
    shape, dtype, start = _header(data)
    if dtype.hasobject:
        raise ArtifactError("an array of the artifact holds Python objects")
    if start + math.prod(shape) * dtype.itemsize != len(data):
        raise ArtifactError("an array of the artifact is not as long as its header says")


def _header(data: bytes) -> tuple[tuple[int, ...], np.dtype[np.generic], int]:
    if data[:6] != b"\x93NUMPY" or len(data) < _LEAST or data[6] not in (1, 2, _UTF8):
        raise ArtifactError("an array of the artifact is not in numpy's format")
    width = 2 if data[6] == 1 else 4
    length = int.from_bytes(data[8 : 8 + width], "little")
    start = 8 + width + length
    if length > _MAX_HEADER or start > len(data):
        raise ArtifactError("an array of the artifact has a header that is too long")
    try:
        header = ast.literal_eval(data[8 + width : start].decode("utf-8" if data[6] == _UTF8 else "latin1").strip())
        dtype: np.dtype[np.generic] = np.lib.format.descr_to_dtype(header["descr"])
        shape = tuple(int(size) for size in header["shape"])
    except (ValueError, TypeError, KeyError, SyntaxError, IndexError, RecursionError, MemoryError) as error:
        raise ArtifactError("an array of the artifact has a header that cannot be read") from error
    if any(size < 0 for size in shape):
        raise ArtifactError("an array of the artifact has a negative size")
    return shape, dtype, start


def _members(data: bytes, allowed: re.Pattern[str]) -> dict[str, bytes]:
    if len(data) > MAX_BYTES:
        raise ArtifactError(f"the artifact has {len(data):,} bytes, more than {MAX_BYTES:,}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            _check_infos(infos, len(data), allowed)
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ArtifactError(f"the artifact is damaged: {error}") from error


def _check_infos(infos: list[zipfile.ZipInfo], size: int, allowed: re.Pattern[str]) -> None:
    if len(infos) > MAX_MEMBERS:
        raise ArtifactError(f"the artifact has {len(infos):,} members, more than {MAX_MEMBERS:,}")
    if len({info.filename for info in infos}) != len(infos):
        raise ArtifactError("the artifact has two members of one name")
    for info in infos:
        if not allowed.fullmatch(info.filename) or info.orig_filename != info.filename:
            raise ArtifactError(f"the artifact has a member that does not belong in it: {info.filename[:80]!r}")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits:
            raise ArtifactError(f"member {info.filename} of the artifact is compressed or encrypted")
    if sum(info.file_size for info in infos) > size:
        raise ArtifactError("the members of the artifact overlap")


def _copy_fields(source: NDArray[np.void], target: NDArray[np.void]) -> None:
    for name in source.dtype.names or ():
        if source[name].dtype.names:
            _copy_fields(source[name], target[name])
        else:
            target[name] = source[name]
