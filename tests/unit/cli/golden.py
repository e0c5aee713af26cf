"""Comparing a view with the text that was read and approved: `golden/<name>.txt`."""

from __future__ import annotations

import os
from pathlib import Path

from custody.cli.views.text import plain

FOLDER = Path(__file__).parent / "golden"


def approve(name: str, text: str) -> None:
    """Fail where `text` differs from the approved one; CUSTODY_APPROVE=1 writes it anew, to be read in the diff."""
    path = FOLDER / f"{name}.txt"
    shown = plain(text) + "\n"
    if os.environ.get("CUSTODY_APPROVE"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")
