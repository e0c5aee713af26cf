from __future__ import annotations

import pytest

from custody.app.check import check
from custody.app.new import FILES, Wish, new
from custody.app.project import open_project
from custody.app.render import render
from custody.cli.main import main
from custody.errors import CustodyError, UsageError
from tests.unit.app.specs import sound, write


@pytest.fixture
def project(tmp_path):
    return sound(tmp_path / "shop")


def text_of(project, name):
    return "".join((project / "models" / name / file).read_text() for file in FILES)


@pytest.mark.parametrize(
    ("target", "task", "says"),
    [
        ("churned", "classification", "roc_auc"),
        ("tier", "classification", "balanced_accuracy"),
        ("usage", "regression", "r2"),
    ],
)
def test_what_is_written_is_short_and_sound(project, target, task, says):
    made = new(open_project(project), Wish("first", "customers", target))
    checked = check(open_project(project), [project / "models/first"])
    assert checked.problems == ()
    assert checked.models == 1
    text = text_of(project, "first")
    assert len(text.splitlines()) <= 30
    assert f"task: {task}" in text
    assert says in text
    assert "split: {by: signup, test: 0.2}" in text
    assert made.inferred == {"task": task, "owner": "crm", "purpose": "retention"}


def test_without_a_time_column_the_split_is_stratified(project):
    dataset = project / "datasets/customers/dataset.yaml"
    dataset.write_text(dataset.read_text().replace("time: signup\n", ""))
    new(open_project(project), Wish("first", "customers@v3", "tier"))
    text = text_of(project, "first")
    assert "dataset: customers@v3" in text
    assert "stratify: tier" in text
    assert check(open_project(project), [project / "models/first"]).problems == ()


def test_what_is_said_wins_and_is_quoted_where_needed(project):
    new(open_project(project), Wish("first", "customers", "usage", "regression", "007", "a: b"))
    text = text_of(project, "first")
    assert 'owner: "007"' in text
    assert 'purpose: "a: b"' in text
    assert check(open_project(project), [project / "models/first"]).errors == 0


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (Wish("churn", "customers", "usage"), "is there already"),
        (Wish("Churn", "customers", "usage"), "cannot be the name"),
        (Wish("../x", "customers", "usage"), "cannot be the name"),
        (Wish("first", "custmers", "usage"), "no sound dataset"),
        (Wish("first", "customers@v9", "usage"), 'no version "v9"'),
        (Wish("first", "customers", "usge"), "is not a column"),
        (Wish("first", "customers", "email"), "is not a column"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(project, wish, says):
    before = sorted(project.rglob("*"))
    with pytest.raises(UsageError, match=says):
        new(open_project(project), wish)
    assert sorted(project.rglob("*")) == before


def test_the_command_says_what_comes_next(project, capsys):
    assert main(["-C", str(project), "new", "first", "--dataset", "customers", "--target", "churned"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [f"models/first/{file}" for file in FILES]
    assert "custody check models/first" in shown.err
    assert "owner: crm" in shown.err
    assert main(["-C", str(project), "new", "first", "--dataset", "customers", "--target", "churned"]) == 64


def test_a_template_of_the_repository_wins(project):
    write(project, "templates/model/model.yaml.j2", "# ours\nowner: {{ owner | yaml }}\n")
    new(open_project(project), Wish("first", "customers", "churned"))
    assert (project / "models/first/model.yaml").read_text() == "# ours\nowner: crm\n"


@pytest.mark.parametrize("template", ["{{ nothing }}", "{% if %}", "{{ ''.__class__.__mro__ }}", "{{ 1 / 0 }}"])
def test_a_template_that_is_wrong_or_escapes_is_told(project, template):
    write(project, "templates/own.j2", template)
    with pytest.raises(CustodyError, match=r"own\.j2"):
        render("own.j2", root=project)


@pytest.mark.parametrize("name", ["missing.j2", "../../secret"])
def test_a_template_that_is_not_there_is_told(project, name):
    with pytest.raises(CustodyError, match="no template"):
        render(name, root=project)
