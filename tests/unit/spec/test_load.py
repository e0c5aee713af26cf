from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain.problem import Severity
from custody.domain.spec import SplitKind
from custody.spec.config import load_config
from custody.spec.load import load_dataset, load_manifest, name_fault
from tests.unit.spec.project import SOUND, VERSION, codes, loaded, problems

MODEL, DATA = "models/churn/model.yaml", "models/churn/data.yaml"
PIPELINE, GATES = "models/churn/pipeline.yaml", "models/churn/gates.yaml"
DATASET, CONFIG = "datasets/customers/dataset.yaml", ".mlops/config.yaml"


def test_a_sound_project_becomes_values():
    result = loaded()
    assert result.problems == ()
    model = result.spec.models["churn"]
    assert (model.owner, str(model.dataset), model.seed, model.positive) == ("growth-ml", "customers@v4", 7, True)
    assert (model.split.kind, model.split.column, model.split.test) == (SplitKind.ORDERED, "signup", 0.2)
    assert (model.train.timeout, model.train.memory, model.train.retries) == (600.0, 2_000_000_000, 1)
    assert model.prepare.name == "tabular"
    assert [gate.metric for gate in model.metrics] == ["roc_auc"]
    assert str(model.place("pipeline", "train.with.max_depth")) == "models/churn/pipeline.yaml:4:21"
    dataset = result.spec.datasets["customers"]
    assert sorted(dataset.versions) == ["v3", "v4"]
    assert dataset.columns["gender"].sensitive
    assert "email" not in dataset.versions["v4"].stored_columns


@pytest.mark.parametrize(
    ("path", "old", "new", "code", "at", "says"),
    [
        (MODEL, "owner: growth-ml", "owner: 007", "E107", "1:8", 'quote it: "007"'),
        (MODEL, "owner: growth-ml", "owner: 3.10", "E107", "1:8", 'quote it: "3.10"'),
        (MODEL, "owner: growth-ml", "owner:", "E104", "1:7", "has no value"),
        (MODEL, "owner: growth-ml\n", "", "E102", "1:1", 'no "owner"'),
        (MODEL, "owner:", "name: x\nowner:", "E101", "1:1", "remove the line"),
        (MODEL, "owner:", "fairness: {}\nowner:", "E105", "1:1", "gates.yaml under `slices:`"),
        (MODEL, "owner:", "purpos: x\nowner:", "E101", "1:1", 'did you mean "purpose"?'),
        (MODEL, "classification", "clasification", "E106", "3:7", 'did you mean "classification"?'),
        (MODEL, "auto", "automatic", "E106", "6:22", "auto, none, a version"),
        (MODEL, "owner: growth-ml", 'owner: "a\\nb"', "E106", "1:8", "one line of text"),
        (PIPELINE, "seed: 7", "seed: seven", "E104", "8:7", "expected an integer ≥ 0"),
        (PIPELINE, "seed: 7", "seed: 7\nneeds: gpu", "E108", "9:1", "not supported"),
        (PIPELINE, "seed: 7", "fairness: {}", "E105", "8:1", "gates.yaml under `slices:`"),
        (PIPELINE, "timeout: 10m", "timeout: 10x", "E106", "5:12", "such as 30s, 10m or 2h"),
        (PIPELINE, "  retries", "  seed: 1\n  retries", "E105", "7:3", "at the top of pipeline.yaml"),
        (DATA, "test: 0.2", "test: 1.5", "E106", "2:27", "expected a number > 0 and < 1"),
        (DATA, "by: signup", "group: home", "E204", "2:16", "split column"),
        (DATA, "by: signup,", "by: signup, stratify: plan,", "E106", "2:21", "choose one"),
        (DATA, "by: signup,", "by: signup, seed: 1,", "E106", "2:21", "at random"),
        (DATA, "[usage, plan]", "[usage, usage]", "E106", "3:11", "twice"),
        (DATA, "customers@v4", "customers", "E106", "1:10", "customers@v3"),
        (GATES, "{min: 0.82, max_drop: 0.01}", "{}", "E106", "2:3", "nothing would be judged"),
        (GATES, "min: 0.82", "mim: 0.82", "E101", "2:13", 'did you mean "min"?'),
        (GATES, "min: 0.82", "min: 0.82, max: 0.1", "E106", "2:18", "no value passes"),
        (GATES, "min: 0.82", "min: 82", "E106", "2:18", "82 % is 0.82"),
        (GATES, "min: 0.82", "max: -0.1", "E106", "2:18", "no run passes"),
        (PIPELINE, "timeout: 10m", "timeout: 0.0s", "E106", "5:12", "such as 30s, 10m or 2h"),
        (DATASET, "confidential", "secret", "E106", "2:17", "public, internal"),
        (DATASET, "purposes: [retention, forecasting]", "purposes: []", "E106", "3:11", "empty"),
        (DATASET, "{type: boolean}", "{type: bool}", "E106", "8:19", 'did you mean "boolean"?'),
        (DATASET, "{personal: true}", "{pii: true}", "E101", "10:11", 'did you mean "personal"?'),
        (CONFIG, "spec: 1", "spec: 2", "E109", "1:7", "upgrade"),
        (CONFIG, "extensions: [src]", "extensions: [../src]", "E106", "3:14", "without `..`"),
        (CONFIG, "extensions: [src]", 'ledger: "a..b"', "E106", "3:9", "branch"),
    ],
)
def test_one_fault_is_told_with_code_place_and_remedy(path, old, new, code, at, says):
    assert old in SOUND[path]
    found = [item for item in problems(path, SOUND[path].replace(old, new)) if item.severity is Severity.ERROR]
    assert [(item.code, str(item.place)) for item in found] == [(code, f"{path}:{at}")]
    told = " ".join((found[0].message, *found[0].help, found[0].label))
    assert says in told


