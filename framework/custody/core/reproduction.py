"""Two makings of one run side by side: how alike they are, where they part, and the likely reasons. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from custody.domain.graph import STEPS, StepRecord
from custody.domain.record import Run

TOLERANCE = 1e-9
"""By how much a metric may differ and still be called equal, absolute and relative."""
_ENVIRONMENT = ("python", "implementation", "platform")
_POOL = ("prefix", "architecture", "version", "num_threads")
_MOST = 5


class Grade(StrEnum):
    """How alike a run and its reproduction are, the most alike first."""

    IDENTICAL = "identical"
    PREDICTIONS = "identical predictions"
    EQUAL = "equal within 1e-9"
    DIFFERENT = "different"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of comparing. `first` is the first step whose output is another one, None where none is.

    `metrics` maps those that differ at all to (recorded, reproduced); `reasons` are likely causes, in words.
    """

    grade: Grade
    first: str | None
    steps: Mapping[str, bool]
    metrics: Mapping[str, tuple[float | None, float | None]]
    reasons: tuple[str, ...] = ()


def compare(run: Run, made: Mapping[str, StepRecord]) -> Compared:
    """Compare the recorded run with the steps that were made again; all of them, or those before one that failed."""
    names = [name for name in STEPS if name in run.steps]
    steps = {name: _digest(run.steps.get(name)) == _digest(made.get(name)) for name in names}
    first = next((name for name, same in steps.items() if not same), None)
    metrics = dict(_metrics(run, made))
    grade = _grade(run, made, steps, metrics)
    reasons = () if grade is Grade.IDENTICAL else tuple(_reasons(run, made, first))
    return Compared(grade, first, steps, metrics, reasons)


def environment_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words what differs between two recorded environments."""
    for name in _ENVIRONMENT:
        if before.get(name) != after.get(name) and before.get(name):
            yield f"{name} {before.get(name)} was recorded, this is {after.get(name)}"
    was, now = (dict(_versions(item.get("distributions"))) for item in (before, after))
    changed = [name for name in sorted({*was, *now}) if name in was and was[name] != now.get(name)]
    for name in changed[:_MOST]:
        yield f"{name} {was[name]} was recorded, this is {now.get(name) or 'not loaded'}"
    if len(changed) > _MOST:
        yield f"{len(changed) - _MOST} more libraries have other versions"
    if before.get("threads") != after.get("threads") and before.get("threads"):
        yield f"threads: {_pairs(before['threads'])} were recorded, this ran with {_pairs(after.get('threads'))}"
    pools = [_pools(item.get("threadpools")) for item in (before, after)]
    if pools[0] and pools[0] != pools[1]:
        yield f"linear algebra: {', '.join(pools[0])} was recorded, this is {', '.join(pools[1]) or 'none'}"


def _grade(
    run: Run,
    made: Mapping[str, StepRecord],
    steps: Mapping[str, bool],
    metrics: Mapping[str, tuple[float | None, float | None]],
) -> Grade:
    if any(name not in made or not made[name].usable for name in steps):
        return Grade.FAILED
    if steps.get("train") and steps.get("evaluate"):
        return Grade.IDENTICAL
    predicted = [_predictions(item) for item in (run.steps.get("evaluate"), made.get("evaluate"))]
    if predicted[0] is not None and predicted[0] == predicted[1]:
        return Grade.PREDICTIONS
    near = all(_near(one, other) for one, other in metrics.values())
    return Grade.EQUAL if near and run.metrics else Grade.DIFFERENT


def _reasons(run: Run, made: Mapping[str, StepRecord], first: str | None) -> Iterator[str]:
    """Yield the likely causes: what differs around the run, then what about the run allows it to differ."""
    yield from _around(run, made)
    failed = next((item for item in made.values() if not item.usable), None)
    if failed is not None:
        yield f"{failed.step} failed: {failed.error or failed.status}"
        return
    inputs = run.steps[first].inputs if first else {}
    uses = inputs.get("uses")
    if inputs.get("code"):
        yield (
            f"{uses} may draw random numbers without ctx.seed, or use what no record holds: a clock, the network, a"
            " file, code that it imports from outside of the repository"
        )
    elif ":" in str(uses):
        yield f"{uses} is code outside of the repository: the version of its package is recorded, its source is not"


def _around(run: Run, made: Mapping[str, StepRecord]) -> Iterator[str]:
    train = made.get("train")
    after = train.output.facts.get("environment", {}) if train and train.output else {}
    if run.environment and after:
        yield from environment_differences(run.environment, after)


def _metrics(run: Run, made: Mapping[str, StepRecord]) -> Iterator[tuple[str, tuple[float | None, float | None]]]:
    evaluate = made.get("evaluate")
    found = evaluate.output.facts.get("metrics", {}) if evaluate and evaluate.output else {}
    for name in run.metrics if found else ():
        if run.metrics[name] != found.get(name):
            yield name, (run.metrics[name], found.get(name))


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _digest(step: StepRecord | None) -> str | None:
    return step.output.ref.digest if step and step.usable and step.output else None


def _predictions(step: StepRecord | None) -> str | None:
    found = step.output.extra.get("predictions") if step and step.output else None
    return found.digest if found else None


def _versions(items: Any) -> Iterator[tuple[str, str]]:
    for item in items or ():
        name, _, version = str(item).partition("==")
        yield name, version


def _pools(items: Any) -> list[str]:
    return sorted(" ".join(str(item[name]) for name in _POOL if name in item) for item in items or ())


def _pairs(values: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in (values or {}).items()) or "none set"
