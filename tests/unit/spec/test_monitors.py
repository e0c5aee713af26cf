"""monitors.yaml: what it declares, its short forms and defaults, and what is wrong with one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain.metrics import BINARY, MULTICLASS, REGRESSION
from custody.domain.monitors import (
    DAY,
    Alerting,
    Drift,
    DriftRule,
    Every,
    Level,
    Live,
    Monitors,
    OnAlert,
    OutcomeLimit,
    Outcomes,
    Quality,
)
from custody.domain.problem import Severity
from custody.domain.spec import ModelSpec
from custody.domain.uses import Uses
from custody.spec.explain import explain
from custody.spec.monitors import monitors, outcome_metrics
from custody.spec.schema import schema
from custody.spec.yaml12 import parse
from tests.unit.spec.project import CONFIG, SOUND, WATCHED, loaded

MONITORS = "models/churn/monitors.yaml"
MODEL, DATA = "models/churn/model.yaml", "models/churn/data.yaml"
PROFILE = ".mlops/profiles/tabular"
RUNBOOK = {"models/churn/runbook.md": "call the owner\n"}


def churn(text: str | None, **others: str | None) -> ModelSpec:
    return loaded({MONITORS: text, **RUNBOOK, **others}).spec.models["churn"]


def watched(text: str) -> Monitors:
    found = monitors(parse(text.encode(), MONITORS).value)
    return replace(found, declared={})


def found(text: str, changes: dict[str, str | None] | None = None) -> list[tuple[str, str, str]]:
    """Return code, place and all words of the problems."""
    problems = loaded({MONITORS: text, **RUNBOOK, **(changes or {})}).problems
    return [
        (item.code, str(item.place).removeprefix(f"{MONITORS}:"), " ".join((item.message, item.label, *item.help)))
        for item in problems
    ]


def test_all_that_is_declared_becomes_values() -> None:
    assert loaded({MONITORS: WATCHED, **RUNBOOK}).problems == ()
    model = churn(WATCHED)
    assert model.monitors is not None
    assert replace(model.monitors, declared={}) == Monitors(
        every=Every.DAY,
        min_rows=300,
        schedule="0 6 * * *",
        live=Live(Uses("file", {"path": "live/*.parquet"}), "at", "prediction_id", "score"),
        quality=Quality(nulls=0.2, freshness=26 * 3600.0, mode=Level.OFF, range=Level.ALERT),
        drift=Drift(DriftRule(ignore=("plan",)), DriftRule(severity=Level.WARN), ("training", "customers@v3"), (2, 3)),
        outcomes=Outcomes(
            Uses("file", {"path": "outcomes.csv"}),
            "prediction_id",
            observed="observed_at",
            every=Every.MONTH,
            delay=14 * DAY,
            metrics=(OutcomeLimit("roc_auc", 0.8, max_drop=0.05),),
            bias=0.04,
            slices=("gender",),
        ),
        alert=Alerting(repeat=12 * 3600.0, resolve_after=3, runbook="runbook.md"),
        on_alert=OnAlert(("notify", "rollback"), cooldown=14 * DAY),
    )
    assert model.monitors.declared == model.documents["monitors"].value
    assert str(model.place("monitors", "outcomes.roc_auc.min")) == f"{MONITORS}:22:18"


def test_a_model_without_the_file_is_not_watched() -> None:
    model = churn(None)
    assert model.monitors is None
    assert str(model.place("monitors", "drift")) == f"{MONITORS}:1:1"


def test_only_the_window_must_be_said() -> None:
    assert watched("every: week\n") == Monitors(Every.WEEK)
    assert [item[:2] for item in found("")] == [("E102", "1:1")]


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("drift: {features: 0.2}", "drift: {features: {limit: 0.2}}"),
        ("drift: {features: {psi: 0.2}}", "drift: {features: {stat: psi, limit: 0.2}}"),
        ("drift: {features: {ks: auto}}", "drift: {features: {stat: ks, limit: auto}}"),
        ("drift: {features: size}", "drift: {features: {limit: size}}"),
        ("drift: {features: {psi: {alert: 0.2}}}", "drift: {features: {limit: 0.2, severity: alert}}"),
        ("drift: {prediction: {psi: {warn: 0.2}}}", "drift: {prediction: {limit: 0.2, severity: warn}}"),
        ("drift: {features: off}", "drift: {features: false}"),
        ("drift: {reference: training}", "drift: {reference: [training]}"),
        ("quality: {nulls: 0.3}", "quality: {nulls: {max_rise: 0.3}}"),
        ("quality: {volume: off, mode: off, nulls: off}", "quality: {volume: false, mode: false, nulls: false}"),
        ("quality: {volume: true, mode: true, nulls: true, freshness: true}", "quality: {}"),
        ("on_alert: [notify, retrain]", "on_alert: {do: [notify, retrain]}"),
        ("alert: {channels: pager}", "alert: {channels: [pager]}"),
        ("outcomes: {uses: file, join: a, bias: 40}", "outcomes: {uses: file, join: a, bias: {max: 40}}"),
        ("outcomes: {uses: file, join: a, roc_auc: auto}", "outcomes: {uses: file, join: a, roc_auc: {}}"),
        ("outcomes: {uses: file, join: a, delay: 48h}", "outcomes: {uses: file, join: a, delay: 2d}"),
    ],
)
def test_a_short_form_means_its_long_one(short: str, long: str) -> None:
    assert watched(f"every: day\n{short}\n") == watched(f"every: day\n{long}\n")


def test_two_limits_warn_and_page() -> None:
    rule = watched("every: day\ndrift: {features: {psi: {warn: 0.1, alert: 0.25}}}\n").drift.features
    assert rule == DriftRule(limit=0.1, severity=Level.WARN, paging=0.25)


def test_what_is_off_is_nothing() -> None:
    text = "every: day\nquality: {nulls: off, freshness: off}\ndrift: {features: off, prediction: off}\n"
    value = watched(f"{text}outcomes: {{uses: file, join: a, bias: off}}\n")
    assert (value.quality.nulls, value.quality.freshness) == (None, 0.0)
    assert (value.drift.features, value.drift.prediction) == (None, None)
    assert value.outcomes is not None
    assert value.outcomes.bias is None


def defaults(rules: dict[str, Any]) -> dict[str, Any]:
    return {name: part["default"] for name, part in rules.get("properties", {}).items() if "default" in part}


@pytest.mark.parametrize("part", ["", "quality", "drift", "drift.features", "drift.prediction", "alert", "on_alert"])
def test_the_defaults_that_an_editor_shows_are_those_that_hold(part: str) -> None:
    rules: Any = schema("monitors")
    value: dict[str, Any] = {"every": "day"}
    inner = value
    for name in filter(None, part.split(".")):
        rules = rules["properties"][name]
        inner[name] = {}
        inner = inner[name]
    inner |= defaults(rules)
    assert replace(monitors(value), declared={}) == Monitors(Every.DAY)


def test_the_defaults_of_outcomes_are_those_that_hold() -> None:
    value = {"uses": "file", "join": "id"}
    rules: Any = schema("monitors")
    full = {**value, **defaults(rules["properties"]["outcomes"])}
    assert monitors({"every": "day", "outcomes": full}).outcomes == Outcomes(Uses("file"), "id")


def test_the_metrics_that_can_be_limited_are_those_of_gates() -> None:
    known = {*BINARY, *MULTICLASS, *REGRESSION} - {"bias"}
    assert set(outcome_metrics(schema("monitors")["properties"]["outcomes"]["properties"])) == known


@pytest.mark.parametrize(
    ("text", "code", "at", "says"),
    [
        ("every: dayly", "E106", "1:8", 'did you mean "day"?'),
        ("every: day\nmin_row: 9", "E101", "2:1", 'did you mean "min_rows"?'),
        ("every: day\nmin_rows: 1e12", "E106", "2:11", "≤ 1"),
        ("every: day\nmetrics: {}", "E105", "2:1", "gates.yaml"),
        ("every: day\nstage: prodution", "E222", "2:8", 'did you mean "production"?'),
        ('every: day\nschedule: "0 6 * *"', "E220", "2:11", "five fields"),
        ("every: day\nquality: {nulls: 3}", "E106", "2:18", "share between 0 and 1"),
        ("every: day\nquality: {freshness: 26}", "E104", "2:22", "such as 90m, 26h or 14d"),
        ("every: day\nquality: {constant: page}", "E106", "2:21", "off, warn or alert"),
        ("every: day\nquality: {freshness: 99999d}", "E106", "2:22", "ten years"),
        ("every: day\nlive: {time: at}", "E102", "2:1", 'no "uses"'),
        ('every: day\nlive: {uses: file, with: {path: "../x.csv"}}', "E223", "2:33", "out of the project"),
        ("every: day\nlive: {uses: file, with: {path: /etc/passwd}}", "E223", "2:33", "out of the project"),
        ("every: day\nlive: {uses: fle, with: {path: a}}", "E208", "2:14", 'did you mean "file"?'),
        ("every: day\nlive: {uses: file, with: {path: a}, time: churned}", "E215", "2:43", "is observed"),
        ("every: day\nlive: {uses: file, with: {path: a}, id: email}", "E205", "2:41", "personal"),
        ("every: day\nlive: {uses: file, with: {path: a}, id: at, time: at}", "E106", "2:41", "and so is"),
        ("every: day\ndrift: {features: {ignore: [plann]}}", "E204", "2:29", 'did you mean "plan"?'),
        ("every: day\ndrift: {features: {psi: 0.1, ks: 0.1}}", "E106", "2:30", "one statistic"),
        ("every: day\ndrift: {features: {psi: 0.1, limit: 0.1}}", "E106", "2:30", "is its limit already"),
        ("every: day\ndrift: {features: {psi: {warn: 0.3, alert: 0.2}}}", "E106", "2:32", "never only warns"),
        ("every: day\ndrift: {features: {chi2: {warn: 0.01, alert: 0.05}}}", "E106", "2:33", "never only warns"),
        ("every: day\ndrift: {features: {psi: {}}}", "E106", "2:25", "has no limit"),
        ("every: day\ndrift: {features: {ks: 1.5}}", "E106", "2:24", "never fires"),
        ("every: day\ndrift: {features: 1e300}", "E106", "2:19", "a mapping, a limit, or off"),
        ("every: day\ndrift: {confirm: 3 of 2}", "E106", "2:18", "2 of 3"),
        ("every: day\ndrift: {reference: [previos]}", "E106", "2:21", "training, previous"),
        ("every: day\ndrift: {reference: custmers@v3}", "E201", "2:20", 'did you mean "customers"?'),
        ("every: day\ndrift: {reference: [training, customers@v9]}", "E203", "2:31", "v3, v4"),
        ("every: day\ndrift: {reference: [customers@latest]}", "E203", "2:21", "floats"),
        ("every: day\noutcomes: {uses: file, with: {path: a}}", "E102", "2:1", 'no "join"'),
        ("every: day\noutcomes: {uses: file, with: {path: a}, join: churned}", "E215", "2:47", "is observed"),
        ("every: day\noutcomes: {uses: file, with: {path: a}, join: j, rmse: auto}", "E207", "2:50", "classification"),
        ("every: day\noutcomes: {uses: file, with: {path: a}, join: j, dealy: 3d}", "E101", "2:50", '"delay"?'),
        ("every: day\noutcomes: {uses: file, with: {path: a}, join: j, label: x}", "E101", "2:50", '"value"?'),
        ("every: day\noutcomes: {uses: file, with: {path: a}, join: j, roc_auc: {min: 80}}", "E106", "2:65", "80 %"),
        ("every: day\noutcomes: {uses: file, with: {path: a}, join: j, slices: [gendr]}", "E204", "2:59", '"gender"?'),
        ("every: day\noutcomes: {uses: file, with: {path: a}, join: j, slices: [email]}", "E205", "2:59", "personal"),
        ("every: day\nalert: {channels: [pager]}", "E225", "2:20", ".mlops/config.yaml"),
        ("every: day\nalert: {channels: pager}", "E225", "2:19", ".mlops/config.yaml"),
        ("every: day\nalert: {runbook: runbok.md}", "E213", "2:18", "models/churn/runbok.md"),
        ("every: day\nalert: {runbook: ../../x.md}", "E106", "2:18", "without `..`"),
        ("every: day\non_alert: [retran]", "E106", "2:12", 'did you mean "retrain"?'),
        ("every: day\non_alert: [retrain]", "W209", "2:12", "always withheld"),
        ("every: day\non_alert: {do: [rollback]}", "W209", "2:17", "always withheld"),
    ],
)
def test_one_fault_is_told_with_code_place_and_remedy(text: str, code: str, at: str, says: str) -> None:
    ((first, place, words),) = found(f"{text}\n")
    assert (first, place) == (code, at)
    assert says in words


def test_retraining_on_data_that_stays_is_told() -> None:
    text = "every: day\noutcomes: {uses: file, with: {path: a}, join: j}\non_alert: [retrain]\n"
    ((code, place, words),) = found(text)
    assert (code, place) == ("W209", "3:12")
    assert "brings nothing" in words
    assert not found(text, {DATA: SOUND[DATA].replace("@v4", "@latest")})


def test_rows_need_a_time_and_an_id_from_somewhere() -> None:
    bare = SOUND["datasets/customers/dataset.yaml"].replace("key: id\ntime: signup\n", "")
    text = "every: day\nlive: {uses: file, with: {path: a}}\noutcomes: {uses: file, with: {path: b}, join: j}\n"
    told = [item for item in found(text, {"datasets/customers/dataset.yaml": bare}) if item[0] == "E102"]
    assert [place for _, place, _ in told] == ["2:7", "2:7"]
    assert not found(text)


def test_a_reference_must_have_what_the_model_learns_from() -> None:
    older = SOUND["datasets/customers/versions/v3.yaml"].replace("  plan: {kind: string, nulls: 0, distinct: 3}\n", "")
    changes: dict[str, str | None] = {"datasets/customers/versions/v3.yaml": older}
    ((code, place, words),) = found("every: day\ndrift: {reference: [customers@v3]}\n", changes)
    assert (code, place) == ("E204", "2:21")
    assert '"plan"' in words


def test_a_version_that_is_named_by_its_time_is_looked_up_by_a_plan() -> None:
    assert not found("every: day\ndrift: {reference: [customers@2026-11-24]}\n")


def test_channels_are_those_of_the_configuration() -> None:
    pager = "channels: {pager: {uses: file, with: {path: alerts.jsonl}}}\n"
    changes: dict[str, str | None] = {".mlops/config.yaml": f"{CONFIG}{pager}"}
    assert not found("every: day\nalert: {channels: [pager]}\n", changes)
    ((code, place, words),) = found("every: day\nalert: {channels: [pager, pagr]}\n", changes)
    assert (code, place) == ("E225", "2:27")
    assert 'did you mean "pager"?' in words


def test_monitors_lie_over_those_of_a_profile() -> None:
    below = "every: day\nquality: {nulls: 0.3, mode: off}\ndrift: {features: {ignore: [usage, tier]}}\n"
    own = (
        "outcomes: {uses: file, with: {path: a}, join: j}\nquality: {mode: null}\ndrift: {features: {ignore: [plan]}}\n"
    )
    profile = {
        f"{PROFILE}/monitors.yaml": below,
        MODEL: f"profile: tabular\n{SOUND[MODEL]}",
    }
    model = churn(own, **profile)
    value = model.monitors
    assert value is not None
    assert value.drift.features is not None
    assert (value.every, value.quality.nulls, value.quality.mode) == (Every.DAY, 0.3, Level.WARN)
    assert value.drift.features.ignore == ("plan",)
    assert value.declared == {
        "every": "day",
        "quality": {"nulls": 0.3},
        "drift": {"features": {"ignore": ["plan"]}},
        "outcomes": {"uses": "file", "with": {"path": "a"}, "join": "j"},
    }
    assert str(model.place("monitors", "every")) == f"{PROFILE}/monitors.yaml:1:8"
    assert churn(None, **profile).monitors == monitors(parse(below.encode(), "").value)
    faults = loaded({**profile, f"{PROFILE}/monitors.yaml": "every: dy\n"}).problems
    assert [str(item.place) for item in faults] == [f"{PROFILE}/monitors.yaml:1:8"]


def test_each_value_is_explained_with_its_place_or_as_a_default() -> None:
    spec = loaded({MONITORS: WATCHED, **RUNBOOK}).spec
    model = spec.models["churn"]
    items = [
        item
        for item in explain(model, spec.datasets["customers"], spec.resolve(model.dataset))
        if item.kind == "monitors"
    ]
    told = {item.key: item for item in items}
    assert len(told) == len(items)
    assert str(told["outcomes.delay"].place) == f"{MONITORS}:21:10"
    assert (told["stage"].value, told["stage"].note) == ("production", "default")
    assert (told["drift.features.limit"].value, told["quality.constant"].value) == ("auto", "alert")
    assert all(item.place or item.note for item in items)


@given(st.data())
def test_nothing_that_the_file_holds_raises(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(WATCHED)))
    end = data.draw(st.integers(start, min(len(WATCHED), start + 12)))
    middle = data.draw(st.text(alphabet="ab:-{}[],&*!'\"# \n1.~é@d", max_size=8))
    for problem in loaded({MONITORS: WATCHED[:start] + middle + WATCHED[end:], **RUNBOOK}).problems:
        assert problem.message
        assert problem.code
        assert problem.severity is Severity.ERROR or problem.code.startswith("W")
