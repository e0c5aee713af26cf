"""A plan that recognises what is unchanged is the plan of everything, whatever was edited before, and in what order."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custody.app.deployed import Told, deployed
from custody.app.plan import prepare
from custody.app.project import open_project
from custody.app.quick import quick_plan
from custody.app.recognise import recognise
from custody.cli.views.plan import text, to_json
from custody.core.recording import Source
from custody.core.renames import rename_record
from custody.domain.plan import Category, Plan
from custody.domain.problem import Place
from custody.domain.record import ModelState, Record
from custody.errors import CustodyError, InvalidSpecError
from custody.ledger.head import state_at_head
from tests.integration.repository import Repository

GENERATE = Path(__file__).parents[2] / "benchmarks" / "generate.py"
MODELS, STAGED = 6, 4
FIRST, SECOND, OWN = "models/wine-00001", "models/wine-00002", "models/wine-00000"
DATASET = "datasets/cellar-0000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated project that has nothing to do; four of its six models are in production."""
    spec = importlib.util.spec_from_file_location("generate", GENERATE)
    assert spec
    assert spec.loader
    generate = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(GENERATE.parent)
        spec.loader.exec_module(generate)
    made = tmp_path_factory.mktemp("quick") / "project"
    generate.generate(made, MODELS, 2 * MODELS + 2 + STAGED, 2)
    git(made, "branch", "first")
    git(made, "branch", "records", "mlops/ledger")
    return made


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def reset(folder: Path) -> None:
    """Put everything back but what was remembered."""
    git(folder, "update-ref", "refs/heads/mlops/ledger", "records")
    for path in (folder / "models").glob("wine-00001"):
        path.unlink() if path.is_symlink() else None
    git(folder, "reset", "-q", "--hard", "first")
    git(folder, "clean", "-fdqx", "-e", ".mlops/state")


def forget(folder: Path) -> None:
    """Leave what a fresh clone has: nothing is remembered."""
    shutil.rmtree(folder / ".mlops/state", ignore_errors=True)


def outcome(make: Callable[[], Plan]) -> tuple[Any, ...]:
    """Return all that a plan says, in JSON and in words, or how it fails."""
    try:
        plan = make()
    except InvalidSpecError as error:
        return ("invalid", *(json.dumps(problem.to_dict()) for problem in error.problems))
    except CustodyError as error:
        return "failed", error.message
    return json.dumps(to_json(plan, "1")), text(plan, "1")


def both(folder: Path, revision: str | None = None) -> tuple[Any, ...]:
    """Plan quickly and in full; the two must say the same. Returns what they said."""
    quick = outcome(lambda: quick_plan(open_project(folder), revision=revision))
    full = outcome(lambda: prepare(open_project(folder), revision).plan)
    assert quick == full
    return full


def recognised(folder: Path) -> set[str]:
    """Return the models whose files the next plan does not read."""
    project = open_project(folder)
    found = recognise(project, None, state_at_head(project.worktree.repository, project.config)[0])
    return set(found.models) if found else set()


