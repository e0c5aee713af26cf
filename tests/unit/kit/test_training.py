"""Fitting transformers and estimators."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from custody.kit.training import (
    PrepareContext,
    TrainContext,
    TrainingError,
    column_names,
    fit_model,
    fit_transformer,
    transform,
)
from custody.kit.usercode import UserCode, UserCodeError

NONE = UserCode("demo", None, "models/demo")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
LABELS = X[:, 0] > 0
FEATURES = ("a", "b", "c")


def context(values: np.ndarray = X, labels: np.ndarray = LABELS, task: str = "classification") -> TrainContext:
    classes = () if task == "regression" else tuple(np.unique(labels).tolist())
    return TrainContext(values, labels, 7, task, classes, FEATURES, FEATURES)


def train(place: str, params: dict[str, object] | None = None, **more: object) -> object:
    name = f"sklearn.{place.partition(':')[2]}"
    return fit_model(name, params or {}, place, context(**more), "passthrough", NONE).pipeline


def prepare(values: np.ndarray, uses: str = "tabular", code: UserCode = NONE, **params: object) -> object:
    kinds = ("text" if values.dtype == object else "number",) * values.shape[1]
    given = PrepareContext(FEATURES[: values.shape[1]], kinds, 7, "classification", "y")
    return fit_transformer(uses, params, given, (values, LABELS[: len(values)]), code)


def own(folder: Path, text: str) -> UserCode:
    home = folder / "models/demo"
    home.mkdir(parents=True)
    head = "from sklearn.linear_model import *\nfrom sklearn.preprocessing import *\nfrom sklearn.ensemble import *\n"
    (home / "steps.py").write_text(f"{head}from sklearn.base import *\nimport numpy as np\n{text}\n")
    return UserCode("demo", folder, "models/demo")


def test_what_is_random_gets_the_seed_and_one_job() -> None:
    model = train("sklearn.ensemble:RandomForestClassifier", {"n_estimators": 3}).named_steps["model"]
    assert (model.random_state, model.n_jobs) == (7, 1)
    chosen = train("sklearn.ensemble:RandomForestClassifier", {"n_estimators": 3, "random_state": 1, "n_jobs": 2})
    assert (chosen.named_steps["model"].random_state, chosen.named_steps["model"].n_jobs) == (1, 2)


CLASSIFIERS = [
    "sklearn.linear_model:LogisticRegression",
    "sklearn.linear_model:SGDClassifier",
    "sklearn.ensemble:HistGradientBoostingClassifier",
    "sklearn.ensemble:GradientBoostingClassifier",
    "sklearn.neighbors:KNeighborsClassifier",
    "sklearn.neural_network:MLPClassifier",
    "sklearn.naive_bayes:GaussianNB",
    "sklearn.svm:SVC",
    "sklearn.svm:LinearSVC",
    "sklearn.discriminant_analysis:LinearDiscriminantAnalysis",
]


@pytest.mark.parametrize("place", CLASSIFIERS)
@pytest.mark.parametrize("names", [(False, True), ("no", "yes"), (3, 5)])
def test_labels_of_every_type_are_learnt(place: str, names: tuple[object, object]) -> None:
    labels = np.array(names)[LABELS.astype(int)]
    params = {"max_iter": 10} if "MLP" in place or "HistGradient" in place else {}
    predicted = train(place, params, labels=labels).predict(X)
    assert set(predicted.tolist()) <= set(names)
    if "MLP" not in place:
        assert (predicted == labels).mean() > 0.8


def test_class_weights_are_by_label() -> None:
    params = {"class_weight": {"true": 5, "false": 1}}
    model = train("sklearn.linear_model:LogisticRegression", params).named_steps["model"]
    assert model.class_weight == {True: 5, False: 1}
    assert train("sklearn.linear_model:LogisticRegression", {"class_weight": "balanced"})
    with pytest.raises(TrainingError, match="class_weight names maybe; the classes are false, true"):
        train("sklearn.linear_model:LogisticRegression", {"class_weight": {"maybe": 1}})


def test_missing_and_infinite_values_are_named() -> None:
    holes = X.copy()
    holes[:11, 1] = np.nan
    holes[3, 2] = np.nan
    said = r"LogisticRegression: input contains NaN \(column b, 11 of 120 rows; column c, 1 of 120 rows\)"
    with pytest.raises(TrainingError, match=said):
        train("sklearn.linear_model:LogisticRegression", values=holes)
    holes[:, :] = 1.0
    holes[5, 0] = np.inf
    with pytest.raises(TrainingError, match=r"input contains infinity \(column a, 1 of 120 rows\)"):
        train("sklearn.linear_model:LogisticRegression", values=holes)


def test_texts_where_numbers_are_needed_are_named() -> None:
    values = X.astype(object)
    values[:, 1] = "x"
    with pytest.raises(TrainingError, match=r"input contains text, it needs numbers \(column b, 120 of 120 rows\)"):
        train("sklearn.linear_model:LogisticRegression", values=values)


@pytest.mark.parametrize(
    ("place", "params", "said"),
    [
        ("sklearn.linear_model:LogisticRegression", {"C": -1}, "The 'C' parameter of LogisticRegression must be"),
        ("sklearn.linear_model:LogisticRegression", {"Q": 1}, "LogisticRegression: .*unexpected keyword argument 'Q'"),
        ("sklearn.linear_model:Gone", {}, "has no Gone in sklearn.linear_model"),
        ("sklearn.linear_model:Ridge", {}, "Ridge is a regressor, the task is a classification"),
        (
            "sklearn.preprocessing:StandardScaler",
            {},
            r"StandardScaler, not a scikit-learn estimator: it has no predict",
        ),
        ("os:system", {}, "os:system is no scikit-learn estimator"),
        ("", {}, "nothing is no scikit-learn estimator"),
    ],
)
def test_what_is_wrong_is_one_line(place: str, params: dict[str, object], said: str) -> None:
    with pytest.raises(TrainingError, match=said) as caught:
        train(place, params)
    assert "\n" not in caught.value.message


def test_warnings_of_convergence_are_told() -> None:
    place = "sklearn.neural_network:MLPClassifier"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = fit_model("sklearn.MLPClassifier", {"max_iter": 2}, place, context(), "passthrough", NONE)
    assert "converged yet" in made.warnings[0]


OWN_TRAINERS = {
    "an unfitted one": "def f(ctx, C): return LogisticRegression(C=C)",
    "a fitted one": "def f(ctx, C): return LogisticRegression(C=C).fit(ctx.X, ctx.y)",
    "a search": "from sklearn.model_selection import GridSearchCV\n"
    "def f(ctx, C): return GridSearchCV(LogisticRegression(), {'C': [C]}).fit(ctx.X, ctx.y)",
}


@pytest.mark.parametrize("what", OWN_TRAINERS)
def test_own_functions_may_return(tmp_path: Path, what: str) -> None:
    code = own(tmp_path, OWN_TRAINERS[what])
    with code.importable():
        pipeline = fit_model("./steps.py:f", {"C": 0.5}, None, context(), "passthrough", code).pipeline
    model = pipeline.named_steps["model"]
    assert (type(model).__name__, model.C) == ("LogisticRegression", 0.5)
    assert (pipeline.predict(X) == LABELS).mean() > 0.9


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(ctx): return 3", "returned int, not a scikit-learn estimator: it has no fit"),
        ("def f(ctx): return LogisticRegression", "returned the class LogisticRegression.*: call it"),
        (
            "class M:\n  def fit(s, X, y): return s\n  def predict(s, X): return X\ndef f(ctx): return M()",
            "BaseEstimator",
        ),
        ("def f(ctx): return None", "returned NoneType"),
    ],
)
def test_what_is_no_estimator_is_refused(tmp_path: Path, text: str, said: str) -> None:
    code = own(tmp_path, text)
    with code.importable(), pytest.raises(TrainingError, match=said):
        fit_model("./steps.py:f", {}, None, context(), "passthrough", code)


def test_a_fault_in_an_own_class_names_its_line(tmp_path: Path) -> None:
    text = (
        "class T(TransformerMixin, BaseEstimator):\n  def transform(self, X): return X\n"
        "  def fit(self, X, y=None):\n    return 1 / 0\ndef f(ctx): return T()"
    )
    code = own(tmp_path, text)
    with code.importable(), pytest.raises(UserCodeError, match=r"models/demo/steps\.py:9: ZeroDivisionError"):
        prepare(X, "./steps.py:f", code)


def test_own_preparation_is_fitted_by_custody_and_seeded(tmp_path: Path) -> None:
    code = own(tmp_path, "def f(ctx, width): return QuantileTransformer(n_quantiles=width)")
    with code.importable():
        made = prepare(X, "./steps.py:f", code, width=5)
    assert made.random_state == 7
    assert made.quantiles_.shape == (5, 3)


def test_a_transformer_must_keep_every_row(tmp_path: Path) -> None:
    text = (
        "class T(TransformerMixin, BaseEstimator):\n  def fit(self, X, y=None): return self\n"
        "  def transform(self, X): return X[1:]\ndef f(ctx): return T()"
    )
    code = own(tmp_path, text)
    with code.importable(), pytest.raises(TrainingError, match=r"made \(119, 3\) of 120 rows"):
        transform(prepare(X, "./steps.py:f", code), X, FEATURES, code)


def test_prepared_columns_have_names() -> None:
    made = prepare(X)
    assert column_names(made, FEATURES, 3) == FEATURES
    assert column_names(object(), FEATURES, 2) == ("#1", "#2")
    with pytest.raises(TrainingError, match="prepare knows no 'magic'"):
        prepare(X, "magic")
