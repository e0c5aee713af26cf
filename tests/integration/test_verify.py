"""`custody verify` on a real ledger: what was planted is found, named, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from custody.app.project import open_project
from custody.app.verify import Verified, verify
from custody.core.recording import run_trailers
from custody.domain.record import Kind, Record, Run
from tests.integration.clones import clone, copied, hosted
from tests.integration.forgery import Edit, Forged, append, replaced, rewrite, run_edit
from tests.integration.repository import Repository

RISK = "models/risk/run.json"


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Two models in production, one of them retrained, one run rejected; it was verified once."""
    made = Repository.create(tmp_path_factory.mktemp("verify"))
    assert made.apply().code == 0
    made.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    assert made.apply().code == 0
    made.edit("models/debt/pipeline.yaml", "seed: 1", "seed: 2")
    made.edit("models/debt/gates.yaml", "max: 100000", "max: 0.001")
    assert made.apply().code == 4
    assert look(made).ok
    return made


@pytest.fixture
def project(applied: Repository, tmp_path: Path) -> Repository:
    return copied(applied, tmp_path)


def look(made: Repository, target: str | None = None, *, full: bool = False) -> Verified:
    opened = open_project(made.root)
    try:
        return verify(opened, target, lambda *_: None, full=full)
    finally:
        opened.ledger.close()


def codes(found: Verified) -> set[str]:
    return {item.code for item in found.faults}


def objects(made: Repository) -> list[Path]:
    return [path for path in (made.root / ".mlops/store/sha256").rglob("*") if path.is_file()]


def test_a_whole_record_holds_and_says_what_was_looked_at(project: Repository) -> None:
    project.git("update-ref", "-d", "refs/verified/mlops/ledger")
    first = project.custody("verify", "--full")
    assert (first.code, first.err) == (0, "")
    assert "first look of this clone" in first.out
    assert "The record holds." in first.out
    again = project.custody("verify", "--json")
    assert again.code == 0
    assert (again.json["seen_before"], again.json["ok"], again.json["faults"]) == (project.head(), True, [])
    assert again.json["counts"]["run"] == 4
    assert again.json["counts"]["verdicts"] == 4
    assert again.json["counts"]["objects"] == len(objects(project))
    one = look(project, "risk")
    assert (one.counts["run"], one.counts["promotion"], one.counts["versions"]) == (2, 2, 1)
    run = str(project.run_json("risk")["run"])
    assert look(project, run[:8]).counts["run"] == 1
    assert project.custody("verify", "nobody").code == 64


def test_nothing_recorded_is_no_fault(tmp_path: Path) -> None:
    made = Repository(tmp_path / "project", tmp_path / "home")
    made.home.mkdir()
    made.write("a", "1")
    made.git("init", "-q", "-b", "main")
    assert made.custody("init").code == 0
    done = made.custody("verify")
    assert (done.code, done.out.splitlines()[-1]) == (0, "Nothing is recorded yet.")


def test_what_is_not_here_is_counted_and_no_fault(project: Repository) -> None:
    shutil.rmtree(project.root / ".mlops/store")
    project.git("update-ref", "-d", "refs/notes/mlops")
    found = look(project)
    assert codes(found) == set()
    assert len(found.absent) > 10
    assert found.extent.notes is None
    shown = project.custody("verify")
    assert "not here: " in shown.out
    assert "no notes here" in shown.out


def test_a_ledger_that_went_back_is_named_with_both_heads(project: Repository) -> None:
    seen, older = project.head(), project.git("rev-parse", "mlops/ledger~2")
    project.git("update-ref", "refs/heads/mlops/ledger", older)
    for _ in range(2):
        (fault,) = [item for item in look(project).faults if item.code == "chain.rewound"]
        assert seen in fault.expected
        assert older in fault.found
    project.git("update-ref", "-d", "refs/heads/mlops/ledger")
    assert "chain.rewound" in codes(look(project))
    project.git("update-ref", "refs/heads/mlops/ledger", seen)
    assert look(project).ok


