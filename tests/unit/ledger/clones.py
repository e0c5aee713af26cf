"""A bare server and clones of one ledger, and what must hold of it however its writers raced or died."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from custody.core.fold import fold, next_version
from custody.core.landing import landing_order
from custody.domain.ports import Decision
from custody.domain.record import ModelState, Record
from custody.ledger.ledger import GitLedger
from tests.unit.git.repositories import git, make_repository
from tests.unit.ledger.material import CONFIG, a_run, open_ledger, promotion_record, register_record

ROOT = Path(__file__).resolve().parents[3]
BRANCH = "mlops/ledger"
SHARED = replace(CONFIG, remote="origin")


def make_server(path: Path) -> Path:
    """Make a bare repository that refuses rewriting, and lets partial clones be made."""
    path.mkdir(parents=True)
    git(path, "init", "-q", "--bare", "-b", "main")
    for key in ("receive.denyNonFastForwards", "receive.denyDeletes", "receive.fsckObjects", "uploadpack.allowFilter"):
        git(path, "config", key, "true")
    git(path, "config", "uploadpack.allowAnySHA1InWant", "true")
    return path


def clone(server: Path, path: Path, url: str | None = None, *, durable: bool = False) -> GitLedger:
    make_repository(path)
    git(path, "remote", "add", "origin", url or str(server))
    return open_ledger(path, SHARED, durable=durable)


def register(run_id: str, model: str = "churn") -> Decision:
    """The decision that makes a run the next version; none where it is one already."""
    run = a_run(run_id, model)

    def make(state: ModelState) -> Record | None:
        return None if state.version_of(run_id) else register_record(run, next_version(state))

    return Decision(model, make)


def promote(run_id: str, model: str = "churn") -> Decision:
    """The decision that puts a version in production; none where it is there, or the run is no version."""
    run = a_run(run_id, model)

    def make(state: ModelState) -> Record | None:
        pointer, version = state.stages.get("production"), state.version_of(run_id)
        if version is None or (pointer and pointer.run == run_id):
            return None
        record = promotion_record(run, version, pointer.run if pointer else None)
        named = (("Replaces", pointer.run),) if pointer else ()
        return replace(record, trailers=(*record.trailers, *named))

    return Decision(model, make)


def server_records(server: Path) -> list[str]:
    """The records on the server in landing order."""
    if not git(server, "for-each-ref", f"refs/heads/{BRANCH}"):
        return []
    with open_ledger(server) as ledger:
        found = [entry.id for entry in ledger.entries()]
    return found[::-1]


def check_shared(server: Path) -> GitLedger:
    """The tree of every commit is the fold of its landing order; nothing twice; vN without gaps; Git finds no fault."""
    ledger = open_ledger(server)
    known = {entry.commit: entry.id for entry in ledger.entries()}
    assert len(set(known.values())) == len(known)
    check_trees(ledger, BRANCH, known)
    assert "error" not in git(server, "fsck", "--full", "--strict", "--no-dangling")
    return ledger


def check_trees(ledger: GitLedger, branch: str, known: Iterable[str]) -> None:
    """Fold the records in the landing order of every commit, and compare with its tree: each stands on its parents."""
    repository = ledger.repository
    records = {commit: record for commit in known if (record := ledger.record(commit))}
    assert len(records) == len(set(known))
    parents = cache(repository.parents)
    orders: dict[str, list[str]] = {}
    folds: dict[str, dict[str, bytes]] = {}
    for commit in git(repository.git_dir, "rev-list", "--reverse", "--topo-order", branch).split():
        order = landing_order(commit, parents)
        first = orders.get(parents(commit)[0], []) if parents(commit) else []
        assert order[: len(first)] == first, "what had landed keeps its place"
        files = dict(folds.get(first[-1], {})) if first else {}
        for landed in order[len(first) :]:
            if landed in records:
                files.update(fold(files.get, records[landed]))
        tree = repository.commit(commit).tree
        stored = {path: repository.blob(blob) for path, blob in repository.changed(None, tree) if blob}
        stored.pop("README.md")
        assert stored == files
        orders[commit], folds[commit] = order, files


def start(path: Path, name: str, rounds: int, think: float) -> subprocess.Popen[str]:
    """Start a clone that works, as a process of its own."""
    command = [sys.executable, "-m", "tests.unit.ledger.sharers", str(path), name, str(rounds), str(think)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def race(paths: list[Path], rounds: int, think: float) -> list[str]:
    """Let all clones work at once and return what they acknowledged."""
    processes = [start(path, path.name, rounds, think) for path in paths]
    said: list[str] = []
    for process in processes:
        out, _ = process.communicate()
        assert process.returncode == 0
        said += out.splitlines()
    return said
