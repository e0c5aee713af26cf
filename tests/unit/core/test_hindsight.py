"""What declared limits would have done on the reference's own blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from custody.core.hindsight import hindsight
from custody.domain.monitoring import Counts, Edges
from custody.domain.monitors import TRAINING, Every, Monitors
from custody.domain.outcome import OutcomeBase
from custody.domain.reference import Known, Limit, Reference
from custody.spec.monitors import monitors
from custody.spec.yaml12 import parse

BASE = OutcomeBase({"r2": 0.8, "rmse": 40}, blocks=12, worst={"r2": 0.61, "rmse": 77.0}, bias=53.0)


def known(spread: Sequence[float]) -> Known:
    limits = {TRAINING: Limit(0.3, 400, len(spread), tuple(sorted(spread)))} if spread else {}
    return Known(Edges((1.0,)), Counts((5, 5)), limits)


def reference(columns: Mapping[str, Sequence[float]], *, every: Every = Every.WEEK, stat: str = "psi") -> Reference:
    found = {name: known(spread) for name, spread in columns.items()}
    predicted = known([0.1, 0.5])
    return Reference("bikes", "r", "d@v1", "e", 100, every, 4, stat, found, predicted, outcomes=BASE.to_dict())


def declared(text: str) -> Monitors:
    return monitors(parse(f"every: week\n{text}\n".encode(), "monitors.yaml").value)


SEASONS = reference({"temp": [0.5, 0.6, 0.9, 0.4], "hum": [0.1, 0.1, 0.3, 0.1], "wind": [0.0] * 4, "hour": []})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("drift: {features: 0.2}", ["psi 0.2: 4 of 4 reference weeks would warn on temp, 1 on hum"]),
        ("drift: {features: {psi: {alert: 0.5}}}", ["psi 0.5: 2 of 4 reference weeks would alarm on temp"]),
        (
            "drift: {features: {psi: {warn: 0.2, alert: 2}, ignore: [temp]}}",
            ["psi 0.2: 1 of 4 reference weeks would warn on hum", "psi 2: none of 4 reference weeks would alarm"],
        ),
        ("drift: {prediction: 0.2}", ["psi 0.2: 1 of 2 reference weeks would alarm on the predictions"]),
        (
            "outcomes: {uses: file, join: i, r2: {min: 0.72}, rmse: {max: 90}, bias: 40}",
            [
                "r2 min 0.72: the worst of 12 reference windows has 0.61 and would alarm",
                "rmse max 90: the worst of 12 reference windows has 77 and would not",
                "bias 40: the worst of 12 reference windows has 53 and would alarm",
            ],
        ),
        ("outcomes: {uses: file, join: i, mae: {max: 9}, r2: {max_drop: 0.1}}", []),
        ("drift: {features: {ks: 0.2}}", []),
        ("drift: {features: size}", []),
    ],
)
def test_declared_limits_are_held_against_the_blocks_of_the_reference(text: str, told: list[str]) -> None:
    assert [item.text for item in hindsight(declared(text), SEASONS)] == told


def test_it_is_counted_on_the_worst_column() -> None:
    (found,) = hindsight(declared("drift: {features: 0.2}"), SEASONS)
    assert (found.dotted, found.fired, found.of) == ("drift.features", 4, 4)


def test_blocks_of_another_length_tell_nothing() -> None:
    assert hindsight(declared("drift: {features: 0.2}"), reference({"temp": [0.5]}, every=Every.DAY)) == ()


def test_at_most_three_columns_are_named() -> None:
    many = reference({f"c{number}": [0.9, 0.9, 0.1 * number] for number in range(6)})
    (found,) = hindsight(declared("drift: {features: 0.2}"), many)
    assert found.text == "psi 0.2: 3 of 3 reference weeks would warn on c3, 3 on c4, 3 on c5, fewer on 3 more"


def test_what_is_calibrated_needs_no_hindsight() -> None:
    assert not declared("drift: {features: auto}\noutcomes: {uses: file, join: i, r2: auto}").declares_limits
    assert declared("outcomes: {uses: file, join: i, bias: 3}").declares_limits
    assert declared("drift: {prediction: {psi: {alert: 1}}}").declares_limits
