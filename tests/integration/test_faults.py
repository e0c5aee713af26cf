"""Disks that are full or may not be written to, damage to what is stored, and steps that harm: said, and survived."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from custody.app.apply import ApplyOptions, apply
from custody.app.project import open_project
from custody.ledger.locks import apply_lock
from tests.integration.clones import copied, deeper
from tests.integration.repository import Repository, Result

MOUNTS = shutil.which("unshare") is not None and not subprocess.run(
    ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
).returncode  # fmt: skip
needs_mounts = pytest.mark.skipif(not MOUNTS, reason="mounting is not allowed here")
FULL = 'mount -t tmpfs -o size=3m none "$1" && cp -a "$2/." "$1" && mount --bind "$1" "$2"'
FILL = 'cat /dev/zero > "$2/fill" 2> /dev/null'
READ_ONLY = 'mount --bind "$2" "$2" && mount -o remount,ro,bind "$2"'
STEPS = """\
import os
from sklearn.tree import DecisionTreeClassifier

def fit(ctx):
    {body}
    return DecisionTreeClassifier(max_depth=2, random_state=1)
"""


@pytest.fixture
def project(applied: Repository, tmp_path: Path) -> Repository:
    """A copy of the applied project with one parameter changed and committed."""
    made = copied(applied, tmp_path)
    deeper(made)
    made.commit("Go deeper")
    return made


def within(project: Repository, tmp_path: Path, place: str, mount: str, *commands: tuple[str, ...]) -> list[Result]:
    """Run commands of custody where `place` of the project is mounted in some way; a shell line begins with `$`."""
    (tmp_path / "disk").mkdir(exist_ok=True)
    lines = [mount, 'cd "$3"']
    for number, words in enumerate(commands):
        line = words[1] if words[0] == "$" else shlex.join(project.command(*words))
        lines.append(f"{{ {line}; }} > {tmp_path}/out.{number} 2> {tmp_path}/err.{number}; echo $?")
    places = [str(tmp_path / "disk"), str(project.root / place), str(project.root)]
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", "\n".join(lines), "bash", *places],
        env=project.variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    codes = done.stdout.split()
    assert len(codes) == len(commands), done.stderr
    read = [[(tmp_path / f"{name}.{number}").read_text() for name in ("out", "err")] for number in range(len(codes))]
    return [Result(int(code), *texts) for code, texts in zip(codes, read, strict=True)]


APPLY = ("apply", "--engine", "inline")


@needs_mounts
@pytest.mark.parametrize(
    ("place", "said"),
    [
        (".git", "No space left on device"),
        pytest.param(".mlops/store", "the disk of the content store", marks=pytest.mark.slow),
        pytest.param(".mlops/state", "", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_said_before_anything_has_begun(
    project: Repository, tmp_path: Path, place: str, said: str
) -> None:
    full, plan, status, freed = within(
        project, tmp_path, place, f"{FULL}; {FILL}", APPLY, ("plan",), ("status",), ("$", f"rm {place}/fill")
    )
    if said:  # the state folder holds notes alone, and goes without
        assert (full.code, said in full.err) == (1, True), full.err
        assert "df -h" in full.err
        assert "train" not in full.err
    assert (plan.code, status.code, freed.code) == (0, 0, 0)
    assert project.apply().code == 0
    assert [line for line in project.subjects() if "failed" in line or "crashed" in line] == []
    assert project.plan() == {}
    assert project.here("verify").code == 0


@needs_mounts
@pytest.mark.slow
def test_a_disk_that_fills_up_meanwhile_loses_nothing_that_was_recorded(project: Repository, tmp_path: Path) -> None:
    project.write(
        "models/risk/steps.py",
        STEPS.format(body="os.system('cat /dev/zero > .git/fill')"),
    )
    project.write("models/risk/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\n')
    project.commit("Train by code that fills the disk")
    before = project.head()
    (done, head, again, verified) = within(
        project,
        tmp_path,
        ".git",
        FULL,
        APPLY,
        ("$", "git rev-parse mlops/ledger; rm .git/fill"),
        APPLY,
        ("verify",),
    )
    assert done.code == 1, done.err
    assert "No space left" in done.err
    assert head.out.split()[0] == before
    assert again.code in {0, 1}, again.err
    assert verified.code == 0, verified.out


@needs_mounts
@pytest.mark.parametrize(
    ("place", "said"),
    [
        (".mlops", "the content store {root}/.mlops/store cannot be written to: Read-only file system"),
        pytest.param(
            ".",
            "the ledger cannot be written, since its lock file cannot be made: Read-only file system",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_may_only_be_read_can_be_read(project: Repository, tmp_path: Path, place: str, said: str) -> None:
    shutil.rmtree(project.root / ".git" / "custody")
    reading = [("check",), ("plan",), ("status",), ("log",), ("trace", "risk"), ("show", "risk"), ("runs",)]
    *read, applied = within(project, tmp_path, place, READ_ONLY, *reading, APPLY)
    assert [result.code for result in read] == [0] * len(reading)
    assert "retrain" in read[1].out
    assert applied.code == 1
    assert said.format(root=project.root) in applied.err.splitlines()[0]
    assert not (project.root / ".git" / "custody" / "intents").is_dir() or not list(
        (project.root / ".git" / "custody" / "intents").iterdir()
    )


def flip(path: Path) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:50])


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


@pytest.mark.parametrize(
    "damage", [flip, *(pytest.param(damage, marks=pytest.mark.slow) for damage in (truncate, make_folder, make_link))]
)
def test_a_damaged_object_is_named_never_used_and_made_anew(
    project: Repository, damage: Callable[[Path], None]
) -> None:
    table = project.run_json("risk")["steps"]["fetch"]["output"]["ref"]["object"]
    path = project.root / ".mlops" / "store" / "sha256" / table[:2] / table[2:]
    damage(path)
    verified = project.here("verify")
    if path.is_file() and not path.is_symlink():  # what is no file is no object: it is not here
        assert verified.code == 1
        assert table[:12] in verified.out
    done = project.apply()
    if done.code:
        assert project.run_json("risk")["failure"]["error"].startswith(f"object {table[:12]}… is damaged")
        done = project.apply()
    assert done.code == 0, done.err
    assert path.is_file()
    assert not path.is_symlink()
    assert project.here("verify").code == 0


def test_what_follows_from_the_records_is_made_again(project: Repository) -> None:
    index = project.root / ".git" / "custody" / "index.db"
    index.write_bytes(b"\x00garbage" * 999)
    assert project.here("log").out.count("\n") == 7
    index.unlink()
    index.mkdir()
    assert project.here("log").out.count("\n") == 7
    project.git("update-ref", "refs/notes/mlops", project.git("rev-parse", "HEAD:models/risk/model.yaml"))
    assert project.here("verify").code == 1
    assert project.here("ledger", "repair").code == 0
    assert project.here("verify").code == 0
    shutil.rmtree(project.root / ".git" / "custody")
    shutil.rmtree(project.root / ".mlops" / "state")
    project.git("gc", "-q", "--prune=now")
    assert list(project.plan()) == ["risk"]


@pytest.mark.parametrize("content", ["garbage\n", "", "1234567890" * 4 + "\n"])
def test_a_broken_ref_is_named_with_what_repairs_it(project: Repository, content: str) -> None:
    head = project.head()
    ref = project.root / ".git" / "refs" / "heads" / "mlops" / "ledger"
    ref.write_text(content)
    for words in (("plan",), ("status",), ("log",), APPLY):
        done = project.here(*words)
        assert done.code == 1
        assert done.err.startswith("error: ")
        assert ("mlops/ledger" in done.err) or ("1234567890" in done.err)
    assert head in (project.root / ".git" / "logs" / "refs" / "heads" / "mlops" / "ledger").read_text()
    ref.unlink()
    project.git("update-ref", "refs/heads/mlops/ledger", head)
    assert project.here("verify").code == 0


def test_a_head_that_cannot_be_read_is_no_bug(project: Repository) -> None:
    (project.root / ".git" / "HEAD").write_text("nonsense\n")
    for words in (("plan",), APPLY):
        assert project.here(*words).code == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["with space", "ünï ✓", "new\nline", "$(id)"])
def test_any_name_of_the_folder_is_served(project: Repository, name: str) -> None:
    project.root = project.root.rename(project.root.parent / name)
    project.environment["PWD"] = str(project.root)
    assert project.here("check").code == 0
    assert list(project.plan()) == ["risk"]
    assert project.here("trace", "risk").code == 0
    if name == "new\nline":
        assert project.apply().code == 0
        assert project.plan() == {}


def test_a_step_that_leaves_its_place_harms_nobody(project: Repository) -> None:
    body = "os.chdir('/'); os.environ.clear(); import shutil; shutil.rmtree(os.path.dirname(__file__)); os.close(1)"
    project.write("models/risk/steps.py", STEPS.format(body=body))
    project.write("models/risk/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\n')
    project.commit("Train by code that leaves its place")
    done = project.apply()
    assert done.code == 0, done.err
    assert project.plan() == {}


@pytest.mark.slow
def test_a_step_that_writes_into_the_repository_is_seen_by_the_next_apply(project: Repository) -> None:
    project.write(
        "models/risk/steps.py",
        STEPS.format(body=f"open({str(project.root / 'models/risk/gates.yaml')!r}, 'w').write('metrics: {{}}')"),
    )
    project.write("models/risk/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\n')
    project.commit("Train by code that loosens its own gates")
    assert project.apply().code == 0
    assert project.run_json("risk")["verdict"]["passed"] is True
    assert len(project.run_json("risk")["verdict"]["gates"]) == 2, "judged by the committed gates"
    again = project.here(*APPLY)
    assert (again.code, "error[E411]" in again.err) == (1, True)


@pytest.mark.parametrize("value", ["nan", pytest.param("inf", marks=pytest.mark.slow)])
def test_predictions_that_are_no_numbers_fail_the_run(project: Repository, value: str) -> None:
    project.write(
        "models/debt/steps.py",
        "import numpy as np\nfrom sklearn.linear_model import Ridge\n\nclass Odd(Ridge):\n"
        f"    def predict(self, X):\n        return np.full(len(X), float({value!r}))\n\n"
        "def fit(ctx):\n    return Odd()\n",
    )
    project.write("models/debt/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\n')
    project.write("models/debt/gates.yaml", "metrics:\n  rmse: {max: 100000}\n")
    project.commit("Predict what is no number")
    done = project.apply("debt")
    assert done.code in {1, 4}, done.err
    run = project.run_json("debt")
    assert run["status"] in {"failed", "rejected"}
    assert "NaN" not in json.dumps(run)
    assert "Infinity" not in json.dumps(run)


def test_a_clock_that_jumps_changes_no_order_and_no_duration(project: Repository) -> None:
    for year in (2125, 1970):
        limit = (year - 1900) / 1000
        text = f"metrics:\n  roc_auc: {{min: {limit}}}\nslices:\n  gender: {{metric: accuracy, min_ratio: 0.5}}\n"
        project.write("models/risk/gates.yaml", text)
        project.commit(f"Demand {limit}")
        opened = open_project(project.root)
        opened.clock = partial(datetime, year, 1, 2, tzinfo=UTC)
        done = apply(opened, ApplyOptions(engine="inline"), lambda _: None, Event())
        assert done.seconds >= 0
        assert project.run_json("risk")["verdict"]["gates"][0]["limit"] == limit
        assert project.plan() == {}
    dates = project.git("log", "-5", "--format=%ad", "--date=format:%Y", "mlops/ledger").split()
    assert dates[0] == "1970"
    newest = project.here("log", "--json").json
    assert str(newest)[:400].count("1970-01-02") >= 1
    assert all(step.get("seconds", 0) >= 0 for step in project.run_json("risk")["steps"].values())
    assert [project.here(*words).code for words in (("status",), ("trace", "risk"), ("verify",))] == [0, 0, 0]


def test_one_apply_at_a_time_and_the_lock_of_a_dead_one_is_free(project: Repository) -> None:
    with apply_lock(project.root / ".git"):
        done = project.here(*APPLY)
    assert (done.code, f"process {os.getpid()} on" in done.err, "since" in done.err) == (6, True, True)
    lock = project.root / ".git" / "custody" / "apply.lock"
    lock.write_text('{"pid": 1, "host": "gone", "since": "2020-01-01T00:00:00+00:00"}')
    with apply_lock(project.root / ".git"):
        assert str(os.getpid()) in lock.read_text()
