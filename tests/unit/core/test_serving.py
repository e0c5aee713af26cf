from __future__ import annotations

from custody.core.serving import departures
from custody.domain.record import Headline, Kind


def move(kind: Kind, model: str, at: str, **values: str | None) -> Headline:
    return Headline(f"commit-{at}", f"record-{at}", str(kind), model, f"{kind} {model}", "Ann", at, **values)


def promote(at: str, run: str | None, before: str | None, model: str = "churn", stage: str = "production") -> Headline:
    return move(Kind.PROMOTION, model, at, run=run, before=before, stage=stage)


def told(moves: list[Headline]) -> dict[str, list[tuple[str, str, str, str, str | None]]]:
    return {
        name: [(item.stage, item.run, item.since, item.until, item.replaced_by) for item in left]
        for name, left in departures(moves).items()
    }


def test_what_left_a_stage_and_what_took_its_place() -> None:
    moves = [
        promote("1", "a", None),
        promote("2", "b", "a"),
        promote("3", "c", "a"),
        promote("4", "b", "b"),
        promote("5", "x", None, stage="canary"),
        move(Kind.HOLD, "churn", "6", run="a", before="b", stage="production"),
        move(Kind.HOLD, "churn", "7", run="x", before="b", stage="production"),
        promote("8", None, "x", stage="canary"),
        move(Kind.RETIRE, "churn", "9"),
    ]
    assert told(moves) == {
        "churn": [
            ("production", "a", "1", "2", "b"),
            ("production", "b", "2", "6", "a"),
            ("canary", "x", "5", "8", None),
            ("production", "a", "6", "9", None),
        ]
    }


def test_a_model_keeps_its_past_under_a_new_name() -> None:
    moves = [
        promote("1", "a", None),
        promote("2", "b", "a"),
        move(Kind.RENAME, "leavers", "3", before="churn"),
        move(Kind.HOLD, "churn", "4", run="a", before="b", stage="production"),
        promote("5", "z", None),
        promote("6", "c", "a", model="leavers"),
        promote("7", "y", "z"),
    ]
    assert told(moves) == {
        "leavers": [
            ("production", "a", "1", "2", "b"),
            ("production", "b", "2", "4", "a"),
            ("production", "a", "4", "6", "c"),
        ],
        "churn": [("production", "z", "5", "7", "y")],
    }
