"""Each answer that a push may get, as the one who shares meets it: what has landed, what is said, what helps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from custody.ledger.ledger import GitLedger
from tests.unit.git.repositories import commit, git
from tests.unit.ledger.clones import BRANCH, SHARED, check_shared, clone, make_server, register, server_records
from tests.unit.ledger.material import a_run, open_ledger, run_record

LEDGER = f"refs/heads/{BRANCH}"


@pytest.fixture
def server(tmp_path: Path) -> Path:
    return make_server(tmp_path / "server.git")


@pytest.fixture
def ann(server: Path, tmp_path: Path) -> GitLedger:
    """A clone with one record that has landed, and one with a note that is pending."""
    ledger = clone(server, tmp_path / "ann")
    ledger.append(run_record(a_run("run-1")))
    assert ledger.share().landed
    target = commit(tmp_path / "ann")
    ledger.append(run_record(a_run("run-2"), notes=((target, "a line"),)))
    return ledger


def hook(server: Path, name: str, script: str) -> None:
    path = server / "hooks" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def update_declines(server: Path) -> None:
    hook(server, "update", f'[ "$1" != {LEDGER} ] || {{ echo "ask Grace"; exit 1; }}')


def pre_receive_declines(server: Path) -> None:
    hook(server, "pre-receive", 'echo "ask Grace"; exit 1')


def ledger_is_hidden(server: Path) -> None:
    git(server, "config", "receive.hideRefs", LEDGER)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (update_declines, ("origin refuses the ledger", f"{LEDGER} (hook declined)", "ask Grace")),
        (pre_receive_declines, ("origin refuses the ledger", "pre-receive hook declined", "ask Grace")),
        (ledger_is_hidden, ("origin refuses the ledger", "deny updating a hidden ref")),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_host_and_nothing_lands(
    ann: GitLedger, server: Path, case: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    case(server)
    shared = ann.share((register("run-2"),))
    assert not shared.landed
    assert [word for word in words if word not in shared.reason] == []
    assert shared.help == ("custody sync",)
    assert (shared.commits, ann.model("churn").versions) == ({}, {})
    assert [entry.id for entry in ann.pending()] == ["record-of-run-2"]
    assert server_records(server) == ["record-of-run-1"]


def test_hidden_notes_do_not_hold_back_the_records(ann: GitLedger, server: Path) -> None:
    git(server, "config", "receive.hideRefs", "refs/notes")
    shared = ann.share((register("run-2"),))
    assert shared.landed
    assert "hidden ref" in shared.reason
    assert list(shared.commits) == ["register-run-2"]
    assert ann.pending() == ()
    assert server_records(server)[-2:] == ["record-of-run-2", "register-run-2"]


def test_a_server_without_atomic_pushes_gets_the_ledger_before_the_notes(ann: GitLedger, server: Path) -> None:
    git(server, "config", "receive.advertiseAtomic", "false")
    order = server.parent / "order"
    hook(server, "update", f"echo $1 >> {order}")
    shared = ann.share((register("run-2"),))
    assert shared.landed
    assert shared.reason == ""
    assert order.read_text().split() == [LEDGER, "refs/notes/mlops"]
    assert ann.pending() == ()
    check_shared(server)


def test_a_server_without_atomic_pushes_that_refuses_the_ledger_gets_no_notes(ann: GitLedger, server: Path) -> None:
    git(server, "config", "receive.advertiseAtomic", "false")
    update_declines(server)
    shared = ann.share()
    assert not shared.landed
    assert "ask Grace" in shared.reason
    assert git(server, "for-each-ref", "refs/notes") == ""
    assert [entry.id for entry in ann.pending()] == ["record-of-run-2"]


def test_a_ledger_that_moves_between_advertisement_and_update_is_a_race(
    ann: GitLedger, server: Path, tmp_path: Path
) -> None:
    bob = clone(server, tmp_path / "bob")
    bob.fetch()
    theirs = bob.append(run_record(a_run("run-b")))
    git(tmp_path / "bob", "push", "-q", "origin", f"{theirs}:refs/heads/aside")
    # a hook may not move refs while a push is in quarantine, so the ref is written as another process would
    hook(server, "pre-receive", f"[ -e {tmp_path}/once ] || echo {theirs} > {LEDGER}; touch {tmp_path}/once")
    shared = ann.share((register("run-2"),))
    assert (tmp_path / "once").exists()
    assert shared.landed
    assert server_records(server) == ["record-of-run-1", "record-of-run-b", "record-of-run-2", "register-run-2"]
    check_shared(server)


def test_a_remote_that_is_no_repository_is_said_to_be_out_of_reach(ann: GitLedger, server: Path) -> None:
    git(ann.repository.git_dir.parent, "remote", "set-url", "origin", str(server.with_name("none")))
    shared = open_ledger(ann.repository.git_dir.parent, SHARED).share()
    assert not shared.landed
    assert "origin was not reached" in shared.reason
    assert shared.help == ("custody sync",)
