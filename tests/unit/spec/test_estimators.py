"""What is read from scikit-learn's source, held against scikit-learn itself."""

from __future__ import annotations

import inspect
import subprocess
import sys
from functools import cache
from importlib import import_module

import pytest
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import all_estimators
from sklearn.utils._param_validation import make_constraint

from custody.domain.spec import Task
from custody.spec.estimators import known, locate, tasks
from custody.spec.parameters import parameters
from custody.spec.sources import find
from tests.unit.spec.project import loaded

PIPELINE = "models/churn/pipeline.yaml"
VALUES = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    300,
    0.0,
    1.0,
    0.5,
    -0.5,
    3.7,
    "gini",
    "auto",
    "nonsense",
    "balanced",
    "l2",
    [1, 2],
)


@cache
def estimators() -> dict[str, type]:
    return {name: cls for kind in ("classifier", "regressor") for name, cls in all_estimators(kind)}


def test_every_estimator_is_located_where_it_can_be_imported():
    for name, cls in estimators().items():
        module, _, attribute = (locate(f"sklearn.{name}") or ":").partition(":")
        assert getattr(import_module(module), attribute) is cls
        assert not any(part.startswith("_") for part in module.split("."))


def test_tasks_are_those_of_the_classes():
    for name, cls in estimators().items():
        expected = {Task.CLASSIFICATION} if issubclass(cls, ClassifierMixin) else set()
        expected |= {Task.REGRESSION} if issubclass(cls, RegressorMixin) else set()
        assert tasks(f"sklearn.{name}") == expected, name


def test_parameters_are_those_of_the_signature():
    for name, cls in estimators().items():
        module, source = find(name) or ("", "")
        declared = parameters(source, name)
        assert declared is not None, (module, name)
        signature = list(inspect.signature(cls).parameters.values())
        assert list(declared) == [item.name for item in signature], name
        assert [item.required for item in declared.values()] == [item.default is item.empty for item in signature], name


def test_no_value_is_refused_that_scikit_learn_takes_and_few_are_taken_that_it_refuses():
    lenient = checked = 0
    for name, cls in estimators().items():
        declared = parameters((find(name) or ("", ""))[1], name) or {}
        for key, constraints in getattr(cls, "_parameter_constraints", {}).items():
            if constraints == "no_validation" or key not in declared:
                continue
            real = [make_constraint(item) for item in constraints]
            for value in VALUES:
                takes = any(item.is_satisfied_by(value) for item in real)
                accepts = declared[key].accepts(value)
                # to scikit-learn true is the number 1; in a spec it is a mistake
                assert accepts or not takes or isinstance(value, bool), (name, key, value, declared[key].expected)
                checked += 1
                lenient += accepts and not takes
    assert checked > 10_000
    assert lenient / checked < 0.05


def told(with_: str, uses: str = "sklearn.HistGradientBoostingClassifier") -> list[tuple[str, str, str]]:
    text = f"train:\n  uses: {uses}\n  with: {with_}\nseed: 7\n"
    return [
        (item.code, str(item.place).removeprefix(f"{PIPELINE}:"), " ".join((item.message, *item.help)))
        for item in loaded({PIPELINE: text}).problems
    ]


@pytest.mark.parametrize(
    ("with_", "code", "at", "says"),
    [
        ("{max_dept: 4}", "E101", "3:10", 'did you mean "max_depth"?'),
        ("{max_depth: eight}", "E104", "3:21", 'is "eight", expected an integer ≥ 1 or null'),
        ("{max_depth: 0}", "E106", "3:21", "expected an integer ≥ 1 or null"),
        ("{max_depth: true}", "E104", "3:21", "is true"),
        ("{learning_rate: -1}", "E106", "3:25", "is -1, expected a number > 0"),
        ("{loss: log_los}", "E106", "3:16", 'did you mean "log_loss"?'),
        ("{max_bins: 256}", "E106", "3:20", "≥ 2 and ≤ 255"),
    ],
)
def test_a_wrong_parameter_is_told_in_its_place(with_, code, at, says):
    ((found_code, found_at, message),) = told(with_)
    assert (found_code, found_at) == (code, at)
    assert says in message


def test_open_and_closed_ends_of_ranges_are_kept_apart():
    assert [code for code, *_ in told("{validation_fraction: 1.0}")] == ["E106"]
    assert told("{max_features: 1.0}") == []


def test_all_wrong_parameters_are_told_at_once():
    assert [code for code, *_ in told("{max_dept: 4, learning_rate: -1, max_iter: x}")] == ["E101", "E106", "E104"]


@pytest.mark.parametrize(
    ("uses", "code", "says"),
    [
        ("sklearn.HistGradientBostingClassifier", "E208", 'did you mean "sklearn.HistGradientBoostingClassifier"?'),
        ("sklearn.hist_gradient_boosting", "E208", "HistGradientBoostingClassifier"),
        ("sklearn.ensemble.RandomForestClassifier", "E208", "use sklearn.RandomForestClassifier"),
        ("sklearn.RandomForestRegressor", "E212", "use sklearn.RandomForestClassifier"),
        ("sklearn.SVR", "E212", "use sklearn.SVC"),
        ("sklearn.StandardScaler", "E212", "neither classifies"),
        ("sklearn.StackingClassifier", "E208", 'needs the parameter "estimators"'),
    ],
)
def test_an_estimator_that_does_not_fit_is_told(uses, code, says):
    ((found_code, at, message),) = told("{}", uses)
    assert (found_code, at) == (code, "2:9")
    assert says in message


def test_estimators_are_known_by_task():
    assert "sklearn.Ridge" in known(Task.REGRESSION)
    assert "sklearn.Ridge" not in known(Task.CLASSIFICATION)
    assert locate("sklearn.Nothing") is None
    assert locate("SVC") is None


def test_loading_imports_none_of_the_heavy_libraries():
    code = """
import sys
from tests.unit.spec.project import loaded
assert not loaded().problems
heavy = {"sklearn", "numpy", "scipy", "pandas", "pyarrow", "prefect", "duckdb", "jsonschema", "jinja2"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