def test_a_remote_that_went_back_is_named_with_both_heads(project: Repository, tmp_path: Path) -> None:
    host = hosted(project, tmp_path)
    project.write(".mlops/config.yaml", (project.root / ".mlops/config.yaml").read_text() + "remote: origin\n")
    project.commit("Share")
    project.git("push", "-q", "origin", "main")
    assert project.custody("sync").code == 0
    assert project.custody("verify", "--full").code == 0
    seen = project.head()
    older = project.git("rev-parse", "mlops/ledger~2")
    project.git("-C", str(host), "update-ref", "refs/heads/mlops/ledger", older)
    assert codes(look(project)) == set()
    assert codes(look(project, full=True)) == {"chain.rewound"}
    project.git("fetch", "-q", "origin")
    found = project.custody("verify")
    assert found.code == 1
    assert "chain.rewound" in found.out
    assert seen in found.out
    assert older in found.out


def test_a_shallow_clone_cannot_tell_and_says_so(project: Repository, tmp_path: Path) -> None:
    host = hosted(project, tmp_path)
    project.git("-C", str(host), "config", "uploadpack.allowFilter", "true")
    other = clone(project, host, tmp_path / "other", "--depth=2", "--no-single-branch")
    other.git("branch", "mlops/ledger", "origin/mlops/ledger")
    found = look(other)
    assert {"chain.cut"} <= codes(found) <= {"chain.cut", "source.branch"}
    assert "git fetch --unshallow origin" in {item.help for item in found.faults}


def test_bytes_of_the_store(project: Repository) -> None:
    artifact = project.run_json("risk")["artifact"]
    path = project.root / ".mlops/store/sha256" / artifact[:2] / artifact[2:]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    (fault,) = look(project).faults
    assert (fault.code, fault.model) == ("bytes.damaged", "risk")
    assert artifact in fault.expected
    assert hashlib.sha256(data).hexdigest() in fault.found
    assert str(path) in fault.help
    assert look(project, "debt").ok
    assert codes(look(project, "risk")) == {"bytes.damaged"}


def test_an_edited_manifest(project: Repository) -> None:
    project.edit("datasets/loans/versions/v1.yaml", "rows: 400", "rows: 401")
    (fault,) = look(project).faults
    assert fault.code == "data.edited"
    assert "datasets/loans/versions/v1.yaml at HEAD" in fault.expected
    assert "rows" in fault.found


def test_notes_and_index_are_repaired(project: Repository) -> None:
    index = sqlite3.connect(project.root / ".git/custody/index.db")
    with index:
        index.execute("UPDATE commits SET run = 'f00d' WHERE kind = 'run' AND model = 'debt'")
        index.execute("DELETE FROM steps WHERE place % 64 = 2")
    index.close()
    assert codes(look(project)) == {"index.differs"}
    project.git("notes", "--ref=mlops", "add", "-f", "-m", "production: promoted as v9", "HEAD~2")
    found = look(project)
    assert codes(found) == {"index.differs", "notes.differ"}
    assert {item.help for item in found.faults} == {"custody ledger repair"}
    assert any("promoted as v9" in item.found for item in found.faults)
    done = project.custody("ledger", "repair")
    assert (done.code, done.err) == (0, "")
    assert look(project).ok
    assert "notes were right" in project.custody("ledger", "repair").out


def test_a_source_commit_that_is_not_on_the_branch(project: Repository) -> None:
    code = project.run_json("debt")["code"]
    project.git("reset", "-q", "--hard", "HEAD~1")
    found = look(project)
    assert codes(found) == {"source.branch"}
    assert {item.expected for item in found.faults} == {f"source commit {code[:12]} on main"}
    project.git("switch", "-q", "-c", "side", code)
    assert codes(look(project)) == {"source.branch"}
    project.git("branch", "-f", "main", code)
    assert look(project).ok


def test_a_squashed_change_and_an_adopted_trial_hold(project: Repository) -> None:
    project.git("switch", "-q", "-c", "deeper")
    project.write(
        "models/risk/pipeline.yaml", (project.root / "models/risk/pipeline.yaml").read_text().replace("4", "5")
    )
    project.commit("Deeper")
    assert project.custody("try", "--commit").code == 0
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--squash", "deeper")
    project.commit("Deeper trees (#7)")
    project.git("branch", "-q", "-D", "deeper")
    assert project.apply().code == 0
    found = look(project)
    assert (codes(found), found.counts["adopted"]) == (set(), 1)
    project.git("branch", "-q", "-D", "mlops/trials")
    found = look(project)
    assert codes(found) == set()
    assert any("mlops/trials was not fetched" in remark for remark in found.remarks)


# What a forger who rewrites the ledger may do, and what gives it away.
def metrics(value: dict) -> None:
    value["metrics"]["roc_auc"] = 0.99


