"""Small content travels in Git: several clones and one bare host, no bucket."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from custody.app.project import Project, open_project
from custody.errors import StoreError
from tests.integration.clones import deeper
from tests.integration.repository import CONFIG, DATASET, Repository
from tests.integration.test_share import clone

STORE = "refs/heads/mlops/store"


def shared_project(folder: Path, files: dict[str, str] | None = None) -> Repository:
    """Make a project with a bare host that allows partial clones."""
    made = Repository.create(folder / "ann", {".mlops/config.yaml": CONFIG + "remote: origin\n", **(files or {})})
    host = folder / "host.git"
    made.git("init", "-q", "--bare", "-b", "main", str(host))
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        made.git("--git-dir", str(host), "config", key, "true")
    made.git("remote", "add", "origin", host.as_uri())
    made.git("push", "-q", "origin", "main")
    return made


@pytest.fixture
def ann(tmp_path: Path) -> Repository:
    return shared_project(tmp_path)


def applied(repository: Repository, *arguments: str) -> Any:
    done = repository.apply("--json", *arguments)
    assert done.code == 0, done.err + done.out
    return done.json


def on_branch(ann: Repository) -> dict[str, str]:
    """Return the blob of each object on the host's branch, by digest."""
    ann.git("fetch", "-q", "origin", f"+{STORE}:refs/test/store")
    lines = ann.git("ls-tree", "-r", "refs/test/store").splitlines()
    return {path.split("/", 1)[1].replace("/", ""): about.split()[2] for about, path in (x.split("\t") for x in lines)}


def named(run: dict[str, Any]) -> set[str]:
    """Return the objects that a recorded run names."""
    outputs = [step["output"] for step in run["steps"].values()]
    refs = [ref for output in outputs for ref in (output["ref"], *output.get("extra", {}).values())]
    return {run["artifact"], *(ref["object"] for ref in refs)}


def here(repository: Repository) -> set[str]:
    """Return the objects in the clone's own store, each checked."""
    found = set()
    for path in (repository.root / ".mlops" / "store" / "sha256").glob("*/*"):
        assert sha256(path.read_bytes()).hexdigest() == path.parent.name + path.name
        found.add(path.parent.name + path.name)
    return found


def project_of(repository: Repository) -> Project:
    return open_project(repository.root)


def test_a_fresh_clone_has_artifact_evaluation_and_data_without_their_source(ann: Repository, tmp_path: Path) -> None:
    value = applied(ann)
    assert value["left_out"] == []
    run = ann.run_json("risk")
    branch = on_branch(ann)
    assert named(run) | named(ann.run_json("debt")) <= set(branch)
    bob = clone(ann, tmp_path / "bob", "--filter=blob:none")
    assert here(bob) == set()
    evaluation = run["steps"]["evaluate"]["output"]["ref"]["object"]
    store = project_of(bob).store
    assert sha256(store.get(run["artifact"])).hexdigest() == run["artifact"]
    assert set(json.loads(store.get(evaluation))["metrics"]) == set(run["metrics"])
    assert here(bob) == {run["artifact"], evaluation}
    (bob.root / "data/loans.csv").unlink()
    deeper(bob)
    bob.git("commit", "-qam", "Deeper trees")
    value = applied(bob)
    assert [item["ran"] for item in value["models"] if item["model"] == "risk"] == [["train", "evaluate"]]
    assert named(bob.run_json("risk")) <= set(on_branch(ann))


def test_a_shallow_job_brings_only_what_its_steps_read(ann: Repository, tmp_path: Path) -> None:
    applied(ann)
    debt = named(ann.run_json("debt"))
    deeper(ann)
    ann.git("commit", "-qam", "Deeper trees")
    ann.git("push", "-q", "origin", "main")
    job = clone(ann, tmp_path / "job", "--depth=1")
    (job.root / "data/loans.csv").unlink()
    applied(job)
    risk = named(job.run_json("risk"))
    assert not (here(job) - risk) & (debt - risk)
    assert risk <= set(on_branch(ann))


def test_a_damaged_object_is_refused_made_again_and_put_back(ann: Repository, tmp_path: Path) -> None:
    applied(ann)
    table = ann.run_json("risk")["steps"]["fetch"]["output"]["ref"]["object"]
    whole = on_branch(ann)[table]
    bad = ann.root.parent / "bad"
    bad.write_bytes(b"not what its name says")
    blob = ann.git("hash-object", "-w", str(bad))
    ann.environment["GIT_INDEX_FILE"] = str(ann.root.parent / "index")
    ann.git("read-tree", "refs/test/store")
    ann.git("update-index", "--add", "--cacheinfo", f"100644,{blob},sha256/{table[:2]}/{table[2:]}")
    tree = ann.git("write-tree")
    del ann.environment["GIT_INDEX_FILE"]
    commit = ann.git("commit-tree", "-p", "refs/test/store", "-m", "damage", tree)
    ann.git("push", "-q", "origin", f"{commit}:{STORE}")
    bob = clone(ann, tmp_path / "bob")
    store = project_of(bob).store
    assert not store.has(table)
    with pytest.raises(StoreError):
        store.get(table)
    deeper(bob)
    bob.git("commit", "-qam", "Deeper trees")
    value = applied(bob)
    assert [item["ran"] for item in value["models"] if item["model"] == "risk"] == [["fetch", "train", "evaluate"]]
    assert table in here(bob)
    assert on_branch(ann)[table] == whole


