"""The connector `url`: a file on a web server (https), or on what fsspec knows, such as s3 and gs.

It is copied first, within bounds of size and time, checked, and then read as the connector `file` reads. What may be
secret in an address (a user, a password, the values of a query) is in no message and no record.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from custody.errors import ContractError, RefusedError
from custody.kit.connectors import Contract, Source, refuse_unknown
from custody.kit.connectors.file import READING, read_table

PARAMS = {
    "type": "object",
    "properties": {
        "url": {"type": "string"},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "max_bytes": {"type": "integer", "minimum": 1, "default": 2_000_000_000},
        "timeout": {"type": "number", "exclusiveMinimum": 0, "default": 300},
        "format": {"enum": ["csv", "parquet", "jsonl"]},
        "delimiter": {"type": "string", "minLength": 1, "maxLength": 1, "default": ","},
        "nulls": {"type": "array", "items": {"type": "string"}},
        "encoding": {"type": "string", "default": "utf-8"},
        "decimal": {"enum": [".", ","], "default": "."},
    },
    "required": ["url"],
    "additionalProperties": False,
}
"""`max_bytes`: what the file may have at most; `timeout`: seconds for all of it."""

_PIECE = 1 << 20
_SILENCE = 30.0
"""Seconds without a byte after which a server is given up."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_WEB = frozenset({"http", "https"})
_CLOUD: Mapping[str, str] = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
}
"""The schemes that are left to fsspec, with the library that it needs for them."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file that can be read, and what its server says of it."""

    file: BinaryIO
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy of the file at an address: where it lies, what the address is called, what is known of it."""

    path: Path
    shown: str
    facts: Mapping[str, Any]


def read(with_: Mapping[str, Any], *, root: Path, columns: Contract, outside: bool = False) -> Source:  # noqa: ARG001
    """Copy the file at `url` and read it; its format is `format`, else told by the suffix of its path.

    Raises what `copied` does, and ContractError where it holds values that do not fit their types.
    """
    with copied(with_) as copy:
        reading = {key: value for key, value in with_.items() if key in READING}
        source = read_table(reading, copy.path, columns, copy.shown)
    description = {"uses": "url", "url": copy.shown, **copy.facts, **source.description}
    return Source(source.table, description, source.inferred, source.warnings)


@contextlib.contextmanager
def copied(with_: Mapping[str, Any]) -> Iterator[Copied]:
    """Copy the file at `url` for as long as the block lasts.

    Raises RefusedError for an address that is not to be read, ContractError where it cannot be had within the bounds,
    or has another `sha256` than is asked for.
    """
    refuse_unknown(with_, PARAMS, "url")
    url = str(with_["url"])
    try:
        shown = masked(url)
    except ValueError:
        raise ContractError("the address in source.with.url of dataset.yaml is none") from None
    bound = int(with_.get("max_bytes", PARAMS["properties"]["max_bytes"]["default"]))  # type: ignore[index]
    seconds = float(with_.get("timeout", PARAMS["properties"]["timeout"]["default"]))  # type: ignore[index]
    with tempfile.TemporaryDirectory(prefix="custody-") as scratch:
        name = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name or "data"
        path = Path(scratch) / "".join(char if char.isalnum() or char in "._-" else "_" for char in name)[-100:]
        with _opened(url, shown) as opened:
            raw = _copy(opened.file, path, shown, bound, time.monotonic() + seconds)
            facts = dict(opened.facts)
        wanted = with_.get("sha256")
        if wanted and wanted != raw["sha256"]:
            raise ContractError(
                f"{shown} has the SHA-256 {raw['sha256']}, and {wanted} is asked for",
                code="source.moved",
                help=("look at what changed there; then correct source.with.sha256 in dataset.yaml",),
            )
        yield Copied(path, shown, {**facts, "raw": raw})


def masked(url: str) -> str:
    """Return an address as it may be shown: without user and password, and without the values of its query."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    names = [name for name, _ in urllib.parse.parse_qsl(parts.query, keep_blank_values=True)]
    query = "&".join(f"{urllib.parse.quote(name)}=***" for name in names) or ("***" if parts.query else "")
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, query, ""))


