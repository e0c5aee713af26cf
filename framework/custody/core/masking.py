"""Which texts are secret, and how they are taken out of what is stored or shown. Pure; in every form listed here.

Secret are the values of environment variables whose names say so, and passwords in addresses. A value is found as it
is, within JSON or Python escapes, URL-encoded, in hexadecimal digits, and in base64, by itself or as part of something
longer. It is not found where it was cut in two by others, encoded twice, compressed, or broken over lines of base64.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 6
"""Characters that a secret has at least: shorter ones stand in too much that is none."""

_SECRET = re.compile(
    r"TOKENS?(?:_|$)|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|WEBHOOK|CONNECTION_STRING"
    r"|(?:^|_)(?:PASS|PWD|PAT|AUTH|DSN|JWT)(?:_|$)",
    re.IGNORECASE,
)
_KEY = re.compile(r"KEYS?(?:_|$)", re.IGNORECASE)
_OPEN = frozenset({"PWD", "OLDPWD"})
"""Names that only look secret: the working folder's."""
_WORD = re.compile(r"[a-z]+(?:[_-][a-z]+)*")
_FILE = re.compile(r"(?:/|~/|\.{1,2}/|[A-Za-z]:\\)[^\n]*")
_NAMES_FILE = re.compile(r"(?:FILE|PATH|DIR|SOCK|CREDENTIALS)$", re.IGNORECASE)
_ADDRESS = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s:/@\"'<>]{0,64}:)([^\s@/\"'<>]{1,256})@")
_REACH = 512
"""Bytes that an address with a password may take up to the end of the password."""


class Mask:
    """Replaces secrets by `***`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self.reach = max([_REACH, *map(len, self._forms)])
        """Bytes that a secret takes at most."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Return the mask for the secrets of an environment."""
        return cls(dict.fromkeys(secret for name, value in environ.items() for secret in _secrets(name, value)))

    def text(self, text: str) -> str:
        """Return `text` without secrets."""
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def data(self, data: bytes) -> bytes:
        """Return `data` without secrets."""
        for form in self._forms:
            if form in data:
                data = data.replace(form, MASK.encode())
        if b"://" in data:
            data = _ADDRESS.sub(rb"\1" + MASK.encode() + b"@", data)
        return data

    def json(self, value: Any) -> Any:
        """Return a value of JSON with all of its texts, names too, without secrets."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(name)): self.json(item) for name, item in value.items()}
            case list() | tuple():
                return [self.json(item) for item in value]
            case _:
                return value

    def safe(self, data: bytes) -> int:
        """Return how much of `data` can be masked by itself, whatever follows: no secret lies across that place."""
        line = data.rfind(b"\n") + 1  # no form of a secret holds a line break
        cut = max(line, len(data) - self.reach + 1)
        if cut == line:
            return line
        while (start := self._across(data, line, cut)) < cut:
            cut = start
        return cut

    def _across(self, data: bytes, line: int, cut: int) -> int:
        """Return where the first secret begins that lies across `cut`, or `cut`."""
        starts = [cut]
        for form in self._forms:
            found = data.find(form, max(line, cut - len(form) + 1), cut + len(form) - 1)
            starts.append(found if found >= 0 else cut)
        near = max(line, cut - self.reach)
        addresses = _ADDRESS.finditer(data, near, min(len(data), cut + self.reach))
        return min([*starts, *(item.start() for item in addresses if item.start() < cut < item.end())])


class MaskedStream:
    """Masks what comes piece by piece, wherever the pieces are cut."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._held = b""

    @property
    def held(self) -> int:
        """Bytes that are held back."""
        return len(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take in `data` and return what can be given out by now, masked."""
        self._held += data
        cut = self._mask.safe(self._held)
        ready, self._held = self._held[:cut], self._held[cut:]
        return self._mask.data(ready)

    def end(self) -> bytes:
        """Return what was held back, masked."""
        rest, self._held = self._held, b""
        return self._mask.data(rest)


def _secrets(name: str, value: str) -> Iterator[str]:
    """Yield what is secret in one variable of the environment."""
    for found in _ADDRESS.finditer(value.encode("utf-8", "surrogateescape")):
        yield found[2].decode("utf-8", "surrogateescape")
    if name.upper() in _OPEN or not (_SECRET.search(name) or _KEY.search(name)):
        return
    if _NAMES_FILE.search(name) and _FILE.fullmatch(value):
        return
    if not _SECRET.search(name) and _WORD.fullmatch(value):
        return  # SORT_KEY=customer_id
    yield value.strip()
    if "\n" in value.strip():
        yield from (line.strip() for line in value.splitlines() if not line.startswith("-----"))
    yield from _inner(value)


def _inner(value: str) -> Iterator[str]:
    """Yield the secrets in a JSON object, such as the key file of a service account."""
    if not value.lstrip().startswith("{"):
        return
    try:
        pairs = json.loads(value)
    except (ValueError, RecursionError):
        return
    for name, item in pairs.items():
        if isinstance(item, str):
            yield from _secrets(name, item)
        elif isinstance(item, dict):
            yield from _inner(json.dumps(item))


def _forms(secret: str) -> Iterator[bytes]:
    """Yield what `secret` may look like; none of it holds a line break."""
    raw = secret.encode("utf-8", "surrogateescape")
    plain = raw.decode("utf-8", "replace")
    escaped = {plain, json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1], repr(plain)[1:-1]}
    encoded = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    lowered = {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), text) for text in encoded}
    texts = {text.encode("utf-8", "surrogatepass") for text in escaped | encoded | lowered} | {raw}
    texts |= {raw.hex().encode(), raw.hex().upper().encode()}
    for form in texts | set(_base64(raw)):
        if b"\n" not in form and len(form) >= SHORTEST:
            yield form


def _base64(raw: bytes) -> Iterator[bytes]:
    """Yield the whole of `raw` in base64, and what of it shows in longer base64, whichever byte it begins at."""
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        whole = encode(raw)
        yield from (whole, whole.rstrip(b"="))
        for before in range(3):
            first, last = -(-8 * before // 6), 8 * (before + len(raw)) // 6
            yield encode(bytes(before) + raw)[first:last]
