"""What each feature of a row adds to a model's answer, over what it answers for a background of rows: Shapley values.

Of the features that went into the pipeline, not of the columns that its transformer makes of them. Exact where the
model is a sum of trees or linear and no column is made of two features, and where there are few features; else
permutations are sampled, with the standard error of each value. An exact way is taken only after it was seen to answer
what the model does. scikit-learn alone: the usual library neither takes columns together nor gets histogram trees with
missing values right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custody.errors import ContractError
from custody.kit.trees import Floats, Places, forest

FEW = 8
"""Features up to which all combinations are asked for."""
_EVALUATIONS = 20_000
"""Rows that a sampled answer may score."""
_ROUNDS = (2, 16)
_MIXED = 64
_CLOSE = 1e-6


class Method(StrEnum):
    """How the values were found; all but `sampled` are exact."""

    TREES = "trees"
    LINEAR = "linear"
    COMBINATIONS = "combinations"
    SAMPLED = "sampled"


class Scale(StrEnum):
    """What the values add up to: the predicted number, the probability or log odds of a class, or a score of it."""

    VALUE = "value"
    PROBABILITY = "probability"
    LOG_ODDS = "log odds"
    SCORE = "score"


@dataclass(frozen=True, slots=True)
class Explained:
    """`base` is the average answer for the background; with all `contributions`, a feature each, it is `score`.

    `errors` are standard errors, where values were sampled. `rows` is the size of the background.
    """

    base: float
    score: float
    contributions: tuple[float, ...]
    method: Method
    scale: Scale
    rows: int
    errors: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A pipeline as something to be asked: `label` is the class that is explained, None for a regression."""

    pipeline: Any
    label: Any = None

    @property
    def parts(self) -> tuple[Callable[[Any], Any], Any]:
        """What makes columns of features, and the estimator that takes them."""
        steps = getattr(self.pipeline, "steps", None)
        if not steps:
            return (lambda values: values), self.pipeline
        return self.pipeline[:-1].transform, steps[-1][1]

    def place(self) -> int | None:
        if self.label is None:
            return None
        classes = list(np.asarray(self.parts[1].classes_).tolist())
        if self.label not in classes:
            raise ContractError(f"the model knows no class {self.label}")
        return classes.index(self.label)


def explain(asked: Asked, row: NDArray[Any], background: NDArray[Any], seed: int) -> Explained:
    """Explain the answer for `row`, one value a feature, against the rows of `background`.

    `seed` decides what is sampled, where anything is. Raises ContractError where the model answers no number.
    """
    if not len(background):
        raise ContractError("there are no rows to compare with")
    return _exact(asked, row, background) or _by_asking(asked, row, background, seed)


def _exact(asked: Asked, row: NDArray[Any], background: NDArray[Any]) -> Explained | None:
    """Explain a sum of trees or a linear model; None where it is neither, or its columns mix features."""
    transform, model = asked.parts
    transform = _with_own_encoder(transform, model)
    place = asked.place()
    sum_of, method = _summands(model, place)
    if sum_of is None:
        return None
    columns = _Columns.of(transform, row, background)
    if columns is None:
        return None
    answer, scale = _raw(asked, place)
    answers = answer(np.concatenate((row[None], background)))
    rest = answers - sum_of.answers(np.concatenate((columns.row[None], columns.background)))
    if not np.allclose(rest, rest[0], rtol=0, atol=_CLOSE * max(1.0, float(np.abs(answers).max()))):
        return None
    found = sum_of.contributions(columns.row, columns.background, columns.owner, len(row))
    return Explained(
        float(answers[1:].mean()), float(answers[0]), tuple(found.tolist()), method, scale, len(background)
    )


@dataclass(frozen=True, slots=True)
class _Signed:
    """Trees or a linear function for the other one of two classes."""

    inner: Any
    sign: float

    def answers(self, values: Floats) -> Floats:
        return np.asarray(self.sign * self.inner.answers(values))

    def contributions(self, row: Floats, background: Floats, owner: Places, features: int) -> Floats:
        return np.asarray(self.sign * self.inner.contributions(row, background, owner, features))


