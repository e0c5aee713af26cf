"""The built-in `prepare: tabular`: impute, encode and scale columns by their kind. Built unfitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from custody.errors import ContractError
from custody.kit.frame import BOOLEAN, TEXT

PARAMS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "impute": {"enum": ["median", "mean", "most_frequent", "none"], "default": "median"},
        "scale": {"type": "boolean", "default": True},
        "encode": {"enum": ["onehot", "ordinal"], "default": "onehot"},
        "max_categories": {"type": "integer", "minimum": 2, "default": 50},
        "rare": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    },
}
"""`impute`: how null numbers are filled; `none` leaves them to the estimator. `max_categories`: the most a text column
is encoded as, the rarest in one; `rare`: the share of training rows below which a text is one of the rare."""

MISSING = "(missing)"
"""The category that null texts are."""
_DEFAULTS = {name: rule["default"] for name, rule in PARAMS["properties"].items() if "default" in rule}


def tabular(kinds: Sequence[str], params: Mapping[str, Any]) -> Any:
    """Return an unfitted ColumnTransformer for columns of `kinds`; raises ContractError for unknown parameters."""
    from sklearn.compose import ColumnTransformer

    unknown = sorted(set(params) - set(PARAMS["properties"]))
    if unknown:
        known = ", ".join(PARAMS["properties"])
        raise ContractError(f"tabular has no parameter {unknown[0]}; it has {known}")
    chosen = {**_DEFAULTS, **params}
    texts = [place for place, kind in enumerate(kinds) if kind == TEXT]
    booleans = [place for place, kind in enumerate(kinds) if kind == BOOLEAN]
    numbers = [place for place, kind in enumerate(kinds) if kind not in {TEXT, BOOLEAN}]
    parts = [
        ("numbers", _numbers(chosen), numbers),
        ("booleans", _booleans(chosen), booleans),
        ("texts", _texts(chosen), texts),
    ]
    return ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0)


def _numbers(params: Mapping[str, Any]) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    steps: list[tuple[str, Any]] = []
    if params["impute"] != "none":
        steps.append(("impute", SimpleImputer(strategy=params["impute"], keep_empty_features=True)))
    if params["scale"]:
        steps.append(("scale", StandardScaler()))
    return Pipeline(steps) if steps else "passthrough"


def _booleans(params: Mapping[str, Any]) -> Any:
    """A null is a category of its own, if there was one in training."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    fill = SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True)
    if params["encode"] == "ordinal":
        return fill
    return Pipeline([("fill", fill), ("encode", OneHotEncoder(handle_unknown="ignore", sparse_output=False))])


def _texts(params: Mapping[str, Any]) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    limits = {"max_categories": params["max_categories"], "min_frequency": params.get("rare")}
    encode = (
        OneHotEncoder(handle_unknown="infrequent_if_exist", sparse_output=False, **limits)
        if params["encode"] == "onehot"
        else OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **limits)
    )
    fill = SimpleImputer(missing_values=None, strategy="constant", fill_value=MISSING, keep_empty_features=True)
    return Pipeline([("fill", fill), ("encode", encode)])
