"""Samplers of the extra `tune`: what they draw depends on the seed and on what came of others alone."""

from __future__ import annotations

import pytest

from custody.core.space import Axis, Combination
from custody.kit.sampling import SAMPLERS, Sampler
from custody.spec.space import parse_space

pytest.importorskip("optuna")
SPACE = parse_space(["a=0.0..1.0", "b=1..9", "c=log:1e-4..1", "d=x,z"])


def loss(combination: Combination) -> float:
    return abs(float(combination[0]) - 0.3) + abs(int(combination[1]) - 7) / 9 + (combination[3] == "x")


def searched(axes: tuple[Axis, ...], kind: str, seed: int, rounds: int = 8) -> list[Combination]:
    sampler = Sampler(axes, kind, seed)
    found: list[Combination] = []
    for _ in range(rounds):
        drawn = sampler.draw(4)
        for combination in drawn:
            sampler.learn(combination, None if combination[1] == "5" else loss(combination))
        found += drawn
    return found


@pytest.mark.parametrize("kind", SAMPLERS)
def test_draws_lie_in_the_space_differ_and_are_the_same_for_a_seed(kind: str) -> None:
    found = searched(SPACE, kind, 3)
    assert found == searched(SPACE, kind, 3)
    assert found != searched(SPACE, kind, 4)
    assert len(set(found)) == len(found) == 32
    assert all(0 <= float(a) <= 1 and int(b) in range(1, 10) and 1e-4 <= float(c) <= 1 for a, b, c, _ in found)
    assert {d for *_, d in found} == {"x", "z"}


def test_what_came_of_others_is_drawn_nearer_to() -> None:
    found = [loss(combination) for combination in searched(SPACE, "tpe", 1, rounds=15)]
    assert sum(found[-20:]) < 0.8 * sum(found[:20])


def test_what_is_recorded_is_learned_from_and_not_drawn_again() -> None:
    space = parse_space(["b=1..6", "d=x"])
    fresh, informed = Sampler(space, "tpe", 0), Sampler(space, "tpe", 0)
    for number in range(1, 5):
        informed.learn((str(number), "x"), float(number))
    assert set(informed.draw(6)) == {("5", "x"), ("6", "x")}
    assert len(fresh.draw(6)) == 6
    assert fresh.draw(6) == ()