def change(path: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / path
        if file.is_file():
            file.write_text(file.read_text().replace(old, new, 1))

    return edit


def write(path: str, content: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        if (folder / path).is_dir() or not all(parent.is_dir() for parent in _above(folder / path)):
            return
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)

    return edit


def _above(path: Path) -> list[Path]:
    return [parent for parent in path.parents if parent.exists()]


def remove(path: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        target = folder / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    return edit


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Edit")


def touch(folder: Path) -> None:
    file = folder / FIRST / "pipeline.yaml"
    if file.is_file():
        file.write_bytes(file.read_bytes())


def rename(folder: Path) -> None:
    if (folder / SECOND).is_dir():
        shutil.move(folder / SECOND, folder / "models/wine-renamed")


def rename_with_history(folder: Path) -> None:
    rename(folder)
    change("models/wine-renamed/model.yaml", "owner:", "was: wine-00002\nowner:")(folder)


def record_rename(folder: Path) -> None:
    """Put the rename on the ledger, as an apply would."""
    ledger = open_project(folder).ledger

    def make(present: ModelState) -> Record | None:
        states = ledger.model("wine-00002"), present
        return rename_record("rename-1", "wine-renamed", "wine-00002", states, Source("0" * 40, ""), "2026-11-24")

    ledger.decide("wine-renamed", make)


def say_deployed(folder: Path) -> None:
    with suppress(CustodyError):
        deployed(open_project(folder), "wine-00001", Told("v1", "eu"))


def version(folder: Path) -> None:
    target = folder / DATASET / "versions/v2.yaml"
    if target.parent.is_dir():
        shutil.copy(folder / DATASET / "versions/v1.yaml", target)


def link(folder: Path) -> None:
    if (folder / FIRST).is_dir() and not (folder / FIRST).is_symlink():
        shutil.move(folder / FIRST, folder / "elsewhere")
        (folder / FIRST).symlink_to(folder / "elsewhere")


def ledger(revision: str) -> Callable[[Path], None]:
    return lambda folder: git(folder, "update-ref", "refs/heads/mlops/ledger", revision) and None


EDITS: dict[str, Callable[[Path], None]] = {
    "commit": commit,
    "commit again": commit,
    "stage": lambda folder: git(folder, "add", "-A") and None,
    "take back": lambda folder: git(folder, "checkout", "-q", "first", "--", ".") and None,
    "touch": touch,
    "reads a model": change(
        f"{SECOND}/data.yaml", "dataset:", "inputs: {score: model:wine-00001@production}\ndataset:"
    ),
    "comment": change(f"{FIRST}/pipeline.yaml", "train:", "# why\ntrain:"),
    "order": change(f"{FIRST}/model.yaml", "owner: team-1\npurpose: quality\n", "purpose: quality\nowner: team-1\n"),
    "parameter": change(f"{FIRST}/pipeline.yaml", "learning_rate: 0.1", "learning_rate: 0.2"),
    "parameter back": change(f"{FIRST}/pipeline.yaml", "learning_rate: 0.2", "learning_rate: 0.1"),
    "limit": change(f"{SECOND}/gates.yaml", "min: 0.8", "min: 0.81"),
    "owner": change(f"{SECOND}/model.yaml", "team-2", "team-9"),
    "stage none": change(f"{FIRST}/model.yaml", "production: auto", "production: none"),
    "no stages": change(f"{FIRST}/model.yaml", "stages: {production: auto}\n", ""),
    "stage renamed": change(f"{FIRST}/model.yaml", "production: auto", "staging: none"),
    "no seed": change(f"{SECOND}/pipeline.yaml", "seed: 7\n", ""),
    "no gates": write(f"{SECOND}/gates.yaml", ""),
    "purpose": change(f"{FIRST}/model.yaml", "purpose: quality", "purpose: spying"),
    "broken": change(f"{SECOND}/data.yaml", "dataset:", "dataset: ["),
    "unknown dataset": change(f"{SECOND}/data.yaml", "cellar-0000", "cellar-9"),
    "latest": change(f"{SECOND}/data.yaml", "@v1", "@latest"),
    "code": change(f"{OWN}/steps.py", "* scale", "* scale + 1"),
    "code comment": change(f"{OWN}/steps.py", "millimetres", "metres"),
    "code that opens": change(f"{OWN}/steps.py", "return", "open('x')\n    return"),
    "shadow": write(f"{OWN}/numpy.py", "def log1p(x):\n    return x\n"),
    "shadow package": write(f"{OWN}/numpy/__init__.py", "x = 1\n"),
    "shadow elsewhere": write("src/numpy.py", "x = 1\n"),
    "ignore shadows": write(".gitignore", ".mlops/store/\n.mlops/state/\nnumpy.py\nnumpy/\n*.log\n"),
    "caches": write(f"{OWN}/__pycache__/numpy.cpython-311.pyc", "x"),
    "notes": write(f"{FIRST}/notes.md", "hello\n"),
    "extension": change(".mlops/config.yaml", "spec: 1", "spec: 1\nextensions: [src]"),
    "time zone": change(".mlops/config.yaml", "spec: 1", "spec: 1\ntimezone: Europe/Berlin"),
    "lock": change(".mlops/config.yaml", "spec: 1", "spec: 1\nlock: req.lock"),
    "locked": write("req.lock", "numpy==2\n"),
    "file declared": change(
        f"{OWN}/pipeline.yaml", "with: {scale: 2}", "with: {scale: 2}, files: [data/x.txt, ./y.txt]"
    ),
    "file outside": write("data/x.txt", "1\n"),
    "file beside": write(f"{OWN}/y.txt", "1\n"),
    "dataset's owner": change(f"{DATASET}/dataset.yaml", "owner: cellar", "owner: lab"),
    "dataset's contract": change(f"{DATASET}/dataset.yaml", "max: 20", "max: 21"),
    "dataset's purposes": change(f"{DATASET}/dataset.yaml", "[quality]", "[sales]"),
    "dataset's rule for nothing": change(f"{DATASET}/dataset.yaml", "columns: {", "columns: {colour: {type: string}, "),
    "new version": version,
    "version edited": change(f"{DATASET}/versions/v1.yaml", "rows: 20", "rows: 21"),
    "version's contents": change(f"{DATASET}/versions/v1.yaml", "logical: ", "logical: 0"),
    "watched": write(f"{SECOND}/monitors.yaml", "every: day\n"),
    "watched otherwise": change(f"{SECOND}/monitors.yaml", "day", "week"),
    "watched wrongly": write(f"{SECOND}/monitors.yaml", "every: dy\n"),
    "watched no more": remove(f"{SECOND}/monitors.yaml"),
    "watched by a profile": write(".mlops/profiles/p/monitors.yaml", "every: day\n"),
    "stray": write("models/wine.yaml", "a: 1\n"),
    "stray inside": write(f"{SECOND}/other.yaml", "a: 1\n"),
    "folder without a spec": write("models/shared/util.py", "x = 1\n"),
    "new model": lambda folder: (
        shutil.copytree(folder / "models/wine-00004", folder / "models/new", dirs_exist_ok=True) and None
    ),
    "file gone": remove(f"{FIRST}/gates.yaml"),
    "model gone": remove(SECOND),
    "code gone": remove(f"{OWN}/steps.py"),
    "dataset gone": remove("datasets/cellar-0001"),
    "rename": rename,
    "rename with history": rename_with_history,
    "rename recorded": record_rename,
    "deployed": say_deployed,
    "was another that is there": change(f"{SECOND}/model.yaml", "owner:", "was: wine-00004\nowner:"),
    "was nobody": change(f"{FIRST}/model.yaml", "owner:", "was: wine-9\nowner:"),
    "link": link,
    "ledger back": ledger("records~3"),
    "ledger forth": ledger("records"),
    "ledger of data alone": ledger("records~12"),
    "nothing remembered": forget,
    "damaged": write(".mlops/state/findings", "x"),
}


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=5))
@pytest.mark.heavy
def test_quick_and_full_plans_say_the_same_after_any_edits(folder: Path, names: list[str]) -> None:
    reset(folder)
    both(folder)
    for name in names:
        EDITS[name](folder)
        both(folder)
    if any(name.startswith("commit") for name in names):
        both(folder, git(folder, "rev-parse", "HEAD"))


