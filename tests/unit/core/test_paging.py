from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.delivery import GIVE_UP, message_key, next_attempt
from custody.core.paging import Audience, acknowledged, due, matches, silenced, tell
from custody.domain.incident import Flag, Incident, IncidentState
from custody.domain.monitoring import Signal
from custody.domain.monitors import Level

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NULLS = Signal("nulls", Level.ALERT, "plan is missing", "plan", "share", 0.31, 0.1)
DRIFT = Signal("drift", Level.WARN, "plan moved", "plan", "psi", 0.31, 0.22)
OPEN = Incident(
    *("i1", "model:churn", ("churn",), IncidentState.FIRING, Level.ALERT),
    *("2026-11-20", "2026-11-20T00:00:00+00:00", "2026-11-20", (NULLS, DRIFT)),
)
CHANNELS = {"pager": Level.ALERT, "log": Level.WARN}


def at(hours: float = 0) -> str:
    return (NOON + timedelta(hours=hours)).isoformat()


def audience(hours: float = 0, *silences: Flag, taken: Flag | None = None, repeat: float = 86400.0) -> Audience:
    return Audience(at(hours), CHANNELS, repeat, taken, silences)


def flag(match: str, *, made: float = 0, until: float | None = None) -> Flag:
    return Flag("f1", match, "Ann", at(made), None if until is None else at(until), "known")


def test_an_alert_pages_and_a_warning_is_a_ticket() -> None:
    paged = tell(OPEN, None, audience())
    assert (paged.to, paged.told, paged.pages, paged.paged) == (("log", "pager"), ("log", "pager"), 1, at())
    ticket = tell(replace(OPEN, level=Level.WARN), None, audience())
    assert (ticket.to, ticket.pages, ticket.paged) == (("log",), 0, None)


def test_only_news_is_told() -> None:
    first = tell(replace(OPEN, level=Level.WARN), None, audience())
    assert tell(replace(first, signals=(DRIFT,)), first, audience(1)).to == ()
    risen = tell(replace(first, level=Level.ALERT), first, audience(1))
    assert (risen.to, risen.pages) == (("log", "pager"), 1)
    assert tell(replace(risen, revision=3), risen, audience(2)).to == ()


def test_the_end_is_told_to_those_who_heard_of_it() -> None:
    over = replace(OPEN, state=IncidentState.RESOLVED)
    ticket = tell(replace(OPEN, level=Level.WARN), None, audience())
    assert tell(replace(over, told=ticket.told), ticket, audience(1)).to == ("log",)
    unheard = tell(OPEN, None, audience(0, flag("churn", until=5)))
    assert unheard.to == ()
    assert tell(replace(over, told=()), unheard, audience(6)).to == ()
    assert tell(over, None, audience()).to == ("log", "pager"), "it came and went unseen"
    assert tell(over, None, audience()).pages == 0
    assert tell(replace(over, facts={"merged": "i0"}), OPEN, audience()).to == ()


def test_it_is_said_again_unless_it_is_acknowledged_or_silenced() -> None:
    paged = tell(OPEN, None, audience())
    assert due(paged, audience(23)) is None
    again = due(paged, audience(24))
    assert again is not None
    assert (again.pages, again.paged, again.revision) == (2, at(24), 2)
    assert due(paged, audience(24, taken=flag("i1", made=1))) is None
    assert due(paged, audience(24, taken=flag("i1", made=1, until=20)))
    assert due(paged, audience(24, flag("churn", until=30))) is None
    assert due(paged, audience(24, repeat=0.0)) is None
    assert due(replace(paged, state=IncidentState.RESOLVED), audience(24)) is None
    assert due(replace(paged, level=Level.WARN), audience(24)) is None
    assert due(paged, replace(audience(24), channels={})) is None


