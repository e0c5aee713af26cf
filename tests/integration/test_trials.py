"""`custody try` on a real repository: what it records and leaves alone, and what apply takes over after a merge."""

from __future__ import annotations

import os
import signal
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests.integration.clones import clone, copied, deeper, hosted
from tests.integration.repository import Repository

TRAILERS = "--format=%(trailers:key={},valueonly)"
LOCAL = "custody/local/trials"
"""What trials of the working tree are recorded on."""


@pytest.fixture
def project(applied: Repository, tmp_path: Path) -> Repository:
    """An own copy of the applied project, on a branch for a change."""
    made = copied(applied, tmp_path)
    made.git("switch", "-q", "-c", "max-depth")
    return made


def trailer(project: Repository, key: str, ref: str = "mlops/trials") -> list[str]:
    return project.git("log", "-1", TRAILERS.format(key), ref).split("\n")


def tried(project: Repository, *arguments: str) -> dict[str, object]:
    """Try, and return what came of `risk`."""
    done = project.custody("try", "--json", *arguments)
    assert done.code == 0, done.out
    found = {item["model"]: item for item in done.json["models"]}
    value: dict[str, object] = found["risk"]
    return value


def merged(project: Repository) -> None:
    """Squash the branch onto main, as a host does."""
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "--squash", "max-depth")
    project.git("commit", "-q", "-m", "Deeper trees (#7)")


def committed_trial(project: Repository) -> str:
    """Commit deeper trees and try the commit; return the trial."""
    deeper(project)
    project.commit("Deeper trees")
    return str(tried(project, "--commit")["trial"])