@pytest.mark.parametrize("name", sorted(EDITS))
def test_quick_and_full_plans_say_the_same_after_each_edit(folder: Path, name: str) -> None:
    reset(folder)
    both(folder)
    EDITS[name](folder)
    both(folder)
    both(folder)
    forget(folder)
    both(folder)
    EDITS["take back"](folder)
    both(folder)


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=4))
def test_each_change_has_a_reason_and_each_place_is_there(folder: Path, names: list[str]) -> None:
    reset(folder)
    for name in names:
        EDITS[name](folder)
    with suppress(CustodyError):
        for change in quick_plan(open_project(folder)).changes:
            assert change.reasons or change.category is Category.NOOP
            for reason in (*change.reasons, *change.annotations):
                assert reason.place is not None, reason
                assert is_there(folder, reason.place) or reason.code == "model.removed", reason


def is_there(folder: Path, place: Place) -> bool:
    """Whether the file has a character there; an empty file has a first one."""
    path = folder / place.path
    lines = path.read_text().split("\n") if path.is_file() else []
    return place.line <= len(lines) and 1 <= place.column <= max(1, len(lines[place.line - 1]))


def test_a_fresh_clone_reads_no_model_that_is_as_it_was_recorded(folder: Path, tmp_path: Path) -> None:
    reset(folder)
    git(tmp_path, "clone", "-q", str(folder), "clone")
    made = tmp_path / "clone"
    git(made, "branch", "-q", "mlops/ledger", "origin/mlops/ledger")
    assert len(recognised(made)) == MODELS
    assert json.loads(both(made)[0])["changes"]
    EDITS["parameter"](made)
    forget(made)
    assert recognised(made) == {path.name for path in (made / "models").iterdir()} - {"wine-00001"}
    both(made)


def test_what_apply_records_is_recognised_where_nothing_is_remembered(applied: Repository, tmp_path: Path) -> None:
    made = Repository(tmp_path / "project", applied.home)
    shutil.copytree(applied.root, made.root)
    forget(made.root)
    assert recognised(made.root) == {"risk", "debt"}
    made.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.56")
    made.edit("models/debt/model.yaml", "owner: risk", "owner: debts")
    forget(made.root)
    assert not recognised(made.root)
    assert {change["category"] for change in made.plan().values()} == {"re-gate", "metadata"}
    assert made.here("apply").code == 0
    forget(made.root)
    assert recognised(made.root) == {"risk", "debt"}
    both(made.root)
    assert made.here("verify").code == 0


