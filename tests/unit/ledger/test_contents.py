"""What goes with a share to `mlops/store`, and what does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from custody.content.store import FileStore
from custody.core.recording import Source, gc_record
from custody.core.sharing import named_by
from custody.domain.ports import Collection
from custody.domain.record import Failure, Kind, Record, Run
from custody.ledger.ledger import GitLedger
from tests.unit.git.repositories import git
from tests.unit.ledger.clones import check_shared, clone, make_server, register, server_records
from tests.unit.ledger.material import a_run, run_record

INTERNAL = {"dataset": "customers", "version": "v1", "logical": "e" * 64, "classification": "internal"}


@pytest.fixture
def server(tmp_path: Path) -> Path:
    return make_server(tmp_path / "server.git")


def run_with(store: FileStore, run_id: str, artifact: bytes, model: str = "churn", **data: Any) -> Run:
    return replace(a_run(run_id, model), artifact=store.put(artifact), data={**INTERNAL, **data})


def stored(server: Path) -> set[str]:
    if not git(server, "for-each-ref", "refs/heads/mlops/store"):
        return set()
    paths = git(server, "ls-tree", "-r", "--name-only", "mlops/store").splitlines()
    return {path.removeprefix("sha256/").replace("/", "") for path in paths}


def test_content_lands_with_its_record_and_is_united_with_that_of_others(server: Path, tmp_path: Path) -> None:
    digests = set()
    stores = [FileStore(tmp_path / f"store{number}") for number in range(3)]
    ledgers = [clone(server, tmp_path / f"c{number}").with_content(store) for number, store in enumerate(stores)]
    for number, (ledger, store) in enumerate(zip(ledgers, stores, strict=True)):
        run = run_with(store, f"run-{number}", b"model %d" % number)
        digests.add(str(run.artifact))
        ledger.append(run_record(run))
    for number, ledger in enumerate(ledgers):
        shared = ledger.share((register(f"run-{number}"),))
        assert shared.landed
        assert shared.left_out == ()
    assert stored(server) == digests
    assert "error" not in git(server, "fsck", "--full", "--strict", "--no-dangling")


@pytest.mark.parametrize("classification", ["confidential", "restricted", None, "of another day"])
def test_classified_content_stays_here(server: Path, tmp_path: Path, classification: str | None) -> None:
    store = FileStore(tmp_path / "store")
    ledger = clone(server, tmp_path / "c").with_content(store)
    ledger.append(run_record(run_with(store, "run-1", b"secret", "triage", classification=classification)))
    ledger.append(run_record(run_with(store, "run-2", b"secret", "churn")))
    shared = ledger.share()
    assert shared.landed
    assert stored(server) == set()
    word = classification or "of no recorded classification"
    assert shared.left_out == (f"not in mlops/store: triage (customers is {word})",)


def test_large_objects_and_full_shares_are_said(server: Path, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    ledger = clone(server, tmp_path / "c").with_content(store)
    sizes = [5_000_001, *[4_900_000 + number for number in range(6)]]
    for number, size in enumerate(sizes):
        ledger.append(run_record(run_with(store, f"run-{number}", bytes(size), f"m{number}")))
    shared = ledger.share()
    assert shared.landed
    assert len(stored(server)) == 5
    assert shared.left_out == (
        "not in mlops/store: more of m6 (one share adds at most 25,000,000 bytes)",
        "not in mlops/store: an object of m0 (5,000,001 bytes are more than 5,000,000)",
    )


def test_objects_that_are_not_here_hold_nothing_up(server: Path, tmp_path: Path) -> None:
    ledger = clone(server, tmp_path / "c").with_content(FileStore(tmp_path / "store"))
    ledger.append(run_record(replace(a_run("run-1"), data=INTERNAL)))
    assert ledger.share().landed
    assert stored(server) == set()


def a_gc(store_keeps: frozenset[str], record_id: str = "gc-1") -> Collection:
    return Collection(
        lambda: store_keeps,
        lambda kept, dropped: gc_record(record_id, kept, dropped, Source("e" * 40, "Ann")) if dropped else None,
    )


def two_clones(server: Path, tmp_path: Path) -> tuple[GitLedger, GitLedger, FileStore, Run, Run]:
    """Two clones of a ledger with two runs, whose content has landed and is in both stores."""
    store = FileStore(tmp_path / "store")
    first, second = (clone(server, tmp_path / name).with_content(store) for name in ("c1", "c2"))
    old, new = run_with(store, "run-1", b"old"), run_with(store, "run-2", b"new")
    first.append(run_record(old))
    first.append(run_record(new))
    assert first.share().landed
    second.fetch()
    assert stored(server) == {old.artifact, new.artifact}
    return first, second, store, old, new


def test_a_gc_drops_forward_and_lands_with_its_record(server: Path, tmp_path: Path) -> None:
    first, _, _, old, new = two_clones(server, tmp_path)
    before = git(server, "rev-parse", "mlops/store").strip()
    shared = first.collect(a_gc(frozenset({str(new.artifact)})))
    assert shared.landed
    assert stored(server) == {new.artifact}
    assert git(server, "rev-parse", "mlops/store~1").strip() == before
    entry = first.entry(shared.commits["gc-1"])
    assert entry is not None
    assert (entry.kind, entry.subject) == ("gc", "gc store: 1 object dropped, 1 kept (6 → 3 bytes)")
    assert entry.body == str(old.artifact)
    assert (entry.trailer("Dropped"), entry.trailer("Kept")) == ("1 object, 3 bytes", "1 object, 3 bytes")
    assert not first.collect(a_gc(frozenset({str(new.artifact)}), "gc-2")).commits
    check_shared(server)


@pytest.mark.parametrize("first_to_land", ["gc", "writer"])
def test_a_gc_and_a_writer_who_names_what_it_would_drop(server: Path, tmp_path: Path, first_to_land: str) -> None:
    first, second, _, old, new = two_clones(server, tmp_path)
    again = replace(a_run("run-3", "ltv"), artifact=old.artifact, data=old.data)
    # the writer believes the object to be on the branch, and so adds nothing
    second.append(run_record(again))

    def keep() -> frozenset[str]:
        if first_to_land == "writer" and "ltv" not in first.state().models:
            assert second.share().landed
        return frozenset({str(new.artifact)} | {str(m.run.artifact) for m in first.state().models.values() if m.run})

    shared = first.collect(replace(a_gc(frozenset()), keep=keep))
    assert shared.landed
    assert bool(shared.commits) is (first_to_land == "gc")
    assert second.share().landed
    assert stored(server) == {old.artifact, new.artifact}
    check_shared(server)


def test_a_host_that_refuses_the_branch_gets_no_record_of_a_gc(server: Path, tmp_path: Path) -> None:
    first, _, _, old, new = two_clones(server, tmp_path)
    hook = server / "hooks" / "update"
    hook.write_text('#!/bin/sh\n[ "$1" = refs/heads/mlops/store ] && exit 1\nexit 0\n')
    hook.chmod(0o755)
    shared = first.collect(a_gc(frozenset({str(new.artifact)})))
    assert not shared.landed
    assert stored(server) == {old.artifact, new.artifact}
    assert "gc-1" not in server_records(server)


def test_a_record_names_its_outputs_artifact_log_and_files() -> None:
    run = replace(a_run("run-1"), artifact="a" * 64, data=INTERNAL, failure=Failure("train", "no", "f" * 64))
    value = {"dataset": "d", "version": "v2", "files": [{"sha256": "b" * 64}], "classification": "restricted"}
    data = Record("r", Kind.DATA, "data", (), files={"datasets/d/v2.json": json.dumps(value).encode()})
    torn = Record("t", Kind.DATA, "data", (), files={"datasets/d/v3.json": b'{"files": 1'})
    of_run, of_data = named_by([run_record(run), data, torn])
    assert set(of_run.digests) == {"a" * 64, "d" * 64, "f" * 64}
    assert of_run.travels
    assert of_data.digests == ("b" * 64,)
    assert of_data.refusal == "d@v2 (d is restricted)"
