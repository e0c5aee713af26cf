"""Text for a terminal: tones, display width, columns, and making text of unknown origin harmless.

Views mark words with a tone always; `Output` strips the tones where colour is off and escapes every other
control character, so that no spec, ledger or data value can drive the reader's terminal.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from enum import Enum

RESET = "\x1b[0m"
_TONES = re.compile(r"\x1b\[(?:0|1|2|31|32|33|36)m")
# C0 without newline and tab, DEL, C1, the invisible controls that reorder text, and line separators
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]")
_WIDE = {"W", "F"}


class Tone(Enum):
    """How a word is shown where colour is on; colour never carries meaning alone."""

    STRONG = "\x1b[1m"
    FAINT = "\x1b[2m"
    BAD = "\x1b[31m"
    GOOD = "\x1b[32m"
    WARN = "\x1b[33m"
    INFO = "\x1b[36m"

    def __call__(self, text: str) -> str:
        """Return `text` in this tone."""
        return f"{self.value}{text}{RESET}" if text else ""


def plain(text: str) -> str:
    """Return `text` without tones."""
    return _TONES.sub("", text)


def escape(text: str) -> str:
    r"""Return `text` with its control characters (newline and tab excepted) written as `\x1b`, `\u202e`."""
    return _CONTROLS.sub(_escaped, text)


def harmless(text: str, *, color: bool) -> str:
    """Return `text` ready to be printed: tones kept or stripped, every other control character escaped."""
    if not color:
        return escape(plain(text))
    kept = _TONES.findall(text)
    parts = _TONES.split(text)
    return "".join(escape(part) + tone for part, tone in zip(parts, [*kept, ""], strict=True))


def one_line(text: str) -> str:
    r"""Return `text` on one line: newlines and tabs as `\n`, `\t`, other controls escaped."""
    return escape(text.replace("\n", "\\n").replace("\t", "\\t"))


def width(text: str) -> int:
    """Return the columns that `text` takes on a terminal."""
    return sum(_char_width(char) for char in plain(text))


def pad(text: str, columns: int) -> str:
    """Return `text` filled with blanks up to `columns`."""
    return text + " " * max(0, columns - width(text))


def fit(text: str, columns: int) -> str:
    """Return `text`, cut with an ellipsis where it is longer than `columns` characters."""
    return text if len(text) <= columns else text[: max(0, columns - 1)] + "…"


def columns(rows: Sequence[Sequence[str]], *, gap: int = 2, right: frozenset[int] = frozenset()) -> list[str]:
    """Return one line a row, columns aligned; the columns numbered in `right` are aligned to the right."""
    if not rows:
        return []
    widths = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [_line(row, widths, " " * gap, right) for row in rows]


def wrapped(text: str, *, indent: str, columns: int = 110) -> list[str]:
    """Return `text` broken into lines of at most `columns`, each after `indent`; words are never broken."""
    return textwrap.wrap(
        text,
        columns,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def plural(count: int, noun: str) -> str:
    """Return `1 model`, `3 models`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _line(row: Sequence[str], widths: Sequence[int], gap: str, right: frozenset[int]) -> str:
    cells = [
        " " * (widths[i] - width(cell)) + cell if i in right else pad(cell, widths[i]) for i, cell in enumerate(row)
    ]
    return gap.join(cells).rstrip()


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in _WIDE else 1


def duration(seconds: float | None) -> str:
    """Return seconds as `0.8 s`, `41 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return "?"
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004
