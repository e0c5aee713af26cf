from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from custody.domain.record import Kind, ModelState, Record, RunStatus, State
from custody.domain.spec import Config
from custody.domain.verdict import GateResult, Verdict
from custody.errors import LedgerError
from custody.git.identity import Identity
from custody.git.worktree import open_worktree
from custody.ledger.ledger import GitLedger
from tests.unit.git.repositories import commit, git, make_repository
from tests.unit.ledger.material import (
    CONFIG,
    a_run,
    data_record,
    key_of,
    open_ledger,
    promotion_record,
    readme,
    register_record,
    run_files,
    run_record,
    verdict_record,
)

BRANCH = "mlops/ledger"


@pytest.fixture
def ledger(repository: Path) -> GitLedger:
    return open_ledger(repository)


def promoted(ledger: GitLedger, number: int, model: str = "churn", replaces: str | None = None) -> None:
    """Append a run and what makes it production."""
    run = a_run(f"run-{number}", model)
    ledger.append(run_record(run))
    ledger.decide(model, lambda _: register_record(run, f"v{number}"))
    ledger.decide(model, lambda _: promotion_record(run, f"v{number}", replaces))


def test_without_a_ledger_nothing_is_recorded(ledger: GitLedger, repository: Path) -> None:
    assert ledger.head() is None
    assert ledger.state() == State()
    assert list(ledger.entries()) == []
    assert ledger.find_entry("anything") is None
    assert ledger.step(key_of("x")) is None
    assert ledger.commit_of("run-1") is None
    assert ledger.rebuild_notes() is None
    assert ledger.decide("churn", lambda _: None) is None
    assert not git(repository, "for-each-ref", "refs/notes")


def test_a_run_is_one_commit_that_reads_as_an_audit_log(ledger: GitLedger, repository: Path) -> None:
    run = a_run("run-1")
    commit_id = ledger.append(run_record(run))
    shown = git(repository, "log", "-1", BRANCH)
    assert "Author: Ada Byron <ada@example.org>" in shown
    assert "Date:   Tue Nov 24" in shown
    assert "    train churn: roc_auc 0.841, 7/7 gates passed\n" in shown
    assert "    Record: record-of-run-1\n    Kind: run\n    Format: 1\n    Model: churn\n    Run: run-1\n" in shown
    assert shown.rstrip().endswith("Tool: custody 0.1.0")
    assert git(repository, "rev-parse", BRANCH).strip() == commit_id
    assert git(repository, "ls-tree", "-r", "--name-only", BRANCH).split() == [
        "README.md",
        "models/churn/run.json",
        "models/churn/spec.yaml",
        "models/churn/stages.json",
    ]
    assert git(repository, "status", "--porcelain") == ""


def test_the_state_is_the_fold(ledger: GitLedger) -> None:
    promoted(ledger, 1)
    ledger.append(run_record(a_run("run-9", "ltv")))
    ledger.append(data_record("v1"))
    state = ledger.state()
    assert state.head == ledger.head()
    assert list(state.models) == ["churn", "ltv"]
    churn = state.models["churn"]
    assert churn.run == a_run("run-1")
    assert churn.records == 3
    assert churn.versions["v1"].record == "register-run-1"
    assert churn.stages["production"].run == "run-1"
    assert state.datasets == {"customers@v1": {"rows": 1}}
    ledger.decide("churn", lambda _: Record("retire-1", Kind.RETIRE, "retire churn", (), "churn"))
    assert ledger.state().models["churn"].retired
    assert state.models["churn"] == churn


