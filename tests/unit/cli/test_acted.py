"""What a sweep says of deeds: what was done, what undoes it, and what was withheld."""

from __future__ import annotations

import pytest

from custody.app.monitored import Acted, Sweep, SweptModel
from custody.cli.args.monitor import _exit_code
from custody.cli.views import monitor as view
from custody.cli.views.text import plain

DONE = Acted("a42", "bikes", "retrain", "retrain of bikes: production is v2 now", "custody rollback bikes")
WITHHELD = Acted("a42", "bikes", "rollback", "nulls of temp red\x1b[2J", withheld=True)
KNOWN = Acted("a42", "bikes", "rollback", "nulls of temp red", withheld=True, new=False)


def swept(*acted: Acted) -> Sweep:
    return Sweep((SweptModel("bikes", why="no window is due"),), acted=acted)


def test_deeds_are_results_and_their_undoing_is_said() -> None:
    found = swept(DONE, WITHHELD)
    assert plain(view.text(found)).splitlines()[1:] == [
        "done  retrain of bikes: production is v2 now",
        "withheld  rollback of bikes: nulls of temp red\\x1b[2J",
    ]
    assert list(view.remarks(found)) == ["undo: custody rollback bikes"]
    first, second = view.to_json(found)["acted"]
    assert (first["undo"], first["withheld"], second["undo"], second["withheld"]) == (
        "custody rollback bikes",
        False,
        None,
        True,
    )


@pytest.mark.parametrize(
    ("acted", "code"), [((), 0), ((DONE,), 0), ((DONE, WITHHELD), 4), ((KNOWN,), 0), ((KNOWN, WITHHELD), 4)]
)
def test_what_is_withheld_is_refused_once(acted: tuple[Acted, ...], code: int) -> None:
    assert _exit_code(swept(*acted), [], detailed=False) == code
