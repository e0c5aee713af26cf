"""Bounds of compiled estimators: indices that scikit-learn's C code follows without looking.

A crafted tree whose child lies outside of its array crashes the process at the first prediction, so the schema's trees
are checked before they are constructed, and all that was constructed before it is used. Imports scikit-learn late.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from custody.content.allowlist import nodes
from custody.content.archive import ArtifactError

MAX_OUTPUTS = 1_000_000


def check_schema(schema: Any, members: Mapping[str, bytes]) -> None:
    """Check the arguments of every tree's constructor, which trusts them; raises ArtifactError."""
    for node in nodes(schema):
        if node["__loader__"] != "TreeNode":
            continue
        try:
            features, classes, outputs = node["__reduce__"]["args"]["content"]
            sizes = [json.loads(item["content"]) for item in (features, outputs)]
            counts = np.load(io.BytesIO(members[classes["file"]]), allow_pickle=False)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError("a decision tree of the artifact has odd arguments") from error
        _require(all(type(size) is int and 0 < size <= MAX_OUTPUTS for size in sizes), "a decision tree of odd size")
        _require(counts.shape == (sizes[1],), "a decision tree with other outputs than class counts")
        _require(counts.dtype.kind == "i" and (counts >= 1).all(), "a decision tree with odd class counts")


def check_objects(root: Any) -> None:
    """Check all compiled parts that `root` holds; raises ArtifactError."""
    for item in _walk(root):
        kind = type(item).__name__
        module = type(item).__module__
        if not module.startswith(("sklearn.", "scipy.")):
            continue
        if kind == "Tree":
            _check_tree(item)
        elif kind in {"KDTree", "BallTree"}:
            _check_neighbours(item)
        elif hasattr(item, "check_format"):
            _check_sparse(item)
        elif hasattr(item, "_predictors"):
            _check_histogram(item)
        elif hasattr(item, "_n_support"):
            _check_support(item)
        elif module.startswith("sklearn.ensemble.") and hasattr(item, "estimators_"):
            _check_ensemble(item)
        elif hasattr(item, "tree_"):
            _require(
                getattr(item, "n_features_in_", None) == item.tree_.n_features, "a decision tree with other features"
            )


def _walk(root: Any) -> Iterator[Any]:
    stack, seen, alive = [root], set[int](), []
    while stack:
        item = stack.pop()
        if item is None or isinstance(item, (str, bytes, int, float, type)) or id(item) in seen:
            continue
        seen.add(id(item))
        alive.append(item)  # an id is unique among living objects only
        if isinstance(item, np.ndarray):
            if item.dtype == object:
                stack.extend(item.ravel().tolist())
            continue
        yield item
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple, set, frozenset)):
            stack.extend(item)
        else:
            stack.extend(getattr(item, "__dict__", {}).values())


def _require(condition: Any, what: str) -> None:
    if not condition:
        raise ArtifactError(f"the artifact holds {what}: it is damaged or was made to crash its reader")


def _check_tree(tree: Any) -> None:
    state = tree.__getstate__()
    rows = state["nodes"]
    count = len(rows)
    _require(count and state["node_count"] == count, "a decision tree of another size than it says")
    _require(len(state["values"]) == count, "a decision tree with other values than nodes")
    left, right, feature = rows["left_child"], rows["right_child"], rows["feature"]
    leaf = left == -1
    places = np.arange(count)
    _require(((right == -1) == leaf).all(), "a decision tree with half a leaf")
    inside = (left > places) & (left < count) & (right > places) & (right < count)
    _require((leaf | inside).all(), "a decision tree whose children are out of bounds")
    _require((leaf | ((feature >= 0) & (feature < tree.n_features))).all(), "a decision tree with unknown features")