def test_a_decision_is_made_on_the_present_state(ledger: GitLedger) -> None:
    promoted(ledger, 1)
    seen: list[ModelState] = []

    def make(state: ModelState) -> Record | None:
        seen.append(state)
        return None

    assert ledger.decide("churn", make) is None
    assert ledger.decide("other", make) is None
    assert seen == [ledger.state().models["churn"], ModelState("other")]
    with pytest.raises(LedgerError, match="decision"):
        ledger.append(promotion_record(a_run("run-1"), "v1", None))
    with pytest.raises(LedgerError, match="cannot be the model"):
        ledger.decide("other", lambda _: promotion_record(a_run("run-1"), "v1", None, "promote-again"))


def test_the_readme_shows_the_state_that_the_decision_makes(ledger: GitLedger, repository: Path) -> None:
    assert ledger.append(run_record(a_run("run-1")))
    assert "Nothing is recorded yet" in git(repository, "show", f"{BRANCH}:README.md")
    promoted(ledger, 1)
    assert git(repository, "show", f"{BRANCH}:README.md") == "churn production v1 of 1, records 3, data 0\n"
    before = ledger.head()
    ledger.append(run_record(a_run("run-2")))
    assert git(repository, "diff", "--name-only", f"{before}", BRANCH).split() == [
        "models/churn/run.json",
        "models/churn/spec.yaml",
        "models/churn/stages.json",
    ]


def test_one_models_history_shows_parameters_and_metrics_side_by_side(ledger: GitLedger, repository: Path) -> None:
    ledger.append(run_record(a_run("run-1")))
    ledger.append(run_record(a_run("run-9", "ltv")))
    ledger.append(run_record(a_run("run-2", params={"max_depth": 6}, metrics={"roc_auc": 0.85})))
    shown = git(repository, "log", "-p", BRANCH, "--", "models/churn")
    assert '-    "max_depth": 4\n+    "max_depth": 6' in shown
    assert '-    "roc_auc": 0.84\n+    "roc_auc": 0.85' in shown
    assert "ltv" not in shown


def test_the_first_commit_is_the_same_everywhere(tmp_path: Path) -> None:
    firsts = []
    for name in ("one", "two"):
        path = make_repository(tmp_path / name)
        git(path, "config", "user.name", name)
        open_ledger(path).append(run_record(a_run("run-1")))
        firsts.append(git(path, "rev-list", "--max-parents=0", BRANCH).strip())
    assert firsts == ["94bc7b1dc6ff2f9d90ac2417ed15cbf79b32f9ae"] * 2
    other = make_repository(tmp_path / "other")
    open_ledger(other, Config(id="another")).append(run_record(a_run("run-1")))
    assert git(other, "rev-list", "--max-parents=0", BRANCH).strip() not in firsts


def test_a_branch_that_is_something_else_is_left_alone(repository: Path) -> None:
    commit(repository)
    git(repository, "branch", BRANCH)
    ledger = open_ledger(repository)
    with pytest.raises(LedgerError, match="not the ledger of this project"):
        ledger.append(run_record(a_run("run-1")))
    assert git(repository, "rev-parse", BRANCH) == git(repository, "rev-parse", "main")
    git(repository, "branch", "-D", BRANCH)
    open_ledger(repository).append(run_record(a_run("run-1")))
    with pytest.raises(LedgerError, match="not the ledger of this project"):
        open_ledger(repository, Config(id="another")).append(run_record(a_run("run-2")))
    git(repository, "branch", "-D", BRANCH)
    git(repository, "branch", "mlops")
    with pytest.raises(LedgerError, match="in the way"):
        open_ledger(repository).append(run_record(a_run("run-1")))


def test_a_retry_finds_its_own_record(ledger: GitLedger, repository: Path) -> None:
    first = ledger.append(run_record(a_run("run-1")))
    ledger.append(run_record(a_run("run-2")))
    assert ledger.append(run_record(a_run("run-1"))) == first
    assert open_ledger(repository).append(run_record(a_run("run-1"))) == first
    assert [entry.id for entry in ledger.entries()] == ["record-of-run-2", "record-of-run-1"]


