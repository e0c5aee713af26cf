"""The entry of a step process: `run(payload)` does one step of one model and returns its output as a JSON object.

Everything it needs is in the payload and in the content store; nothing but digests, small facts and stored objects
leave it. What is evaluated is the model loaded back from the store. Runs inside a step process: it imports late.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from custody.app.scores import with_scores
from custody.content import artifact
from custody.content.store import FileStore
from custody.content.tables import read_table, to_parquet
from custody.digest import canonical_json
from custody.domain.graph import Ref, StepOutput
from custody.errors import ContractError, CustodyError
from custody.kit import checks, environment, evaluation, frame, oddities, splits, training
from custody.kit.usercode import UserCode

_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class Work:
    """The payload of one step, read."""

    step: str
    inputs: Mapping[str, Any]
    upstream: Mapping[str, Ref]
    settings: Mapping[str, Any]
    store: FileStore
    code: UserCode

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Work:
        folder = Path(payload["code"]) if payload.get("code") else None
        return cls(
            payload["step"],
            payload["inputs"],
            {role: Ref.from_dict(ref) for role, ref in payload["upstream"].items()},
            payload.get("settings") or {},
            FileStore(Path(payload["store"])),
            UserCode(payload["model"], folder, payload["directory"], tuple(payload.get("extensions") or ())),
        )

    @property
    def seed(self) -> int:
        return int(self.inputs.get("seed") or 0)

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self.inputs["features"])

    def table(self, columns: Collection[str] | None = None) -> pa.Table:
        """Return the dataset's table, or some of its columns, each once, with what other models say of its rows."""
        names = None if columns is None else list(dict.fromkeys(columns))
        scored = {
            name: digest for name, digest in self.inputs.get("inputs", {}).items() if names is None or name in names
        }
        stored = None if names is None else [name for name in names if name not in scored]
        return with_scores(self._stored(stored), scored, self._stored, self.store)

    def _stored(self, names: Collection[str] | None) -> pa.Table:
        return read_table(self.store.get(self.upstream["table"].object), None if names is None else list(names))

    def division(self, rows: int) -> splits.Division:
        return splits.Division.from_bytes(self.store.get(self.upstream["split"].object), rows)

    def artifact(self, role: str) -> artifact.Artifact:
        """Load a stored estimator, with those modules of the model's code that it names."""
        ref = self.upstream[role]
        data = self.store.get(ref.object)
        modules = self.code.first_party(artifact.read_meta(data, digest=ref.digest)["modules"])
        return artifact.load(data, digest=ref.digest, trusted_modules=modules)

    def store_artifact(self, kind: str, estimator: Any, meta: Mapping[str, Any]) -> Ref:
        """Store a fitted estimator, after loading it once: what could not be loaded again fails here."""
        data = artifact.dump(estimator, meta)
        digest = self.store.put(data)
        modules = self.code.first_party(artifact.read_meta(data, digest=digest)["modules"])
        artifact.load(data, digest=digest, trusted_modules=modules)
        return Ref(kind, digest, digest)

    def store_bytes(self, kind: str, data: bytes) -> Ref:
        digest = self.store.put(data)
        return Ref(kind, digest, digest)


