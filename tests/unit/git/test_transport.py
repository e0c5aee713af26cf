"""What a push may be answered, each row made by a real server where that can be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from custody.git.objects import Repository, open_repository
from custody.git.refs import read_ref
from custody.git.transport import (
    Fate,
    Pushed,
    RefAnswer,
    clean_text,
    deepen,
    fate_of,
    fetch,
    fetch_objects,
    parse_push,
    promises,
    push,
    remote_path,
    remote_url,
)
from tests.unit.git.repositories import commit, git, make_repository

LEDGER, NOTES = "refs/heads/mlops/ledger", "refs/notes/mlops"


@dataclass
class Pair:
    """A bare server and a clone with two commits, the first of which has landed on ledger and notes."""

    server: Path
    path: Path
    repository: Repository
    first: str
    second: str

    def push(self, ledger: str | None = None, notes: str | None = None) -> tuple[Pushed, Fate]:
        pushed = push(self.repository, "origin", {LEDGER: ledger or self.second, NOTES: notes or self.second})
        return pushed, fate_of(pushed, LEDGER)

    def heads(self) -> list[str]:
        return git(self.server, "for-each-ref", "--format=%(objectname)", LEDGER, NOTES).split()

    def hook(self, name: str, script: str) -> None:
        path = self.server / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def others(self) -> str:
        """Let somebody else land a commit that this clone does not have."""
        git(self.server.parent, "clone", "-q", str(self.server), "other")
        other = self.server.parent / "other"
        git(other, "checkout", "-q", "--detach", "origin/mlops/ledger")
        made = commit(other, "theirs")
        git(other, "push", "-q", "origin", f"{made}:{LEDGER}")
        return made


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    server = tmp_path / "server.git"
    server.mkdir()
    git(server, "init", "-q", "--bare")
    for key in ("receive.denyNonFastForwards", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(server, "config", key, "true")
    path = make_repository(tmp_path / "clone")
    git(path, "remote", "add", "origin", str(server))
    first = commit(path, "first", a="1")
    git(path, "push", "-q", "origin", f"{first}:{LEDGER}", f"{first}:{NOTES}")
    return Pair(server, path, open_repository(path, durable=False), first, commit(path, "second", a="2"))


def test_an_accepted_push_lands_all_of_it(pair: Pair) -> None:
    pushed, fate = pair.push()
    assert fate is Fate.LANDED
    assert pushed.accepted(LEDGER)
    assert pair.heads() == [pair.second, pair.second]
    assert pair.push()[1] is Fate.LANDED


def behind_unknown(pair: Pair) -> None:
    pair.others()


def behind_known(pair: Pair) -> None:
    pair.others()
    fetch(pair.repository, "origin", [f"{LEDGER}:refs/remotes/origin/mlops/ledger"])


def declined(pair: Pair) -> None:
    pair.hook("update", f'[ "$1" != {LEDGER} ] || {{ echo "ask Grace"; exit 1; }}')


def pre_receive(pair: Pair) -> None:
    pair.hook("pre-receive", 'echo "ask Grace"; exit 1')


def moved_meanwhile(pair: Pair) -> None:
    """The ledger moves between what the server advertised and its update."""
    who = ("-c", "user.name=Bob", "-c", "user.email=bob@example.org")
    theirs = git(pair.server, *who, "commit-tree", "-p", pair.first, "-m", "theirs", f"{pair.first}^{{tree}}").strip()
    # a hook may not move refs while a push is in quarantine, so the ref is written as another process would
    pair.hook("pre-receive", f"echo {theirs} > {LEDGER}")


def locked(pair: Pair) -> None:
    (pair.server / f"{LEDGER}.lock").touch()


def gone(pair: Pair) -> None:
    pair.server.rename(pair.server.with_name("gone"))


def not_atomic(pair: Pair) -> None:
    git(pair.server, "config", "receive.advertiseAtomic", "false")


@pytest.mark.parametrize(
    ("case", "expected", "words"),
    [
        (behind_unknown, Fate.RACE, "fetch first"),
        (behind_known, Fate.RACE, "non-fast-forward"),
        (moved_meanwhile, Fate.RACE, "atomic transaction failed"),
        (locked, Fate.SERVER_LOCK, "atomic transaction failed"),
        (declined, Fate.REFUSED, "hook declined"),
        (pre_receive, Fate.REFUSED, "pre-receive hook declined"),
        (gone, Fate.OFFLINE, ""),
        (not_atomic, Fate.NO_ATOMIC, ""),
    ],
)
def test_a_push_that_does_not_land_is_told_by_its_answer(
    pair: Pair, case: Callable[[Pair], None], expected: Fate, words: str
) -> None:
    case(pair)
    before = pair.heads() if pair.server.exists() else []
    pushed, fate = pair.push()
    assert fate is expected, pushed
    assert not words or any(words in answer.reason for answer in pushed.refs.values())
    assert not pushed.accepted(LEDGER)
    if case is not moved_meanwhile and before:
        assert pair.heads() == before
    if expected is Fate.REFUSED:
        assert "ask Grace" in pushed.text


def test_a_hidden_ref_lands_the_ledger_without_it(pair: Pair) -> None:
    git(pair.server, "config", "receive.hideRefs", "refs/notes")
    pushed, fate = pair.push()
    assert fate is Fate.PARTLY
    assert pushed.culprits == (NOTES,)
    assert "hidden" in pushed.refs[NOTES].reason
    assert pair.heads()[0] == pair.second


def test_notes_that_a_host_refuses_are_the_only_culprit(pair: Pair) -> None:
    pair.hook("update", f'[ "$1" != {NOTES} ] || exit 1')
    pushed, fate = pair.push()
    assert (fate, pushed.culprits) == (Fate.REFUSED, (NOTES,))
    assert pair.heads() == [pair.first, pair.first]


def test_one_by_one_works_where_atomic_does_not(pair: Pair) -> None:
    not_atomic(pair)
    pushed = push(pair.repository, "origin", {LEDGER: pair.second}, atomic=False)
    assert fate_of(pushed, LEDGER) is Fate.LANDED


@pytest.mark.parametrize(
    ("ledger", "notes", "text", "expected"),
    [
        ("!\t[rejected] (stale info)", "!\t[rejected] (atomic push failed)", "status: 7", Fate.RACE),
        ("!\t[remote rejected] (non-fast-forward)", "!\t[remote rejected] (atomic push failure)", "", Fate.REFUSED),
        ("!\t[remote rejected] (incorrect old value provided)", " \ta..b", "", Fate.RACE),
        ("!\t[remote rejected] (failed to update ref)", "", "error: cannot lock ref 'R': is at X", Fate.RACE),
        ("!\t[remote rejected] (protected branch hook declined)", "", "", Fate.REFUSED),
        ("!\t[remote rejected] (atomic transaction failed)", "", "reference already exists", Fate.RACE),
        ("!\t[remote rejected] (atomic transaction failed)", "", "no space left on device", Fate.REFUSED),
        ("=\t[up to date]", "!\t[remote rejected] (deny updating a hidden ref)", "", Fate.PARTLY),
        ("*\t[new branch]", "", "", Fate.LANDED),
        ("+\ta...b (forced update)", "", "", Fate.LANDED),
    ],
)
def test_answers_that_no_server_here_gives(ledger: str, notes: str, text: str, expected: Fate) -> None:
    rows = {LEDGER: ledger, NOTES: notes}
    lines = [line.replace("\t", f"\tid:{ref}\t") for ref, line in rows.items() if line]
    answers = parse_push("\n".join(["To server", *lines, "Done"]))
    assert fate_of(Pushed(answers, 1, text), LEDGER) is expected


def test_lines_that_are_no_answers_are_passed_over() -> None:
    assert parse_push("To x\nDone\n!\tonly two\n\t\t\n") == {}
    assert parse_push(f"!\tab:{LEDGER}\t[rejected] (fetch first)") == {
        LEDGER: RefAnswer("!", "rejected", "fetch first")
    }


def test_credentials_are_in_no_message(pair: Pair) -> None:
    git(pair.path, "remote", "add", "secret", "http://ann:hunter2@127.0.0.1:9/repo.git")
    answer = fetch(pair.repository, "secret", [f"{LEDGER}:refs/remotes/secret/mlops/ledger"])
    assert not answer.ok
    assert answer.text
    pushed = push(pair.repository, "secret", {LEDGER: pair.second})
    assert fate_of(pushed, LEDGER) is Fate.OFFLINE
    for text in (answer.text, pushed.text, str(remote_url(pair.repository, "secret"))):
        assert "hunter2" not in text
    assert clean_text("to https://u:p@host/x and ssh://git@host/y") == "to https://host/x and ssh://host/y"


def test_a_fetch_says_what_is_absent_and_what_was_rewritten(pair: Pair) -> None:
    spec = f"{LEDGER}:refs/remotes/origin/mlops/ledger"
    assert fetch(pair.repository, "origin", ["refs/heads/none:refs/remotes/origin/none"]).absent
    assert fetch(pair.repository, "origin", [spec, "+refs/notes/none*:refs/custody/origin/notes/none*"]).ok
    git(pair.path, "push", "-q", "origin", f"{pair.second}:{LEDGER}")
    assert fetch(pair.repository, "origin", [spec]).ok
    git(pair.server, "update-ref", LEDGER, pair.first)
    answer = fetch(pair.repository, "origin", [spec])
    assert (answer.ok, answer.rewritten) == (False, True)
    assert read_ref(pair.repository, "refs/remotes/origin/mlops/ledger") == pair.second


def test_a_first_fetch_brings_the_newest_state_and_files_when_they_are_asked_for(pair: Pair, tmp_path: Path) -> None:
    git(pair.path, "push", "-q", "origin", f"{pair.second}:{LEDGER}")
    path = make_repository(tmp_path / "job")
    git(path, "remote", "add", "origin", pair.server.as_uri())
    spec = f"{LEDGER}:refs/remotes/origin/mlops/ledger"
    assert fetch(open_repository(path), "origin", [spec], first=True).ok
    job = open_repository(path, durable=False)
    assert promises(job, "origin")
    assert not promises(pair.repository, "origin")
    assert job.shallow_boundary
    entry = job.entry(job.commit(pair.second).tree, "a")
    assert entry is not None
    assert not job.has(entry.id)
    assert fetch_objects(job, "origin", [entry.id])
    assert job.blob(entry.id) == b"2"
    assert not job.has(pair.first)
    assert deepen(job, "origin", spec)
    assert job.has(pair.first)
    assert not fetch_objects(job, "origin", ["1" * 40])


def test_the_folder_of_a_remote_is_known_where_it_is_a_path(pair: Pair) -> None:
    assert remote_path(pair.repository, "origin") == pair.server
    for name, url in (("uri", pair.server.as_uri()), ("up", "../server.git"), ("ssh", "git@host:x.git")):
        git(pair.path, "remote", "add", name, url)
    assert remote_path(pair.repository, "uri") == pair.server
    assert str(remote_path(pair.repository, "up")).endswith("../server.git")
    assert remote_path(pair.repository, "ssh") is None
    assert remote_path(pair.repository, "none") is None