def test_what_is_to_be_decided_is_not_taken_from_records(folder: Path) -> None:
    reset(folder)
    forget(folder)
    # the run of wine-00004 is recorded and registered, its stage does not point to it yet
    git(folder, "update-ref", "refs/heads/mlops/ledger", "records~2")
    assert recognised(folder) == {f"wine-{number:05}" for number in range(4)}
    both(folder)


FORGERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "none": lambda run: run.pop("basis"),
    "no mapping": lambda run: run.update(basis=[1]),
    "no texts": lambda run: run["basis"].update(base=7),
    "other base": lambda run: run["basis"].update(base="0" * 64),
    "other folder": lambda run: run["basis"].update(model="0" * 40),
    "other dataset": lambda run: run["basis"].update(dataset=["cellar-0001", "0" * 40, "0" * 40]),
    "short dataset": lambda run: run["basis"].update(dataset=["cellar-0001"]),
    "pinned": lambda run: run["basis"].update(stages={"production": "v1"}),
    "another run": lambda run: run["basis"].update(run="0" * 16),
    "no code": lambda run: run["basis"].update(files=[]),
    "strange code": lambda run: run["basis"].update(files={"src/x.py": 3}),
    "code from elsewhere": lambda run: run["basis"].update(files={"src/x.py": "0" * 40}),
}


@pytest.mark.parametrize("name", sorted(FORGERIES))
def test_a_basis_that_does_not_hold_is_none(folder: Path, name: str) -> None:
    reset(folder)
    forget(folder)
    path = "models/wine-00001/run.json"
    run = json.loads(git(folder, "show", f"records:{path}"))
    FORGERIES[name](run)
    rewrite(folder, path, json.dumps(run, indent=2) + "\n")
    assert "wine-00001" not in recognised(folder)
    both(folder)


def rewrite(folder: Path, path: str, text: str) -> None:
    """Let the ledger's head hold another text at `path`."""
    index = {**os.environ, "GIT_INDEX_FILE": str(folder / ".git" / "rewritten")}

    def run(*arguments: str, said: str | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=index, input=said, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    run("read-tree", "records")
    blob = run("hash-object", "-w", "--stdin", said=text)
    run("update-index", "--cacheinfo", f"100644,{blob},{path}")
    message = run("log", "-1", "--format=%B", "records")
    made = run("commit-tree", run("write-tree"), "-p", "records~1", said=message)
    git(folder, "update-ref", "refs/heads/mlops/ledger", made)


def test_unchanged_models_are_not_read(folder: Path) -> None:
    reset(folder)
    both(folder)
    assert len(recognised(folder)) == MODELS
    EDITS["parameter"](folder)
    assert len(recognised(folder)) == MODELS - 1
    both(folder)
    assert len(recognised(folder)) == MODELS - 1
    EDITS["parameter back"](folder)
    assert len(recognised(folder)) == MODELS


def test_an_edit_without_meaning_is_read_once(folder: Path) -> None:
    reset(folder)
    both(folder)
    EDITS["comment"](folder)
    assert "wine-00001" not in recognised(folder)
    both(folder)
    assert len(recognised(folder)) == MODELS


LOADED = """
import sys
from custody.cli.main import main
code = main(["plan"])
print(*sorted(sys.modules), file=sys.stderr)
"""


def test_where_nothing_changed_no_yaml_is_parsed(folder: Path) -> None:
    reset(folder)
    forget(folder)
    both(folder)
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=folder, capture_output=True, text=True, check=True)
    assert "Nothing to do" in done.stdout
    needless = ("yaml", "custody.spec", "custody.domain.monitors", "custody.core.difference", "custody.core.sharing")
    assert not [name for name in done.stderr.split() if name.startswith(needless)]


SPEC = "owner: cellar\nclassification: internal\npurposes: [quality]\n"
WHILE = {
    "of a model": (EDITS["comment"], EDITS["parameter"]),
    "of a new dataset": (write("datasets/new/dataset.yaml", SPEC), write("datasets/new/dataset.yaml", "owner: [\n")),
}


@pytest.mark.parametrize("name", sorted(WHILE))
def test_an_edit_while_it_is_planned_is_not_taken_for_what_was_read(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reset(folder)
    before = both(folder)
    first, second = WHILE[name]
    first(folder)
    project = open_project(folder)
    load = project.load

    def load_and_edit(*arguments: Any) -> Any:
        found = load(*arguments)
        second(folder)
        return found

    monkeypatch.setattr(project, "load", load_and_edit)
    assert "Nothing to do" in text(quick_plan(project), "1")
    assert both(folder) != before


def test_what_is_remembered_may_be_damaged_anywhere(folder: Path) -> None:
    reset(folder)
    both(folder)
    path = folder / ".mlops/state/findings"
    whole = path.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        both(folder)
        path.write_bytes(whole[:at])
        both(folder)
