from __future__ import annotations

import sys
import warnings

import pytest

from custody.domain.problem import Problem, Severity
from tests.unit.spec.project import SOUND, VERSION, loaded, problems

MODEL, DATA = "models/churn/model.yaml", "models/churn/data.yaml"
PIPELINE, GATES = "models/churn/pipeline.yaml", "models/churn/gates.yaml"
DATASET = "datasets/customers/dataset.yaml"
V4 = "datasets/customers/versions/v4.yaml"


def only(path: str, old: str, new: str) -> Problem:
    assert old in SOUND[path]
    (problem,) = problems(path, SOUND[path].replace(old, new))
    return problem


def told(problem: Problem) -> str:
    return " ".join((problem.message, problem.label, *problem.help))


@pytest.mark.parametrize(
    ("path", "old", "new", "code", "at", "says"),
    [
        (DATA, "customers@v4", "custumers@v4", "E201", "1:10", 'did you mean "customers"?'),
        (DATA, "customers@v4", "customers@v5", "E203", "1:10", "known: v3, v4"),
        (DATA, "customers@v4", "customers@v5", "E203", "1:10", "custody data add customers v5 PATH"),
        (DATA, "usage, plan", "usge, plan", "E204", "3:12", 'did you mean "usage"?'),
        (DATA, "usage, plan", "usage, email", "E205", "3:19", "personal"),
        (DATA, "usage, plan", "usage, gender", "E206", "3:19", "sensitive"),
        (DATA, "usage, plan", "usage, churned", "E215", "3:19", "among the features"),
        (DATA, "usage, plan", "usage, id", "W206", "3:19", "key of customers"),
        (DATA, "by: signup", "by: sinup", "E204", "2:13", 'did you mean "signup"?'),
        (DATA, "{by: signup, test", "{test", "W202", "2:8", "split: {by: signup, test: 0.2}"),
        (DATA, "{by: signup", "{stratify: churned", "W202", "2:8", "time column"),
        (MODEL, "target: churned", "target: chuned", "E204", "4:9", 'did you mean "churned"?'),
        (MODEL, "target: churned", "target: email", "E205", "4:9", "never reaches a model"),
        (MODEL, "purpose: retention", "purpose: credit", "W204", "2:10", "apply will refuse"),
        (GATES, "gender:", "gendr:", "E204", "4:3", 'did you mean "gender"?'),
        (GATES, "roc_auc", "roc_auk", "E207", "2:3", 'did you mean "roc_auc"?'),
        (GATES, "roc_auc", "rmse", "E207", "2:3", "not a metric of classification"),
        (GATES, "selection_rate", "f1_macro", "E207", "4:20", "use f1"),
        (PIPELINE, "seed: 7\n", "", "W201", "3:3", "seed: 0"),
        (PIPELINE, "tabular", "tabluar", "E208", "1:10", 'did you mean "tabular"?'),
        (PIPELINE, "tabular", "{uses: tabular, with: {scael: true}}", "E101", "1:33", 'did you mean "scale"?'),
        (PIPELINE, "seed: 7", 'seed: 7\nschedule: "0 25 * * 1"', "E220", "9:11", "hour '25' is not 0 to 23"),
        (PIPELINE, "seed: 7", 'seed: 7\nschedule: "@daily"', "E220", "9:11", 'schedule: "0 2 * * 1"'),
        (PIPELINE, "seed: 7", 'seed: 7\nschedule: "0 2 * * 1"', "W209", "9:11", "customers@latest"),
        (DATASET, "uses: file", "uses: flie", "E208", "4:16", 'did you mean "file"?'),
        (DATASET, "path: data/customers.csv", "delimiter: ;", "E102", "4:28", '"path"'),
        (DATASET, "key: id", "key: ident", "E204", "5:6", "not a column of customers@v4"),
        (DATASET, "gender:", "gendr:", "W207", "9:3", 'did you mean "gender"?'),
    ],
)
def test_a_reference_that_leads_nowhere_is_told(path, old, new, code, at, says):
    problem = only(path, old, new)
    assert (problem.code, str(problem.place)) == (code, f"{path}:{at}")
    assert says in told(problem)


def test_a_floating_version_resolves():
    assert loaded({DATA: SOUND[DATA].replace("@v4", "@latest")}).problems == ()


def test_a_version_named_by_its_time_is_for_the_plan_to_find():
    assert loaded({DATA: SOUND[DATA].replace("@v4", "@2026-11-24")}).problems == ()


def test_a_schedule_is_read_in_a_time_zone_that_there_is():
    at = {DATA: SOUND[DATA].replace("@v4", "@latest"), PIPELINE: f'{SOUND[PIPELINE]}schedule: "0 2 * * 1"\n'}
    config = SOUND[".mlops/config.yaml"]
    assert loaded({**at, ".mlops/config.yaml": f"{config}timezone: Europe/Berlin\n"}).problems == ()
    (problem,) = loaded({**at, ".mlops/config.yaml": f"{config}timezone: Europe/Brelin\n"}).problems
    assert (problem.code, problem.help) == ("E221", ('did you mean "Europe/Berlin"?',))


def test_a_model_whose_references_fail_is_left_out_and_warnings_are_kept():
    broken = loaded({GATES: SOUND[GATES].replace("roc_auc", "rmse")})
    assert "churn" not in broken.spec.models
    warned = loaded({PIPELINE: SOUND[PIPELINE].replace("seed: 7\n", "")})
    assert "churn" in warned.spec.models
    assert [item.code for item in warned.spec.warnings] == ["W201"]
    assert warned.errors == ()


def test_a_dataset_without_versions_names_the_command():
    found = loaded({V4: None, "datasets/customers/versions/v3.yaml": None}).problems
    assert [problem.code for problem in found] == ["E203"]
    assert found[0].help == ("custody data add customers v4 --from-source",)


