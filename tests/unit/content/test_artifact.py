"""Artifacts: equal bytes for equal estimators in every process, and nothing but them can be loaded."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
import types
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from custody.content import archive, artifact
from custody.content.artifact import ArtifactError, dump, load
from custody.digest import sha256

META = {"features": ["a", "b"], "kinds": ["number", "number"], "classes": [False, True]}
OWN = "custody_models.demo.steps"
TREE = "sklearn.tree._tree.Tree"


def own_module() -> types.ModuleType:
    """A first-party module as a step process has it, importing what it must not lend its name to."""
    module = types.ModuleType(OWN)
    source = """
from posix import system
from subprocess import Popen, run

import numpy as np

def ratio(values):
    return np.asarray(values) / 2
"""
    exec(source, module.__dict__)
    sys.modules[OWN] = module
    return module


@pytest.fixture
def own() -> Iterator[types.ModuleType]:
    yield own_module()
    del sys.modules[OWN]


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 4))
    return values, values[:, 0] + values[:, 1] > 0


def mixed() -> Pipeline:
    text = make_pipeline(
        SimpleImputer(missing_values=None, strategy="constant", fill_value="-"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3, sparse_output=False),
    )
    number = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(ColumnTransformer([("n", number, [0, 1, 2]), ("t", text, [3])]), LogisticRegression())


MAKERS: dict[str, Callable[[], Any]] = {
    "logistic": LogisticRegression,
    "ridge": Ridge,
    "forest": lambda: RandomForestClassifier(5, random_state=1),
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=5, categorical_features=[3], random_state=1),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=5, random_state=1),
    "machine": SVC,
    "network": lambda: MLPClassifier((4,), max_iter=5, random_state=1),
    "neighbours": lambda: KNeighborsClassifier(algorithm="brute"),
    "tree of neighbours": lambda: KNeighborsClassifier(algorithm="kd_tree"),
    "bayes": GaussianNB,
    "mixed": mixed,
    "own function": lambda: make_pipeline(FunctionTransformer(sys.modules[OWN].ratio), GaussianNB()),
    "ufunc": lambda: make_pipeline(FunctionTransformer(np.exp), GaussianNB()),
    "calibrated": lambda: CalibratedClassifierCV(LogisticRegression(), cv=2),
    "voting": lambda: VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())]),
    "outliers": lambda: IsolationForest(n_estimators=3, max_features=0.5, random_state=1),
}


def fitted(name: str) -> tuple[Any, np.ndarray]:
    values, labels = data()
    if name == "mixed":
        values = values.astype(object)
        values[:, 3] = [("red", "green", "blue", None)[place % 4] for place in range(len(values))]
    if name == "histogram":
        values[:, 3] = np.arange(len(values)) % 5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MAKERS[name]().fit(values, labels), values


def digests() -> dict[str, str]:
    own_module()
    return {name: sha256(dump(fitted(name)[0], META)) for name in MAKERS}


@pytest.mark.heavy
def test_the_bytes_are_the_same_in_two_processes() -> None:
    """One process of another hash seed, which has imported other things before."""
    code = "import scipy.special, xml.dom, tests.unit.content.test_artifact as t, json; print(json.dumps(t.digests()))"
    seen = []
    for seed, before in (("1", ""), ("2", "import this_is_late\n")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[3])}
        program = before.replace("this_is_late", "decimal, sklearn.cluster") + code
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        seen.append(json.loads(done.stdout))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_loaded_predicts_the_same(name: str, own: types.ModuleType) -> None:
    model, values = fitted(name)
    content = dump(model, META)
    loaded = load(content, digest=sha256(content), trusted_modules=[own.__name__])
    assert np.array_equal(model.predict(values), loaded.estimator.predict(values))
    assert loaded.meta["features"] == ["a", "b"]
    assert loaded.meta["format"] == artifact.FORMAT
    if name != "tree of neighbours":  # which keeps its arrays in another layout once loaded
        assert dump(loaded.estimator, META) == content


def test_two_dumps_of_one_estimator_are_equal() -> None:
    model, _ = fitted("forest")
    assert dump(model, META) == dump(model, META)
    assert dump(model, META) != dump(model, {**META, "target": "x"})


def test_a_set_and_a_cache_by_address_do_not_reach_the_bytes() -> None:
    texts = ["red fish", "blue fish", "green bird"] * 3
    first, second = (TfidfVectorizer(stop_words=["fish", "the"]).fit(texts) for _ in range(2))
    first.marks, second.marks = {0, 8}, {8, 0}  # equal, and walked through in another order
    assert list(first.marks) != list(second.marks)
    content = dump(first, {})
    assert content == dump(second, {})
    loaded = load(content, digest=sha256(content)).estimator
    assert (loaded.transform(texts) != first.transform(texts)).nnz == 0


def test_padding_is_zeroed() -> None:
    dtype = np.dtype([("a", "u1"), ("b", "f8")], align=True)
    rows = np.frombuffer(bytes(range(32)), dtype=dtype)
    buffer = io.BytesIO()
    np.save(buffer, rows)
    clean = np.load(io.BytesIO(archive.canonical_array(buffer.getvalue())))
    assert clean["a"].tolist() == rows["a"].tolist()
    assert clean.tobytes()[1:8] == bytes(7)


def test_the_file_is_a_plain_stored_zip() -> None:
    content = dump(fitted("logistic")[0], META)
    with zipfile.ZipFile(io.BytesIO(content)) as stored:
        infos = stored.infolist()
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FunctionTransformer(lambda values: values), "'<lambda>'"),
        (lambda: FunctionTransformer(os.system), "os.system|posix.system"),
        (lambda: FunctionTransformer(data().__class__.__len__), "cannot be stored|not on the list"),
        (lambda: FunctionTransformer(np.mean), "not on the list"),
    ],
)
def test_what_could_not_be_loaded_again_is_not_stored(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ArtifactError, match=said):
        dump(make(), META)


# Attacks: each takes a good artifact apart, changes it, and gives it a digest that fits.


def opened(name: str) -> dict[str, bytes]:
    return archive.read_archive(dump(fitted(name)[0], META))


def forged(members: dict[str, bytes], schema: Any = None) -> bytes:
    changed = members if schema is None else {**members, "schema.json": json.dumps(schema).encode()}
    return archive.write_archive(changed)


def refused(content: bytes, match: str, trusted: tuple[str, ...] = ()) -> None:
    with pytest.raises(ArtifactError, match=match):
        load(content, digest=sha256(content), trusted_modules=trusted)


def node(module: str, name: str, loader: str, **more: Any) -> dict[str, Any]:
    return {"__module__": module, "__class__": name, "__loader__": loader, **more}


def as_json(value: Any) -> dict[str, Any]:
    return node("builtins", "str", "JsonNode", content=json.dumps(value))


def as_list(*items: Any, loader: str = "ListNode", kind: str = "list") -> dict[str, Any]:
    return node("builtins", kind, loader, content=list(items))


def mapping(**items: Any) -> dict[str, Any]:
    kinds = as_list(*(node("builtins", "str", "TypeNode") for _ in items))
    return node("builtins", "dict", "DictNode", content=items, key_types=kinds)


PARTIAL = node(
    "functools",
    "partial",
    "PartialNode",
    content={
        "func": node("posix", "system", "TypeNode"),
        "args": as_list(as_json("touch /tmp/x"), loader="TupleNode", kind="tuple"),
        "kwds": mapping(),
        "namespace": as_json(None),
    },
)
EVIL = {
    "a function": node("posix", "system", "FunctionNode"),
    "a type": node("posix", "system", "TypeNode"),
    "an object": node("subprocess", "Popen", "ObjectNode"),
    "a partial": PARTIAL,
    "a constructor": node("posix", "system", "ConstructorFromReduceNode", content=as_list(as_json("true"))),
    "a loss": node("posix", "system", "LossNode", __reduce__={"args": as_list()}, content=mapping()),
    "an attribute": node("operator", "attrgetter", "OperatorFuncNode", attrs=as_list(as_json("x"))),
    "a method": node("numpy", "ndarray", "MethodNode", content={"func": "tofile", "obj": as_json(1)}),
    "a class called with a list": node("posix", "system", "ListNode", content=[as_json("true")]),
    "a class called with an array": node("sklearn.pipeline", "Pipeline", "NdArrayNode", type="numpy", file="x"),
    "a key": node(
        "builtins",
        "dict",
        "DictNode",
        content={"k": as_json(1)},
        key_types=as_list(node("posix", "system", "TypeNode")),
    ),
    "a module that is not imported": node("antigravity", "fly", "TypeNode"),
    "an old protocol's node": node("builtins", "str", "CachedNode"),
}


@pytest.mark.parametrize("what", EVIL)
def test_a_name_that_is_not_listed_is_refused(what: str) -> None:
    members = opened("logistic")
    schema = json.loads(members["schema.json"])
    schema["content"]["content"]["C"] = EVIL[what]
    refused(forged(members, schema), "not on the list|cannot be read")
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("loader", ["TypeNode", "FunctionNode", "ObjectNode"])
@pytest.mark.parametrize("name", ["system", "run", "Popen"])
def test_a_first_party_module_lends_its_name_to_nothing_it_imported(
    loader: str, name: str, own: types.ModuleType
) -> None:
    members = opened("logistic")
    schema = json.loads(members["schema.json"])
    schema["content"]["content"]["C"] = node(own.__name__, name, loader)
    refused(forged(members, schema), "not on the list", (own.__name__,))


def test_a_first_party_function_is_no_constructor(own: types.ModuleType) -> None:
    members = opened("logistic")
    for loader in ("TypeNode", "ObjectNode", "ListNode", "LossNode"):
        schema = json.loads(members["schema.json"])
        schema["content"]["content"]["C"] = node(own.__name__, "ratio", loader, content=[], __reduce__={})
        refused(forged(members, schema), "not on the list", (own.__name__,))


def test_first_party_code_must_be_given(own: types.ModuleType) -> None:
    content = dump(fitted("own function")[0], META)
    with pytest.raises(ArtifactError, match=f"the code of {own.__name__} was not given"):
        load(content, digest=sha256(content))


def test_a_wrong_digest_is_refused_before_the_file_is_opened() -> None:
    with pytest.raises(ArtifactError, match="it was changed"):
        load(b"no zip at all", digest="0" * 64)


def rezipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED, twice: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as file:
        warnings.simplefilter("ignore")
        for name, content in members.items():
            file.writestr(name, content)
        if twice:
            file.writestr(twice, members[twice])
    return buffer.getvalue()


def test_odd_zips_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    members = opened("logistic")
    refused(rezipped({**members, "schema.json": b" " * 10_000_000}, zipfile.ZIP_DEFLATED), "compressed")
    refused(rezipped(members, twice="schema.json"), "two members")
    refused(rezipped({**members, "../evil.npy": b""}), "does not belong")
    refused(rezipped({name: content for name, content in members.items() if name != "custody.json"}), "not a custody")
    refused(dump(fitted("logistic")[0], META)[:-30], "damaged")
    refused(b"PK", "damaged")
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    refused(forged(members), "more than 3")
    monkeypatch.setattr(archive, "MAX_BYTES", 100)
    refused(forged(members), "more than 100")


def test_odd_arrays_are_refused() -> None:
    members = opened("logistic")
    name = next(name for name in members if name.endswith(".npy"))
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    refused(forged({**members, name: buffer.getvalue()}), "Python objects")
    huge = members[name].replace(b"'shape': (", b"'shape': (99999", 1).replace(b"), }     ", b"), }", 1)
    refused(forged({**members, name: huge}), "as long as its header says")
    refused(forged({**members, name: b"\x80\x04K\x01."}), "numpy's format")
    del members[name]
    refused(forged(members), "misses its array")


def test_deep_nesting_is_refused() -> None:
    members = opened("logistic")
    inner: Any = as_json(1)
    for _ in range(300):
        inner = as_list(inner)
    schema = json.loads(members["schema.json"])
    schema["content"]["content"]["C"] = inner
    refused(forged(members, schema), "nested")
    deep = b"[" * 100_000 + b"]" * 100_000
    refused(forged({**members, "schema.json": deep}), "nested|cannot be read")


def nodes_of(members: dict[str, bytes], field: str) -> str:
    """The name of an array of rows that have `field`."""
    for name, content in members.items():
        if name.endswith(".npy") and field in (np.load(io.BytesIO(content)).dtype.names or ()):
            return name
    raise AssertionError(field)


CRASHES = [
    ("forest", "left_child", 200_000_000),
    ("forest", "right_child", 0),
    ("forest", "feature", 77),
    ("boosting", "left_child", -3),
    ("histogram", "left", 4_000_000),
    ("histogram", "right", 0),
    ("histogram", "feature_idx", -1),
    ("histogram", "feature_idx", 4),
    ("histogram", "is_categorical", 1),
    ("tree of neighbours", "idx_end", 9_999_999),
    ("tree of neighbours", "is_leaf", 0),
]


@pytest.mark.parametrize(("name", "field", "value"), CRASHES)
def test_indices_out_of_bounds_are_refused(name: str, field: str, value: int) -> None:
    members = opened(name)
    place = nodes_of(members, field)
    rows = np.load(io.BytesIO(members[place]))
    rows[field][:] = value
    buffer = io.BytesIO()
    np.save(buffer, rows)
    refused(forged({**members, place: buffer.getvalue()}), "made to crash")


def test_a_forest_whose_trees_know_more_features_is_refused() -> None:
    members = opened("forest")
    schema = json.loads(members["schema.json"])
    schema["content"]["content"]["n_features_in_"] = as_json(2)
    refused(forged(members, schema), "trees have other features")


def test_a_tree_with_odd_arguments_is_refused() -> None:
    members = opened("forest")
    text = members["schema.json"].decode()
    tree = next(item for item in _nodes(json.loads(text)) if item["__loader__"] == "TreeNode")
    for place, value in ((2, 10**12), (2, 5), (0, -1)):
        schema = json.loads(text)
        for item in _nodes(schema):
            if item["__loader__"] == "TreeNode":
                item["__reduce__"]["args"]["content"][place] = as_json(value)
        refused(forged(members, schema), "decision tree")
    assert tree["__class__"] == "Tree"


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("__loader__"), str):
            yield value
        for item in value.values():
            yield from _nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _nodes(item)


GOOD = dump(fitted("logistic")[0], META)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_never_gets_past_the_loader(draw: st.DataObject) -> None:
    """Whatever byte is changed: an ArtifactError or an estimator, never another exception."""
    content = bytearray(GOOD)
    for _ in range(draw.draw(st.integers(1, 4))):
        content[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    damaged = bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            loaded = load(damaged, digest=sha256(damaged))
        except ArtifactError:
            return
    assert isinstance(loaded, artifact.Artifact)


def test_no_module_of_the_loader_imports_pickle() -> None:
    for module in (archive, artifact):
        tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
        imported = {alias.name for item in ast.walk(tree) if isinstance(item, ast.Import) for alias in item.names}
        assert not imported & {"pickle", "joblib", "cloudpickle", "dill"}
