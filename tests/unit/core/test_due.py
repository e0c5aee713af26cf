"""Which windows are to be judged."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from custody.core.due import INPUTS, OUTCOMES, Asked, Moments, due, fires, judged_at, parse_span
from custody.core.windows import window_named
from custody.domain.monitoring import Health, Judged
from custody.domain.monitors import Every, Monitors, Outcomes
from custody.domain.uses import Uses

FILE = Uses("file", {"path": "outcomes.csv"})
DAILY = Monitors(Every.DAY, outcomes=Outcomes(FILE, "id", delay=2 * 86400.0))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def moments(now: str, since: str = "2012-01-03T12:00") -> Moments:
    return Moments(at(since), at(now), UTC)


def judged(name: str, what: str = INPUTS, joined: float | None = None) -> Judged:
    window = window_named(name, UTC)
    return Judged("churn", "run", "v1", window, what, Health.OK, 10, "digest", "reference", joined=joined)


def names(windows: tuple[object, ...]) -> list[str]:
    return [window.name for window in windows]  # type: ignore[attr-defined]


def test_all_complete_windows_since_the_promotion_are_due_in_order() -> None:
    found = due(DAILY, Every.WEEK, Asked(), (), moments("2012-01-06T07:00"))
    assert names(found.inputs) == ["2012-01-04", "2012-01-05"]
    assert names(found.outcomes) == []
    later = moments("2012-01-06T07:00", since="2012-01-05T12:00")
    assert names(due(DAILY, Every.WEEK, Asked(), (judged("2012-01-03"),), later).inputs) == ["2012-01-05"]


def test_after_the_last_judged_window_those_that_were_missed_are_caught_up() -> None:
    found = due(DAILY, Every.DAY, Asked(), (judged("2012-01-04"),), moments("2012-01-08"))
    assert names(found.inputs) == ["2012-01-05", "2012-01-06", "2012-01-07"]
    assert not due(DAILY, Every.DAY, Asked(), (judged("2012-01-07"),), moments("2012-01-08T23:59")).inputs


def test_outcomes_are_looked_at_from_their_end_and_again_while_some_are_missing() -> None:
    history = (judged("2012-01-03", OUTCOMES, 0.9), judged("2012-01-04", OUTCOMES, 1.0))
    found = due(DAILY, Every.DAY, Asked(), history, moments("2012-01-07"))
    assert names(found.outcomes) == ["2012-01-03", "2012-01-05", "2012-01-06"]
    assert judged_at(found.outcomes[1], OUTCOMES, DAILY) == at("2012-01-08")
    assert judged_at(found.outcomes[1], INPUTS, DAILY) == at("2012-01-06")


def test_one_window_is_of_the_kind_that_its_length_says_and_must_be_complete() -> None:
    now = moments("2012-02-01")
    found = due(DAILY, Every.WEEK, Asked(window_named("2012-W03", UTC)), (), now)
    assert (names(found.inputs), names(found.outcomes)) == ([], ["2012-W03"])
    found = due(DAILY, Every.WEEK, Asked(window_named("2012-01-09", UTC)), (), now)
    assert (names(found.inputs), names(found.outcomes)) == (["2012-01-09"], [])
    assert not due(DAILY, Every.WEEK, Asked(window_named("2012-02-01", UTC)), (), now)


def test_a_replay_takes_the_whole_windows_of_its_range_whatever_was_judged() -> None:
    start, end = parse_span("2012-01-01..2012-01-15", UTC)
    found = due(DAILY, Every.WEEK, Asked(start=start, end=end), (judged("2012-01-31"),), moments("2012-03-01"))
    assert (len(found.inputs), names(found.outcomes)) == (15, ["2012-W01", "2012-W02"])
    early = due(DAILY, Every.WEEK, Asked(start=start, end=end), (), moments("2012-01-10"))
    assert (len(early.inputs), names(early.outcomes)) == (9, ["2012-W01"])


def test_a_range_is_two_names_of_windows_both_included() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start, end = parse_span("2012-01..2012-12", berlin)
    assert (start.isoformat(), end.isoformat()) == ("2012-01-01T00:00:00+01:00", "2013-01-01T00:00:00+01:00")
    for wrong in ("2012-01-01", "2012-02..2012-01", "now..then"):
        with pytest.raises(ValueError, match=r"2012|now"):
            parse_span(wrong, UTC)


def test_a_schedule_fires_once_between_two_sweeps() -> None:
    six = "0 6 * * *"
    assert fires(None, moments("2012-01-06T07:00"), None)
    assert fires(six, moments("2012-01-06T07:00"), at("2012-01-06"))
    assert not fires(six, moments("2012-01-06T05:00"), at("2012-01-06"))
