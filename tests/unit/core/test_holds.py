"""Holds: in the fold, in the plan, and in the decision that ends one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from custody.core.fold import advance, decode_stages, encode_stages, fold
from custody.core.holds import hold_words
from custody.core.planner import changes, plan_id
from custody.core.recording import Source, hold_record, promotion_record
from custody.domain.plan import Category, StageMove
from custody.domain.record import Hold, Kind, ModelState, Record, State
from tests.unit.core import build
from tests.unit.core.build import EVERYTHING

SOURCE = Source("c" * 40, "Ann")
RUNS = ("run-1", "run-2", "run-3")


def record(number: int, kind: Kind, **effect: Any) -> Record:
    return Record(f"record-{number}", kind, "s", (), "churn", effect=effect)


def three_versions() -> ModelState:
    state = ModelState("churn")
    for number, run in enumerate(RUNS, 1):
        state = advance(state, record(number, Kind.REGISTER, version=f"v{number}", run=run, artifact=None, at=""))
    return advance(state, promotion(9, "run-3", "v3", None))


def promotion(number: int, run: str | None, version: str | None, replaces: str | None, *releases: str) -> Record:
    more = {"releases": releases} if releases else {}
    return record(
        number, Kind.PROMOTION, stage="production", run=run, version=version, replaces=replaces, at="", **more
    )


def hold(number: int, from_: str | None, to: str | None, stage: str = "production") -> Record:
    values = {"stage": stage, "from": from_, "to": to, "reason": "wrong labels", "by": "Ann", "at": "2026"}
    return record(number, Kind.HOLD, **values)


def run_of(state: ModelState) -> str | None:
    return state.stages["production"].run if "production" in state.stages else None


def test_a_hold_moves_the_stage_off_the_run_that_it_names_and_stops_promotions() -> None:
    state = advance(three_versions(), hold(10, "run-3", "run-2"))
    assert state.stages["production"].record == "record-10"
    assert run_of(state) == "run-2"
    assert run_of(advance(state, promotion(11, "run-3", "v3", "run-2"))) == "run-2"
    assert run_of(advance(state, promotion(11, None, None, "run-2"))) == "run-2"
    ended = advance(state, promotion(12, "run-3", "v3", "run-2", "record-10"))
    assert run_of(ended) == "run-3"
    assert ended.holds == ()


def test_a_hold_that_comes_late_stops_promotions_and_moves_nothing() -> None:
    state = advance(advance(three_versions(), promotion(10, "run-2", "v2", "run-3")), hold(11, "run-3", "run-1"))
    assert run_of(state) == "run-2"
    assert "production is v2, not the v3 that this hold was made for" in hold_words(state.holds[0], state)
    assert run_of(advance(state, promotion(12, "run-3", "v3", "run-2"))) == "run-2"


def test_every_open_hold_has_to_be_named() -> None:
    state = advance(advance(three_versions(), hold(10, "run-3", "run-2")), hold(11, "run-2", "run-1"))
    assert run_of(state) == "run-1"
    assert len(advance(state, promotion(12, "run-3", "v3", "run-1", "record-10")).holds) == 2
    assert run_of(advance(state, promotion(12, "run-3", "v3", "run-1", "record-11", "record-10"))) == "run-3"


def test_a_hold_holds_its_own_stage_only() -> None:
    state = advance(three_versions(), hold(10, None, "run-1", "canary"))
    assert state.stages["canary"].run == "run-1"
    assert run_of(advance(state, promotion(11, "run-1", "v1", "run-3"))) == "run-1"


def test_a_hold_to_what_is_no_version_stops_without_moving() -> None:
    state = advance(three_versions(), hold(10, "run-3", "run-9"))
    assert run_of(state) == "run-3"
    assert state.holds


def test_files_without_holds_are_as_they_always_were() -> None:
    assert b"holds" not in encode_stages(three_versions())
    held = advance(three_versions(), hold(10, "run-3", "run-2"))
    assert decode_stages("churn", encode_stages(held)) == held


RECORDS = st.one_of(
    st.builds(
        lambda number, goes, replaces, releases: promotion(number, *goes, replaces, *releases),
        st.integers(20, 40),
        st.sampled_from([("run-1", "v1"), ("run-2", "v2"), ("run-3", "v3"), (None, None)]),
        st.sampled_from(RUNS),
        st.sets(st.sampled_from(["record-20", "record-21", "record-22"])),
    ),
    st.builds(hold, st.integers(20, 22), st.sampled_from([*RUNS, None]), st.sampled_from([*RUNS, "run-9", None])),
    st.just(record(19, Kind.RETIRE)),
    st.just(record(18, Kind.RUN)),
)


@given(st.lists(RECORDS, max_size=14))
def test_no_order_of_records_moves_a_held_stage_unless_every_hold_is_named(landed: list[Record]) -> None:
    state = three_versions()
    files: dict[str, bytes] = {"models/churn/stages.json": encode_stages(state)}
    for item in landed:
        before, state = state, advance(state, item)
        files.update(fold(files.get, item))
        assert decode_stages("churn", files["models/churn/stages.json"]) == state
        open_ids = {held.record for held in before.holds_on("production")}
        named = set(item.effect.get("releases", ()))
        if item.kind is Kind.PROMOTION and not open_ids <= named:
            assert (state.stages, state.holds) == (before.stages, before.holds)
        if item.kind is Kind.HOLD and run_of(state) != run_of(before):
            assert run_of(before) == item.effect["from"]
            assert run_of(state) == item.effect["to"]
        if item.kind is Kind.RUN:
            assert (state.stages, state.holds) == (before.stages, before.holds)


def held_state(model: Any, *, stages: str = "auto") -> tuple[Any, State]:
    """Two versions, the newer one held off production, and the spec as it declares `stages`."""
    first = build.run(model, run_id="1" * 16)
    second = build.run(model, run_id="2" * 16)
    state = build.state(second, first, second, production=first)
    made = Hold("hold-0001", "production", second.id, first.id, "wrong labels", "Ann", "2026")
    recorded = replace(state.models["churn"], holds=(made,))
    return replace(model, stages={"production": stages}), replace(state, models={"churn": recorded})


def planned(model: Any, state: State) -> Any:
    last = state.models["churn"].run
    assert last
    return changes(build.spec(model), state, {}, build.lookup(last))[0]


def test_the_plan_says_who_holds_it_and_what_ends_it() -> None:
    change = planned(*held_state(build.model()))
    assert change.category is Category.HELD
    assert not change.moves
    assert change.reasons[-1].subject == "production is held by hold-000: wrong labels, by Ann"
    assert "release with: custody rollback churn --release hold-000" in change.notes
    assert "make it last: custody rollback churn --to v1" in change.notes


def test_a_pin_to_what_it_is_held_at_ends_the_hold() -> None:
    model, state = held_state(build.model(), stages="v1")
    change = planned(model, state)
    assert change.category is Category.PROMOTE
    move = change.moves[0]
    assert (move.run, move.releases) == ("1" * 16, ("hold-0001",))
    made = promotion_record("r", move, state.models["churn"], SOURCE, "2026", None)
    assert made
    assert made.subject == "release churn: production stays v1; hold hold-000 ends"
    after = advance(state.models["churn"], made)
    assert (after.holds, after.stages["production"].run) == ((), "1" * 16)


def test_another_pin_and_none_do_not() -> None:
    for stages in ("v2", "none", "auto"):
        assert planned(*held_state(build.model(), stages=stages)).category is Category.HELD


def test_work_goes_on_while_a_stage_is_held() -> None:
    model, state = held_state(build.model())
    changed = replace(model, seed=99)
    change = changes(build.spec(changed), state, {}, EVERYTHING)[0]
    assert change.to_run
    assert not change.moves
    assert any("is held by" in note and note.endswith("no move") for note in change.notes)


def test_a_hold_changes_the_id_of_a_plan_that_it_stops() -> None:
    model, state = held_state(build.model())
    free = replace(state, models={"churn": replace(state.models["churn"], holds=())})
    assert plan_id([planned(model, state)]) != plan_id([planned(model, free)])


def test_a_promotion_that_does_not_name_the_hold_is_not_made() -> None:
    _, state = held_state(build.model())
    move = StageMove("production", "1" * 16, "2" * 16)
    assert promotion_record("r", move, state.models["churn"], SOURCE, "2026", None) is None
    assert promotion_record("r", replace(move, releases=("hold-0001",)), state.models["churn"], SOURCE, "2026", None)


def test_a_hold_says_why_in_one_line() -> None:
    _, state = held_state(build.model())
    made = Hold("hold-0002", "production", "1" * 16, None, "line\none\x1b[31m", "Ann\n", "2026")
    item = hold_record("hold-0002", made, state.models["churn"], SOURCE, "d" * 40)
    assert item.subject == "hold churn: production → nothing (was v1): line one [31m"
    assert item.effect["by"] == "Ann"
    assert item.notes[0][0] == "d" * 40