@dataclass(frozen=True, slots=True)
class _Linear:
    weights: Floats

    def answers(self, values: Floats) -> Floats:
        return np.asarray(values @ self.weights)

    def contributions(self, row: Floats, background: Floats, owner: Places, features: int) -> Floats:
        parts = self.weights * (row - background.mean(axis=0))
        return np.bincount(owner, weights=parts, minlength=features).astype(np.float64)


def _summands(model: Any, place: int | None) -> tuple[Any, Method]:
    """Return the trees or the weights whose sum the model answers by; None where it has none."""
    sign = -1.0 if place == 0 and len(getattr(model, "classes_", ())) == 2 else 1.0  # noqa: PLR2004
    trees = forest(model, place)
    if trees is not None:
        boosted = place is not None and hasattr(model, "decision_function")
        return (_Signed(trees, sign) if boosted else trees), Method.TREES
    weights = np.asarray(getattr(model, "coef_", None), dtype=object)
    if weights.dtype == object and weights.shape == ():
        return None, Method.LINEAR
    plain = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    if len(plain) == 1:
        return _Signed(_Linear(plain[0]), sign), Method.LINEAR
    return (_Linear(plain[place]) if place is not None and place < len(plain) else None), Method.LINEAR


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the transformer makes of the rows; `owner` is the feature that each column is made of."""

    row: Floats
    background: Floats
    owner: Places

    @classmethod
    def of(cls, transform: Callable[[Any], Any], row: NDArray[Any], background: NDArray[Any]) -> _Columns | None:
        """Find the owners by changing one feature at a time; None where a column has more than one."""
        rows, features = len(background), len(row)
        swapped = np.repeat(np.tile(row, (rows, 1))[None], features, axis=0)
        for feature in range(features):
            swapped[feature, :, feature] = background[:, feature]
        mixes = np.random.PCG64(rows).random_raw(_MIXED * features).reshape(_MIXED, features) % 2 == 1
        partners = np.arange(_MIXED) % rows
        mixed = np.where(mixes, background[partners], row)
        made = _numbers(transform(np.concatenate((row[None], background, swapped.reshape(-1, features), mixed))))
        if made is None:
            return None
        own, others = made[0], made[1 : 1 + rows]
        swaps = made[1 + rows : 1 + rows + rows * features].reshape(features, rows, -1)
        changed = ~_same(swaps, own).all(axis=1)
        owner = changed.argmax(axis=0)
        if not _same(swaps[owner, :, np.arange(len(owner))].T, others).all():
            return None
        composed = np.where(mixes[:, owner], others[partners], own)
        if not _same(made[-_MIXED:], composed).all():
            return None
        return cls(own, others, owner.astype(np.int64))


def _same(one: Floats, two: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isclose(one, two, rtol=1e-9, atol=1e-12, equal_nan=True))


def _numbers(made: Any) -> Floats | None:
    dense = made.toarray() if hasattr(made, "toarray") else made
    try:
        return np.asarray(dense, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _with_own_encoder(transform: Callable[[Any], Any], model: Any) -> Callable[[Any], Any]:
    """Histogram trees with categories encode them themselves, before the columns that their nodes name."""
    encoder = getattr(model, "_preprocessor", None)
    return transform if encoder is None else lambda values: encoder.transform(transform(values))


Answer = Callable[[NDArray[Any]], Floats]


def _raw(asked: Asked, place: int | None) -> tuple[Answer, Scale]:
    """Return what a sum of trees or a linear model answers before it is made a probability."""
    pipeline, model = asked.pipeline, asked.parts[1]
    if place is None:
        return _finite(pipeline.predict), Scale.VALUE
    if not hasattr(model, "decision_function"):
        return _finite(lambda values: pipeline.predict_proba(values)[:, place]), Scale.PROBABILITY

    def decided(values: NDArray[Any]) -> Any:
        scores = np.asarray(pipeline.decision_function(values))
        return scores[:, place] if scores.ndim > 1 else scores if place else -scores

    odds = len(model.classes_) == 2 and hasattr(model, "predict_proba")  # noqa: PLR2004
    return _finite(decided), Scale.LOG_ODDS if odds else Scale.SCORE


def _plain(asked: Asked) -> tuple[Answer, Scale]:
    """Return the number that people know: the value, the probability, else a score or whether it is the class."""
    place, pipeline, label = asked.place(), asked.pipeline, asked.label
    if place is None:
        return _finite(pipeline.predict), Scale.VALUE
    if hasattr(pipeline, "predict_proba"):
        return _finite(lambda values: pipeline.predict_proba(values)[:, place]), Scale.PROBABILITY
    if hasattr(pipeline, "decision_function"):
        return _raw(asked, place)[0], Scale.SCORE
    return _finite(lambda values: pipeline.predict(values) == label), Scale.SCORE


def _finite(answer: Callable[[NDArray[Any]], Any]) -> Answer:
    def checked(values: NDArray[Any]) -> Floats:
        found = np.asarray(answer(values), dtype=np.float64)
        if found.shape != (len(values),) or not np.isfinite(found).all():
            raise ContractError("the model answers no finite number for every row")
        return found

    return checked


def _by_asking(asked: Asked, row: NDArray[Any], background: NDArray[Any], seed: int) -> Explained:
    answer, scale = _plain(asked)
    if len(row) <= FEW:
        return _combinations(answer, scale, row, background)
    return _sampled(answer, scale, row, background, seed)


def _combinations(answer: Answer, scale: Scale, row: NDArray[Any], background: NDArray[Any]) -> Explained:
    """Ask for every combination of features from the row, the others from the background: the definition itself."""
    features = len(row)
    masks = (np.arange(2**features)[:, None] >> np.arange(features) & 1) == 1
    asked = np.where(masks[:, None], row, background).reshape(-1, features)
    worth = answer(asked).reshape(len(masks), -1).mean(axis=1)
    found = np.zeros(features)
    for feature in range(features):
        rest = [place for place in range(features) if place != feature]
        for size in range(features):
            weight = 1 / (features * comb(features - 1, size))
            for chosen in combinations(rest, size):
                without = sum(1 << place for place in chosen)
                found[feature] += weight * (worth[without | 1 << feature] - worth[without])
    return Explained(
        float(worth[0]), float(worth[-1]), tuple(found.tolist()), Method.COMBINATIONS, scale, len(background)
    )


def _sampled(answer: Answer, scale: Scale, row: NDArray[Any], background: NDArray[Any], seed: int) -> Explained:
    """Go from a background row to the row in a random order of features and, for each, back: what changes is theirs.

    Every background row is taken equally often, so that the values add up to the answer exactly, and their errors are
    those within background rows.
    """
    rows, features = len(background), len(row)
    least, most = _ROUNDS
    rounds = min(max(_EVALUATIONS // (2 * rows * (features + 1)), least), most)
    raw = np.random.PCG64(seed)
    gains = np.zeros((rounds, rows, features))
    for place in range(rounds):
        order = np.argsort(raw.random_raw(rows * features).reshape(rows, features), axis=1, kind="stable")
        gains[place] = (_gains(answer, row, background, order) + _gains(answer, row, background, order[:, ::-1])) / 2
    errors = np.sqrt((gains.var(axis=0, ddof=1) / rounds).sum(axis=0)) / rows
    base, score = float(answer(background).mean()), float(answer(row[None])[0])
    found = tuple(gains.mean(axis=(0, 1)).tolist())
    return Explained(base, score, found, Method.SAMPLED, scale, rows, tuple(errors.tolist()))


def _gains(answer: Answer, row: NDArray[Any], background: NDArray[Any], order: Places) -> Floats:
    """Return what each feature changed when its turn came, a background row each."""
    rows, features = order.shape
    ranks = np.argsort(order, axis=1, kind="stable")
    steps = np.arange(features + 1)[:, None, None]
    values = np.where(ranks[None] < steps, row, background[None])
    answers = answer(values.reshape(-1, features)).reshape(features + 1, rows)
    gains = np.diff(answers, axis=0)
    return np.asarray(np.take_along_axis(gains.T, ranks, axis=1))
