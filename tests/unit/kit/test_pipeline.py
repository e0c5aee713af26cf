"""`prepare:` as steps: what is fitted, and that it is stored as the same bytes each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from custody.content import artifact
from custody.core.preparation import steps_of
from custody.kit.training import PrepareContext, TrainingError, fit_transformer
from custody.kit.usercode import UserCode
from custody.spec.estimators import locate

FEATURES, KINDS = ("income", "member", "job", "since"), ("number", "boolean", "text", "date")
VALUES = np.array(
    [[1.0, 0.0, "clerk", 10.0], [np.nan, 1.0, "nurse", 20.0], [3.0, 1.0, None, 30.0], [5.0, 0.0, "clerk", 40.0]], object
)
CODE = UserCode("risk", None, "models/risk")
STEPS = {
    "columns": {
        "number": [{"uses": "sklearn.SimpleImputer", "with": {"strategy": "mean"}}, "sklearn.StandardScaler"],
        "job": "sklearn.OneHotEncoder",
        "category": "sklearn.OrdinalEncoder",
    },
    "rest": "drop",
}


def fitted(prepare: Any, values: Any = VALUES) -> Any:
    steps = steps_of(prepare)
    names = [name for name in str(steps).split("'") if name.startswith("sklearn.")]
    located = {name: locate(name) for name in names}
    context = PrepareContext(FEATURES, KINDS, 3, "classification", "y")
    labels = np.array([0, 1, 0, 1])
    return fit_transformer("pipeline", {"steps": steps}, context, (values, labels), CODE, located)


def test_each_column_gets_its_steps() -> None:
    made = fitted(STEPS).transform(VALUES).astype(float)
    # income, three jobs (none is one), member; since has no step
    assert made.shape == (4, 5)
    assert made[1, 0] == pytest.approx(0.0)
    assert made[:, 1:4].sum(axis=1).tolist() == [1, 1, 1, 1]
    assert made[:, 4].tolist() == [0, 1, 1, 0]


def test_columns_that_are_kept_pass_through() -> None:
    made = fitted({"columns": {"category": "sklearn.OrdinalEncoder"}, "rest": "keep"}).transform(VALUES)
    assert made[:, -1].tolist() == [10.0, 20.0, 30.0, 40.0]


def test_steps_follow_each_other_and_get_the_seed() -> None:
    transformer = fitted(["tabular", {"uses": "sklearn.TruncatedSVD", "with": {"n_components": 2}}])
    assert transformer.transform(VALUES).shape == (4, 2)
    assert transformer.named_steps["step2"].random_state == 3


@pytest.mark.parametrize("prepare", [STEPS, ["tabular", "sklearn.PCA"]])
def test_the_stored_bytes_are_the_same_each_time_and_load_again(prepare: Any) -> None:
    first, second = (artifact.dump(fitted(prepare), {}) for _ in range(2))
    assert first == second
    loaded = artifact.load(first, digest=artifact_digest(first), trusted_modules=())
    assert np.array_equal(loaded.estimator.transform(VALUES), fitted(prepare).transform(VALUES))


def artifact_digest(data: bytes) -> str:
    from custody.digest import sha256

    return sha256(data)


def test_what_cannot_be_fitted_names_the_column() -> None:
    with pytest.raises(TrainingError, match="column job, 3 of 4 rows"):
        fitted(["sklearn.StandardScaler"])