def working_tree(project: Repository) -> str:
    """The tree of all files as `git add -A` would commit them, made with an index of its own."""
    variables = {**project.variables(), "GIT_INDEX_FILE": str(project.home / "index")}
    for command in (["git", "read-tree", "HEAD"], ["git", "add", "-A"]):
        subprocess.run(command, cwd=project.root, env=variables, check=True)
    done = subprocess.run(
        ["git", "write-tree"], cwd=project.root, env=variables, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_trial_is_recorded_with_its_exact_tree_and_moves_nothing(project: Repository) -> None:
    deeper(project)
    project.write("notes.txt", "untracked\n")
    ledger, notes = project.head(), project.git("rev-parse", "refs/notes/mlops")
    index = (project.root / ".git" / "index").read_bytes()
    found = tried(project)
    assert found["ran"] == ["train", "evaluate"]
    assert project.head() == ledger
    assert project.git("rev-parse", "refs/notes/mlops") == notes
    assert (project.root / ".git" / "index").read_bytes() == index
    assert project.git("rev-parse", f"{LOCAL}:source") == working_tree(project)
    assert project.git("show", f"{LOCAL}:source/notes.txt") == "untracked"
    assert trailer(project, "Trial", LOCAL) == ["working tree"]
    assert trailer(project, "Branch", LOCAL) == ["max-depth"]
    assert "production" not in project.git("show", f"{LOCAL}:models/risk/stages.json")
    assert project.git("log", "-1", "--format=%s", LOCAL).startswith("try risk: roc_auc ")


def test_a_trial_says_how_it_differs_from_production_and_what_next(project: Repository) -> None:
    deeper(project)
    done = project.custody("try", "risk")
    assert done.code == 0, done.err
    assert "production" in done.out
    assert "difference" in done.out
    assert "nothing is promoted" in done.out
    assert "custody try --commit" in done.out
    value = project.custody("try", "risk", "--json").json
    assert value["promoted"] == []
    [model] = value["models"]
    assert model["production"]["run"] == project.run_json("risk")["run"]


def test_what_was_tried_is_not_tried_again(project: Repository) -> None:
    deeper(project)
    first = tried(project)
    head = project.git("rev-parse", LOCAL)
    again = tried(project)
    assert (again["trial"], again["recorded"]) == (first["trial"], False)
    assert project.git("rev-parse", LOCAL) == head


def test_an_unchanged_model_needs_no_trial(project: Repository) -> None:
    found = tried(project)
    assert (found["recorded"], found["run"]) == (False, project.run_json("risk")["run"])
    assert project.git("for-each-ref", "refs/heads/mlops/trials", "refs/custody") == ""


def test_a_record_writes_few_objects(project: Repository) -> None:
    deeper(project)
    project.commit("Deeper trees")
    tried(project)

    def count() -> int:
        return sum(len(files) for _, _, files in os.walk(project.root / ".git" / "objects"))

    before = count()
    tried(project, "risk", "--set", "train.max_depth=4")
    assert count() - before <= 7


def test_parameters_are_set_for_a_trial_and_found_again_once_they_are_written(project: Repository) -> None:
    found = tried(project, "risk", "--set", "train.max_depth=6")
    assert trailer(project, "Set", LOCAL) == ["train.max_depth=6"]
    assert "max_depth: 6" in project.git("show", f"{LOCAL}:models/risk/spec.yaml")
    deeper(project)
    assert tried(project)["ran"] == []
    assert found["ran"] == ["train", "evaluate"]


@pytest.mark.parametrize(
    ("setting", "code", "said"),
    [
        ("train.max_dept=6", 1, 'did you mean "max_depth"'),
        ("train.max_depth=eight", 1, "expected an integer"),
        ("trian.max_depth=6", 64, 'did you mean "train"'),
        ("max_depth", 64, "PATH=VALUE"),
        ("train.max_depth=[1", 64, "not YAML"),
        ("train.uses.x=1", 1, "uses"),
    ],
)
def test_what_cannot_be_set_says_what_can(project: Repository, setting: str, code: int, said: str) -> None:
    done = project.custody("try", "risk", "--set", setting)
    assert done.code == code, done.err
    assert said in done.err
    assert project.git("for-each-ref", "refs/heads/mlops/trials", "refs/custody") == ""


def test_settings_need_a_model_and_no_commit(project: Repository) -> None:
    assert "needs the model" in project.custody("try", "--set", "seed=3").err
    assert project.custody("try", "risk", "--commit", "--set", "seed=3").code == 64


def test_the_commit_is_tried_only_where_the_tree_is_clean(project: Repository) -> None:
    deeper(project)
    done = project.custody("try", "--commit")
    assert done.code == 1
    assert "git add models/risk/pipeline.yaml && git commit" in done.err
    project.commit("Deeper trees")
    project.write("stray.txt", "not ignored\n")
    assert project.custody("try", "--commit").code == 1


def test_apply_adopts_the_trial_of_a_commit_after_the_merge(project: Repository) -> None:
    deeper(project)
    project.commit("Deeper trees")
    before = project.custody("plan", "--json").json["plan_id"]
    trial = str(tried(project, "--commit")["trial"])
    metrics = tried(project, "--commit")["metrics"]
    merged(project)
    plan = project.custody("plan")
    assert f"adopt train, evaluate from trial {trial[:8]}" in plan.out
    done = project.apply("--json", "--expect", before)
    assert done.code == 0, done.out
    [model] = done.json["models"]
    assert (model["ran"], model["metrics"]) == ([], metrics)
    assert done.json["plan_id"] == before
    run = project.run_json("risk")
    assert run["steps"]["train"]["source"] == trial
    assert run["metrics"] == metrics
    wanted = [f"--grep=^Run: {run['run']}", "--grep=^Kind: run", "--all-match"]
    commit = project.git("log", "-1", "--format=%H", *wanted, "mlops/ledger")
    assert trailer(project, "Adopted", commit) == [trial]
    assert project.plan() == {}
    project.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.56")
    assert project.apply().code == 0
    assert trailer(project, "Adopted", "mlops/ledger") == [""]


def test_the_trial_of_a_working_tree_names_the_job_that_ran_it(project: Repository) -> None:
    deeper(project)
    job = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": "ann-dev",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "acme/models",
        "GITHUB_RUN_ID": "42",
        "GITHUB_REF": "refs/pull/7/merge",
    }
    project.environment.update(job)
    trial = str(tried(project, "--set", "seed=3", "risk")["trial"])
    project.environment.clear()
    assert trailer(project, "Actor", LOCAL) == ["ann-dev (GitHub Actions)"]
    assert trailer(project, "Job", LOCAL) == ["https://github.com/acme/models/actions/runs/42"]
    assert trailer(project, "Change", LOCAL) == ["#7"]
    assert trailer(project, "Behalf", LOCAL) == [""]
    assert "ann-dev (GitHub Actions)" in project.custody("log", "--trials").out
    facts = {fact["label"]: fact for fact in project.custody("trace", trial[:10], "--json").json["facts"]}
    assert facts["ran"]["value"]["actor"] == "ann-dev (GitHub Actions)"
    assert (facts["job"]["text"], facts["change"]["text"]) == ("https://github.com/acme/models/actions/runs/42", "#7")
    assert facts["tried"]["text"] == "working tree, on max-depth, with seed=3"
    assert "models" in project.git(*facts["tried"]["command"].split()[1:])


