"""The closed list of what an artifact may name, checked on its schema before anything is constructed.

skops audits types alone, and a type that one kind of node may hold safely is called with the file's arguments by
another. So each kind of node has a list of its own here. Everything that is not listed is refused; a file is never
asked what it wants trusted. Imports scikit-learn and skops when first used.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from custody.content.archive import ArtifactError

MAX_DEPTH = 400
PARTIAL_OF = "sklearn.utils.validation.check_array"

_KERNELS = (
    "CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Matern PairwiseKernel Product RBF"
    " RationalQuadratic Sum WhiteKernel"
)
_DISTANCES = "Euclidean Manhattan Chebyshev Minkowski Haversine Hamming Canberra BrayCurtis Jaccard"
OBJECTS = frozenset(
    [
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.utils._bunch.Bunch",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.impute._iterative.IterativeImputer",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "scipy.interpolate._bsplines.BSpline",
        *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS.split()),
        *(f"sklearn.metrics._dist_metrics.{name}Distance64" for name in _DISTANCES.split()),
    ]
)
FUNCTIONS = frozenset([PARTIAL_OF, "scipy._lib.array_api_compat.numpy._aliases.asarray"])
_NODES: Mapping[str, frozenset[str]] = {
    "DictNode": frozenset(["builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"]),
    "ListNode": frozenset(["builtins.list"]),
    "SetNode": frozenset(["builtins.set"]),
    "TupleNode": frozenset(["builtins.tuple", "sklearn.impute._iterative._ImputerTriplet"]),
    "BytesNode": frozenset(["builtins.bytes"]),
    "SliceNode": frozenset(["builtins.slice"]),
    "JsonNode": frozenset(["builtins.str"]),
    "MaskedArrayNode": frozenset(["numpy.ma.MaskedArray"]),
    "DTypeNode": frozenset(["numpy.dtype"]),
    "RandomStateNode": frozenset(["numpy.random.mtrand.RandomState"]),
    "RandomGeneratorNode": frozenset(["numpy.random._generator.Generator"]),
    "TreeNode": frozenset(["sklearn.tree._tree.Tree"]),
    "PartialNode": frozenset(["functools.partial"]),
}
_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "LossNode": ("sklearn._loss._loss.", "sklearn.linear_model._sgd_fast."),
    "SparseMatrixNode": ("scipy.sparse._",),
}
_KEY_TYPES = frozenset(f"builtins.{name}" for name in ("str", "int", "float", "bool"))


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a schema names and may not: the kind of node, and the name."""

    loader: str
    name: str


def audit(schema: Any, modules: Collection[str]) -> Iterator[Finding]:
    """Yield what `schema` names outside of the lists; `modules` are the first-party modules that may be named."""
    for node in nodes(schema):
        loader, name = str(node.get("__loader__")), name_of(node)
        if not _allowed(loader, name, modules):
            yield Finding(loader, name)
        elif loader == "DictNode" and not _plain_keys(node):
            yield Finding(loader, "keys that are neither texts nor numbers")
        elif loader == "PartialNode" and name_of(node["content"]["func"]) != PARTIAL_OF:
            yield Finding(loader, name_of(node["content"]["func"]))


def nodes(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every node of `schema`, outermost first; raises ArtifactError where it is nested too deep."""
    stack: list[tuple[Any, int]] = [(schema, 0)]
    while stack:
        value, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise ArtifactError(f"the artifact's schema is nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            # A node is known by its loader, but a mapping of the estimator may have a key of that name too: then its
            # value is a node and no text.
            if isinstance(value.get("__loader__"), str):
                yield value
            stack.extend((item, depth + 1) for item in reversed(value.values()))
        elif isinstance(value, list):
            stack.extend((item, depth + 1) for item in reversed(value))


def name_of(node: Mapping[str, Any]) -> str:
    """Return `module.name` of what a node names."""
    return f"{node.get('__module__')}.{node.get('__class__')}"


def trusted_names(schema: Any, modules: Collection[str]) -> list[str]:
    """Return the names on *our* lists that `schema` uses, for skops' own audit; call it on an audited schema."""
    names = {name_of(node) for node in nodes(schema)}
    ours = OBJECTS | FUNCTIONS | _NODES["TreeNode"] | _NODES["PartialNode"] | _NODES["DTypeNode"] | _NODES["TupleNode"]
    return sorted(name for name in names if name in ours or _is_ufunc(name) or _first_party(name, modules))


def _allowed(loader: str, name: str, modules: Collection[str]) -> bool:
    match loader:
        case "NdArrayNode":
            return name == "numpy.ndarray" or name in _numpy_scalars()
        case "FunctionNode":
            return name in FUNCTIONS or _is_ufunc(name) or inspect.isfunction(_first_party(name, modules))
        case "TypeNode":
            return name in _types() or inspect.isclass(_first_party(name, modules))
        case "ObjectNode":
            return name in OBJECTS or name in _estimators() or inspect.isclass(_first_party(name, modules))
        case "LossNode" | "SparseMatrixNode":
            return name.startswith(_PREFIXES[loader])
        case _:
            return name in _NODES.get(loader, ())


def _plain_keys(node: Mapping[str, Any]) -> bool:
    keys = node.get("key_types")
    if not isinstance(keys, dict) or keys.get("__loader__") != "ListNode":
        return False
    allowed = _KEY_TYPES | _numpy_scalars()
    return all(key.get("__loader__") == "TypeNode" and name_of(key) in allowed for key in keys["content"])


def _first_party(name: str, modules: Collection[str]) -> Callable[..., Any] | None:
    """Return the class or function that a first-party module itself defines under `name`, not one it imported."""
    module, _, attribute = name.rpartition(".")
    found = getattr(sys.modules.get(module), attribute, None) if module in modules else None
    return found if callable(found) and getattr(found, "__module__", None) == module else None


def _is_ufunc(name: str) -> bool:
    import numpy as np
    import scipy.special

    home, _, attribute = name.rpartition(".")
    module = {"numpy": np, "scipy.special": scipy.special}.get(home)
    return module is not None and isinstance(getattr(module, attribute, None), np.ufunc)


@cache
def _numpy_scalars() -> frozenset[str]:
    from skops.io import _trusted_types

    return frozenset(_trusted_types.NUMPY_DTYPE_TYPE_NAMES)


@cache
def _types() -> frozenset[str]:
    from skops.io import _trusted_types as known

    return frozenset(known.PRIMITIVE_TYPE_NAMES) | frozenset(known.CONTAINER_TYPE_NAMES) | _numpy_scalars()


@cache
def _estimators() -> frozenset[str]:
    from skops.io import _trusted_types as known

    return frozenset(known.SKLEARN_ESTIMATOR_TYPE_NAMES) | frozenset(known.SKLEARN_INTERNAL_TYPE_NAMES)
