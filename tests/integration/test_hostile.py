"""A hostile spec in a pull request: nothing of it is run, followed or acted on, and what shows it is text."""

from __future__ import annotations

import re
import resource
import subprocess
from pathlib import Path

import pytest

from tests.integration.clones import copied
from tests.integration.repository import DATASET, FILES, Repository, loans

NASTY = (
    "@acme/risk #123 | x | <!-- custody:plan --> <img src=x onerror=alert(1)> [a](https://evil.example) **b** "
    "`c` ::error file=a::d ::set-output name=e::f ##[error]g </details> ~~h~~ $i$ \\u202eevil"
)
"""What a host, a terminal or a runner acts upon, as far as a spec can hold it; in double quotes for YAML."""
FORMS = ("text", "json", "markdown", "github")
MEMORY = 1 << 30
"""Bytes that a command may map: twenty times the files of 50 MB, and far from what parsing them takes."""


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository.create(tmp_path_factory.mktemp("hostile"))
    done = made.apply()
    assert done.code == 0, done.err
    return made


@pytest.fixture
def pull(applied: Repository, tmp_path: Path) -> Repository:
    """A branch of a pull request, in an own copy of the applied project, as a job of GitHub sees it."""
    made = copied(applied, tmp_path)
    made.git("switch", "-q", "-c", "pull")
    made.environment.update(
        GITHUB_ACTIONS="true", GITHUB_BASE_REF="main", GITHUB_STEP_SUMMARY=str(made.home / "summary.md")
    )
    (made.home / "summary.md").touch()
    return made


def is_text(shown: str) -> None:
    """Look that a terminal and GitHub's runner act on nothing in a log."""
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", shown)
    assert not re.search(r"^\s*::(error file=a|set-output)", shown, re.MULTILINE)
    assert "##[error]" not in shown


def is_markdown_text(shown: str) -> None:
    """Look that a host acts on nothing in Markdown, and that rows of tables have the cells of their heads."""
    is_text(shown)
    assert shown.count("<!-- custody:plan -->") <= 1
    assert not re.search(r"<img|@acme|#123|\]\(https://evil|(?<!\\)\*\*b|(?<!\\)~~h|\$i\$", shown)
    assert shown.count("<details>") == shown.count("</details>")
    width = 0
    for line in shown.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert cells == width or not cells or not width, line
        width = cells


def test_what_specs_say_stays_text_wherever_it_is_shown(pull: Repository) -> None:
    pull.edit("models/risk/model.yaml", "owner: risk", f'owner: "{NASTY[:250]}"\ndescription: "{NASTY}"')
    pull.edit("models/risk/gates.yaml", "slices:\n", "slices:\n  job: {metric: accuracy, min: 0.0}\n")
    pull.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    is_text(pull.custody("check").err)
    for form in FORMS:
        done = pull.custody("plan", "--format", form)
        assert done.code == 0, done.err
        (is_markdown_text if form == "markdown" else is_text)(done.out)
        is_text(done.err)
    tried = pull.custody("try", "risk", "--commit")
    assert tried.code == 0, tried.err
    (pull.home / "summary.md").write_text("")
    comment = pull.custody("comment")
    assert comment.code == 0, comment.err
    is_markdown_text(comment.out)
    is_markdown_text((pull.home / "summary.md").read_text(encoding="utf-8"))
    is_text(tried.out + comment.err)
    pull.git("switch", "-q", "main")
    pull.git("merge", "-q", "--no-ff", "-m", f"Merge {NASTY}", "pull")
    assert pull.apply().code == 0
    for arguments in (("log",), ("show", "risk"), ("trace", "risk"), ("status",), ("log", "--json")):
        done = pull.custody(*arguments)
        assert done.code == 0, done.err
        is_text(done.out)
    is_markdown_text(pull.git("show", "mlops/ledger:README.md"))
    for subject in pull.subjects():
        assert subject.isprintable()


