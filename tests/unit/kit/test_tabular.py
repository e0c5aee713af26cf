"""The built-in preparation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from custody.errors import ContractError
from custody.kit.frame import kinds_of, matrix
from custody.kit.tabular import tabular

TABLE = pa.table(
    {
        "n": [1.0, 2.0, None, 4.0, 100.0, 6.0],
        "t": ["a", "b", None, "a", "a", "c"],
        "f": [True, False, None, True, True, False],
    }
)
FEATURES = ("n", "t", "f")


def fitted(
    features: tuple[str, ...] = FEATURES, table: pa.Table = TABLE, **params: object
) -> tuple[object, np.ndarray]:
    values = matrix(table, features)
    made = tabular(kinds_of(table, features), params).fit(values)
    return made, np.asarray(made.transform(values), dtype=float)


def test_numbers_are_imputed_and_scaled_texts_and_booleans_are_encoded() -> None:
    made, values = fitted()
    names = made.get_feature_names_out(np.array(FEATURES, dtype=object)).tolist()
    assert [name.split("__")[1] for name in names] == [
        "n",
        "f_-1.0",
        "f_0.0",
        "f_1.0",
        "t_(missing)",
        "t_a",
        "t_b",
        "t_c",
    ]
    assert abs(values[:, 0].mean()) < 1e-12
    assert values[2, 1:].tolist() == [1, 0, 0, 1, 0, 0, 0]
    assert not np.isnan(values).any()


@pytest.mark.parametrize(
    ("params", "imputed"),
    [
        ({"impute": "median"}, 4.0),
        ({"impute": "mean"}, 22.6),
        ({"impute": "most_frequent"}, 1.0),
        ({"impute": "none"}, None),
    ],
)
@pytest.mark.parametrize("features", [("n",), ("n", "t")])
def test_imputation(params: dict[str, object], imputed: float | None, features: tuple[str, ...]) -> None:
    _, values = fitted(features, scale=False, **params)
    assert np.isnan(values[2, 0]) if imputed is None else values[2, 0] == pytest.approx(imputed)
    assert values[0, 0] == 1.0


def test_ordinal_codes() -> None:
    made, values = fitted(("t", "f"), encode="ordinal")
    assert values.shape == (6, 2)
    assert values.tolist() == [[1, 1], [0, 2], [-1, 0], [1, 1], [1, 1], [0, 3]]
    other = np.array([["new", 1.0]], dtype=object)
    assert made.transform(other)[0, 1] == -1


def test_rare_and_too_many_texts_become_one() -> None:
    table = pa.table({"t": ["a"] * 50 + ["b"] * 40 + list("cdefghijkl")})
    _, few = fitted(("t",), table, max_categories=3)
    _, rare = fitted(("t",), table, rare=0.05)
    assert few.shape == rare.shape == (100, 3)
    assert fitted(("t",), table)[1].shape == (100, 12)


def test_a_text_never_seen_is_no_error() -> None:
    made, _ = fitted()
    assert (
        np.isfinite(np.asarray(made.transform(np.array([[None, "zzz", np.nan]], dtype=object)), dtype=float)).sum() >= 7
    )


def test_a_column_of_nulls_keeps_its_place() -> None:
    table = pa.table({"n": pa.nulls(4, pa.float64()), "m": [1.0, 2.0, 3.0, 4.0]})
    assert fitted(("n", "m"), table)[1].shape == (4, 2)


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(ContractError, match="no parameter imputer; it has impute, scale"):
        tabular(("number",), {"imputer": "mean"})