def _opened(url: str, shown: str) -> contextlib.AbstractContextManager[_Opened]:
    scheme = urllib.parse.urlsplit(url).scheme.lower()
    if scheme in _WEB:
        return _web(url, shown)
    if scheme not in _CLOUD:
        raise RefusedError(
            f"{shown} is no address that is read: https, {', '.join(_CLOUD)} are",
            code="source.outside",
            help=("source: {uses: file, with: {path: …}}   # a file of the project",),
        )
    return _filesystem(url, _CLOUD[scheme], shown)


@contextlib.contextmanager
def _web(url: str, shown: str) -> Iterator[_Opened]:
    _refuse_plain(url)
    parts = urllib.parse.urlsplit(url)
    bare = urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    request = urllib.request.Request(bare, headers={"User-Agent": "custody", "Accept-Encoding": "identity"})  # noqa: S310
    if parts.username is not None:
        import base64

        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        # not sent on to where a redirect leads
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
    try:
        with urllib.request.build_opener(_Redirects).open(request, timeout=_SILENCE) as response:
            facts = {"etag": response.headers.get("ETag"), "modified": response.headers.get("Last-Modified")}
            final = masked(response.geturl())
            found = {key: value for key, value in facts.items() if value}
            yield _Opened(response, found | ({"final": final} if final != masked(bare) else {}))
    except urllib.error.HTTPError as error:
        error.close()
        # not what the server says of it, which may hold an address
        raise _missing(shown, f"the server answers {error.code} {http.client.responses.get(error.code, '')}") from None
    except urllib.error.URLError as error:
        raise _missing(shown, _cause(error.reason)) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _missing(shown, _cause(error)) from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where the address itself might lead."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _refuse_plain(newurl)
        except RefusedError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _refuse_plain(url: str) -> None:
    """Refuse all but https, and http on this machine."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme.lower() != "https" and (parts.scheme.lower(), parts.hostname in _LOOPBACK) != ("http", True):
        raise RefusedError(
            f"{masked(url)} is not encrypted: what is read could have been changed on the way",
            code="source.outside",
            help=("use https",),
        )


@contextlib.contextmanager
def _filesystem(url: str, library: str, shown: str) -> Iterator[_Opened]:
    """Open a file of a cloud store; its credentials are those that the library finds by itself."""
    try:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(url)
        opened = filesystem.open(path, "rb")
    except ImportError:
        message = f"reading {shown} needs the library {library}, which is not installed"
        raise ContractError(message, help=(f"pip install {library}",)) from None
    except Exception as error:  # noqa: BLE001  # whatever the libraries of the clouds raise; they may name secrets
        raise _missing(shown, type(error).__name__) from None
    with opened as file:
        yield _Opened(file, {})


def _copy(file: BinaryIO, path: Path, shown: str, bound: int, until: float) -> dict[str, Any]:
    """Copy the file and return its size and digest; raises ContractError past `bound` bytes or the time `until`."""
    hasher, size = hashlib.sha256(), 0
    expected = getattr(file, "length", None)
    with path.open("xb") as copy:
        # what is there, and not a whole piece: a server that sends a byte at a time is noticed
        some = getattr(file, "read1", file.read)
        while piece := some(_PIECE):
            size += len(piece)
            hasher.update(piece)
            if size > bound:
                hint = "source.with.max_bytes in dataset.yaml"
                raise ContractError(f"{shown} has more than {bound:,} bytes", help=(f"raise {hint}",))
            if time.monotonic() > until:
                raise ContractError(f"{shown} took too long", help=("raise source.with.timeout in dataset.yaml",))
            copy.write(piece)
    if isinstance(expected, int) and size < expected:
        raise _missing(shown, f"it ended after {size:,} of {expected:,} bytes")
    return {"size": size, "sha256": hasher.hexdigest()}


def _missing(shown: str, why: str) -> ContractError:
    return ContractError(f"{shown} cannot be read: {why}", code="source.missing", help=("try again later",))


def _cause(error: object) -> str:
    """Return why in words that hold no address."""
    if isinstance(error, (TimeoutError, socket.timeout)):
        return f"no answer within {_SILENCE:g} seconds"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__ if isinstance(error, BaseException) else "it cannot be reached"
