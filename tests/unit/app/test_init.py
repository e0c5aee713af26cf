from __future__ import annotations

import json
import subprocess

import pytest

from custody.app.check import check
from custody.app.init import init
from custody.app.project import open_project
from custody.cli.main import main
from custody.errors import GitError
from tests.unit.app.specs import repository, write


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def test_a_repository_becomes_a_sound_project(tmp_path):
    folder = repository(tmp_path / "shop")
    made = init(folder)
    assert set(made.written) == {
        ".mlops/config.yaml",
        "Makefile",
        "models/README.md",
        "datasets/README.md",
        ".gitignore",
        ".mlops/schemas/",
        ".vscode/settings.json",
    }
    project = open_project(folder)
    assert check(project).problems == ()
    assert (project.config.branch, project.config.remote, project.config.timezone) == ("main", None, "UTC")
    assert (folder / ".gitignore").read_text() == ".mlops/store/\n.mlops/state/\n"


def test_it_knows_the_branch_the_lock_and_the_source_folder(tmp_path):
    folder = tmp_path / "shop"
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(folder)], check=True)
    write(folder, "requirements.lock", "")
    write(folder, "src/shop.py", "")
    init(folder)
    config = open_project(folder).config
    assert (config.branch, config.lock, config.extensions) == ("trunk", "requirements.lock", ("src",))


def test_a_second_time_changes_nothing(tmp_path):
    folder = repository(tmp_path / "shop")
    init(folder)
    before = files(folder)
    made = init(folder)
    assert made.written == ()
    assert files(folder) == before


def test_what_is_there_is_kept(tmp_path):
    folder = repository(tmp_path / "shop")
    write(folder, "Makefile", "all:\n")
    write(folder, ".gitignore", "*.pyc\n/.mlops/store/")
    write(folder, "models/churn/notes.md", "x")
    init(folder)
    assert (folder / "Makefile").read_text() == "all:\n"
    assert (folder / ".gitignore").read_text() == "*.pyc\n/.mlops/store/\n.mlops/state/\n"
    assert not (folder / "models/README.md").exists()


def test_two_projects_have_two_identities(tmp_path):
    folders = [repository(tmp_path / name) for name in ("a", "b")]
    for folder in folders:
        init(folder)
    assert open_project(folders[0]).config.id != open_project(folders[1]).config.id


def test_a_folder_of_a_repository_can_be_a_project(tmp_path):
    folder = repository(tmp_path / "shop") / "services" / "scoring"
    folder.mkdir(parents=True)
    init(folder)
    assert open_project(folder).root == folder.resolve()


def test_a_linked_work_tree_knows_its_branch(tmp_path):
    folder = repository(tmp_path / "shop")
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(folder), *name, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    linked = tmp_path / "linked"
    subprocess.run(["git", "-C", str(folder), "worktree", "add", "-q", "-b", "side", str(linked)], check=True)
    init(linked)
    assert "branch: side " in (linked / ".mlops/config.yaml").read_text()


def test_outside_a_repository_it_is_refused_with_one_command(tmp_path):
    with pytest.raises(GitError) as caught:
        init(tmp_path)
    assert caught.value.help == ("git init",)
    assert files(tmp_path) == {}


def test_the_command(tmp_path, capsys):
    folder = repository(tmp_path / "shop")
    assert main(["-C", str(folder), "init", "--json"]) == 0
    assert ".mlops/config.yaml" in json.loads(capsys.readouterr().out)["written"]
    assert main(["-C", str(folder), "init"]) == 0
    assert capsys.readouterr().out == "Nothing to do: this is a project already\n"
