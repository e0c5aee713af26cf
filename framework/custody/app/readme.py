"""The README of the ledger branch: what is in production, as every Git host shows it. A projection of State."""

from __future__ import annotations

from custody.app.render import render
from custody.domain.record import State


def render_readme(state: State) -> bytes:
    """Return the Markdown for `state`: stages alone, which decisions change, so that no fact makes it stale."""
    models = [state.models[name] for name in sorted(state.models)]
    return render("ledger/README.md.j2", models=models, datasets=sorted(state.datasets)).encode()
