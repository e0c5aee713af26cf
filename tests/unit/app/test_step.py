"""A model from table to evaluation through the steps, as their processes do it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from custody.app.step import run
from custody.content import artifact
from custody.content.logical import column_digests, table_digest
from custody.content.store import FileStore
from custody.content.tables import read_table, to_parquet
from custody.domain.graph import StepOutput
from custody.errors import ContractError, CustodyError, RefusedError, StoreError

STEPS = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from helper import SCALE


def log(values):
    return np.log1p(np.abs(np.asarray(values, dtype=float)))


class Clip(TransformerMixin, BaseEstimator):
    def __init__(self, top=1.0):
        self.top = top

    def fit(self, X, y=None):
        self.top_ = self.top * SCALE
        return self

    def transform(self, X):
        return np.minimum(np.asarray(X, dtype=float), self.top_)


def prepare(ctx, top=3.0):
    numbers = [place for place, kind in enumerate(ctx.kinds) if kind == "number"]
    texts = [place for place, kind in enumerate(ctx.kinds) if kind == "text"]
    return ColumnTransformer([
        ("log", FunctionTransformer(log), numbers),
        ("clip", Clip(top), numbers),
        ("plan", OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
    ])


def train(ctx, C=1.0):
    print("a stray print", ctx.columns)
    return LogisticRegression(C=C).fit(ctx.X, ctx.y)


def broken(ctx):
    return 1 / 0
"""
FEATURES = ["usage", "plan"]


def customers(rows: int = 200) -> pa.Table:
    rng = np.random.default_rng(3)
    usage = rng.normal(10, 4, rows)
    churned = usage + rng.normal(0, 3, rows) < 9
    return pa.table(
        {
            "id": np.arange(rows),
            "usage": usage,
            "plan": pa.array([None if place % 17 == 0 else "ab"[place % 2] for place in range(rows)]),
            "gender": pa.array([None if place % 50 == 0 else "fm"[place % 2] for place in range(rows)]),
            "churned": churned,
        }
    )


class Chain:
    """The steps of one model on one store, in this process."""

    def __init__(self, folder: Path, table: pa.Table, **inputs: object) -> None:
        self.store = FileStore(folder / "store")
        self.code = folder / "code"
        self.inputs = {"features": FEATURES, "target": "churned", "task": "classification", "seed": 7, **inputs}
        self.refs: dict[str, dict[str, str]] = {}
        digest = self.store.put(to_parquet(table))
        logical = table_digest(table.num_rows, column_digests(table))
        self.refs["table"] = {"kind": "table", "digest": logical, "object": digest}

    def write(self, text: str = STEPS) -> None:
        home = self.code / "models" / "churn"
        home.mkdir(parents=True)
        (home / "steps.py").write_text(textwrap.dedent(text))
        (home / "helper.py").write_text("SCALE = 2.0\n")

    def do(self, step: str, inputs: dict[str, object], roles: list[str], **settings: object) -> StepOutput:
        payload = {
            "step": step,
            "model": "churn",
            "directory": "models/churn",
            "inputs": inputs,
            "upstream": {role: self.refs[role] for role in roles},
            "settings": settings,
            "store": str(self.store.root),
            "code": str(self.code) if self.code.is_dir() else None,
            "extensions": ["src"],
        }
        return StepOutput.from_dict(json.loads(json.dumps(run(payload), allow_nan=False)))

    def split(self, **inputs: object) -> StepOutput:
        wanted = {"kind": "random", "test": 0.25, "column": None, "seed": 1, "time": None, **inputs}
        return self._keep("split", self.do("split", wanted, ["table"]))

    def prepare(self, uses: str = "tabular", **params: object) -> StepOutput:
        inputs = {"uses": uses, "with": params, "code": None, **self.inputs}
        return self._keep("transformer", self.do("prepare", inputs, ["table", "split"]))

    def train(self, uses: str = "sklearn.LogisticRegression", **params: object) -> StepOutput:
        place = {
            "sklearn.LogisticRegression": "sklearn.linear_model:LogisticRegression",
            "sklearn.RandomForestClassifier": "sklearn.ensemble:RandomForestClassifier",
            "sklearn.Ridge": "sklearn.linear_model:Ridge",
        }.get(uses)
        inputs = {"uses": uses, "with": params, "code": None, "positive": None, **self.inputs}
        return self._keep("model", self.do("train", inputs, ["table", "split", "transformer"], estimator=place))

    def evaluate(self, slices: tuple[str, ...] = (), positive: object = None, **settings: object) -> StepOutput:
        inputs = {"positive": positive, "slices": list(slices), **self.inputs}
        return self.do("evaluate", inputs, ["table", "split", "model"], **settings)

    def _keep(self, role: str, output: StepOutput) -> StepOutput:
        self.refs[role] = output.ref.to_dict()
        return output


