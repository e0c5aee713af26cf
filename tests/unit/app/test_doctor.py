from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from custody.app.doctor import Check, Standing, doctor
from custody.app.project import open_project
from custody.cli.main import main
from custody.git.contents import join_contents
from custody.git.objects import Person
from custody.git.settings import reading_aliases
from tests.unit.app.history import History


def of(checks: Sequence[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def shared(tmp_path: Path) -> tuple[History, Path]:
    """A history whose project names a bare repository beside it as its remote."""
    history = History(tmp_path)
    host = tmp_path / "host.git"
    history.git("clone", "-q", "--bare", str(history.top), str(host))
    history.git("remote", "add", "origin", str(host))
    config = history.root / ".mlops/config.yaml"
    config.write_text(config.read_text() + "remote: origin\n")
    return history, host


def test_a_clone_is_told_what_it_lacks_and_fixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = History(tmp_path)
    history.git("config", "user.name", "Ann")
    history.git("config", "user.email", "ann@example.org")
    (history.root / "requirements.lock").write_text("pytest==0.0.1 \\\n    --hash=sha256:00\nno-such-thing==1.0\n")
    found = doctor(open_project(history.root))
    assert of(found, "git").standing is Standing.OK
    assert of(found, "identity").text == "Ann <ann@example.org>"
    assert of(found, "reading").help == "custody doctor --fix"
    lock = of(found, "lock file")
    assert lock.standing is Standing.FAIL
    assert ", not 0.0.1" in lock.text
    assert "no-such-thing is not installed" in lock.text
    assert main(["-C", str(history.root), "doctor", "--fix", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {check["name"]: check["standing"] for check in told["checks"]}["reading"] == "ok"
    assert history.git("config", "--local", "notes.displayRef") == "refs/notes/mlops"
    (history.root / "requirements.lock").write_text(f"pytest=={pytest.__version__}\nother==1 ; python_version < '3'\n")
    assert main(["-C", str(history.root), "doctor"]) == 0


def test_the_content_that_travels_in_git_is_measured(tmp_path: Path) -> None:
    history, host = shared(tmp_path)
    project = open_project(history.root)
    project.store.files.put(b"here only")
    check = of(doctor(project), "store")
    assert (check.standing, check.help) == (Standing.NOTE, "custody sync")
    assert "not fetched" in check.text
    assert "; in this clone alone: 1" in check.text
    repository = project.worktree.repository
    author = Person("Ann", "ann@example.org", project.clock())
    content = {sha256(data).hexdigest(): data for data in (b"here only", bytes(99_991))}
    commit = join_contents(repository, None, content, author)
    history.git("push", "-q", str(host), f"{commit}:refs/heads/mlops/store")
    history.git("fetch", "-q", "origin")
    check = of(doctor(open_project(history.root)), "store")
    assert (check.standing, check.text) == (Standing.OK, "mlops/store: 0.1 of 500 MB in 2 objects")


def test_what_a_person_has_set_is_kept(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.git("config", "alias.mlog", "log -1")
    history.git("config", "--add", "notes.displayRef", "refs/notes/commits")
    doctor(open_project(history.root), fix=True)
    doctor(open_project(history.root), fix=True)
    assert history.git("config", "alias.mlog") == "log -1"
    assert history.git("config", "--get-all", "notes.displayRef").split() == ["refs/notes/commits", "refs/notes/mlops"]


def test_the_aliases_work_in_git(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.record(history.run(history.first))
    doctor(history.project, fix=True)
    assert "train churn" in history.git("mlog")
    assert "train churn" in history.git("mlog", "--", "models/churn")
    assert history.git("mlog", "--", "models/other") == ""
    assert "run.json" in history.git("mshow", "mlops/ledger")
    assert set(reading_aliases("x/y")) == {"alias.mlog", "alias.mshow"}


def test_a_remote_that_lets_the_ledger_be_rewritten(tmp_path: Path) -> None:
    history, host = shared(tmp_path)
    found = doctor(open_project(history.root))
    assert of(found, "remote").text == "origin answers"
    assert of(found, "ledger").help == "custody sync"
    protection = of(found, "protection")
    assert protection.standing is Standing.FAIL
    for command in protection.help.split(" && "):
        subprocess.run(command.split(), check=True)
    assert of(doctor(open_project(history.root)), "protection").standing is Standing.OK
    host.rename(tmp_path / "gone.git")
    gone = of(doctor(open_project(history.root)), "remote")
    assert (gone.standing, gone.help) == (Standing.FAIL, "git ls-remote origin")


def test_what_cannot_be_told_is_said_so(tmp_path: Path) -> None:
    history, _ = shared(tmp_path)
    history.git("remote", "set-url", "origin", "https://ann:secret@127.0.0.1:9/x.git")
    found = doctor(open_project(history.root))
    assert of(found, "protection").standing is Standing.NOTE
    assert "protect mlops/* on origin" in of(found, "protection").text
    assert "secret" not in "".join(check.text + check.help for check in found)


def test_a_clock_that_is_behind_and_locks_that_were_left(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.record(history.run(history.first))
    lock = history.top / ".git/refs/heads/mlops/ledger.lock"
    lock.touch()
    subprocess.run(["touch", "-d", "2020-01-01", str(lock)], check=True)
    project = open_project(history.root)
    behind = history.now - timedelta(days=1)
    project.clock = lambda: behind
    found = doctor(project)
    assert of(found, "clock").standing is Standing.FAIL
    left = of(found, "left over")
    assert (left.standing, left.help) == (Standing.FAIL, f"rm {lock}")


def test_a_detached_shallow_clone(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.write("more.txt", "x")
    history.commit("More", "Ana <ana@example.org>")
    history.git("clone", "-q", "--depth=1", f"file://{history.top}", str(tmp_path / "shallow"))
    subprocess.run(["git", "checkout", "-q", "--detach"], cwd=tmp_path / "shallow", check=True)
    check = of(doctor(open_project(tmp_path / "shallow")), "repository")
    assert check.text == "shallow, HEAD is detached; apply serves main"
    assert check.help == "git fetch --unshallow"