def test_classified_content_stays_here_and_the_reason_is_said(tmp_path: Path) -> None:
    dataset = DATASET.replace("purposes:", "classification: confidential\npurposes:")
    ann = shared_project(tmp_path, {"datasets/loans/dataset.yaml": dataset})
    done = ann.apply()
    assert done.code == 0, done.err
    assert done.out.count("not in mlops/store: risk (loans is confidential)") == 1
    assert "not in mlops/store: loans@v1 (loans is confidential)" in done.out
    assert ann.git("ls-remote", "origin", STORE) == ""
    assert ann.git("ls-remote", "origin", "refs/heads/mlops/ledger")
    again = ann.apply()
    assert "mlops/store" not in again.out


@pytest.mark.slow
def test_clones_that_share_at_once_keep_the_union(ann: Repository, tmp_path: Path) -> None:
    applied(ann)
    clones = [ann, clone(ann, tmp_path / "bob"), clone(ann, tmp_path / "carl")]
    for depth, repository in enumerate(clones, 4):
        deeper(repository, depth)
        repository.git("commit", "-qam", f"Depth {depth}")
    started = [repository.start("try", "--commit", "--json") for repository in clones]
    for process in started:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err + out
    branch = set(on_branch(ann))
    for repository in clones:
        run = json.loads(repository.git("show", "origin/mlops/trials:models/risk/run.json"))
        assert named(run) <= branch
        assert here(repository) <= branch


def test_a_trial_of_one_clone_is_adopted_by_another(ann: Repository, tmp_path: Path) -> None:
    applied(ann)
    ann.git("switch", "-q", "-c", "deeper")
    deeper(ann)
    ann.git("commit", "-qam", "Deeper trees")
    tried = ann.custody("try", "--commit", "--json")
    assert tried.code == 0, tried.err
    ann.git("switch", "-q", "main")
    ann.git("merge", "-q", "--squash", "deeper")
    ann.git("commit", "-qm", "Deeper trees (#7)")
    ann.git("push", "-q", "origin", "main")
    bob = clone(ann, tmp_path / "bob", "--depth=1")
    (bob.root / "data/loans.csv").unlink()
    value = applied(bob)
    (risk,) = (item for item in value["models"] if item["model"] == "risk")
    assert risk["ran"] == []
    assert "adopted" in risk["note"]
    assert bob.run_json("risk")["artifact"] in here(bob)


def test_gc_drops_what_nothing_needs_and_a_fresh_clone_still_works(ann: Repository, tmp_path: Path) -> None:
    applied(ann)
    first = named(ann.run_json("risk"))
    ann.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.9999")
    runs: list[set[str]] = []
    for depth in (4, 5):
        ann.write(
            "models/risk/pipeline.yaml",
            f"train:\n  uses: sklearn.DecisionTreeClassifier\n  with: {{max_depth: {depth}}}\n",
        )
        ann.commit(f"Depth {depth}")
        assert ann.apply().code == 4
        runs.append(named(ann.run_json("risk")))
    rejected, last = runs
    told = ann.custody("store", "--json").json
    before = on_branch(ann)
    assert told["branch"]["objects"] == len(before)
    head = ann.head()
    dry = ann.custody("store", "gc", "--dry-run", "--days", "0", "--json")
    assert dry.code == 0, dry.err
    assert (ann.head(), on_branch(ann)) == (head, before)
    done = ann.custody("store", "gc", "--days", "0", "--json")
    assert done.code == 0, done.err
    left = on_branch(ann)
    assert set(before) - set(left) == rejected - first - last - named(ann.run_json("debt"))
    assert done.json["dropped"] == dry.json["dropped"] != {"objects": 0, "bytes": 0}
    assert done.json["before"]["objects"] == len(before)
    assert done.json["after"]["objects"] == len(left)
    assert {"in a stage", "the last run of its model"} <= set(done.json["kept"])
    assert ann.subjects(head)[-1].startswith("gc store: ")
    again = ann.custody("store", "gc", "--days", "0")
    assert again.code == 0
    assert ann.head() == ann.git("rev-parse", done.json["commit"])
    ann.git("push", "-q", "origin", "main")
    bob = clone(ann, tmp_path / "bob", "--filter=blob:none")
    assert bob.plan().keys() == ann.plan().keys()
    assert "v1" in bob.custody("trace", "risk").out
    bob.edit("models/risk/gates.yaml", "min: 0.9999", "min: 0.56")
    (bob.root / "data/loans.csv").unlink()
    assert [item["ran"] for item in applied(bob)["models"] if item["model"] == "risk"] == [[]]


def test_a_host_that_refuses_the_branch_still_gets_the_records(ann: Repository, tmp_path: Path) -> None:
    hook = tmp_path / "host.git" / "hooks" / "update"
    hook.write_text('#!/bin/sh\n[ "$1" = refs/heads/mlops/store ] && { echo "no content here"; exit 1; }\nexit 0\n')
    hook.chmod(0o755)
    value = applied(ann)
    assert "refuses the content" in value["share_note"]
    assert ann.git("ls-remote", "origin", STORE) == ""
    assert ann.git("ls-remote", "origin", "refs/heads/mlops/ledger").split()[0] == ann.head()
