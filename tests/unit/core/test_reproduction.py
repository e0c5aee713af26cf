"""How alike two makings of a run are called, and what is named as the likely reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from custody.core.reproduction import Grade, compare
from custody.domain.graph import STEPS, Ref, StepOutput, StepRecord, StepStatus
from custody.domain.record import Run
from tests.unit.ledger.material import a_run

ENVIRONMENT: dict[str, Any] = {
    "python": "3.11.7",
    "platform": "linux-x86_64",
    "distributions": ["numpy==2.4.6", "scikit-learn==1.9.1"],
    "threads": {"OMP_NUM_THREADS": 1},
    "threadpools": [{"prefix": "libopenblas", "architecture": "Haswell", "num_threads": 1}],
}
METRICS = {"roc_auc": 0.84, "log_loss": 0.3}


def steps(*other: str, predictions: str = "p", metrics: dict[str, Any] = METRICS, **env: Any) -> dict[str, StepRecord]:
    """Return all steps; those of `other` have another output than usual."""
    found = {}
    for name in STEPS:
        digest = (f"other {name}" if name in other else name).encode().hex()
        extra, facts = {}, {}
        if name == "train":
            facts = {"environment": {**ENVIRONMENT, **env}}
        if name == "evaluate":
            extra, facts = {"predictions": Ref("predictions", predictions, predictions)}, {"metrics": metrics}
        inputs = {"seed": 7, "uses": "sklearn.Ridge"} if name in {"prepare", "train"} else {}
        output = StepOutput(Ref(name, digest, digest), extra, facts)
        found[name] = StepRecord(name, StepStatus.DONE, "k1:", inputs, {}, output)
    return found


def recorded(**changes: Any) -> Run:
    return replace(a_run("run-1"), steps=steps(), metrics=METRICS, environment=ENVIRONMENT, **changes)


@pytest.mark.parametrize(
    ("made", "grade", "first"),
    [
        (steps(), Grade.IDENTICAL, None),
        (steps("validate"), Grade.IDENTICAL, "validate"),
        (steps("train"), Grade.PREDICTIONS, "train"),
        (steps("train", "evaluate"), Grade.PREDICTIONS, "train"),
        (
            steps("train", "evaluate", predictions="q", metrics={"roc_auc": 0.84 + 1e-12, "log_loss": 0.3}),
            Grade.EQUAL,
            "train",
        ),
        (steps("evaluate", predictions="q", metrics={**METRICS, "log_loss": 0.3001}), Grade.DIFFERENT, "evaluate"),
        (steps("evaluate", predictions="q", metrics={"roc_auc": 0.84}), Grade.DIFFERENT, "evaluate"),
        (steps("evaluate", predictions="q", metrics={**METRICS, "log_loss": None}), Grade.DIFFERENT, "evaluate"),
    ],
)
def test_grades(made: dict[str, StepRecord], grade: Grade, first: str | None) -> None:
    compared = compare(recorded(), made)
    assert (compared.grade, compared.first) == (grade, first)


def test_a_step_that_failed() -> None:
    made = steps()
    made["train"] = replace(made["train"], status=StepStatus.FAILED, output=None, error="no module helperlib")
    del made["evaluate"]
    compared = compare(recorded(), made)
    assert compared.grade is Grade.FAILED
    assert any("train failed: no module helperlib" in reason for reason in compared.reasons)


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"python": "3.12.1"}, "python 3.11.7 was recorded, this is 3.12.1"),
        ({"distributions": ["numpy==2.5.0"]}, "numpy 2.4.6 was recorded, this is 2.5.0"),
        ({"distributions": ["numpy==2.4.6"]}, "scikit-learn 1.9.1 was recorded, this is not loaded"),
        ({"threads": {"OMP_NUM_THREADS": 4}}, "threads: OMP_NUM_THREADS=1 were recorded"),
        ({"threadpools": [{"prefix": "libopenblas", "architecture": "Zen"}]}, "linear algebra: libopenblas Haswell 1"),
    ],
)
def test_what_differs_around_the_run_is_named(env: dict[str, Any], reason: str) -> None:
    compared = compare(recorded(), steps("train", **env))
    assert any(reason in told for told in compared.reasons)
    assert compare(recorded(), steps("train")).reasons == ()


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"uses": "helperlib.steps:train", "code": None}, "helperlib.steps:train is code outside"),
        ({"uses": "./steps.py:train", "code": "ab" * 32}, "may draw random numbers without ctx.seed"),
    ],
)
def test_what_the_run_leaves_open_is_named(inputs: dict[str, Any], reason: str) -> None:
    run = recorded()
    run = replace(run, steps={**run.steps, "train": replace(run.steps["train"], inputs=inputs)})
    assert any(reason in told for told in compare(run, steps("train")).reasons)