def test_all_problems_of_all_files_come_together_in_order_of_place():
    result = loaded({MODEL: "ownr: x\n", PIPELINE: "seed: x\ntrain: {uses: 3}\n", DATASET: "owner: [a]\n"})
    assert [problem.place.path for problem in result.errors if problem.place] == [DATASET] * 2 + [MODEL] * 5 + [
        PIPELINE
    ] * 2
    assert result.spec.models == {}


@pytest.mark.parametrize("share", ["0", "1", "0.0", "-0.1"])
def test_a_share_of_test_rows_lies_between_none_and_all(share):
    assert codes(DATA, SOUND[DATA].replace("0.2", share)) == [("E106", "2:27")]


def test_a_message_holds_no_characters_that_fool_a_terminal():
    (problem,) = problems(MODEL, SOUND[MODEL] + '"x\\e[2J\\u202e": 1\n')
    assert problem.message == 'unknown key "x\\x1b[2J\\x202e" in model.yaml'


def test_a_problem_shows_its_line_without_characters_that_fool_a_terminal():
    text = SOUND[MODEL].replace("growth-ml", "7  # \u202e \u009b31m")
    (problem,) = problems(MODEL, text)
    assert problem.excerpt.startswith("owner: 7  #")
    assert problem.excerpt.isprintable()


def test_the_four_files_are_required_and_no_gates_have_to_be_said():
    for path in (MODEL, DATA, PIPELINE, GATES):
        assert [code for code, _ in codes(path, None)] == ["E120"]
    (warning,) = problems(GATES, "")
    assert (warning.code, warning.severity) == ("W203", Severity.WARNING)


@pytest.mark.parametrize(
    ("path", "code", "help"),
    [
        ("models/churn/monitor.yaml", "E120", "git mv models/churn/monitor.yaml models/churn/monitors.yaml"),
        ("models/churn/gate.yaml", "E120", "git mv models/churn/gate.yaml models/churn/gates.yaml"),
        ("models/churn/gates.yml", "E120", "git mv models/churn/gates.yml models/churn/gates.yaml"),
        ("models/other.yaml", "E120", "git rm models/other.yaml"),
        ("datasets/customers/versions/v5.yml", "E120", "git mv"),
        ("datasets/customers/dataset.yml", "E120", "git mv"),
    ],
)
def test_a_stray_file_is_refused_with_the_command_that_helps(path, code, help):
    (problem,) = problems(path, "a: 1\n")
    assert problem.code == code
    assert help in problem.help[0]


def test_notes_and_code_beside_the_specs_are_left_alone():
    assert loaded({"models/README.md": "x", "models/churn/runbook.md": "x", "models/shared/a.py": "x"}).problems == ()


@pytest.mark.parametrize("name", ["Churn", "-x", "con", "latest", "a..b", "x.lock", "a" * 65, "ü", "nul.a"])
def test_names_that_a_host_could_not_hold_are_refused(name):
    assert name_fault(name)
    found = loaded({f"models/{name}/model.yaml": SOUND[MODEL]}).problems
    assert "E121" in {problem.code for problem in found}


@pytest.mark.parametrize("name", ["churn", "churn-2", "a.b_c", "0", "a" * 64])
def test_good_names(name):
    assert name_fault(name) is None


def test_a_listed_file_that_cannot_be_read_is_a_problem():
    files = {**SOUND}

    def read(path: str) -> bytes | None:
        return None if path == MODEL else files[path].encode() if path in files else None

    from custody.spec.load import load

    found = load(read, lambda folder: sorted(path for path in files if path.startswith(f"{folder}/"))).problems
    assert [problem.code for problem in found] == ["E120"]


def test_a_broken_config_stops_everything_and_is_told():
    result = loaded({CONFIG: "spec: 1\n"})
    assert [problem.code for problem in result.problems] == ["E102"]
    assert not result.spec.models
    config, found = load_config(lambda _: None)
    assert config is None
    assert found[0].help == ("custody init",)


def test_a_broken_dataset_is_told_once_not_again_by_its_models():
    assert [code for code, _ in codes("datasets/customers/versions/v4.yaml", "rows: 3\n")] == ["E102"] * 7


def test_one_dataset_and_one_manifest_can_be_loaded_alone():
    dataset, found = load_dataset(lambda path: SOUND[path].encode(), "datasets/customers")
    assert dataset is not None
    assert (dataset.key, found) == ("id", ())
    manifest, found = load_manifest(VERSION.encode(), "customers", "v9")
    assert manifest is not None
    assert (manifest.rows, manifest.version, found) == (7043, "v9", ())
    assert load_manifest(b"rows: x\n", "customers", "v9")[0] is None


def test_a_version_of_a_newer_format_is_refused():
    (problem,) = problems("datasets/customers/versions/v4.yaml", VERSION.replace("format: 1", "format: 2"))
    assert problem.code == "E109"


@given(st.sampled_from([MODEL, DATA, PIPELINE, GATES, DATASET, CONFIG]), st.data())
def test_nothing_that_a_file_holds_raises(path, data):
    text = SOUND[path]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    middle = data.draw(st.text(alphabet="ab:-{}[],&*!'\"# \n1.~é", max_size=8))
    for problem in loaded({path: text[:start] + middle + text[end:]}).problems:
        assert problem.message
        assert problem.code
