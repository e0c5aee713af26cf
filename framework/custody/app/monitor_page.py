"""The page of a watched model, as HTML that needs nothing else: made from the ledger alone, judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from custody import __version__
from custody.app.incident_files import recorded_incidents
from custody.app.monitor_show import WatchedModel, watched_models
from custody.app.project import Project
from custody.app.render import render_page
from custody.app.windows_recorded import recorded_reference
from custody.core.alert_words import headline
from custody.core.due import INPUTS, OUTCOMES
from custody.core.monitor_picture import bars, curves, time_line
from custody.domain.reference import Reference

_TABLE = 40


def pages(project: Project, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the name of each watched model and its page. Raises as `watched_models` does."""
    for item in watched_models(project, names):
        yield item.model, _page(project, item)


def write_pages(project: Project, names: Sequence[str], folder: Path) -> tuple[Path, ...]:
    """Write a page a model into `folder`, which is made; return their paths. Raises OSError where that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages(project, names):
        path = folder / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return tuple(written)


def _page(project: Project, item: WatchedModel) -> str:
    files = project.ledger.files
    recorded = recorded_reference(files, item.model)
    reference = Reference.from_dict(recorded) if recorded else None
    incidents = [one for one in recorded_incidents(files) if item.model in one.models]
    moves = [(one.at, one.subject) for one in project.ledger.moves() if one.model == item.model and one.stage]
    last = item.last(INPUTS)
    lines = [time_line(what, item.windows, incidents, moves) for what in (INPUTS, OUTCOMES)]
    return render_page(
        "monitor/page.html.j2",
        version=__version__,
        model=item,
        lines=[line for line in lines if line],
        curves=curves(item.windows),
        bars=bars(last, reference) if last and reference else (),
        last=last,
        incidents=[(one, headline(one)) for one in incidents],
        windows=item.windows[-_TABLE:],
    )