@pytest.mark.heavy
def test_a_trial_runs_through_prefect_too(project: Repository) -> None:
    deeper(project)
    found = tried(project, "--engine", "prefect", "risk")
    assert (found["status"], found["ran"]) == ("passed", ["train", "evaluate"])
    assert trailer(project, "Trial", LOCAL) == ["working tree"]


def test_nothing_is_adopted_where_the_configuration_forbids_it(project: Repository) -> None:
    committed_trial(project)
    merged(project)
    project.write(".mlops/config.yaml", (project.root / ".mlops/config.yaml").read_text() + "adopt: false\n")
    project.commit("Train on main")
    assert project.apply().code == 0
    assert project.ran("risk") == ["train", "evaluate"]


def test_the_trial_of_a_working_tree_is_not_adopted(project: Repository) -> None:
    deeper(project)
    tried(project)
    project.commit("Deeper trees")
    merged(project)
    assert project.apply().code == 0
    assert project.ran("risk") == ["train", "evaluate"]


def test_the_trial_of_a_commit_takes_nothing_over_from_one_of_a_working_tree(project: Repository) -> None:
    deeper(project)
    tried(project)
    project.commit("Deeper trees")
    assert tried(project, "--commit")["ran"] == ["train", "evaluate"]


def test_damaged_bytes_are_not_adopted(project: Repository) -> None:
    committed_trial(project)
    digest = trailer(project, "Artifact")[0]
    place = project.root / ".mlops" / "store" / "sha256" / digest[:2] / digest[2:]
    place.chmod(0o644)
    place.write_bytes(b"something else")
    merged(project)
    assert project.apply().code == 0
    # the model is trained anew, comes out the same, and so its evaluation is the one that was tried
    assert project.ran("risk") == ["train"]
    assert project.run_json("risk")["artifact"] == digest == sha256(place.read_bytes()).hexdigest()


def test_a_record_that_only_says_it_was_a_commit_is_not_adopted(project: Repository) -> None:
    deeper(project)
    tried(project)
    message = project.git("log", "-1", "--format=%B", LOCAL).replace("Trial: working tree", "Trial: commit")
    forged = project.git("commit-tree", f"{LOCAL}^{{tree}}", "-p", f"{LOCAL}^", "-m", message)
    project.git("update-ref", "refs/heads/mlops/trials", forged)
    project.commit("Deeper trees")
    merged(project)
    assert project.apply().code == 0
    assert project.ran("risk") == ["train", "evaluate"]


def test_main_judges_what_it_adopts_by_its_own_limits(project: Repository) -> None:
    trial = committed_trial(project)
    project.git("switch", "-q", "main")
    project.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.9999")
    project.git("merge", "-q", "--no-edit", "max-depth")
    version = project.git("show", "mlops/ledger:models/risk/stages.json")
    done = project.apply("--json")
    assert done.code == 4
    [model] = done.json["models"]
    assert (model["status"], model["ran"], model["moves"]) == ("rejected", [], [])
    assert trial[:8] in model["note"]
    assert '"v2"' not in version + project.git("show", "mlops/ledger:models/risk/stages.json")