def test_metrics_fit_the_number_of_classes():
    many = {
        MODEL: SOUND[MODEL].replace("churned", "tier").replace("positive: true\n", ""),
        GATES: "metrics: {roc_auc: {min: 0.5}, f1_macro: {min: 0.5}, log_loss: {max: 1}}\n",
    }
    (problem,) = loaded(many).problems
    assert (problem.code, problem.help) == ("E207", ("use roc_auc_ovr",))


def test_regression_on_text_is_refused():
    about = SOUND[MODEL].replace("classification", "regression").replace("positive: true\n", "")
    changes = {
        MODEL: about,
        GATES: "metrics: {rmse: {max: 3}}\n",
        PIPELINE: SOUND[PIPELINE].replace("Classifier", "Regressor"),
    }
    (problem,) = loaded(changes).problems
    assert (problem.code, problem.help) == ("E215", ("task: classification",))


@pytest.mark.parametrize(
    ("values", "positive", "refused"), [("[true, false]", "true", False), ("[yes, no]", "true", True)]
)
def test_the_positive_class_is_a_value_of_the_target(values, positive, refused):
    changes = {
        DATASET: SOUND[DATASET].replace("{type: boolean}", f"{{values: {values}}}"),
        MODEL: SOUND[MODEL].replace("positive: true", f"positive: {positive}"),
    }
    assert [item.code for item in loaded(changes).problems] == (["E215"] if refused else [])


STEPS = """\
from helpers import imported
PARAMS = {"type": "object", "required": ["depth"], "additionalProperties": False,
          "properties": {"depth": {"type": "integer", "minimum": 1}}}
def fit(context, depth): ...
class Model: ...
"""


def own(
    uses: str, source: str | None = STEPS, path: str = "models/churn/steps.py", with_: str = "{depth: 3}"
) -> list[Problem]:
    pipeline = f'train: {{uses: "{uses}", with: {with_}}}\nseed: 7\n'
    return list(loaded({PIPELINE: pipeline, path: source}).problems)


@pytest.mark.parametrize("uses", ["./steps.py:fit", "./steps.py:imported"])
def test_a_function_of_the_model_is_found_without_running_it(uses):
    assert own(uses) == []


def test_a_function_below_an_extension_root_is_found():
    assert own("shop.train:fit", path="src/shop/train.py") == []
    assert own("shop:fit", path="src/shop/__init__.py") == []


def test_a_function_of_an_installed_package_is_found_without_importing_it():
    before = set(sys.modules)
    assert own("hatchling.build:build_wheel", with_="{}") == []
    assert [item.code for item in own("hatchling.build:build_weel", with_="{}")] == ["E210"]
    assert not [name for name in set(sys.modules) - before if name.startswith("hatchling")]


@pytest.mark.parametrize(
    ("uses", "code", "says"),
    [
        ("./stps.py:fit", "E210", "no file models/churn/stps.py"),
        ("./steps.py:fti", "E210", 'did you mean "fit"?'),
        ("./a/../../x.py:fit", "E210", "leads out"),
        ("nowhere.module:fit", "E211", "neither below `extensions` (src) nor installed"),
        ("os:system", "E211", "part of Python"),
        ("RandomForest", "E208", "sklearn.RandomForestClassifier"),
    ],
)
def test_a_function_that_is_not_there_is_told(uses, code, says):
    (problem,) = own(uses)
    assert problem.code == code
    assert says in told(problem)


@pytest.mark.parametrize(
    ("with_", "code", "at"),
    [
        ("{depth: three}", "E104", "1:47"),
        ("{depth: 0}", "E106", "1:47"),
        ("{dept: 3, depth: 3}", "E101", "1:40"),
        ("{}", "E102", "1:39"),
    ],
)
def test_parameters_of_an_own_function_are_checked_by_its_params(with_, code, at):
    (problem,) = own("./steps.py:fit", with_=with_)
    assert (problem.code, str(problem.place)) == (code, f"{PIPELINE}:{at}")


@pytest.mark.parametrize(
    "params",
    [
        "dict(type='object')",
        "{'type': 'objct'}",
        "True",
        "{'$ref': 'http://example.invalid/schema'}",
        "{'pattern': '('}",
    ],
)
def test_params_that_are_no_literal_schema_are_told(params):
    (problem,) = own("./steps.py:fit", f"PARAMS = {params}\ndef fit(): ...\n")
    assert problem.code == "E216"


def test_params_open_no_other_file(tmp_path):
    other = tmp_path / "schema.json"
    other.write_text("{}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (problem,) = own("./steps.py:fit", f"PARAMS = {{'$ref': {other.as_uri()!r}}}\ndef fit(): ...\n")
    assert problem.code == "E216"


def test_code_that_does_not_parse_is_told_with_its_line():
    (problem,) = own("./steps.py:fit", "x = 1\ndef fit(:\n")
    assert (problem.code, str(problem.related)) == ("E210", "models/churn/steps.py:2:1")


def test_declared_files_must_be_there():
    pipeline = SOUND[PIPELINE].replace("  retries: 1", "  files: [./lookup.csv, shared/table.csv]")
    found = loaded({PIPELINE: pipeline, "shared/table.csv": "x"}).problems
    assert [problem.message for problem in found] == ["there is no file models/churn/lookup.csv"]
    assert all(problem.severity is Severity.ERROR for problem in found)


def test_a_column_that_is_personal_by_its_version_alone_is_refused():
    changes = {V4: VERSION.replace("plan: {kind: string, nulls: 0, distinct: 3}", "plan: {personal: true}")}
    assert [problem.code for problem in loaded(changes).problems] == ["E205"]