def test_records_that_cannot_be_kept_leave_no_trace(ledger: GitLedger) -> None:
    ledger.append(data_record("v1"))
    head = ledger.head()
    run = a_run("run-1")
    for bad in (
        run_record(run, files={"models/churn/stages.json": b""}),
        run_record(run, files={"README.md": b""}),
        run_record(run, files={"models/other/run.json": b""}),
        run_record(run, trailers=(("Run", "a\nb"),)),
        run_record(run, model="../up", files={}),
        run_record(run, model="", files={}),
        replace(data_record("v1", b'{"rows": 2}'), id="data-again"),
    ):
        with pytest.raises(LedgerError):
            ledger.append(bad)
    assert ledger.head() == head
    assert ledger.append(replace(data_record("v1"), id="data-same")) != head


def test_a_commit_takes_at_most_seven_objects(ledger: GitLedger, repository: Path) -> None:
    def objects() -> int:
        return int(git(repository, "count-objects").split()[0])

    promoted(ledger, 1)
    run = a_run("run-2")
    steps = [
        lambda: ledger.append(run_record(run)),
        lambda: ledger.append(data_record("v1")),
        lambda: ledger.decide("churn", lambda _: register_record(run, "v2")),
        lambda: ledger.decide("churn", lambda _: promotion_record(run, "v2", "run-1")),
    ]
    for step in steps:
        before = objects()
        step()
        assert objects() - before <= 7
    assert git(repository, "fsck", "--full", "--strict", "--unreachable") == ""


def test_the_tree_of_every_commit_is_the_fold_of_its_records(
    ledger: GitLedger, repository: Path, tmp_path: Path
) -> None:
    promoted(ledger, 1)
    ledger.append(data_record("v1"))
    promoted(ledger, 2, replaces="run-1")
    ledger.append(verdict_record("verdict-1", a_run("run-1"), Verdict("l", ())))
    ledger.decide("churn", lambda _: promotion_record(a_run("run-1"), "v1", "run-7", "promote-stale"))
    ledger.decide("churn", lambda _: Record("retire-1", Kind.RETIRE, "retire churn", (), "churn"))
    ledger.append(run_record(a_run("run-3", status=RunStatus.REJECTED)))
    again = open_ledger(make_repository(tmp_path / "again"))
    for entry in reversed(list(ledger.entries())):
        record = ledger.record(entry.commit)
        assert record is not None
        own = {"Record", "Kind", "Format", "Tool"}
        record = replace(record, trailers=tuple(item for item in record.trailers if item[0] not in own))
        made = again.decide(record.model, lambda _, record=record: record) if record.model else again.append(record)
        trees = [
            git(repository, "rev-parse", f"{entry.commit}^{{tree}}"),
            git(tmp_path / "again", "rev-parse", f"{made}^{{tree}}"),
        ]
        assert trees[0] == trees[1], entry.subject
    assert ledger.state().models["churn"].stages == {}
    assert ledger.state().models["churn"].records == 10


def test_notes_tell_what_came_of_a_commit(ledger: GitLedger, repository: Path) -> None:
    source = commit(repository, "max_depth: 6")
    run = a_run("run-1")
    recorded = ledger.append(run_record(run, notes=((source, "train churn: passed"), (source, "second"))))
    ledger.decide("churn", lambda _: register_record(run, "v1", notes=((str(ledger.commit_of("run-1")), "is v1"),)))
    assert git(repository, "log", "--notes=mlops", "-1").endswith(
        "    max_depth: 6\n\nNotes (mlops):\n    train churn: passed\n    second\n"
    )
    assert git(repository, "notes", "--ref=mlops", "show", recorded) == "is v1\n"
    assert len(git(repository, "notes", "--ref=mlops", "list").splitlines()) == 2
    before = git(repository, "rev-parse", "refs/notes/mlops^{tree}")
    assert ledger.rebuild_notes() is None
    git(repository, "update-ref", "-d", "refs/notes/mlops")
    assert ledger.rebuild_notes()
    assert git(repository, "rev-parse", "refs/notes/mlops^{tree}") == git(
        repository, "rev-parse", f"{before.strip()}^{{tree}}"
    )


