"""Fitting: the transformer on the training rows, then the estimator on what it makes of them.

scikit-learn's estimators are named by class and need no wrapper; own functions get a context and return an estimator,
fitted or not. What is random gets the spec's seed.
"""

from __future__ import annotations

import importlib
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custody.core.preparation import PIPELINE
from custody.errors import CustodyError
from custody.kit.frame import text_of
from custody.kit.pipeline import pipeline
from custody.kit.tabular import tabular
from custody.kit.usercode import UserCode

_SHOWN = 3


class TrainingError(CustodyError):
    """The model cannot be fitted with these parameters on these data."""


@dataclass(frozen=True, slots=True)
class PrepareContext:
    """What an own `prepare(ctx, **with)` gets: it returns an unfitted transformer, and custody fits it."""

    features: tuple[str, ...]
    kinds: tuple[str, ...]
    """`number`, `boolean`, `text`, `date` (days since 1970) or `timestamp` (seconds since 1970), a feature each."""
    seed: int
    task: str
    target: str


@dataclass(frozen=True, slots=True)
class TrainContext:
    """What an own `train(ctx, **with)` gets: `X` is prepared, and `columns` names its columns where that is known."""

    X: NDArray[Any]
    y: NDArray[Any]
    seed: int
    task: str
    classes: tuple[Any, ...]
    features: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted pipeline of transformer and estimator, and what its fitting warned about."""

    pipeline: Any
    warnings: tuple[str, ...] = ()


def fit_transformer(
    uses: str,
    params: Mapping[str, Any],
    context: PrepareContext,
    data: tuple[NDArray[Any], NDArray[Any]],
    code: UserCode,
    located: Mapping[str, str | None] = MappingProxyType({}),
) -> Any:
    """Return the transformer that `uses` makes, fitted on `data`, the features and target of the training rows.

    `located` maps `sklearn.<Class>` to `module:Class`. Raises TrainingError or UserCodeError in one line.
    """
    if ":" in uses:
        transformer = code.call(code.function(uses), context, **params)
        _require(transformer, ("fit", "transform"), f"{uses} returned", "a scikit-learn transformer")
    elif uses == "tabular":
        transformer = tabular(context.kinds, params)
    elif uses == PIPELINE:
        make = lambda name, with_: _construct(located.get(name) or "", with_)  # noqa: E731
        transformer = pipeline(context.features, context.kinds, params["steps"], make)
    else:
        raise TrainingError(f"prepare knows no {uses!r}: it is tabular, steps or a function, ./file.py:function")
    from sklearn.base import clone

    transformer = clone(transformer) if ":" in uses else transformer
    _seed(transformer, context.seed)
    features, target = data
    _guarded(lambda: transformer.fit(features, target), features, context.features, transformer, code)
    return transformer


def fit_model(
    uses: str,
    params: Mapping[str, Any],
    estimator: str | None,
    context: TrainContext,
    transformer: Any,
    code: UserCode,
) -> Fitted:
    """Return the pipeline of `transformer` and the estimator that `uses` names, fitted on the context's rows.

    `estimator` is the `module:Class` of a scikit-learn estimator. Raises TrainingError or UserCodeError in one line.
    """
    if ":" in uses:
        model = code.call(code.function(uses), context, **params)
        origin = f"{uses} returned"
    else:
        model = _sklearn(estimator or "", params, context)
        origin = f"{uses} is"
    _require(model, ("fit", "predict"), origin, "a scikit-learn estimator")
    _check_task(model, context.task)
    seen: tuple[str, ...] = ()
    if not _is_fitted(model):
        _seed(model, context.seed)
        seen = _guarded(lambda: model.fit(context.X, context.y), context.X, context.columns, model, code)
    from sklearn.pipeline import Pipeline

    return Fitted(Pipeline([("prepare", transformer), ("model", getattr(model, "best_estimator_", model))]), seen)


def transform(transformer: Any, values: NDArray[Any], features: Sequence[str], code: UserCode) -> NDArray[Any]:
    """Return the prepared features; raises TrainingError where the transformer changes the number of rows."""
    made: list[Any] = []
    _guarded(lambda: made.append(transformer.transform(values)), values, features, transformer, code)
    shape = getattr(made[0], "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != len(values):  # noqa: PLR2004
        message = (
            f"the transformer made {shape or type(made[0]).__name__} of {len(values):,} rows: it must keep every row"
        )
        raise TrainingError(message)
    return made[0]  # type: ignore[no-any-return]


def column_names(transformer: Any, features: Sequence[str], width: int) -> tuple[str, ...]:
    """Return the names of the prepared columns, or their numbers where the transformer names none."""
    try:
        names = [str(name) for name in transformer.get_feature_names_out(np.array(features, dtype=object))]
    except (AttributeError, ValueError, TypeError):
        names = []
    if len(names) == width:
        return tuple(name.rpartition("__")[2] or name for name in names)
    return tuple(features) if len(features) == width else tuple(f"#{place + 1}" for place in range(width))


def _sklearn(place: str, params: Mapping[str, Any], context: TrainContext) -> Any:
    model = _construct(place, _for_python(params, context.classes))
    if "n_jobs" in model.get_params() and "n_jobs" not in params:
        model.set_params(n_jobs=1)
    return model


def _construct(place: str, params: Mapping[str, Any]) -> Any:
    """Return the estimator of the class at `place`, `module:Class`, with these parameters."""
    module, _, name = place.partition(":")
    if module.partition(".")[0] != "sklearn":
        raise TrainingError(f"{place or 'nothing'} is no scikit-learn estimator")
    try:
        return getattr(importlib.import_module(module), name)(**params)
    except (ImportError, AttributeError) as error:
        raise TrainingError(f"this scikit-learn has no {name} in {module}") from error
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{name}: {_line(error)}") from error


def _for_python(params: Mapping[str, Any], classes: Sequence[Any]) -> dict[str, Any]:
    """Return `params` with the keys of `class_weight`, which JSON made texts, as the labels that they are."""
    weights = params.get("class_weight")
    if not isinstance(weights, Mapping):
        return dict(params)
    labels = {text_of(label): label for label in classes}
    unknown = [str(name) for name in weights if str(name) not in labels]
    if unknown:
        raise TrainingError(f"class_weight names {unknown[0]}; the classes are {', '.join(labels)}")
    return {**params, "class_weight": {labels[str(name)]: weight for name, weight in weights.items()}}


def _require(value: Any, methods: Sequence[str], origin: str, wanted: str) -> None:
    from sklearn.base import BaseEstimator

    missing = [name for name in methods if not callable(getattr(value, name, None))]
    if isinstance(value, type):
        raise TrainingError(f"{origin} the class {value.__name__}, not {wanted}: call it")
    if missing or not isinstance(value, BaseEstimator):
        why = f"it has no {missing[0]}()" if missing else "it does not inherit from sklearn.base.BaseEstimator"
        raise TrainingError(f"{origin} {type(value).__name__}, not {wanted}: {why}")


def _check_task(model: Any, task: str) -> None:
    from sklearn.base import is_classifier, is_regressor

    name = type(model).__name__
    if task == "classification" and is_regressor(model):
        raise TrainingError(f"{name} is a regressor, the task is a classification")
    if task == "regression" and is_classifier(model):
        raise TrainingError(f"{name} is a classifier, the task is a regression")


def _is_fitted(model: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except (NotFittedError, TypeError):
        return False
    return True


def _seed(estimator: Any, seed: int) -> None:
    """Give `seed` to everything random in `estimator` that has none."""
    params = estimator.get_params(deep=True)
    unset = [name for name, value in params.items() if name.rpartition("__")[2] == "random_state" and value is None]
    if unset:
        estimator.set_params(**dict.fromkeys(sorted(unset), seed))


def _guarded(
    work: Callable[[], Any], values: NDArray[Any], names: Sequence[str], estimator: Any, code: UserCode
) -> tuple[str, ...]:
    """Do the work and return its warnings of convergence; what it raises becomes one line that names the column."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            work()
        except (CustodyError, MemoryError):
            raise
        except Exception as error:
            if code.place(error):
                raise code.failure(error, type(estimator).__name__) from error
            traceback.print_exception(error)  # to the step's log
            raise TrainingError(explain(error, values, names, type(estimator).__name__)) from error
    texts = [_line(item.message) for item in caught if issubclass(item.category, ConvergenceWarning)]
    return tuple(dict.fromkeys(texts))


