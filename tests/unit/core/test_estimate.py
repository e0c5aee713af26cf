from __future__ import annotations

import numpy as np
import pytest

from custody.core.estimate import calibrate, chances, estimate, judge_estimate
from custody.core.measures import Answers, measures
from custody.domain.monitors import Every, Level, Monitors, Outcomes
from custody.domain.outcome import OutcomeBase
from custody.domain.uses import Uses

WATCHED = Monitors(Every.DAY, outcomes=Outcomes(Uses("file"), "id", estimate=True))


def scored(rows: int, seed: int = 0, centre: float = 0.0, spread: float = 1.5) -> Answers:
    """A classifier that is too sure of itself: its log odds are twice what they should be."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(centre, spread, rows)
    truth = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    chance = 1 / (1 + np.exp(-2 * odds))
    said = (chance > 0.5).astype(np.int64)
    return Answers(np.arange(rows), truth, said, np.column_stack([1 - chance, chance]), ("no", "yes"), 1)


@pytest.mark.parametrize("centre", [0.0, -1.0, 1.5])
def test_other_rows_are_estimated_from_their_scores_alone(centre: float) -> None:
    calibration = calibrate(scored(4000))
    live = scored(4000, 7, centre, 1.2)
    assert live.probabilities is not None
    scores = live.probabilities[:, 1]
    made = estimate(chances(scores, calibration), live.predicted == 1, scores)
    once = np.ones((1, 4000))
    for name in ("accuracy", "roc_auc", "f1", "precision", "recall"):
        real = float(measures(live)[name](once)[0])
        assert made[name].value == pytest.approx(real, abs=0.035), name
        assert made[name].low < made[name].value < made[name].high


def test_a_calibration_ascends_and_is_small() -> None:
    steps = calibrate(scored(3000))
    assert 5 < len(steps) <= 100
    assert list(steps) == sorted(steps)
    assert [share for _, share in steps] == sorted(share for _, share in steps)
    assert calibrate(scored(100)) == ()
    assert calibrate(Answers(np.arange(300), np.ones(300), np.ones(300))) == ()


def test_scores_that_are_all_the_same_are_one_step() -> None:
    found = scored(400)
    flat = Answers(found.ids, found.truth, found.predicted, np.full((400, 2), 0.5), found.classes, 1)
    assert len(calibrate(flat)) == 1
    made = estimate(chances(np.full(400, 0.5), calibrate(flat)), np.ones(400, dtype=bool), np.full(400, 0.5))
    assert made["roc_auc"].value == 0.5


def test_an_estimate_is_a_ticket_at_most_and_says_what_it_is() -> None:
    base = OutcomeBase({"roc_auc": 0.9}, calibration=calibrate(scored(4000)))
    signals, shown, notes = judge_estimate(WATCHED, base, scored(2000, 3, 0.0, 0.7), red=False)
    (signal,) = signals
    assert (signal.monitor, signal.level, notes) == ("estimate", Level.WARN, ())
    assert signal.text.startswith("roc_auc is estimated at 0.")
    assert set(shown) == {"estimated_roc_auc"}


def test_nothing_is_estimated_of_broken_data_or_without_scores_to_go_by() -> None:
    base = OutcomeBase({"roc_auc": 0.9}, calibration=calibrate(scored(4000)))
    live = scored(2000)
    assert judge_estimate(WATCHED, base, live, red=True) == (
        (),
        {},
        ("nothing is estimated while the data are at fault",),
    )
    assert "no out-of-fold scores" in judge_estimate(WATCHED, None, live, red=False)[2][0]
    assert "2 rows" not in judge_estimate(WATCHED, base, live, red=False)[2]
    assert judge_estimate(WATCHED, base, scored(20), red=False)[2] == ("nothing is estimated: 20 rows of 200",)
    plain = Answers(live.ids, live.truth, live.predicted, None, live.classes, 1)
    assert "needs probabilities" in judge_estimate(WATCHED, base, plain, red=False)[2][0]
    off = Monitors(Every.DAY, outcomes=Outcomes(Uses("file"), "id"))
    assert judge_estimate(off, base, live, red=False) == ((), {}, ())