def test_a_killed_trial_is_recorded_as_one(project: Repository, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    body = f"    with open({str(gate)!r}, 'w') as gate: gate.write('here')\n    time.sleep(600)\n"
    project.write("models/risk/steps.py", f"import time\n\ndef fit(ctx):\n{body}")
    project.write("models/risk/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\n')
    process = project.start("try", "risk")
    with gate.open() as reader:
        assert reader.read() == "here"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    ledger = project.head()
    project.git("checkout", "-q", "--", ".")
    project.git("switch", "-q", "main")
    assert "died without" not in project.custody("plan").out
    project.custody("try", "risk")
    assert project.git("log", "-1", "--format=%s", LOCAL).startswith("try risk: crashed at train")
    assert project.git("cat-file", "-t", f"{LOCAL}:source/models/risk/steps.py") == "blob"
    assert project.head() == ledger


def test_a_trial_made_on_one_runner_is_adopted_on_another(project: Repository, tmp_path: Path) -> None:
    config = project.root / ".mlops" / "config.yaml"
    project.git("switch", "-q", "main")
    config.write_text(config.read_text() + "remote: origin\n")
    project.commit("Share the ledger")
    host = hosted(project, tmp_path)
    project.git("switch", "-q", "-C", "max-depth")
    deeper(project)
    project.commit("Deeper trees")
    merged(project)
    project.git("push", "-q", "origin", "main", "max-depth")
    runners = [clone(project, host, tmp_path / name) for name in ("pull", "main")]
    store = project.root / ".mlops" / "store"
    for runner in runners:
        (runner.root / ".mlops" / "store").symlink_to(store)
    runners[0].git("switch", "-q", "max-depth")
    assert runners[0].custody("sync").code == 0
    hidden = host.rename(tmp_path / "hidden.git")
    offline = runners[0].custody("try", "--commit", "--engine", "inline", "--json")
    assert offline.code == 7
    hidden.rename(host)
    synced = runners[0].custody("sync")
    assert "Landed on origin: try risk" in synced.out
    trial = next(str(item["trial"]) for item in offline.json["models"] if item["model"] == "risk")
    assert "refs/heads/mlops/trials" in project.git("ls-remote", "origin")
    done = runners[1].apply("--json")
    assert done.code == 0, done.err or done.out
    [model] = done.json["models"]
    assert (model["model"], model["ran"]) == ("risk", [])
    assert trial[:8] in model["note"]


def test_what_was_not_committed_never_leaves_the_clone(project: Repository, tmp_path: Path) -> None:
    project.edit(".mlops/config.yaml", "branch: main\n", "branch: main\nremote: origin\n")
    host = hosted(project, tmp_path)
    project.write(".env", "PASSWORD=hunter2\n")
    first = tried(project, "risk", "--set", "train.max_depth=4")
    secret = project.git("rev-parse", f"{LOCAL}:source/.env")
    (project.root / ".env").unlink()
    committed_trial(project)
    project.write(".env", "PASSWORD=hunter2\n")
    assert tried(project, "risk", "--set", "train.max_depth=4")["trial"] == first["trial"]
    assert project.custody("sync").code == 0
    project.git("push", "-q", "--all", "origin")
    objects = project.git("--git-dir", str(host), "cat-file", "--batch-all-objects", "--batch-check").split()
    assert project.git("rev-parse", "mlops/trials") in objects
    assert secret not in objects
    assert project.git("rev-parse", LOCAL) not in objects
    artifact = trailer(project, "Artifact", LOCAL)[0]
    assert f"sha256/{artifact[:2]}/{artifact[2:]}" not in project.git(
        "ls-tree", "-r", "--name-only", "origin/mlops/store"
    )
