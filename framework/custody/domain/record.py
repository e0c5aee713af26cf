"""What the ledger holds: records (one commit each) and State, their fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from custody.domain.graph import StepRecord
from custody.domain.verdict import Verdict

FORMAT = 1


class Kind(StrEnum):
    """Kinds of records. Facts come first; from REGISTER on they are decisions, made on the freshest head only.

    A hold travels like a fact, so that it can be made offline, and decides like a decision where it lands.
    """

    RUN = "run"
    VERDICT = "verdict"
    METADATA = "metadata"
    DATA = "data"
    DEPLOYED = "deployed"
    MONITOR = "monitor"
    ALERT = "alert"
    ACKNOWLEDGE = "acknowledge"
    SILENCE = "silence"
    PREDICTIONS = "predictions"
    HOLD = "hold"
    REGISTER = "register"
    PROMOTION = "promotion"
    RETIRE = "retire"
    RENAME = "rename"
    GC = "gc"

    @property
    def decision(self) -> bool:
        return self in {Kind.REGISTER, Kind.PROMOTION, Kind.RETIRE, Kind.RENAME, Kind.GC}

    @property
    def moves_stages(self) -> bool:
        """Whether it may change what the stages point to, and with it the README of the branch."""
        return (self.decision and self is not Kind.GC) or self is Kind.HOLD


class RunStatus(StrEnum):
    """How a run ended. Only a passed run can become a version."""

    PASSED = "passed"
    REJECTED = "rejected"
    FAILED = "failed"
    BLOCKED = "blocked"
    CRASHED = "crashed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run did not end well: the step, one line, and the digest of the stored log."""

    step: str
    error: str
    log: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"step": self.step, "error": self.error, "log": self.log}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a model: `models/<model>/run.json` on the ledger.

    `code` is the source commit, `closure` maps each source file read to its blob id (None: looked up and absent),
    `environment` is what the training process reported, `data` is `{dataset, version, logical, rows, classification}`,
    `params` the parameters of the estimator, `metadata` owner, purpose and the like as last recorded.
    `asked` is the digest of what it was to do, `attempts` how many at that have failed in a row, itself included.
    """

    id: str
    model: str
    status: RunStatus
    code: str | None
    data: Mapping[str, Any]
    steps: Mapping[str, StepRecord]
    metadata: Mapping[str, Any]
    limits: Mapping[str, Any] = field(default_factory=dict)
    """The declared gates, as judged: `{metrics: …, slices: …}`."""
    monitors: Mapping[str, Any] = field(default_factory=dict)
    """What monitors.yaml declared when it was recorded last; empty: nothing was watched."""
    category: str = ""
    reasons: tuple[Mapping[str, Any], ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    artifact: str | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    verdict: Verdict | None = None
    failure: Failure | None = None
    closure: Mapping[str, str | None] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    plan: str | None = None
    started: str | None = None
    finished: str | None = None
    seconds: float | None = None
    actor: str | None = None
    asked: str | None = None
    attempts: int = 0
    basis: Mapping[str, Any] = field(default_factory=dict)
    """What its plan was read from, by Git's ids; empty where a clone has to read it again. See `core/basis.py`."""

    @property
    def key(self) -> str | None:
        """The key of its evaluation: equal keys mean the same data, code, parameters and seed."""
        step = self.steps.get("evaluate")
        return step.key if step and step.usable else None

    @property
    def complete(self) -> bool:
        """Whether it reached its gates."""
        return self.status in {RunStatus.PASSED, RunStatus.REJECTED}

    def to_dict(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "format": FORMAT,
            "run": self.id,
            "model": self.model,
            "status": str(self.status),
            "category": self.category,
            "reasons": [dict(reason) for reason in self.reasons],
            "code": self.code,
            "data": dict(self.data),
            "params": dict(self.params),
            "seed": self.seed,
            "metrics": dict(self.metrics),
            "artifact": self.artifact,
            "limits": dict(self.limits),
            "verdict": self.verdict.to_dict() if self.verdict else None,
            "failure": self.failure.to_dict() if self.failure else None,
            "steps": {name: step.to_dict() for name, step in self.steps.items()},
            "closure": dict(self.closure),
            "environment": dict(self.environment),
            "metadata": dict(self.metadata),
            "plan": self.plan,
            "started": self.started,
            "finished": self.finished,
            "seconds": self.seconds,
            "actor": self.actor,
        }
        value |= {"monitors": dict(self.monitors)} if self.monitors else {}
        value |= {"asked": self.asked} if self.asked else {}
        value |= {"attempts": self.attempts} if self.attempts else {}
        return value | ({"basis": dict(self.basis)} if self.basis else {})

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read `run.json`; raises KeyError or ValueError where it is not one of this format."""
        if value["format"] != FORMAT:
            msg = f"run.json has format {value['format']}, this custody reads {FORMAT}"
            raise ValueError(msg)
        failure = value.get("failure")
        return cls(
            id=value["run"],
            model=value["model"],
            status=RunStatus(value["status"]),
            code=value["code"],
            data=value["data"],
            steps={name: StepRecord.from_dict(name, step) for name, step in value["steps"].items()},
            metadata=value["metadata"],
            limits=value.get("limits", {}),
            monitors=value.get("monitors", {}),
            category=value.get("category", ""),
            reasons=tuple(value.get("reasons", ())),
            params=value.get("params", {}),
            seed=value.get("seed"),
            artifact=value.get("artifact"),
            metrics=value.get("metrics", {}),
            verdict=Verdict.from_dict(value["verdict"]) if value.get("verdict") else None,
            failure=Failure(failure["step"], failure["error"], failure.get("log")) if failure else None,
            closure=value.get("closure", {}),
            environment=value.get("environment", {}),
            plan=value.get("plan"),
            started=value.get("started"),
            finished=value.get("finished"),
            seconds=value.get("seconds"),
            actor=value.get("actor"),
            asked=value.get("asked"),
            attempts=int(value.get("attempts", 0)),
            basis=value.get("basis", {}),
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One event, ready to be appended.

    `trailers` carry every key that is queried, in order; values hold no control characters. `files` are the
    fact-owned files it writes (path on the ledger to bytes), `effect` is what the fold needs beyond them:
    REGISTER `{version, run, artifact, at}`, PROMOTION `{stage, run, version, replaces, at}` and where it ends holds
    `releases` (their ids), HOLD `{stage, from, to, reason, by, at}`, RETIRE `{}`, RENAME `{was, at}`,
    DEPLOYED `{where, stage, version, run, artifact, by, at, remark}`, all others `{}`: what they say is in their files
    (`core/ownership.py`). `notes` are lines for other commits: (commit id, line).
    `source` is the id of the source tree that a trial ran on; its commit holds it as `source/`.
    """

    id: str
    kind: Kind
    subject: str
    trailers: tuple[tuple[str, str], ...]
    model: str | None = None
    body: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    effect: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[tuple[str, str], ...] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True)
