from __future__ import annotations

import json

import pytest

from custody.app.check import check
from custody.app.project import open_project
from custody.cli.main import main
from custody.errors import UsageError
from tests.unit.app.specs import sound, write

GATES = "models/churn/gates.yaml"


@pytest.fixture
def project(tmp_path):
    return sound(tmp_path / "shop")


def test_a_sound_project(project, capsys):
    assert main(["-C", str(project), "check"]) == 0
    assert capsys.readouterr().out == "ok: 1 model, 1 dataset\n"


def test_errors_are_shown_with_a_caret_and_exit_1(project, capsys, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    write(project, GATES, "metrics:\n  roc_auk: {min: 0.8}\n")
    assert main(["-C", str(project), "check"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        'error[E207]: "roc_auk" is not a metric of classification\n'
        "  --> models/churn/gates.yaml:2:3\n"
        "   |\n"
        " 2 |   roc_auk: {min: 0.8}\n"
        "   |   ^^^^^^^\n"
        "   = rule: models/churn/model.yaml:3:7\n"
        '   = help: did you mean "roc_auc"?\n'
    )


def test_warnings_alone_exit_0(project, capsys):
    write(project, GATES, "")
    assert main(["-C", str(project), "check"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "ok: 1 model, 1 dataset, 1 warning\n"
    assert "W203" in shown.err


def test_json_has_the_same_facts(project, capsys):
    write(project, GATES, "metrics:\n  roc_auk: {min: 0.8}\n")
    assert main(["-C", str(project), "check", "--json"]) == 1
    value = json.loads(capsys.readouterr().out)
    assert (value["ok"], value["errors"], value["warnings"], value["models"]) == (False, 1, 0, 0)
    (problem,) = value["problems"]
    assert (problem["code"], problem["path"], problem["line"], problem["column"]) == ("E207", GATES, 2, 3)


def test_github_sees_annotations(project, capsys, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    write(project, GATES, "metrics:\n  roc_auk: {min: 0.8}\n")
    main(["-C", str(project), "check"])
    assert "::error file=models/churn/gates.yaml,line=2,col=3" in capsys.readouterr().err


def test_paths_choose_what_is_told(project):
    write(project, GATES, "metrics: {roc_auk: {min: 0.8}}\n")
    opened = open_project(project / "models")
    assert check(opened, [project / "models" / "churn"]).errors == 1
    assert check(opened, [project / GATES]).errors == 1
    datasets = check(opened, [project / "datasets"])
    assert (datasets.errors, datasets.datasets, datasets.models) == (0, 1, 0)
    assert check(opened, [project]).errors == 1


@pytest.mark.parametrize("path", ["..", "models/nothing"])
def test_a_path_that_is_not_in_the_project_is_refused(project, path):
    with pytest.raises(UsageError):
        check(open_project(project), [project / path])


def test_a_linked_spec_is_no_file(project):
    (project / GATES).unlink()
    (project / GATES).symlink_to(project / "models/churn/data.yaml")
    assert check(open_project(project)).errors == 1


def test_nothing_of_the_user_is_run(project):
    mark = project / "ran"
    write(project, "models/churn/steps.py", f"open({str(mark)!r}, 'w')\ndef fit(): ...\n")
    write(project, "models/churn/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\n')
    assert check(open_project(project)).problems == ()
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["model", "version"])
def test_a_schema_is_printed(kind, capsys):
    assert main(["schema", kind]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_an_unknown_schema_is_a_usage_error(capsys):
    assert main(["schema", "modle"]) == 64
    assert "model" in capsys.readouterr().err