def _check_ensemble(ensemble: Any) -> None:
    trees = [item for item in np.ravel(np.array(ensemble.estimators_, dtype=object)) if hasattr(item, "tree_")]
    columns = getattr(ensemble, "estimators_features_", None)
    if trees and columns is not None:
        _require(len(columns) == len(trees), "an ensemble with other columns than trees")
    total = getattr(ensemble, "n_features_in_", None)
    for place, tree in enumerate(trees):
        expected = total if columns is None else len(columns[place])
        _require(tree.tree_.n_features == expected, "an ensemble whose trees have other features")
    if isinstance(ensemble.estimators_, np.ndarray):
        _require(ensemble.estimators_.ndim == 2, "a boosted ensemble of another shape")  # noqa: PLR2004
        width = getattr(ensemble, "n_trees_per_iteration_", None)
        _require(ensemble.estimators_.shape[1] == width, "a boosted ensemble of another width")


def _check_histogram(model: Any) -> None:
    categorical = np.asarray(model._bin_mapper.is_categorical_, bool)  # noqa: SLF001  (in the order that trees know)
    _require(len(categorical) == model.n_features_in_, "a boosted ensemble with other features")
    for predictor in (item for row in model._predictors for item in row):  # noqa: SLF001
        _check_predictor(predictor, categorical)


def _check_predictor(predictor: Any, categorical: Any) -> None:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    rows, bits = predictor.nodes, predictor.raw_left_cat_bitsets
    _require(isinstance(rows, np.ndarray) and rows.dtype == PREDICTOR_RECORD_DTYPE, "a boosted tree of another type")
    _require(rows.ndim == 1 and len(rows) and rows.flags.c_contiguous, "a boosted tree of another shape")
    _require(bits.dtype == np.uint32 and bits.ndim == 2 and bits.shape[1] == 8, "odd sets of categories")  # noqa: PLR2004
    count, places, leaf = len(rows), np.arange(len(rows)), rows["is_leaf"] != 0
    left, right = rows["left"].astype(np.int64), rows["right"].astype(np.int64)
    inside = (left > places) & (left < count) & (right > places) & (right < count)
    _require((leaf | inside).all(), "a boosted tree whose children are out of bounds")
    feature = rows["feature_idx"]
    _require((leaf | ((feature >= 0) & (feature < len(categorical)))).all(), "a boosted tree with unknown features")
    sets = ~leaf & (rows["is_categorical"] != 0)
    _require((rows["bitset_idx"][sets] < len(bits)).all(), "a boosted tree with unknown categories")
    _require(categorical[feature[sets]].all(), "a boosted tree with categories of a number")


def _check_neighbours(tree: Any) -> None:
    data, index, rows, bounds, _, levels, count = tree.__getstate__()[:7]
    size = len(data)
    _require(1 <= levels < 60 and count == 2**levels - 1 == len(rows), "a neighbour tree of another size")  # noqa: PLR2004
    _require(len(index) == size and ((index >= 0) & (index < size)).all(), "a neighbour tree with unknown points")
    start, end = rows["idx_start"], rows["idx_end"]
    _require(((start >= 0) & (start <= end) & (end <= size)).all(), "a neighbour tree whose nodes are out of bounds")
    deepest = 2 * np.arange(count) + 2 >= count
    _require((rows["is_leaf"][deepest] != 0).all(), "a neighbour tree whose children are out of bounds")
    _require(bounds.shape[1:] == (count, data.shape[1]), "a neighbour tree with other bounds")


def _check_support(machine: Any) -> None:
    vectors, counts, weights = machine.support_vectors_, machine._n_support, machine._dual_coef_  # noqa: SLF001
    _require(vectors.shape[0] == weights.shape[1] == len(machine.support_), "a machine with other support vectors")
    _require(vectors.shape[0] == 0 or vectors.shape[1] == machine.shape_fit_[1], "a machine with other features")
    _require(machine.shape_fit_[1] == machine.n_features_in_, "a machine with other features")
    _require((counts >= 0).all(), "a machine with a negative count")
    if hasattr(machine, "classes_"):
        classes = len(machine.classes_)
        _require(len(counts) == classes == len(weights) + 1, "a machine with other classes")
        _require(counts.sum() == vectors.shape[0], "a machine with other support vectors")
        _require(len(machine._intercept_) == classes * (classes - 1) // 2, "a machine with other intercepts")


def _check_sparse(matrix: Any) -> None:
    try:
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise ArtifactError(f"a sparse matrix of the artifact is not well formed: {error}") from error