def test_notes_that_a_killed_writer_owes_are_written_by_the_next(ledger: GitLedger, repository: Path) -> None:
    source = commit(repository)
    first = run_record(a_run("run-1"), notes=((source, "one"),))
    ledger.append(first)
    before = git(repository, "rev-parse", "refs/notes/mlops").strip()
    ledger.append(run_record(a_run("run-2"), notes=((source, "two"),)))
    git(repository, "update-ref", "refs/notes/mlops", before)
    ledger.append(run_record(a_run("run-3")))
    assert git(repository, "notes", "--ref=mlops", "show", source) == "one\ntwo\n"
    git(repository, "update-ref", "refs/notes/mlops", before)
    ledger.append(first)
    assert git(repository, "notes", "--ref=mlops", "show", source) == "one\ntwo\n"


def test_entries_are_found_by_any_of_their_ids(ledger: GitLedger) -> None:
    promoted(ledger, 1)
    promoted(ledger, 2, replaces="run-1")
    entry = ledger.find_entry("run-1")
    assert entry is not None
    assert entry.kind == "run"
    assert ledger.find_entry("record-of-run-1") == entry
    assert ledger.find_entry(entry.commit[:12]) == entry
    assert ledger.find_entry(entry.commit) == entry
    assert ledger.commit_of("run-1") == entry.commit
    assert ledger.run(entry) == a_run("run-1")
    assert ledger.find_entry("") is None
    assert ledger.find_entry("nothing") is None
    assert ledger.find_entry("run_1") is None
    assert ledger.find_entry("%") is None
    with pytest.raises(LedgerError, match="2 records") as caught:
        ledger.find_entry("record-of")
    assert any("record-of-run-2" in line for line in caught.value.because)
    ledger.append(run_record(a_run("run-10")))
    found = ledger.find_entry("run-1")
    assert found is not None
    assert found.id == "record-of-run-1"
    assert [found.id for found in ledger.entries("churn", 2)] == ["record-of-run-10", "promote-run-2"]
    assert list(ledger.entries("absent")) == []
    assert list(ledger.entries(limit=0)) == []


def test_steps_are_found_by_the_whole_key(ledger: GitLedger) -> None:
    first, second = a_run("run-1"), a_run("run-2")
    key = first.steps["train"].key
    ledger.append(run_record(first))
    found = ledger.step(key)
    assert found == ("run-1", first.steps["train"])
    assert ledger.step(key[:16] + "0" * 48) is None
    ledger.append(run_record(a_run("run-2", steps=first.steps)))
    found = ledger.step(key)
    assert found is not None
    assert found[0] == "run-2"
    failed = replace(second.steps["train"], output=None)
    steps = " ".join(f"{name}={step.key[:16]}" for name, step in second.steps.items())
    broken = run_record(
        a_run("run-3", steps={**second.steps, "train": failed}), trailers=(("Run", "run-3"), ("Steps", steps))
    )
    ledger.append(broken)
    assert ledger.step(failed.key) is None
    assert ledger.step(second.steps["fetch"].key) is not None


def test_runs_with_a_key_come_newest_first_with_their_last_verdict(ledger: GitLedger) -> None:
    one, two = a_run("run-1", seed="same"), a_run("run-2", seed="same")
    key = str(one.key)
    ledger.append(run_record(one))
    ledger.append(run_record(a_run("run-8", seed="other")))
    ledger.append(run_record(two))
    verdict = Verdict("limits", (GateResult("roc_auc.min", "roc_auc", 0.84, 0.9, passed=False),))
    ledger.append(verdict_record("verdict-1", one, verdict))
    ledger.append(Record("about-2", Kind.METADATA, "describe churn", (("Run", "run-2"),), "churn"))
    ledger.append(run_record(a_run("run-9", "ltv", seed="same")))
    runs = list(ledger.runs_with_key("churn", key))
    assert [run.id for run in runs] == ["run-2", "run-1"]
    assert [run.verdict for run in runs] == [None, verdict]
    assert list(ledger.runs_with_key("churn", "0" * 64)) == []
    assert list(ledger.runs_with_key("ltv", key)) == []


