from __future__ import annotations

import numpy as np
import pytest

from custody.app.side_by_side import Side, SideBySide
from custody.cli.views import compare as view
from custody.cli.views.compare_page import page
from custody.core.comparison import Measured, compare, values_only
from custody.core.curves import curves
from custody.core.measures import Answers
from custody.core.side_by_side import differing
from custody.domain.record import Run
from tests.unit.ledger.material import a_run

HOSTILE = "</code><script>alert('x')</script>\"'&{{ 7 * 7 }}\u202e"
RAW = ("<script", "alert('x')", "\u202e", "</code>&lt;")


def answers(shift: float, rows: int = 40) -> Answers:
    score = np.linspace(0.05, 0.95, rows)
    truth = (np.arange(rows) % 3 > 0).astype(np.int64)
    chance = np.clip(score + shift, 0, 1)
    return Answers(
        np.arange(rows), truth, (chance > 0.5).astype(np.int64), np.column_stack([1 - chance, chance]), ("n", "y"), 1
    )


def regression(shift: float, rows: int = 40) -> Answers:
    truth = np.linspace(-3, 9, rows)
    return Answers(np.arange(rows), truth, truth * 0.9 + shift)


def measured(run: Run) -> Measured:
    return Measured({"metrics": run.metrics, "n": 40})


def pair(one: Run, two: Run, said: tuple[Answers, Answers]) -> SideBySide:
    facts = measured(one), measured(two)
    own = compare((facts[0], facts[0]), (said[0], said[0]), {}, {})
    against = compare(facts, said, {}, {})
    sides = (
        Side("A", "a", one, "c" * 40, False, "v1", ("production",), own, None, curves(said[0])),
        Side("B", "b", two, "d" * 40, True, None, (), against, against, curves(said[1])),
    )
    return SideBySide(sides, differing([one, two]))


def hostile_pair() -> SideBySide:
    one = a_run("1" * 16, metrics={"roc_auc": 0.7, HOSTILE: 0.5}, params={HOSTILE: 1, "a": HOSTILE})
    two = a_run(
        "2" * 16,
        model=HOSTILE,
        metrics={"roc_auc": 0.8, HOSTILE: None},
        params={HOSTILE: 2},
        data={"dataset": HOSTILE, "version": "v1", "logical": "e" * 64},
        closure={HOSTILE: "f" * 40},
        environment={"distributions": [f"{HOSTILE}==1"], "python": HOSTILE},
        finished=HOSTILE,
    )
    return pair(one, two, (answers(0.0), answers(0.2)))


def test_names_from_anywhere_are_text_on_the_page() -> None:
    text = page(hostile_pair(), "0.1.0")
    assert [mark for mark in RAW if mark in text] == []
    assert text.count("alert(&#39;x&#39;)") > 5


def test_names_from_anywhere_stay_on_their_line() -> None:
    text = view.text(hostile_pair())
    assert "\u202e" not in text
    assert view.to_json(hostile_pair())["runs"][1]["model"] == HOSTILE


@pytest.mark.parametrize("said", [(answers(0.0), answers(0.2)), (regression(0.0), regression(1.0))])
def test_a_page_has_no_more_than_its_curves_and_intervals(said: tuple[Answers, Answers]) -> None:
    name = "rmse" if said[0].regression else "roc_auc"
    text = page(pair(a_run("1" * 16, metrics={name: 0.7}), a_run("2" * 16, metrics={name: 0.8}), said), "0.1.0")
    titles = ("Residuals",) if said[0].regression else ("ROC", "Precision and recall", "Calibration")
    assert text.count("<svg") == 1 + len(titles)
    assert all(f"<figcaption>{title}" in text for title in titles)


def test_runs_that_measured_nothing_make_a_page() -> None:
    nothing = values_only(None, Measured({}), {}, "nothing was measured")
    sides = tuple(
        Side(letter, letter, a_run(letter * 4, metrics={}), "c" * 40, False, None, (), nothing, nothing)
        for letter in "AB"
    )
    found = SideBySide(sides, ())
    assert "None of these runs was evaluated" in page(found, "0.1.0")
    assert "They are equal" in view.text(found)