def test_values_of_data_stay_text_in_slices(pull: Repository) -> None:
    data = (pull.root / "data/loans.csv").read_text(encoding="utf-8")
    pull.write("data/loans.csv", data.replace(",clerk,", ",@acme/risk #123 | <img src=x> `c` ::error file=a::d,"))
    pull.edit("models/risk/gates.yaml", "slices:\n", "slices:\n  job: {metric: accuracy, min: 0.0}\n")
    assert pull.custody("data", "add", "loans", "--from-source").code == 0
    pull.edit("models/risk/data.yaml", "loans@v1", "loans@v2")
    tried = pull.custody("try", "risk", "--commit")
    assert tried.code == 0, tried.err + tried.out
    is_text(tried.out)
    comment = pull.custody("comment", "risk")
    assert "job = " in comment.out
    is_markdown_text(comment.out)


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("models/risk/pipeline.yaml", 'train: {uses: "./../../../x.py:fit"}\n', "expected a built-in name"),
        ("models/risk/pipeline.yaml", 'train: {uses: "/etc/passwd:fit"}\n', "expected a built-in name"),
        ("models/risk/pipeline.yaml", 'train: {uses: "os:system"}\n', "part of Python itself"),
        ("models/risk/pipeline.yaml", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "aliases and anchors"),
        ("models/risk/model.yaml", 'owner: "a\\nb"\n', "one line of text"),
        ("models/risk/model.yaml", 'owner: "a\\e[31mb"\n', "one line of text"),
        ("models/risk/model.yaml", "owner: a\0b\n", "control character"),
        ("models/risk/pipeline.yaml", "train: " + "[" * 100_000, "E11"),
        ("models/risk/steps.py", f"fit = {'-' * 200_000}1\n", "E2"),
    ],
)
def test_what_a_spec_may_not_say_is_refused_in_words(pull: Repository, path: str, text: str, said: str) -> None:
    if path.endswith(".py"):
        pull.write("models/risk/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\n')
    pull.write(path, text)
    done = pull.custody("check")
    assert done.code == 1, done.err
    assert said in done.err
    is_text(done.err)


def test_links_lead_nowhere(pull: Repository, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "model.yaml").write_text("owner: s3cr3t\n")
    (pull.root / "models/evil").symlink_to(outside)
    (pull.root / "datasets/evil").symlink_to(outside)
    (pull.root / "models/risk/model.yaml").unlink()
    (pull.root / "models/risk/model.yaml").symlink_to(outside / "model.yaml")
    for arguments in (("check",), ("plan",), ("comment",)):
        done = pull.custody(*arguments)
        assert done.code == 1
        assert "s3cr3t" not in done.out + done.err
        assert "no regular file" in done.out + done.err


@pytest.mark.parametrize("path", ["models/risk/gates.yaml", "models/risk/steps.py"])
def test_fifty_megabytes_are_refused_before_they_are_parsed(pull: Repository, path: str) -> None:
    pull.write("models/risk/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\n')
    pull.write("models/risk/steps.py", "def fit(ctx): ...\n")
    pull.write(path, "a = [1, 2, 3]\n" * (50_000_000 // 14))
    done = subprocess.run(
        pull.command("check"),
        cwd=pull.root,
        env=pull.variables(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    assert done.returncode == 1, done.stderr
    assert "bytes; a s" in done.stderr
    assert len(done.stderr) < 10_000


def test_the_name_of_a_column_is_text_in_slices_and_gates(tmp_path: Path) -> None:
    name = "ge|n<img src=x>@acme #123 **b** ~~h~~ $i$ ::error file=a::d ##[error]"
    data = loans(200).replace("gender", f'"{name}"', 1)
    dataset = DATASET.replace("gender:", f"'{name}':")
    gates = FILES["models/risk/gates.yaml"].replace("gender:", f"'{name}':")
    files = {"data/loans.csv": data, "datasets/loans/dataset.yaml": dataset, "models/risk/gates.yaml": gates}
    made = Repository.create(tmp_path, files)
    assert made.apply("risk").code == 0
    made.git("switch", "-q", "-c", "pull")
    made.environment.update(GITHUB_ACTIONS="true", GITHUB_BASE_REF="main")
    made.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 5")
    tried = made.custody("try", "--commit", "--engine", "inline", "risk")
    is_text(tried.out + tried.err)
    body = made.custody("comment", "--base", "main").out
    assert "slices (2)" in body
    is_markdown_text(body)
    is_text(made.custody("trace", "risk").out)