def test_nobody_is_recorded_as_nobody(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "p", identity=False)
    ledger = open_ledger(path)
    ledger.append(run_record(a_run("run-1")))
    assert not ledger.identity.configured
    shown = git(path, "log", "-1", "--format=%an|%ae|%(trailers:key=Actor,valueonly)", BRANCH)
    assert shown.startswith(f"{ledger.identity.name}|{ledger.identity.email}|")
    assert "(no Git identity configured)" in shown
    given = open_ledger(path, identity=Identity("Grace", "grace@example.org", configured=True))
    given.append(run_record(a_run("run-2")))
    assert git(path, "log", "-1", "--format=%an|%(trailers:key=Actor,valueonly)", BRANCH).strip() == "Grace|"


def test_a_worktree_or_its_repository_will_do(repository: Path, tmp_path: Path) -> None:
    commit(repository)
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    linked = open_worktree(tmp_path / "linked")
    first = GitLedger(linked, CONFIG, readme=readme, tool="t 1", clock=open_ledger(repository)._writer._hand.clock)
    recorded = first.append(run_record(a_run("run-1")))
    assert open_ledger(repository).head() == recorded
    assert (repository / ".git/custody/index.db").exists()
    assert not (repository / ".git/worktrees/linked/custody").exists()


def test_a_damaged_file_is_named_and_hurts_its_model_alone(ledger: GitLedger) -> None:
    ledger.append(run_record(a_run("run-1")))
    ledger.append(run_record(a_run("run-2", "ltv"), files={"models/ltv/run.json": b'{"format": 2}'}))
    state = ledger.state()
    assert state.models["churn"].run == a_run("run-1")
    with pytest.raises(LedgerError, match=r"models/ltv.* format 2") as caught:
        state.models["ltv"]
    assert "--full-history" in caught.value.help[0]
    entry = ledger.find_entry("run-2")
    assert entry is not None
    with pytest.raises(LedgerError, match="format 2"):
        ledger.run(entry)


def test_a_repository_that_cannot_be_written_records_nothing(repository: Path) -> None:
    (repository / ".git/custody").write_text("no folder")
    ledger = open_ledger(repository)
    assert ledger.state() == State()
    assert list(ledger.entries()) == []
    with pytest.raises(LedgerError, match="lock file"):
        ledger.append(run_record(a_run("run-1")))
    assert ledger.head() is None


_FULL_DISK = """
import resource, sys
from tests.unit.ledger.material import *
from custody.errors import LedgerError
from pathlib import Path
ledger = open_ledger(Path(sys.argv[1]))
ledger.append(run_record(a_run("run-1")))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    ledger.append(run_record(a_run("run-2")))
except LedgerError as error:
    print(error.message)
"""


def test_a_full_disk_records_nothing_and_says_so(repository: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(repository)], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("nothing has been recorded: the repository refuses to be written"), done.stderr
    ledger = open_ledger(repository)
    assert [entry.id for entry in ledger.entries()] == ["record-of-run-1"]
    assert ledger.append(run_record(a_run("run-2")))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 0


def test_run_json_is_stored_as_it_was_given(ledger: GitLedger, repository: Path) -> None:
    run = a_run("run-1")
    ledger.append(run_record(run))
    stored = git(repository, "show", f"{BRANCH}:models/churn/run.json").encode()
    assert stored == run_files(run)["models/churn/run.json"]
    assert json.loads(stored)["run"] == "run-1"
