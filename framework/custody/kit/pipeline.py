"""`prepare:` as steps: scikit-learn's Pipeline and ColumnTransformer, unfitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from custody.core.preparation import selected
from custody.kit.tabular import tabular

Make = Callable[[str, Mapping[str, Any]], Any]
"""Makes the estimator `sklearn.<Class>` with its parameters."""


def pipeline(features: Sequence[str], kinds: Sequence[str], steps: Sequence[Mapping[str, Any]], make: Make) -> Any:
    """Return the transformer that the normal form `steps` describes; see `custody.core.preparation`."""
    from sklearn.pipeline import Pipeline

    return Pipeline([(f"step{place}", _step(features, kinds, step, make)) for place, step in enumerate(steps, 1)])


def _step(features: Sequence[str], kinds: Sequence[str], step: Mapping[str, Any], make: Make) -> Any:
    if "columns" in step:
        return _by_column(features, kinds, step, make)
    params = step.get("with", {})
    return tabular(kinds, params) if step["uses"] == "tabular" else _dense(make(step["uses"], params), params)


def _by_column(features: Sequence[str], kinds: Sequence[str], step: Mapping[str, Any], make: Make) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    parts: list[tuple[str, Any, list[int]]] = []
    for name, columns in selected(step["columns"], dict(zip(features, kinds, strict=True))).items():
        inner = [
            (f"step{place}", _dense(make(item["uses"], item.get("with", {})), item.get("with", {})))
            for place, item in enumerate(step["columns"][name], 1)
        ]
        places = [place for place, feature in enumerate(features) if feature in columns]
        if places:
            # scikit-learn keeps two underscores for itself
            parts.append((f"{len(parts) + 1}-{name.replace('__', '_')}", Pipeline(inner), places))
    rest = "passthrough" if step.get("rest") == "keep" else "drop"
    return ColumnTransformer(parts, remainder=rest, sparse_threshold=0)


def _dense(transformer: Any, params: Mapping[str, Any]) -> Any:
    """Have an encoder make arrays, unless it was told otherwise: not every estimator takes sparse matrices."""
    if "sparse_output" in transformer.get_params(deep=False) and "sparse_output" not in params:
        transformer.set_params(sparse_output=False)
    return transformer