class StagePointer:
    """Which run a stage points to since which record."""

    run: str
    version: str
    record: str
    at: str


@dataclass(frozen=True, slots=True)
class Version:
    """`vN` of a model: the run that became it."""

    version: str
    run: str
    artifact: str | None
    record: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A stage that was rolled back at once: no promotion takes effect there that does not name this record.

    `from_` is the run that the stage pointed to when it was made (None: to nothing): the hold moves the stage off
    that run only. `to` is the run that it moves the stage to.
    """

    record: str
    stage: str
    from_: str | None
    to: str | None
    reason: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Deployed:
    """What runs at a place, as somebody said: `version` of the model, serving what `stage` stands for.

    `artifact` is the digest of the file that was found there, where it was given.
    """

    record: str
    where: str
    stage: str
    version: str
    run: str
    artifact: str | None
    by: str
    at: str
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is recorded of one model: its last run, versions and stages; `records` counts its records.

    `holds` are those still open, oldest first. `deployed` is what was said last of each place and stage. `was` are the
    names that it had before, newest first; `renamed` is the one that it has now, where this name is free again.
    """

    name: str
    run: Run | None = None
    stages: Mapping[str, StagePointer] = field(default_factory=dict)
    versions: Mapping[str, Version] = field(default_factory=dict)
    records: int = 0
    retired: bool = False
    holds: tuple[Hold, ...] = ()
    deployed: tuple[Deployed, ...] = ()
    was: tuple[str, ...] = ()
    renamed: str | None = None

    def holds_on(self, stage: str) -> tuple[Hold, ...]:
        """Return the open holds on `stage`, oldest first."""
        return tuple(hold for hold in self.holds if hold.stage == stage)

    def version_of(self, run: str) -> str | None:
        """Return the version that `run` became, if it did."""
        return next((item.version for item in self.versions.values() if item.run == run), None)


@dataclass(frozen=True, slots=True)
class State:
    """The fold of the ledger at `head`: all that is recorded. `datasets` maps `name@version` to its record's JSON."""

    head: str | None = None
    models: Mapping[str, ModelState] = field(default_factory=dict)
    datasets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as read back from the ledger: its commit, who and when, subject, body and trailers."""

    commit: str
    id: str
    kind: str
    subject: str
    trailers: tuple[tuple[str, str], ...]
    author: str
    at: str
    body: str = ""

    def trailer(self, key: str) -> str | None:
        """Return the value of the first trailer called `key`."""
        return next((value for name, value in self.trailers if name == key), None)


@dataclass(frozen=True, slots=True)
class Headline:
    """A record in short, as the index has it: `id` is its own, `who` ran it, `version` is the one that it names.

    `before` is the run that its stage pointed to, or the former name of the model.
    """

    commit: str
    id: str
    kind: str
    model: str
    subject: str
    who: str
    at: str
    run: str | None = None
    version: str | None = None
    stage: str | None = None
    before: str | None = None
