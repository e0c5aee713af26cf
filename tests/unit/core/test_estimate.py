from __future__ import annotations

import numpy as np
import pytest

from custody.core.estimate import Counted, calibrate, estimate, judge_estimate, score_counts
from custody.core.measures import Answers, measures
from custody.domain.monitoring import Signal
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


def counted(found: Answers, calibration: tuple[tuple[float, float], ...]) -> Counted:
    assert found.probabilities is not None
    return score_counts(found.probabilities[:, 1], found.predicted == 1, calibration)


@pytest.mark.parametrize("centre", [0.0, -1.0, 1.5])
def test_other_rows_are_estimated_from_their_scores_alone(centre: float) -> None:
    calibration = calibrate(scored(4000))
    live = scored(4000, 7, centre, 1.2)
    made = estimate(counted(live, calibration), calibration)
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
    made = estimate(counted(flat, calibrate(flat)), calibrate(flat))
    assert made["roc_auc"].value == 0.5


def test_counts_of_parts_are_those_of_the_whole() -> None:
    calibration, found = calibrate(scored(4000)), scored(1000, 5)
    parts = [counted(found.take(np.arange(1000) % 3 == part), calibration) for part in range(3)]
    assert np.array_equal(sum(parts), counted(found, calibration))
    assert counted(found, calibration).sum() == 1000


def test_an_estimate_is_a_ticket_at_most_and_says_what_it_is() -> None:
    base = OutcomeBase({"roc_auc": 0.9}, calibration=calibrate(scored(4000)))
    counts = counted(scored(2000, 3, 0.0, 0.7), base.calibration).tolist()
    signals, shown, notes = judge_estimate(WATCHED, base, counts, ())
    (signal,) = signals
    assert (signal.monitor, signal.level, notes) == ("estimate", Level.WARN, ())
    assert signal.text.startswith("roc_auc is estimated at 0.")
    assert set(shown) == {"estimated_roc_auc"}
    harmless = (Signal("drift", Level.WARN, ""), Signal("schema", Level.WARN, "a column more"))
    assert judge_estimate(WATCHED, base, counts, harmless)[0] == signals


def test_nothing_is_estimated_of_broken_data_or_without_scores_to_go_by() -> None:
    base = OutcomeBase({"roc_auc": 0.9}, calibration=calibrate(scored(4000)))
    counts = counted(scored(2000), base.calibration).tolist()
    fault = Signal("nulls", Level.ALERT, "")
    assert judge_estimate(WATCHED, base, counts, (fault,)) == (
        (),
        {},
        ("nothing is estimated while the data are at fault",),
    )
    none = ("nothing is estimated: that needs out-of-fold probabilities of two classes",)
    assert judge_estimate(WATCHED, None, counts, ())[2] == none
    assert judge_estimate(WATCHED, OutcomeBase({"r2": 1.0}), counts, ())[2] == none
    few = counted(scored(20), base.calibration).tolist()
    assert judge_estimate(WATCHED, base, few, ())[2] == ("nothing is estimated: 20 rows with a probability of 200",)
    assert judge_estimate(WATCHED, base, None, ())[2] == ("nothing is estimated: 0 rows with a probability of 200",)
    off = Monitors(Every.DAY, outcomes=Outcomes(Uses("file"), "id"))
    assert judge_estimate(off, base, counts, ()) == ((), {}, ())
