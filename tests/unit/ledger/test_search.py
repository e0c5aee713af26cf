"""Searching runs on a real ledger: what a condition finds is what it says of the records themselves."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.core import recording
from custody.core.expression import ExpressionError, parse_condition
from custody.core.recording import Source
from custody.domain.record import Kind, Record, Run, RunStatus
from custody.domain.search import All, Comparison, Condition, Either, IsNull, Not, Order, RunQuery, Word
from custody.domain.verdict import GateResult, Verdict
from custody.ledger.ledger import GitLedger
from tests.unit.git.repositories import git
from tests.unit.ledger.material import DAY, a_run, open_ledger, promotion_record, register_record

NOW = (DAY + timedelta(days=10)).isoformat()
SOURCE = Source("c" * 40, "Ann <ann@example.org>")


def recorded(number: int, **changes: Any) -> Run:
    """A run that finished on the day of its number."""
    run = a_run(f"{number:016x}", **changes)
    at = (DAY + timedelta(days=number, hours=1)).isoformat()
    return replace(run, started=at, finished=at, seconds=float(number), seed=number % 2)


def passed(*gates: bool) -> Verdict:
    return Verdict("limits", tuple(GateResult("roc_auc.min", "roc_auc", 0.8, 0.7, good) for good in gates))


RUNS = (
    recorded(
        0, metrics={"roc_auc": 0.9, "f1": 0.5}, params={"max_depth": 6, "criterion": "gini"}, verdict=passed(True)
    ),
    recorded(1, metrics={"roc_auc": 0.7}, params={"max_depth": None}, verdict=passed(True, False)),
    recorded(2, metrics={"roc_auc": 0.8}, params={"max_depth": "auto", "warm": True}),
    recorded(3, metrics={}, status=RunStatus.FAILED, params={"max_depth": 4, "grid": [1, 2], "inner": {"x": 1.5}}),
    recorded(4, model="debt", metrics={"rmse": 12.5, "bias": -3.0}, params={"alpha": 1, "warm": False}),
    recorded(5, model="debt", metrics={"rmse": 9.0, "bias": 1.0}, params={"alpha": 1.0, "name": 'it\'s "x" % ü'}),
)


def record_of(run: Run) -> Record:
    return recording.run_record(run, b"", SOURCE, "roc_auc", None)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLedger]:
    """Six runs of two models; the first one is v1 and in production."""
    folder = tmp_path_factory.mktemp("search") / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    with open_ledger(folder) as made:
        for run in RUNS:
            made.append(record_of(run))
        made.decide("churn", lambda _: register_record(RUNS[0], "v1"))
        made.decide("churn", lambda _: promotion_record(RUNS[0], "v1", None))
        yield made


def query(text: str = "", **changes: Any) -> RunQuery:
    where = parse_condition(text) if text else None
    return RunQuery(where, text, now=NOW, stages={"production": (RUNS[0].id,)}, **changes)


def found(ledger: GitLedger, text: str = "", **changes: Any) -> list[int]:
    """Return the numbers of the runs that a condition finds."""
    rows = ledger.search(query(text, **changes))
    return [int(row.run, 16) for row in rows] if "sort" in changes else sorted(int(row.run, 16) for row in rows)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("roc_auc > 0.75", [0, 2]),
        ("roc_auc > 0.75 and train.max_depth = 6", [0]),
        ("not roc_auc > 0.75", [1]),
        ("roc_auc != 0.9", [1, 2]),
        ("roc_auc is null", [3, 4, 5]),
        ("roc_auc is not null and f1 is null", [1, 2]),
        ("train.max_depth != 6", [2, 3]),
        ("train.max_depth > 4", [0]),
        ("not train.max_depth > 4", [3]),
        ("train.max_depth is null", [1, 4, 5]),
        ("train.max_depth in (4, auto)", [2, 3]),
        ("train.max_depth not in (4, auto)", [0]),
        ("train.warm = true", [2]),
        ("train.warm = 1", []),
        ("train.warm != true", [4]),
        ("train.alpha = 1", [4, 5]),
        ("train.inner.x >= 1.5", [3]),
        ("train.name like '%\"X\"%'", [5]),
        ("train.name = 'it''s'", None),
        ("train.criterion not like 'g%'", []),
        ("seed = 1", [1, 3, 5]),
        ("status = failed or status = rejected", [3]),
        ("model = debt", [4, 5]),
        ("model like 'CH%'", [0, 1, 2, 3]),
        ("version = v1", [0]),
        ("version >= 1", [0]),
        ("version is null and model = churn", [1, 2, 3]),
        ("stage = production", [0]),
        ("stage != production", []),
        ("stage = staging", []),
        ("stage in (production, staging)", [0]),
        ("stage is null", [1, 2, 3, 4, 5]),
        ("kind = run", [0, 1, 2, 3, 4, 5]),
        ("kind = trial", []),
        ("gates.failed > 0", [1]),
        ("gates = 1", [0]),
        ("data = customers@v1", [0, 1, 2, 3, 4, 5]),
        ("dataset != customers", []),
        (f"run = {RUNS[3].id}", [3]),
        ("code = cccc", [0, 1, 2, 3, 4, 5]),
        ("digest = eeeeeeee and seconds <= 1", [0, 1]),
        ("when > 2026-11-25", [2, 3, 4, 5]),
        ("when >= 2026-11-25", [1, 2, 3, 4, 5]),
        ("when = 2026-11-25", [1]),
        ("when != 2026-11-25 and finished <= 2026-11-26", [0, 2]),
        ("started < 2026-11-25T01:00+00:00", [0]),
        ("when <= 2026-11-25T02:00+01:00", [0, 1]),
        ("when >= -6d", [4, 5]),
    ],
)
def test_what_conditions_find(ledger: GitLedger, text: str, numbers: list[int] | None) -> None:
    if numbers is None:
        with pytest.raises(ExpressionError):
            found(ledger, text)
        return
    assert found(ledger, text) == numbers


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("roc_auc > high", "roc_auc is a metric; high is no number", 11),
        ("a = 1 and seconds = true", "seconds is a number", 21),
        ("when > tomorrow", "tomorrow is no time", 8),
        ("when > 2026-13-01", "is no time", 8),
        ("when >= -999999w", "is no time", 9),
        ("version > new", "new is no version", 11),
        ("status = pased", "status is never 'pased'", 10),
        ("stage < production", "compared with = or !=", 1),
        ("roc_auc like '0.8%'", "`like` compares texts", 1),
        ("run = 0", "at least 4 characters", 7),
    ],
)
def test_what_means_nothing_is_said(ledger: GitLedger, text: str, message: str, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        found(ledger, text)
    [problem] = caught.value.problems
    assert message in problem.message
    assert problem.place is not None
    assert problem.place.column == column


def test_order_and_limit(ledger: GitLedger) -> None:
    assert found(ledger, sort=Word("roc_auc", 1)) == [0, 2, 1, 5, 4, 3]
    assert found(ledger, sort=Word("rmse", 1), limit=3) == [5, 4, 3]
    assert found(ledger, sort=Word("bias", 1), limit=2) == [5, 4]
    assert found(ledger, sort=Word("roc_auc", 1), order=Order.ASCENDING, limit=2) == [1, 2]
    assert found(ledger, sort=Word("when", 1), order=Order.DESCENDING, limit=2) == [5, 4]
    assert [int(row.run, 16) for row in ledger.search(query(limit=2))] == [5, 4]
    assert found(ledger, model="debt") == [4, 5]


def test_a_row_is_the_run(ledger: GitLedger) -> None:
    [row] = ledger.search(query("version = v1"))
    run = RUNS[0]
    assert (row.run, row.model, row.version, row.started, row.seconds) == (run.id, "churn", 1, run.started, 0.0)
    assert row.metrics == dict(run.metrics)
    assert row.params == {"train.max_depth": 6, "train.criterion": "gini", "seed": 0}
    assert (row.gates_passed, row.gates, row.data, row.code) == (1, 1, "customers@v1", SOURCE.commit)


def test_names_that_no_run_has(ledger: GitLedger) -> None:
    assert ledger.unknown(["roc_auc", "train.max_depth", "when", "roc_acu", "train.x", "max_depth"]) == (
        "roc_acu",
        "train.x",
        "max_depth",
    )
    assert {"roc_auc", "rmse", "train.inner.x", "seed", "stage"} <= set(ledger.known_names())


def test_a_run_that_was_judged_again_counts_once_as_it_was_judged_last(repository: Path) -> None:
    with open_ledger(repository) as ledger:
        run = replace(RUNS[0], verdict=passed(True))
        ledger.append(record_of(run))
        ledger.append(record_of(RUNS[1]))
        again = replace(run, status=RunStatus.REJECTED, verdict=passed(False))
        ledger.append(recording.verdict_record("a" * 16, again, b"", SOURCE, None))
        assert found(ledger) == [0, 1]
        assert found(ledger, "status = rejected and gates.failed = 1") == [0]
        git(repository, "update-ref", "refs/heads/mlops/ledger", "mlops/ledger~1")
        assert found(ledger, "status = passed and gates.failed = 0") == [0]


HOSTILE = [
    ("Params", "[1]"),
    ("Params", "{"),
    ("Params", '{"train.x": NaN}'),
    ("Params", '{"train.x": "\\ud800"}'),
    ("Params", "[" * 900),
    ("Metrics", "roc_auc=high f1=0.5=1 =3 x"),
    ("Metrics", "roc_auc=1e999"),
    ("Seconds", "1e999"),
    ("Started", "yesterday"),
    ("Gates", "9/x"),
    ("Data", "@"),
]


@pytest.mark.parametrize("trailer", HOSTILE, ids=lambda item: f"{item[0]} {item[1][:12]}")
def test_trailers_that_others_wrote_break_nothing(repository: Path, trailer: tuple[str, str]) -> None:
    with open_ledger(repository) as ledger:
        ledger.append(record_of(RUNS[2]))
        odd = Record("b" * 16, Kind.RUN, "odd", (("Run", "b" * 16), trailer), "churn", files=record_of(RUNS[1]).files)
        ledger.append(odd)
        assert len(ledger.search(query())) == 2
        assert found(ledger, "train.max_depth = auto") == [2]
        assert ledger.known_names()


NAMES = ["roc_auc", "f1", "rmse", "train.max_depth", "train.alpha", "seed", "seconds", "train.criterion"]
LITERALS = st.sampled_from(["6", "4", "0.8", "1", "9", "-3", "auto", "gini", "true"])
SIMPLE = st.builds(
    "{} {} {}".format, st.sampled_from(NAMES), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), LITERALS
) | st.builds("{} is {}".format, st.sampled_from(NAMES), st.sampled_from(["null", "not null"]))
CONDITIONS = st.recursive(
    SIMPLE,
    lambda inner: (
        st.builds("({}) and ({})".format, inner, inner)
        | st.builds("({}) or ({})".format, inner, inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=5,
)
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def value_of(run: Run, name: str) -> Any:
    if name == "seconds":
        return run.seconds
    if name == "seed":
        return run.seed
    return run.params.get(name[6:]) if name.startswith("train.") else run.metrics.get(name)


def holds(condition: Condition, run: Run) -> bool | None:
    """Whether a condition holds of a run, by its words; None where that cannot be said."""
    match condition:
        case Comparison():
            value, literal = value_of(run, condition.name.text), condition.values[0].value
            if value is None:
                return None
            if (type(value) in {int, float}) != (type(literal) in {int, float}) or isinstance(value, str) != isinstance(
                literal, str
            ):
                return {"=": False, "!=": True}.get(condition.operator)
            return OPERATORS[condition.operator](value, literal)
        case IsNull():
            return value_of(run, condition.name.text) is None
        case Not():
            inner = holds(condition.term, run)
            return None if inner is None else not inner
        case All() | Either():
            parts = [holds(term, run) for term in condition.terms]
            decided = isinstance(condition, Either)
            return decided if decided in parts else None if None in parts else not decided


@given(CONDITIONS)
@settings(max_examples=150)
def test_sql_says_what_the_words_say(ledger: GitLedger, text: str) -> None:
    condition = parse_condition(text)
    if any(name in text for name in ("roc_auc", "f1", "rmse", "seconds")):
        text = text.replace("auto", "0.8").replace("gini", "4").replace("true", "1")
        condition = parse_condition(text)
    rows = found(ledger, text)
    assert rows == [number for number, run in enumerate(RUNS) if holds(condition, run)]