def test_a_model_goes_from_table_to_evaluation(tmp_path: Path) -> None:
    chain = Chain(tmp_path, customers())
    assert chain.split().facts == {"train": 150, "test": 50, "warnings": []}
    chain.prepare()
    trained = chain.train()
    assert trained.facts["classes"] == [False, True]
    assert trained.facts["rows"] == 150
    assert any(item.startswith("scikit-learn==") for item in trained.facts["environment"]["distributions"])
    output = chain.evaluate(("gender",), key="id")

    assert output.facts["n"] == 50
    assert 0.7 < output.facts["metrics"]["roc_auc"] <= 1
    assert sum(part["n"] for part in output.facts["slices"]["gender"].values()) == 50
    stored = json.loads(chain.store.get(output.ref.object))
    assert stored["metrics"] == output.facts["metrics"]
    assert stored["positive"] is True
    assert stored["predictions"]["digest"] == output.extra["predictions"].digest
    table = read_table(chain.store.get(output.extra["predictions"].object))
    assert table.column_names == ["row", "key", "truth", "prediction", "probability.false", "probability.true"]
    assert table["row"].to_pylist() == table["key"].to_pylist()
    hits = sum(a == b for a, b in zip(table["truth"].to_pylist(), table["prediction"].to_pylist(), strict=True))
    assert hits / 50 == output.facts["metrics"]["accuracy"]


def test_the_evaluated_model_is_the_stored_one(tmp_path: Path) -> None:
    chain = Chain(tmp_path, customers())
    chain.split()
    chain.prepare()
    chain.train()
    chain.refs["model"]["digest"] = "0" * 64
    with pytest.raises(CustodyError, match="it was changed"):
        chain.evaluate()


def test_own_functions_prepare_and_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = Chain(tmp_path, customers())
    chain.write()
    chain.split()
    chain.prepare("./steps.py:prepare", top=2.5)
    output = chain.train("./steps.py:train", C=0.5)
    assert "a stray print" in capsys.readouterr().out
    meta = artifact.read_meta(chain.store.get(output.ref.object), digest=output.ref.digest)
    assert meta["modules"] == ["custody_models.churn.steps"]
    assert chain.evaluate().facts["metrics"]["accuracy"] > 0.5
    assert not [name for name in sys.modules if name.startswith("custody_models") or name == "helper"]


def test_an_artifact_with_own_code_is_not_loaded_without_it(tmp_path: Path) -> None:
    chain = Chain(tmp_path, customers())
    chain.write()
    chain.split()
    chain.prepare("./steps.py:prepare")
    chain.code = tmp_path / "nowhere"  # as if the model's code had not been laid out
    with pytest.raises(CustodyError, match=r"the code of custody_models\.churn\.steps was not given"):
        chain.train()


def test_an_error_in_own_code_names_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = Chain(tmp_path, customers())
    chain.write()
    chain.split()
    line = STEPS.splitlines().index("    return 1 / 0") + 1
    with pytest.raises(CustodyError) as caught:
        chain.prepare("./steps.py:broken")
    assert str(caught.value) == f"models/churn/steps.py:{line}: ZeroDivisionError: division by zero"
    assert "Traceback" in capsys.readouterr().err


def test_own_code_that_draws_from_the_global_generators_is_seeded(tmp_path: Path) -> None:
    chain = Chain(tmp_path, customers(), features=["usage"])
    source = """
        import random
        import numpy as np
        from sklearn.preprocessing import Binarizer
        def prepare(ctx):
            return Binarizer(threshold=random.random() + np.random.rand())
    """
    chain.write(source)
    chain.split()
    first = chain.prepare("./steps.py:prepare").ref
    assert chain.prepare("./steps.py:prepare").ref == first
    chain.inputs["seed"] = 8
    assert chain.prepare("./steps.py:prepare").ref != first


def test_a_fitted_thing_that_cannot_be_loaded_again_fails_where_it_is_made(tmp_path: Path) -> None:
    chain = Chain(tmp_path, customers())
    source = """
        from sklearn.preprocessing import FunctionTransformer
        def prepare(ctx):
            return FunctionTransformer(lambda values: values[:, :1].astype(float))
    """
    chain.write(source)
    chain.split()
    with pytest.raises(CustodyError, match="'<lambda>'") as caught:
        chain.prepare("./steps.py:prepare")
    assert "top level" in caught.value.help[0]