def explain(error: BaseException, values: NDArray[Any], names: Sequence[str], what: str) -> str:
    """Return in one line what was wrong with the data that `what` was given, or what it said."""
    text = _line(error)
    total = len(values)
    if "NaN" in text or "infinity" in text or "too large" in text:
        numbers = _as_numbers(values)
        for word, mask in (("NaN", np.isnan(numbers)), ("infinity", np.isinf(numbers))):
            counts = mask.sum(axis=0)
            if counts.any():
                return f"{what}: input contains {word} ({_columns(names, counts, total)})"
    if values.dtype == object and ("convert string" in text or "not supported between" in text):
        counts = np.array(
            [sum(isinstance(value, str) for value in values[:, place]) for place in range(values.shape[1])]
        )
        if counts.any():
            return f"{what}: input contains text, it needs numbers ({_columns(names, counts, total)})"
    return f"{what}: {text}"


def _columns(names: Sequence[str], counts: NDArray[np.int64], total: int) -> str:
    found = [
        f"column {name}, {count:,} of {total:,} rows"
        for name, count in zip(names, counts.tolist(), strict=True)
        if count
    ]
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more


def _as_numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    if values.dtype != object:
        return np.asarray(values, dtype=np.float64)
    plain = [[value if isinstance(value, (int, float, np.number)) else 0.0 for value in row] for row in values]
    return np.array(plain, dtype=np.float64)


def _line(error: BaseException | Warning | str) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