def test_an_acknowledgement_holds_for_what_was_paged_before_it() -> None:
    paged = tell(OPEN, None, audience(2))
    assert not acknowledged(paged, flag("i1", made=1), at(3))
    assert acknowledged(paged, flag("i1", made=2), at(3))
    ticket = tell(replace(OPEN, level=Level.WARN), None, audience())
    risen = tell(replace(ticket, level=Level.ALERT), ticket, audience(3, taken=flag("i1", made=1)))
    assert risen.pages == 1, "what got worse is news to whoever took it on"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("churn", True),
        ("churn|nulls", True),
        ("churn|nulls|plan", True),
        ("churn|nulls|plan|share", True),
        ("*|nulls|*|share", True),
        ("*", True),
        ("value", False),
        ("churn|drift", False),
        ("churn|nulls|age", False),
        ("churn|nulls|plan|share|more", False),
    ],
)
def test_what_a_silence_matches(pattern: str, expected: object) -> None:
    assert matches(pattern, "churn", NULLS) is expected


def test_what_is_as_bad_as_the_incident_must_all_be_silenced() -> None:
    assert silenced(OPEN, [flag("churn|nulls", until=1)], at())
    assert not silenced(OPEN, [flag("churn|drift", until=1)], at())
    assert not silenced(OPEN, [flag("churn|nulls", until=1)], at(1)), "it is over"
    assert silenced(OPEN, [flag("i1", until=1)], at())
    both = replace(OPEN, models=("churn", "value"))
    assert not silenced(both, [flag("churn", until=1)], at())
    assert silenced(both, [flag("churn", until=1), flag("value", until=1)], at())


EVENTS = st.lists(st.sampled_from(["again", "join", "rise", "ack", "silence", "wait", "end"]), max_size=14)


@given(EVENTS)
def test_each_page_is_a_revision_that_somebody_hears_of(events: list[str]) -> None:
    hours, taken, quiet = 0.0, None, ()
    now = replace(OPEN, level=Level.WARN)
    told = [tell(now, None, audience())]
    for event in events:
        hours += 9
        here = audience(hours, *quiet, taken=taken)
        last = told[-1]
        match event:
            case "ack":
                taken = flag("i1", made=hours)
            case "silence":
                quiet = (flag("churn", made=hours, until=hours + 20),)
            case "join" if last.firing:
                told.append(tell(replace(last, revision=last.revision + 1, signals=(NULLS,)), last, here))
            case "rise" if last.firing and last.level is Level.WARN:
                told.append(tell(replace(last, revision=last.revision + 1, level=Level.ALERT), last, here))
            case "end" if last.firing:
                over = replace(last, revision=last.revision + 1, state=IncidentState.RESOLVED)
                told.append(tell(over, last, here))
            case "again" if found := due(last, here):
                told.append(found)
            case _:
                pass
    paging = [item for item in told if item.firing and item.level is Level.ALERT and item.to]
    assert told[-1].pages == len(paging)
    assert sum(not item.firing and bool(item.to) for item in told) <= 1
    assert all(set(item.to) <= set(item.told) for item in told)
    moments = [item.paged for item in paging]
    assert all(
        datetime.fromisoformat(one or "") + timedelta(hours=24) <= datetime.fromisoformat(other or "")
        for one, other in pairwise(moments)
    )


@given(st.integers(1, 200), st.text(min_size=1), st.floats(0, 1e5) | st.none())
def test_attempts_come_later_and_later_and_no_sooner_than_asked(attempts: int, key: str, after: float | None) -> None:
    pause = next_attempt(key, attempts, 0.0, after)
    assert pause == next_attempt(key, attempts, 0.0, after)
    assert pause >= (after or 0.0)
    plain = next_attempt(key, attempts, 0.0)
    wanted = min(900.0, 60.0 * 2.0 ** (attempts - 1))
    assert 0.9 * wanted - 1e-6 <= plain <= 1.1 * wanted + 1e-6
    assert plain < GIVE_UP


def test_a_key_tells_incident_state_revision_and_channel_apart() -> None:
    keys = {
        message_key(*parts) for parts in (("a", "firing", 1, "p"), ("a", "firing", 2, "p"), ("a", "firing", 1, "q"))
    }
    assert len(keys | {message_key("a", "resolved", 1, "p"), message_key("b", "firing", 1, "p")}) == 5