def test_a_missing_value_is_named_by_column_and_count(tmp_path: Path) -> None:
    table = customers().set_column(1, "usage", pa.array([None if place < 30 else 1.0 * place for place in range(200)]))
    chain = Chain(tmp_path, table, features=["usage"])
    chain.split(kind="ordered", column="id")
    chain.prepare(impute="none")
    with pytest.raises(CustodyError, match=r"input contains NaN \(column usage, 30 of 150 rows\)"):
        chain.train()


def test_rows_without_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    labels = pa.array([None if place % 4 == 0 else place % 3 == 0 for place in range(200)])
    chain = Chain(tmp_path, customers().set_column(4, "churned", labels))
    chain.split(kind="ordered", column="id")
    chain.prepare()
    trained = chain.train()
    assert (trained.facts["rows"], trained.facts["dropped"]) == (112, 38)
    assert chain.evaluate().facts["n"] == 38


def test_a_regression(tmp_path: Path) -> None:
    chain = Chain(tmp_path, customers(), target="usage", features=["plan", "churned"], task="regression")
    chain.split()
    chain.prepare()
    chain.train("sklearn.Ridge")
    facts = chain.evaluate(("gender",)).facts
    assert set(facts["metrics"]) == {"rmse", "mae", "r2", "median_ae", "max_error", "bias"}
    assert facts["classes"] == []


def test_validation_reports_what_it_checked_and_hides_sensitive_values(tmp_path: Path) -> None:
    chain = Chain(tmp_path, customers())
    rules = {"gender": {"values": ["f"]}, "usage": {"type": "number", "min": 0}}
    contract = {"key": "id", "columns": rules}
    with pytest.raises(ContractError, match="gender: none of f") as caught:
        chain.do("validate", {"contract": contract}, ["table"], sensitive=["gender"])
    assert ": m" not in str(caught.value)
    rules["gender"] = {"values": ["f", "m"]}
    rules["usage"] = {"type": "number"}
    output = chain.do("validate", {"contract": contract}, ["table"])
    assert output.facts == {"warnings": [], "checks": 3}
    assert json.loads(chain.store.get(output.ref.object))["rows"] == 200


def test_a_purpose_that_is_not_allowed_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    chain = Chain(tmp_path, customers())
    ref = chain.refs["table"]
    settings = {
        "dataset": "customers",
        "version": "v1",
        "purposes": ["retention"],
        "root": str(tmp_path),
        "file": ref["object"],
        "rows": 200,
    }
    inputs = {"logical": ref["digest"]}
    assert chain.do("fetch", inputs, [], purpose="retention", **settings).ref.to_dict() == ref
    with pytest.raises(RefusedError):
        chain.do("fetch", inputs, [], purpose="pricing", **settings)


def test_an_unknown_step_and_a_missing_object_are_said(tmp_path: Path) -> None:
    chain = Chain(tmp_path, customers())
    with pytest.raises(CustodyError, match="no step polish"):
        chain.do("polish", {}, [])
    chain.refs["table"]["object"] = "0" * 64
    with pytest.raises(StoreError):
        chain.split()


PROCESS = """
import sys
from pathlib import Path
from tests.unit.app.test_step import Chain, customers
chain = Chain(Path(sys.argv[1]), customers())
chain.write()
outputs = [chain.split(), chain.prepare("./steps.py:prepare")]
for uses in ("sklearn.RandomForestClassifier", "./steps.py:train"):
    outputs += [chain.train(uses), chain.evaluate(("gender",))]
    print(uses, outputs[-1].extra["predictions"].digest)
print([output.ref.digest for output in outputs])
"""


@pytest.mark.heavy
def test_the_digests_are_the_same_in_another_process_and_folder(tmp_path: Path) -> None:
    seen = set()
    for number in ("1", "2"):
        folder = tmp_path / number / ("deep" * int(number))
        folder.mkdir(parents=True)
        paths = {"PYTHONHASHSEED": number, "PYTHONPATH": str(Path(__file__).parents[3])}
        command = [sys.executable, "-c", PROCESS, str(folder)]
        environment = {**os.environ, **paths, "OMP_NUM_THREADS": number}
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        seen.add("\n".join(line for line in lines if "stray" not in line))
    assert len(seen) == 1


def test_the_example_in_the_documentation_works(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "adding-a-step.md").read_text(encoding="utf-8")
    chain = Chain(tmp_path, customers())
    chain.write(page.split("```python\n")[1].split("```")[0])
    chain.split()
    chain.prepare("./steps.py:prepare", top=3.0)
    chain.train("./steps.py:train", C=0.5)
    assert chain.evaluate().facts["metrics"]["roc_auc"] > 0.7
