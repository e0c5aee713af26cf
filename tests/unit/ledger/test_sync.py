"""Several clones of one ledger: facts merge, decisions are made anew, nothing is told before it has landed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from custody.domain.ports import Decision
from custody.domain.record import ModelState, Record
from custody.errors import LedgerError, PartialError
from custody.ledger.ledger import GitLedger
from tests.unit.git.repositories import commit, git
from tests.unit.ledger.clones import (
    BRANCH,
    SHARED,
    check_shared,
    clone,
    make_server,
    promote,
    register,
    server_records,
)
from tests.unit.ledger.material import a_run, open_ledger, run_record


@pytest.fixture
def server(tmp_path: Path) -> Path:
    return make_server(tmp_path / "server.git")


@pytest.fixture
def ann(server: Path, tmp_path: Path) -> GitLedger:
    return clone(server, tmp_path / "ann")


@pytest.fixture
def bob(server: Path, tmp_path: Path) -> GitLedger:
    return clone(server, tmp_path / "bob")


def test_a_fact_is_pending_until_it_is_shared(ann: GitLedger, server: Path) -> None:
    ann.append(run_record(a_run("run-1")))
    assert [entry.id for entry in ann.pending()] == ["record-of-run-1"]
    assert server_records(server) == []
    shared = ann.share()
    assert shared.landed
    assert ann.pending() == shared.pending == ()
    assert server_records(server) == ["record-of-run-1"]


def test_another_clone_reads_what_has_landed(ann: GitLedger, bob: GitLedger) -> None:
    ann.append(run_record(a_run("run-1")))
    ann.share()
    fetched = bob.fetch()
    assert (fetched.head, fetched.others, fetched.offline) == (ann.head(), 1, "")
    assert bob.state().models["churn"].run == ann.state().models["churn"].run
    assert [entry.id for entry in bob.entries()] == ["record-of-run-1"]


def test_facts_of_two_clones_meet_in_one_merge_and_keep_their_ids(ann: GitLedger, bob: GitLedger, server: Path) -> None:
    ann.append(run_record(a_run("run-1")))
    ann.share()
    own = [bob.append(run_record(a_run(f"run-b{number}"))) for number in range(2)]
    assert bob.share().landed
    assert [entry.commit for entry in bob.entries()][:2] == own[::-1]
    tip, *_ = git(server, "log", "--format=%P|%s", "-1", BRANCH).splitlines()
    parents, subject = tip.split("|")
    assert parents.split() == [ann.head(), own[-1]]
    assert subject == "2 records: churn"
    assert bob.model("churn").records == 3
    ann.fetch()
    assert ann.state().models["churn"].run == a_run("run-b1")
    check_shared(server)


def test_state_is_what_landed_with_own_facts_folded_over_it(ann: GitLedger, bob: GitLedger) -> None:
    ann.append(run_record(a_run("run-1")))
    ann.share((register("run-1"), promote("run-1")))
    bob.append(run_record(a_run("run-b", "ltv")))
    bob.append(run_record(a_run("run-2")))
    bob.fetch()
    state = bob.state()
    assert list(state.models) == ["churn", "ltv"]
    assert state.models["churn"].run == a_run("run-2")
    assert state.models["churn"].records == 4
    assert state.models["churn"].stages["production"].run == "run-1"
    assert [entry.id for entry in bob.entries("churn")] == [
        "record-of-run-2",
        "promote-run-1",
        "register-run-1",
        "record-of-run-1",
    ]
    assert bob.run(next(bob.entries())) == a_run("run-2")
    before = bob.entries()
    assert bob.share().landed
    assert [entry.commit for entry in bob.entries()] == [entry.commit for entry in before]
    assert bob.state().models == state.models


def test_decisions_see_own_facts_and_are_made_anew_when_somebody_was_faster(
    ann: GitLedger, bob: GitLedger, server: Path
) -> None:
    for ledger, name in ((ann, "a"), (bob, "b")):
        ledger.append(run_record(a_run(f"run-{name}")))
    seen: list[int] = []

    def make(state: ModelState) -> Record | None:
        seen.append(state.records)
        if len(seen) == 1:
            assert ann.share((register("run-a"), promote("run-a"))).landed
        return register("run-b").make(state)

    shared = bob.share((Decision("churn", make), promote("run-b")))
    assert shared.landed
    assert seen == [1, 4]
    assert list(shared.commits) == ["register-run-b", "promote-run-b"]
    assert list(bob.model("churn").versions) == ["v1", "v2"]
    assert bob.model("churn").stages["production"].version == "v2"
    promoted = next(bob.entries())
    assert promoted.commit == shared.commits["promote-run-b"]
    assert promoted.trailer("Replaces") == "run-a"
    check_shared(server)


def test_a_decision_that_is_not_wanted_any_more_leaves_no_record(ann: GitLedger, server: Path) -> None:
    ann.append(run_record(a_run("run-1")))
    shared = ann.share((Decision("churn", lambda _: None),))
    assert shared.landed
    assert shared.commits == {}
    assert server_records(server) == ["record-of-run-1"]


def test_without_a_remote_a_decision_is_made_here_at_once(repository: Path) -> None:
    ledger = open_ledger(repository)
    ledger.append(run_record(a_run("run-1")))
    shared = ledger.share((register("run-1"), promote("run-1")))
    assert shared.landed
    assert list(shared.commits) == ["register-run-1", "promote-run-1"]
    assert ledger.pending() == ()
    assert ledger.fetch().head == ledger.head()
    assert ledger.model("churn").stages["production"].version == "v1"


def test_a_remote_that_is_not_there_leaves_facts_pending_and_decides_nothing(ann: GitLedger, server: Path) -> None:
    ann.append(run_record(a_run("run-1")))
    server.rename(server.with_name("elsewhere"))
    shared = ann.share((register("run-1"),))
    assert not shared.landed
    assert shared.commits == {}
    assert "origin was not reached" in shared.reason
    assert [entry.id for entry in shared.pending] == ["record-of-run-1"]
    assert shared.help == ("custody sync",)
    assert ann.model("churn").versions == {}
    assert "not reached" not in (fetched := ann.fetch()).offline
    assert fetched.offline
    with pytest.raises(PartialError, match="nothing was decided"):
        ann.decide("churn", register("run-1").make)
    server.with_name("elsewhere").rename(server)
    assert ann.decide("churn", register("run-1").make) == ann.head()
    assert server_records(server) == ["record-of-run-1", "register-run-1"]


def test_a_busy_ledger_is_given_up_at_the_deadline_and_nothing_is_lost(
    ann: GitLedger, bob: GitLedger, server: Path
) -> None:
    ann.append(run_record(a_run("run-a")))

    def make(state: ModelState) -> Record | None:
        bob.append(run_record(a_run(f"run-{state.records}")))
        assert bob.share().landed
        return register("run-a").make(state)

    shared = ann.share((Decision("churn", make),), deadline=0.0)
    assert not shared.landed
    assert "was busy" in shared.reason
    assert [entry.id for entry in shared.pending] == ["record-of-run-a"]
    assert "register-run-a" not in server_records(server)
    assert ann.share((register("run-a"),)).landed
    check_shared(server)


def test_an_answer_that_is_lost_is_looked_for_before_anything_is_decided_again(
    ann: GitLedger, bob: GitLedger, server: Path, tmp_path: Path
) -> None:
    """The server moves the refs and dies before it says so."""
    hook = server / "hooks/reference-transaction"
    hook.write_text(
        f'#!/bin/sh\n[ "$1" = committed ] || exit 0\ngrep -q {BRANCH} || exit 0\n'
        f"[ -e {tmp_path}/once ] || {{ touch {tmp_path}/once; kill -9 $PPID; }}\n"
    )
    hook.chmod(0o755)
    ann.append(run_record(a_run("run-a")))
    calls: list[int] = []

    def make(state: ModelState) -> Record | None:
        calls.append(state.records)
        return register("run-a").make(state)

    shared = ann.share((Decision("churn", make),))
    assert (tmp_path / "once").exists()
    assert shared.landed
    assert calls == [1]
    assert list(shared.commits) == ["register-run-a"]
    assert server_records(server) == ["record-of-run-a", "register-run-a"]
    assert ann.pending() == ()
    bob.fetch()
    assert list(bob.model("churn").versions) == ["v1"]


def test_a_rewritten_ledger_stops_everything(ann: GitLedger, bob: GitLedger, server: Path) -> None:
    for number in range(2):
        ann.append(run_record(a_run(f"run-{number}")))
    ann.share()
    bob.fetch()
    first = git(server, "rev-parse", f"{BRANCH}~1").strip()
    git(server, "config", "receive.denyNonFastForwards", "false")
    git(server, "update-ref", f"refs/heads/{BRANCH}", first)
    ann.append(run_record(a_run("run-3")))
    with pytest.raises(LedgerError, match="rewritten"):
        ann.fetch()
    with pytest.raises(LedgerError, match="rewritten"):
        bob.share((register("run-0"),))
    assert server_records(server) == ["record-of-run-0"]
    git(server, "update-ref", "-d", f"refs/heads/{BRANCH}")
    with pytest.raises(LedgerError, match="rewritten"):
        ann.fetch()


def test_a_fetch_by_hand_that_forced_a_rewritten_ledger_in_is_noticed(ann: GitLedger, server: Path) -> None:
    for number in range(2):
        ann.append(run_record(a_run(f"run-{number}")))
    ann.share()
    git(server, "update-ref", f"refs/heads/{BRANCH}", git(server, "rev-parse", f"{BRANCH}~1").strip())
    git(
        ann.repository.git_dir.parent,
        "fetch",
        "-q",
        "--force",
        "origin",
        f"+refs/heads/{BRANCH}:refs/remotes/origin/{BRANCH}",
    )
    with pytest.raises(LedgerError, match="rewritten"):
        ann.state()


def test_a_ledger_kept_alone_is_published_whole_by_its_first_share(repository: Path, server: Path) -> None:
    alone = open_ledger(repository)
    alone.append(run_record(a_run("run-1")))
    alone.share((register("run-1"),))
    git(repository, "remote", "add", "origin", str(server))
    shared = open_ledger(repository, SHARED)
    assert [entry.id for entry in shared.pending()] == ["record-of-run-1", "register-run-1"]
    assert shared.share().landed
    assert server_records(server) == ["record-of-run-1", "register-run-1"]
    check_shared(server)


def test_decisions_of_a_ledger_kept_alone_are_never_merged(repository: Path, ann: GitLedger, server: Path) -> None:
    alone = open_ledger(repository)
    alone.append(run_record(a_run("run-1")))
    alone.share((register("run-1"),))
    ann.append(run_record(a_run("run-a")))
    ann.share((register("run-a"),))
    git(repository, "remote", "add", "origin", str(server))
    late = open_ledger(repository, SHARED)
    late.fetch()
    with pytest.raises(LedgerError, match="never merged") as caught:
        late.share()
    assert "git branch -m" in caught.value.help[0]
    assert server_records(server) == ["record-of-run-a", "register-run-a"]


def test_git_log_of_a_model_shows_every_run_after_merges_of_facts(ann: GitLedger, bob: GitLedger, server: Path) -> None:
    for number in range(4):
        for ledger, name in ((ann, "a"), (bob, "b")):
            ledger.append(run_record(a_run(f"run-{name}{number}")))
            assert ledger.share().landed
    shown = git(server, "log", "--format=%(trailers:key=Record,valueonly)", BRANCH, "--", "models/churn").split()
    assert len(set(shown)) == 8
    check_shared(server)


def test_notes_are_shared_as_a_set_of_lines(ann: GitLedger, bob: GitLedger, server: Path) -> None:
    target = commit(ann.repository.git_dir.parent)
    for ledger, name in ((ann, "a"), (bob, "b")):
        for number in range(2):
            ledger.append(run_record(a_run(f"run-{name}{number}"), notes=((target, f"line {name}{number}"),)))
            assert ledger.share().landed
    expected = ["line a0", "line a1", "line b0", "line b1"]
    assert sorted(git(server, "notes", "--ref=mlops", "show", target, check=False).splitlines()) == expected
    ann.fetch()
    assert sorted(git(ann.repository.git_dir.parent, "notes", "--ref=mlops", "show", target).splitlines()) == expected


def test_a_host_that_refuses_notes_gets_the_records(ann: GitLedger, server: Path) -> None:
    hook = server / "hooks/update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/notes/*) echo "no notes here"; exit 1;; esac\n')
    hook.chmod(0o755)
    target = commit(ann.repository.git_dir.parent)
    ann.append(run_record(a_run("run-1"), notes=((target, "a line"),)))
    shared = ann.share()
    assert shared.landed
    assert "no notes here" in shared.reason
    assert server_records(server) == ["record-of-run-1"]
    ann.append(run_record(a_run("run-2"), notes=((target, "another"),)))
    assert ann.share().reason == ""


def test_a_protected_branch_is_told_with_the_words_of_the_host(ann: GitLedger, server: Path) -> None:
    hook = server / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'protected: ask Grace'\nexit 1\n")
    hook.chmod(0o755)
    ann.append(run_record(a_run("run-1")))
    shared = ann.share()
    assert not shared.landed
    assert "protected: ask Grace" in shared.reason
    assert [entry.id for entry in shared.pending] == ["record-of-run-1"]


def test_a_lock_left_on_the_server_is_named_and_left_alone(ann: GitLedger, server: Path) -> None:
    ann.append(run_record(a_run("run-1")))
    lock = server / f"refs/heads/{BRANCH}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    os.utime(lock, (1, 1))
    shared = ann.share()
    assert not shared.landed
    assert "lock file was left" in shared.reason
    assert shared.help == (f"rm {lock} && custody sync",)
    assert lock.exists()
    lock.unlink()
    assert ann.share().landed


def test_a_shallow_clone_without_files_reads_appends_merges_and_decides(
    ann: GitLedger, bob: GitLedger, server: Path, tmp_path: Path
) -> None:
    for number in range(5):
        ann.append(run_record(a_run(f"run-{number}")))
    ann.share((register("run-4"), promote("run-4")))
    job = clone(server, tmp_path / "job", url=server.as_uri())
    assert job.fetch(first=True).head == ann.head()
    assert not job.complete
    job = open_ledger(tmp_path / "job", SHARED)
    assert job.state().models["churn"].run == a_run("run-4")
    job.append(run_record(a_run("run-5")))
    bob.fetch()
    bob.append(run_record(a_run("run-b")))
    assert bob.share().landed
    shared = job.share((register("run-5"), promote("run-5")))
    assert shared.landed
    assert list(job.model("churn").versions) == ["v1", "v2"]
    assert job.fetch(first=True).others == 0
    check_shared(server)
