"""Fitted scikit-learn trees as plain arrays, and what each feature adds to their sum for one row: exact Shapley values.

Interventional: a coalition's features come from the row, all others from a row of the background, and the tree is
asked what it answers. A leaf is reached by some coalitions only: those that hold all features for which the row alone
goes its way (`own`), and none for which the background alone does (`other`). Their Shapley weights are known (Lundberg
and others, 2020, algorithm 3), so one walk down the tree with both rows finds them all. Several columns may belong to
one feature, such as those of a one-hot encoding: then the values are those of the feature.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
_CATEGORIES = 256


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree, an entry a node. A row goes left where its value is at most `threshold`, or among `categories`.

    `missing_left` says where a missing value goes. Categories are numbers below 256; `categorical` nodes go by them.
    """

    leaf: NDArray[np.bool_]
    feature: Places
    threshold: Floats
    missing_left: NDArray[np.bool_]
    left: Places
    right: Places
    value: Floats
    single: bool = False
    """Whether values are compared in single precision, as scikit-learn's own trees do."""
    categories: NDArray[np.bool_] | None = None
    categorical: NDArray[np.bool_] | None = None

    def goes_left(self, values: Floats, nodes: Places) -> NDArray[np.bool_]:
        """Whether `values`, one of each node's feature, go left at `nodes`."""
        compared = values.astype(np.float32).astype(np.float64) if self.single else values
        missing = np.isnan(compared)
        left = compared <= self.threshold[nodes]
        if self.categorical is not None and self.categories is not None:
            inside = (compared >= 0) & (compared < _CATEGORIES)
            chosen = inside & self.categories[nodes, np.where(inside, compared, 0).astype(np.int64)]
            left = np.where(self.categorical[nodes], chosen, left)
        return np.where(missing, self.missing_left[nodes], left)

    def answers(self, values: Floats) -> Floats:
        """Return the value of the leaf that each row reaches."""
        nodes = np.zeros(len(values), dtype=np.int64)
        rows = np.arange(len(values))
        while not self.leaf[nodes].all():
            left = self.goes_left(values[rows, self.feature[nodes]], nodes)
            further = np.where(left, self.left[nodes], self.right[nodes])
            nodes = np.where(self.leaf[nodes], nodes, further)
        return np.asarray(self.value[nodes])


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees whose answers add up."""

    trees: tuple[Tree, ...]

    def answers(self, values: Floats) -> Floats:
        """Return the sum of the trees' answers, a row each."""
        total = np.zeros(len(values))
        for tree in self.trees:
            total += tree.answers(values)
        return total

    def contributions(self, row: Floats, background: Floats, owner: Places, features: int) -> Floats:
        """Return what each of so many features adds, on average over the background; `owner` names that of a column."""
        total = np.zeros(features)
        for tree in self.trees:
            total += _walk(tree, row, background, owner, features)
        return total / len(background)


def forest(model: Any, place: int | None) -> Forest | None:
    """Return the trees of a fitted estimator; None where it has none that add up.

    `place` is that of the explained class, None for a regression. The caller checks that they answer what the estimator
    does, up to a constant.
    """
    names = {kind.__name__ for kind in type(model).__mro__ if kind.__module__.startswith("sklearn.")}
    if names & {"BaseHistGradientBoosting"}:
        return Forest(tuple(_histogram(model, place)))
    if names & {"BaseGradientBoosting"}:
        column = place if place is not None and model.estimators_.shape[1] > 1 else 0
        return Forest(tuple(_plain(item, None, model.learning_rate) for item in model.estimators_[:, column]))
    if names & {"ForestClassifier", "ForestRegressor"}:
        return Forest(tuple(_plain(item, place, 1 / len(model.estimators_)) for item in model.estimators_))
    return Forest((_plain(model, place, 1.0),)) if "BaseDecisionTree" in names else None