def both(value: dict) -> None:
    metrics(value)
    value["steps"]["evaluate"]["output"]["facts"]["metrics"]["roc_auc"] = 0.99


def closure(value: dict) -> None:
    value["closure"] = {"models/risk/steps.py": "ab" * 20}


def basis(value: dict) -> None:
    value["basis"]["model"] = "ab" * 20


def key(value: dict) -> None:
    value["steps"]["train"]["inputs"]["with"]["max_depth"] = 9


def baseline(value: dict) -> None:
    value["verdict"]["baseline"] = "f" * 16


def status(value: dict) -> None:
    value["verdict"]["gates"][0] |= {"passed": True}
    value["status"] = "passed"


PLANTED: dict[str, tuple[str, str, Edit | None, Edit | None, set[str]]] = {
    # name: (subject of the record, path, edit of the file, edit of the message, codes)
    "metrics in run.json": ("train risk", RISK, run_edit(metrics), None, {"run.trailers", "run.metrics"}),
    "metrics in the message": ("train risk", RISK, None, replaced("recall=0.", "recall=0.9"), {"run.trailers"}),
    "own code": ("train risk", RISK, run_edit(closure), None, {"source.code"}),
    "specs of another commit": ("train risk", RISK, run_edit(basis), None, {"source.basis"}),
    "inputs of a key": ("train risk", RISK, run_edit(key), None, {"run.key"}),
    "baseline": ("train risk", RISK, run_edit(baseline), None, {"verdict.baseline", "register.unproven"}),
    "a gate": ("train debt", "models/debt/run.json", run_edit(status), None, {"verdict.differs", "run.trailers"}),
    "source commit": ("train risk", RISK, None, replaced("Code: ", "Code: 00"), {"run.trailers", "source.branch"}),
    "gap": ("register risk v2", RISK, None, replaced("Version: v2", "Version: v3"), {"version.gap"}),
    "no run.json": ("train risk", RISK, lambda _: b"\xff{", None, {"run.unreadable"}),
    "deep run.json": ("train risk", RISK, lambda _: b"[" * 100_000, None, {"run.unreadable"}),
    "odd run.json": ("train risk", RISK, lambda _: b'{"format": 1, "steps": []}', None, {"run.unreadable"}),
    "versions": (
        "register risk v2",
        "models/risk/stages.json",
        replaced('"records": ', '"records": 1'),
        None,
        {"tree.stages"},
    ),
    "no stages": ("register risk v2", "models/risk/stages.json", lambda _: b"\0", None, {"tree.stages"}),
    "readme": ("promote risk: production → v2", "README.md", replaced("| v2 |", "| v9 |"), None, {"tree.readme"}),
    "fact writes readme": ("train risk", "README.md", lambda data: data + b"x\n", None, {"tree.foreign"}),
    "data": (
        "data loans@v1",
        "datasets/loans/v1.json",
        replaced('"rows": 400', '"rows": 40'),
        None,
        {"data.edited"},
    ),
    "data's digest": (
        "data loans@v1",
        "datasets/loans/v1.json",
        replaced('"logical": "', '"logical": "0'),
        None,
        {"data.trailers", "data.edited", "data.run"},
    ),
    "no data": ("data loans@v1", "datasets/loans/v1.json", lambda _: b"[]", None, {"data.unreadable"}),
    "kind": ("promote debt", RISK, None, replaced("Kind: promotion", "Kind: later"), {"kind.unknown"}),
    "the first": ("ledger of", "README.md", replaced("never checked out", "checked out"), None, {"chain.first"}),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_forged_history(name: str, project: Repository) -> None:
    subject, path, edit, message, expected = PLANTED[name]
    keep: Callable[[bytes], bytes] = lambda data: data  # noqa: E731
    rewrite(project, subject, Forged({path: edit} if edit else {}, message or keep))
    (project.root / ".git/custody/index.db").unlink()
    found = look(project)
    assert "chain.rewound" in codes(found)
    assert expected <= codes(found), found.faults
    for item in found.faults:
        assert item.where
        assert item.expected
        assert item.found
        assert item.help, item


def test_a_careful_forger_is_given_away_by_the_stored_evaluation(project: Repository) -> None:
    data = run_edit(both)(project.git("show", "mlops/ledger:" + RISK).encode())
    value = json.loads(data)
    for gate in value["verdict"]["gates"]:
        if gate["metric"] == "roc_auc":
            gate["value"] = 0.99
    data = (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
    said = dict(run_trailers(Run.from_dict(value)))

    def message(old: bytes) -> bytes:
        lines = [
            f"Metrics: {said['Metrics']}" if line.startswith("Metrics: ") else line for line in old.decode().split("\n")
        ]
        return "\n".join(lines).encode()

    last = [line for line in project.subjects() if line.startswith("train risk")][-1]
    rewrite(project, last, Forged({RISK: lambda _: data}, message))
    project.git("update-ref", "-d", "refs/notes/mlops")
    assert codes(look(project)) == {"bytes.evaluation", "chain.rewound"}
    shown = project.custody("verify")
    assert shown.code == 1
    assert "✗ bytes.evaluation" in shown.out
    assert "The record does not hold: 2 faults." in shown.out


def test_a_record_that_is_left_out(project: Repository) -> None:
    rewrite(project, "register risk v2", None)
    project.git("update-ref", "-d", "refs/notes/mlops")
    assert codes(look(project)) >= {"chain.rewound", "tree.stages", "promotion.void"}


def test_versions_and_promotions_without_a_run_that_passed(project: Repository) -> None:
    opened = open_project(project.root)
    state = opened.ledger.state().models
    rejected = project.run_json("debt")["run"]
    at = "2026-11-24T00:00:00+00:00"
    for model, run in (("risk", "f" * 16), ("debt", rejected)):
        pointer = state[model].stages["production"]
        version = f"v{len(state[model].versions) + 1}"
        code = (("Code", project.git("rev-parse", "HEAD")),)
        effect = {"version": version, "run": run, "artifact": None, "at": at}
        register = Record(f"reg-{model}", Kind.REGISTER, f"register {model}", code, model, effect=effect)
        opened.ledger.decide(model, lambda _, record=register: record)
        effect = {"stage": "production", "run": run, "version": version, "replaces": pointer.run, "at": at}
        promote = Record(f"pro-{model}", Kind.PROMOTION, f"promote {model}", code, model, effect=effect)
        opened.ledger.decide(model, lambda _, record=promote: record)
    opened.ledger.close()
    found = look(project)
    assert codes(found) == {"register.unproven", "promotion.unproven"}
    assert {item.model for item in found.faults} == {"risk", "debt"}
    assert codes(look(project, "risk")) == {"register.unproven", "promotion.unproven"}


@pytest.mark.parametrize(
    ("message", "files", "expected"),
    [
        ("nothing of custody's", {}, {"chain.foreign"}),
        ("x\n\nRecord: abcd-1\nKind: later\n", {}, set()),
        ("x\n\nRecord: abcd-1\nKind: later\n", {RISK: b"{}"}, {"kind.unknown"}),
        ("x\n\nRecord: abcd-1\nKind: run\nModel: risk\nRun: 1\n", {}, {"run.trailers", "tree.stages"}),
        ("x\n\nRecord: abcd-1\nKind: run\nModel: ../../etc\nRun: 1\n", {}, {"run.missing"}),
        ("x\n\nRecord: abcd-1\nKind: hold\nModel: risk\n", {"other": b"x"}, {"tree.foreign", "tree.stages"}),
        ("x\n\nRecord: abcd-1\nKind: data\n", {"datasets/loans/v1.json": b"{}"}, {"data.rewritten", "data.trailers"}),
        ("x\n\nRecord: abcd-1\nKind: data\n", {}, {"data.missing"}),
        ("\x1b[2J\n\nRecord: \u202e\nKind: register\nModel: \x07\n", {}, {"version.gap"}),
    ],
)
def test_whatever_is_put_on_top(project: Repository, message: str, files: dict[str, bytes], expected: set[str]) -> None:
    append(project, message, files)
    found = look(project)
    assert expected <= codes(found), found.faults
    assert bool(expected) == bool(found.faults)


def test_a_record_twice_and_a_commit_that_git_hides(project: Repository) -> None:
    message = project.git("log", "-1", "--format=%B", "--grep=^Kind: promotion", "mlops/ledger")
    append(project, message + "\n", {})
    assert "chain.twice" in codes(look(project))
    project.git("replace", "mlops/ledger~3", "mlops/ledger~4")
    assert "chain.replaced" in codes(look(project))


def test_a_missing_commit_is_said_and_the_walk_goes_on(project: Repository) -> None:
    gone = project.git("rev-parse", "mlops/ledger~3")
    (project.root / ".git/objects" / gone[:2] / gone[2:]).unlink()
    assert "chain.missing" in codes(look(project))
