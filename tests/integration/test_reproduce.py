"""`custody reproduce` on real runs: the same comes out, or it is said what differs and why it may."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.integration.clones import copied
from tests.integration.forgery import Forged, rewrite, run_edit
from tests.integration.repository import Repository
from tests.integration.test_docs import ROOT, TREE, begin

OWN = """\
import os

import helperlib
import numpy as np
from sklearn.tree import DecisionTreeRegressor


def draws(ctx):
    noise = np.frombuffer(os.urandom(len(ctx.y)), dtype=np.uint8)
    return DecisionTreeRegressor(max_depth=2).fit(ctx.X, np.asarray(ctx.y, dtype=float) + noise)


def borrows(ctx):
    return DecisionTreeRegressor(max_depth=helperlib.DEPTH, random_state=ctx.seed)
"""


def own(name: str) -> dict[str, str]:
    """Return the files of a model that is trained by the function `name`."""
    folder = f"models/{name}"
    return {
        f"{folder}/model.yaml": "owner: risk\npurpose: scoring\ntask: regression\ntarget: debt\n"
        "stages: {production: auto}\n",
        f"{folder}/data.yaml": "dataset: loans@v1\nsplit: {by: day, test: 0.25}\nfeatures: [income, job]\n",
        f"{folder}/pipeline.yaml": f'train: {{uses: "./steps.py:{name}"}}\n',
        f"{folder}/gates.yaml": "metrics:\n  rmse: {max: 100000}\n",
        f"{folder}/steps.py": OWN,
    }


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    folder = tmp_path_factory.mktemp("reproduce")
    made = Repository.create(folder, {**own("draws"), **own("borrows")})
    lend(made, 2)
    assert made.apply().code == 0
    return made


def lend(made: Repository, depth: int) -> None:
    """Install a library for the steps, outside of the repository."""
    library = made.home / "lib/helperlib.py"
    library.parent.mkdir(exist_ok=True)
    library.write_text(f"DEPTH = {depth}\n")
    made.environment["PYTHONPATH"] = os.pathsep.join([str(library.parent), *sys.path])


@pytest.fixture
def project(applied: Repository, tmp_path: Path) -> Repository:
    made = copied(applied, tmp_path)
    lend(made, 2)
    return made


def test_the_same_comes_out_and_nothing_is_left(project: Repository) -> None:
    project.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 9")
    before = project.head()
    done = project.custody("reproduce", "risk", "--json")
    assert done.code == 0
    assert (done.json["grade"], done.json["first_difference"], done.json["metrics"]) == ("identical", None, {})
    assert done.json["revision"] == project.run_json("risk")["code"]
    assert project.head() == before
    assert list((project.root / ".mlops/state/reproduce").iterdir()) == []
    assert not list((project.root / ".git/custody/intents").glob("*"))


def test_a_trial_is_made_again_from_its_tree(project: Repository) -> None:
    assert project.custody("try", "risk", "--set", "train.max_depth=2").code == 0
    trial = project.git("log", "-1", "--format=%(trailers:key=Run,valueonly)", "refs/custody/local/trials")
    done = project.custody("reproduce", trial[:10])
    assert done.code == 0
    assert done.out.startswith(f"identical: trial {trial[:8]} of risk; ")


def test_own_code_that_draws_what_nobody_can_draw_again(project: Repository) -> None:
    done = project.custody("reproduce", "draws")
    assert done.code == 1
    assert done.out.startswith("different: run ")
    assert "parts at  train (equal: fetch, validate, split, prepare)" in done.out
    assert "likely: ./steps.py:draws may draw random numbers without ctx.seed" in done.out
    assert "rmse" in done.out


def test_own_code_that_imports_what_is_no_longer_the_same(project: Repository) -> None:
    assert project.custody("reproduce", "borrows").code == 0
    lend(project, 3)
    done = project.custody("reproduce", "borrows", "--json")
    assert (done.code, done.json["grade"], done.json["first_difference"]) == (1, "different", "train")
    assert any("code that it imports from outside" in reason for reason in done.json["reasons"])
    shutil.rmtree(project.home / "lib")
    done = project.custody("reproduce", "borrows", "--json")
    assert (done.code, done.json["grade"]) == (1, "failed")
    assert any("helperlib" in reason for reason in done.json["reasons"])


def test_another_library_is_named(project: Repository) -> None:
    def older(value: dict) -> None:
        value["environment"]["python"] = "3.10.1"
        value["environment"]["distributions"] = ["numpy==1.0.0"]
        for name in ("train", "evaluate"):
            value["steps"][name]["output"]["ref"]["digest"] = "0" * 64

    rewrite(project, "train risk", Forged({"models/risk/run.json": run_edit(older)}, lambda message: message))
    done = project.custody("reproduce", "risk", "--json")
    assert (done.code, done.json["grade"]) == (0, "identical predictions")
    assert any("numpy 1.0.0 was recorded, this is " in reason for reason in done.json["reasons"])
    assert any("python 3.10.1 was recorded" in reason for reason in done.json["reasons"])


def test_data_that_are_gone_are_named(project: Repository) -> None:
    sha = str(project.git("show", "mlops/ledger:datasets/loans/v1.json")).split('"sha256": "')[1][:64]
    shutil.rmtree(project.root / ".mlops/store")
    assert project.custody("reproduce", "risk").code == 0
    (project.root / "data/loans.csv").unlink()
    done = project.custody("reproduce", "risk")
    assert done.code == 1
    assert "the data of loans@v1 are gone" in done.err
    assert sha in done.err
    assert "datasets/loans/versions/v1.yaml" in done.err
    assert "data/loans.csv" in done.err


def test_what_cannot_be_made_again_is_said(project: Repository) -> None:
    assert project.custody("reproduce", "nobody").code == 64
    shutil.rmtree(project.home / "lib")
    project.edit("models/borrows/steps.py", "random_state=ctx.seed", "random_state=ctx.seed + 1")
    assert project.apply("borrows").code == 1
    run = project.git("log", "-1", "--grep=^Status: failed", "--format=%(trailers:key=Run,valueonly)", "mlops/ledger")
    assert run
    done = project.custody("reproduce", run[:8])
    assert done.code == 64
    assert "there is no result to be made again" in done.err


SHIPPED = sorted(path.name for path in (ROOT / "models").iterdir() if path.is_dir())


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("engine", "models"),
    [
        ("inline", SHIPPED),
        ("prefect", SHIPPED[:1]),
        pytest.param("prefect", SHIPPED[1:], marks=pytest.mark.slow),
    ],
)
def test_every_shipped_model_comes_out_the_same(engine: str, models: list[str], shipped: Repository) -> None:
    for model in models:
        done = shipped.custody("reproduce", model, "--engine", engine, "--json")
        assert (done.code, done.json["grade"], done.json["engine"]) == (0, "identical", engine), done.out


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """This repository's own models, applied."""
    folder = tmp_path_factory.mktemp("shipped")
    made = Repository(folder / "custody", folder / "home")
    made.home.mkdir()
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("store", "state", "__pycache__")
            shutil.copytree(source, made.root / name, ignore=ignored)
        elif source.is_file():
            made.root.mkdir(exist_ok=True)
            shutil.copyfile(source, made.root / name)
    begin(made, "Add models")
    assert made.apply().code == 0
    return made