def run(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Do the step that `payload` describes; see `custody.domain.graph.StepOutput` for what it returns.

    Raises CustodyError with a message of one line for whatever the data, the spec or the model's own code did wrong.
    """
    work = Work.of(payload)
    step = _STEPS.get(work.step)
    if step is None:
        raise CustodyError(f"there is no step {work.step}")
    random.seed(work.seed)
    np.random.seed(work.seed % _SEEDS)  # noqa: NPY002  (for the model's own code, which may use it)
    with work.code.importable():
        return step(work).to_dict()


def fetch(work: Work) -> StepOutput:
    """Make sure that the dataset version is here and is what was recorded."""
    from custody.app.ingest import Recorded, restore

    recorded = Recorded.from_settings(work.inputs["logical"], work.settings)
    return StepOutput(restore(recorded, work.settings["purpose"], root=Path(work.settings["root"]), store=work.store))


def validate(work: Work) -> StepOutput:
    """Check the dataset's contract."""
    table, contract = work.table(), work.inputs["contract"]
    hidden = checks.hidden_columns(work.settings)
    count = checks.check_contract(table, contract, hidden)
    warnings = oddities.warnings_of(table, contract.get("key"), hidden)
    report = checks.report(table, count, warnings)
    return StepOutput(
        work.store_bytes("report", canonical_json(report)), facts={"warnings": list(warnings), "checks": count}
    )


def split(work: Work) -> StepOutput:
    """Decide which rows train and which test."""
    column, time = work.inputs["column"], work.inputs["time"]
    table = work.table([name for name in (column, time) if name] or None)
    rule = splits.Rule(work.inputs["kind"], work.inputs["test"], column, work.seed, work.inputs.get("from"))
    division = splits.divide(table, rule, time)
    return StepOutput(work.store_bytes("split", division.to_bytes()), facts=splits.facts(table, rule, division))


def prepare(work: Work) -> StepOutput:
    """Fit the transformer on the training rows."""
    rows = _rows(work, "train")
    context = training.PrepareContext(work.features, rows.kinds, work.seed, work.inputs["task"], work.inputs["target"])
    with one_thread(work):
        fitted = training.fit_transformer(
            work.inputs["uses"],
            work.inputs["with"],
            context,
            (rows.values, rows.labels),
            work.code,
            work.settings.get("transformers") or {},
        )
    meta = {"features": list(work.features), "kinds": list(rows.kinds)}
    return StepOutput(work.store_artifact("transformer", fitted, meta))


def train(work: Work) -> StepOutput:
    """Fit the estimator on the prepared training rows and store it together with its transformer."""
    transformer = work.artifact("transformer")
    rows = _rows(work, "train", transformer.meta["kinds"])
    task = work.inputs["task"]
    if task == "classification" and len(set(rows.labels.tolist())) < 2:  # noqa: PLR2004
        raise ContractError(f"target {work.inputs['target']} has one class in the {len(rows.labels):,} training rows")
    with one_thread(work):
        prepared = training.transform(transformer.estimator, rows.values, work.features, work.code)
        columns = training.column_names(transformer.estimator, work.features, prepared.shape[1])
        context = training.TrainContext(prepared, rows.labels, work.seed, task, rows.classes, work.features, columns)
        fitted = training.fit_model(
            work.inputs["uses"],
            work.inputs["with"],
            work.settings.get("estimator"),
            context,
            transformer.estimator,
            work.code,
        )
    question = evaluation.Question.of(task, rows.classes, work.inputs["positive"], ())
    meta = {
        "features": list(work.features),
        "kinds": list(rows.kinds),
        "target": work.inputs["target"],
        "task": task,
        "classes": list(rows.classes),
        "positive": question.positive,
        **({"inputs": dict(work.inputs["inputs"])} if work.inputs.get("inputs") else {}),
    }
    facts: dict[str, Any] = {"classes": list(rows.classes), "rows": len(rows.labels), "dropped": rows.dropped}
    if fitted.warnings:
        facts["warnings"] = list(fitted.warnings)
    ref = work.store_artifact("model", fitted.pipeline, meta)
    return StepOutput(ref, facts={**facts, "environment": environment.describe()})


def evaluate(work: Work) -> StepOutput:
    """Score the stored model on the test rows."""
    loaded = work.artifact("model")
    slices, key = tuple(work.inputs["slices"]), work.settings.get("key")
    rows = _rows(work, "test", loaded.meta["kinds"], others=(*slices, *([key] if key else [])))
    question = evaluation.Question.of(work.inputs["task"], loaded.meta["classes"], work.inputs["positive"], slices)
    with one_thread(work):
        found = evaluation.predict(loaded.estimator, rows.values, rows.labels, question)
    facts = evaluation.summary(found, rows.table, question)
    keys = rows.table.column(key) if key else None
    table = evaluation.predictions_table(found, rows.places, keys, question)
    predictions = work.store_bytes("predictions", to_parquet(table))
    stored = canonical_json(evaluation.evaluation(facts, question, predictions.to_dict()))
    return StepOutput(work.store_bytes("evaluation", stored), {"predictions": predictions}, facts)


@dataclass(frozen=True, slots=True)
class Rows:
    """The labelled rows of one side of the split: `places` are their positions in the dataset, from 0."""

    table: pa.Table
    values: NDArray[Any]
    labels: NDArray[Any]
    places: NDArray[np.int64]
    kinds: tuple[str, ...]
    classes: tuple[Any, ...]
    dropped: int


def _rows(work: Work, side: str, kinds: Collection[str] | None = None, others: Collection[str] = ()) -> Rows:
    target = work.inputs["target"]
    table = work.table([*work.features, target, *others])
    division = work.division(table.num_rows)
    wanted = division.train if side == "train" else division.test
    labels = frame.target(table, target, work.inputs["task"])
    chosen = wanted & labels.known
    if not chosen.any():
        raise ContractError(f"target {target} is null in all of the {int(wanted.sum()):,} {side} rows")
    part = table.filter(pa.array(chosen))
    kinds = tuple(kinds) if kinds is not None else frame.kinds_of(table, work.features)
    return Rows(
        part,
        frame.matrix(part, work.features, kinds),
        labels.values[chosen[labels.known]],
        np.flatnonzero(chosen),
        kinds,
        labels.classes,
        int((wanted & ~labels.known).sum()),
    )


def one_thread(work: Work) -> Any:
    """Limit BLAS and OpenMP, whose number of threads changes the last bits; also where the process was not told to."""
    import sklearn.ensemble  # noqa: F401  (only libraries that are loaded can be limited)
    import threadpoolctl

    return threadpoolctl.threadpool_limits(limits=int(work.settings.get("threads") or 1))


_STEPS: Mapping[str, Callable[[Work], StepOutput]] = {
    "fetch": fetch,
    "validate": validate,
    "split": split,
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
}
