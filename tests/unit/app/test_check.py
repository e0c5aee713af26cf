from __future__ import annotations

import json

import pytest

from custody.app.check import check
from custody.app.project import open_project
from custody.cli.main import main
from custody.core.jsonfile import json_bytes
from custody.domain.monitoring import Counts, Edges
from custody.domain.monitors import TRAINING, Every
from custody.domain.record import Kind, Record
from custody.domain.reference import Known, Limit, Reference
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


def test_declared_limits_are_told_from_the_reference_that_is_recorded(project, capsys):
    opened = open_project(project)
    write(project, "models/churn/monitors.yaml", "every: week\ndrift: {features: {psi: 0.2}}\n")
    assert main(["-C", str(project), "check"]) == 0
    assert capsys.readouterr().out == "ok: 1 model, 1 dataset\n"
    edges, limit = Edges((1.0,)), Limit(0.3, 400, 4, (0.1, 0.3, 0.4, 0.9))
    known = Known(edges, Counts((5, 5)), {TRAINING: limit})
    reference = Reference("churn", "r", "customers@v4", "e", 10, Every.WEEK, 4, "psi", {"usage": known})
    files = {"monitoring/churn/reference.json": json_bytes(reference.to_dict())}
    opened.ledger.append(Record("1" * 16, Kind.MONITOR, "monitor: churn", (), files=files))
    assert main(["-C", str(project), "check"]) == 0
    said = "psi 0.2: 3 of 4 reference weeks would warn on usage"
    shown = f"models/churn/monitors.yaml:2:19  {said}"
    assert capsys.readouterr().out == f"{shown}\nok: 1 model, 1 dataset\n"
    assert main(["-C", str(project), "check", "--json"]) == 0
    (limits,) = json.loads(capsys.readouterr().out)["limits"]
    assert limits == {"place": "models/churn/monitors.yaml:2:19", "text": said, "fired": 3, "of": 4}
    damaged = Record("2" * 16, Kind.MONITOR, "monitor: churn", (), files={next(iter(files)): b"{}"})
    opened.ledger.append(damaged)
    assert main(["-C", str(project), "check"]) == 0
