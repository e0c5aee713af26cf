"""The locked environment: shown where it differs, an input only where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.locked import Lock, environment_reason, packages, signature
from custody.core.planner import changes
from custody.domain.plan import Category, Change
from custody.domain.record import Run
from custody.domain.uses import Uses
from tests.unit.core import build

BEFORE = b"numpy==2.1.0\nscikit-learn==1.6.1  # fits\npytest==8.0\n"
AFTER = b"numpy==2.1.0\nscikit_learn==1.7.0\npytest==8.1\n"
BLOBS = {"b" * 40: BEFORE, "a" * 40: AFTER}


def lock(data: bytes = AFTER, *, known: bool = True) -> Lock:
    blob = next(blob for blob, stored in BLOBS.items() if stored == data)
    return Lock("requirements.lock", blob, data, lambda item: BLOBS.get(item) if known else None)


def recorded(**more: Any) -> Run:
    made = {"lock": "b" * 40, "locked": signature(BEFORE), "distributions": ["numpy==2.1.0", "scikit-learn==1.6.1"]}
    return build.run(build.model(**more), environment=made)


def plan_of(run: Run, at: Lock | None, **more: Any) -> Change:
    (change,) = changes(build.spec(build.model(**more)), build.state(run, run), {}, build.lookup(run), at)
    return change


def test_a_difference_is_shown_with_the_packages_that_the_run_had_loaded() -> None:
    change = plan_of(recorded(), lock())
    assert change.category is Category.NOOP
    (reason,) = change.annotations
    assert (reason.code, reason.details) == ("environment.changed", ("scikit-learn 1.6.1 → 1.7.0",))
    assert str(reason.place) == "requirements.lock:2:1"
    assert reason.note == "2 packages since run 11111111, 1 of which it did not load"


def test_the_same_packages_written_otherwise_are_no_difference() -> None:
    again = Lock("requirements.lock", "c" * 40, b"# new\n" + BEFORE, lambda _: None)
    assert environment_reason(recorded(), again) is None


def test_without_the_old_file_only_that_it_differs_is_said() -> None:
    (reason,) = plan_of(recorded(), lock(known=False)).annotations
    assert (reason.details, "not in this clone" in reason.note) == ((), True)


def test_it_retrains_where_that_is_asked_for_and_not_again() -> None:
    same = plan_of(recorded(), lock(BEFORE), retrains_on_environment=True)
    assert same.category is Category.NOOP
    change = plan_of(recorded(), lock(), retrains_on_environment=True)
    assert change.category is Category.REBUILD
    assert change.reasons[0].code == "environment.changed"
    (key,) = {step.inputs["environment"] for step in change.steps if "environment" in step.inputs}
    assert key == lock().signature
    made = {"lock": "a" * 40, "locked": key, "keyed": key}
    after = keyed_run(change, made)
    assert plan_of(after, lock(), retrains_on_environment=True).category is Category.NOOP
    assert plan_of(after, lock()).category is Category.NOOP
    assert plan_of(after, lock(BEFORE)).category is Category.NOOP


def keyed_run(change: Change, environment: Mapping[str, Any]) -> Run:
    inputs = {step.step: step.inputs for step in change.steps}
    whole = build.run(build.model(), environment=environment)
    return replace(whole, steps=build.made(inputs, "a" * 64))


def test_a_parameter_of_another_environment_is_judged_by_its_own_inputs() -> None:
    change = plan_of(recorded(), lock(), train=Uses("sklearn.Ridge", {"alpha": 2.0}))
    assert (change.category, change.annotations) == (Category.RETRAIN, ())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A.b==1\n", {"a-b": ("1", 1)}),
        ("\n a[extra] == 1.0 ; python_version > '3' \\\n  --hash=sha256:00==\n", {"a": ("1.0", 2)}),
        ('[[package]]\nname = "x"\nversion = "2"\nsource = { }\n[[package]]\nname = "y"\n', {"x": ("2", 3)}),
        ("# a==1\n-r other.txt\n", {}),
    ],
)
def test_packages(text: str, found: dict[str, tuple[str, int]]) -> None:
    assert packages(text.encode()) == found


@given(st.binary())
def test_any_bytes_have_a_signature(data: bytes) -> None:
    assert len(signature(data)) == 64