def _plain(model: Any, place: int | None, weight: float) -> Tree:
    tree = model.tree_
    nodes = tree.__getstate__()["nodes"]
    values = np.asarray(tree.value, dtype=np.float64)[:, 0, place or 0]
    missing = nodes["missing_go_to_left"].astype(bool)
    leaf = tree.children_left == -1
    return Tree(
        leaf,
        np.where(leaf, 0, tree.feature).astype(np.int64),
        np.asarray(tree.threshold, dtype=np.float64),
        missing,
        np.asarray(tree.children_left, dtype=np.int64),
        np.asarray(tree.children_right, dtype=np.int64),
        values * weight,
        single=True,
    )


def _histogram(model: Any, place: int | None) -> Iterator[Tree]:
    column = place if place is not None and model.n_trees_per_iteration_ > 1 else 0
    for row in model._predictors:  # noqa: SLF001
        predictor = row[column]
        nodes = predictor.nodes
        categorical = nodes["is_categorical"] != 0
        feature = nodes["feature_idx"].astype(np.int64)
        sets = None
        if categorical.any():
            sets = np.zeros((len(nodes), _CATEGORIES), dtype=bool)
            sets[categorical] = _bits(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][categorical]])
        leaf = nodes["is_leaf"] != 0
        yield Tree(
            leaf,
            np.where(leaf, 0, feature),
            nodes["num_threshold"].astype(np.float64),
            nodes["missing_go_to_left"] != 0,
            nodes["left"].astype(np.int64),
            nodes["right"].astype(np.int64),
            nodes["value"].astype(np.float64),
            categories=sets,
            categorical=categorical if sets is not None else None,
        )


def _bits(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Return sets of categories, eight words of 32 bits each, as a truth value for each of 256."""
    shifts = np.arange(32, dtype=np.uint32)
    return np.asarray((words[:, :, None] >> shifts & 1).reshape(len(words), _CATEGORIES), dtype=bool)


def _walk(tree: Tree, row: Floats, background: Floats, owner: Places, features: int) -> Floats:
    """Return the contributions summed over the background. All of its rows go down at once, a state each and path."""
    total = np.zeros(features)
    other_row = np.arange(len(background))
    node = np.zeros(len(background), dtype=np.int64)
    own, other = (np.zeros((len(background), features), dtype=bool) for _ in range(2))
    while len(node):
        done = tree.leaf[node]
        total += _settled(tree.value[node[done]], own[done], other[done])
        node, other_row, own, other = node[~done], other_row[~done], own[~done], other[~done]
        column = tree.feature[node]
        ours = tree.goes_left(row[column], node)
        theirs = tree.goes_left(background[other_row, column], node)
        feature, states = owner[column], np.arange(len(node))
        parts = ours != theirs
        # Where the two part, a feature that was decided at an earlier node leaves one way alone.
        with_own = ~parts | ~other[states, feature]
        with_other = parts & ~own[states, feature]
        mine, its = own.copy(), other.copy()
        mine[states[parts], feature[parts]] = True
        its[states[parts], feature[parts]] = True
        node_own = np.where(ours, tree.left[node], tree.right[node])
        node_other = np.where(theirs, tree.left[node], tree.right[node])
        node = np.concatenate((node_own[with_own], node_other[with_other]))
        other_row = np.concatenate((other_row[with_own], other_row[with_other]))
        own, other = (
            np.concatenate((mine[with_own], own[with_other])),
            np.concatenate((other[with_own], its[with_other])),
        )
    return total


def _settled(values: Floats, own: NDArray[np.bool_], other: NDArray[np.bool_]) -> Floats:
    if not len(values):
        return np.zeros(own.shape[1])
    p, n = own.sum(axis=1), other.sum(axis=1)
    plus, minus = _weights(int(max(p.max(), n.max())))
    return np.asarray((values * plus[p, n]) @ own - (values * minus[p, n]) @ other)


def _weights(most: int) -> tuple[Floats, Floats]:
    """Return the weights by how many features lead only the row, and only the background, to a leaf."""
    plus, minus = np.zeros((most + 1, most + 1)), np.zeros((most + 1, most + 1))
    for p in range(most + 1):
        for n in range(most + 1):
            every = factorial(p + n)
            plus[p, n] = factorial(p - 1) * factorial(n) / every if p else 0.0
            minus[p, n] = factorial(p) * factorial(n - 1) / every if n else 0.0
    return plus, minus
