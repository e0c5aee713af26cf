"""A model that gets another name keeps its history, its versions and its stages, and is not trained again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.clones import clone, copied, hosted
from tests.integration.repository import Repository

CODE = "from sklearn.linear_model import Ridge\n\n\ndef fit(ctx):\n    return Ridge(alpha={})\n"


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A project whose model `debt` has code of its own and two versions, v2 in production."""
    made = Repository.create(tmp_path_factory.mktemp("twice"))
    made.write("models/debt/pipeline.yaml", 'train: {uses: "./steps.py:fit"}\nseed: 1\n')
    for alpha in (1, 2):
        made.write("models/debt/steps.py", CODE.format(alpha))
        made.commit(f"Set alpha to {alpha}")
        done = made.apply("--target", "debt")
        assert done.code == 0, done.err
    return made


@pytest.fixture
def made(twice: Repository, tmp_path: Path) -> Iterator[Repository]:
    return copied(twice, tmp_path)


def rename(made: Repository, was: str, name: str) -> None:
    """Move the model's folder and say what it was, in one commit."""
    made.git("mv", f"models/{was}", f"models/{name}")
    path = f"models/{name}/model.yaml"
    lines = (made.root / path).read_text().splitlines()
    made.write(path, "\n".join([*(line for line in lines if not line.startswith("was:")), f"was: {was}\n"]))
    made.commit(f"Rename {was} to {name}")


def production(made: Repository, name: str) -> str:
    (found,) = made.here("status", name, "--json").json["models"]
    return str(found["stages"]["production"]["version"])


def runs(made: Repository, name: str) -> list[str]:
    return [item["run"] for item in made.here("runs", name, "--json").json["runs"]]


def test_the_history_goes_on_and_nothing_trains(made: Repository) -> None:
    before, head = runs(made, "debt"), made.head()
    rename(made, "debt", "arrears")
    change = made.plan()["arrears"]
    assert (change["category"], change["reasons"][0]["code"]) == ("rename", "model.renamed")
    assert change["reasons"][0]["place"] == "models/arrears/model.yaml:6:6"
    assert all(step["do"] == "reuse" for step in change["steps"])
    assert "debt" not in made.plan(), "it is not retired"
    done = made.apply("--target", "arrears")
    assert done.code == 0, done.err
    assert "was debt" in done.out
    assert made.subjects(head) == ["rename debt: it is arrears now, 2 versions"]
    assert not {"arrears", "debt"} & made.plan().keys()

    assert production(made, "arrears") == "v2"
    assert runs(made, "arrears") == before
    assert runs(made, "debt") == before, "the former name leads there too"
    log = made.here("log", "arrears").out
    assert log.count("train debt") == 2
    assert made.here("trace", "arrears@v1").code == 0
    assert "arrears (then debt) · v1" in made.here("trace", "debt@v1").out
    assert "| debt | is arrears now |" in made.git("show", "mlops/ledger:README.md")
    assert "debt is called arrears now" in made.here("promote", "debt").err
    assert made.here("find", "--state", "renamed", "--json").json["models"][0]["model"] == "debt"
    assert made.here("deployed", "debt", "v2", "--where", "eu").code == 0, "a script may go on with the former name"
    assert "eu v2" in made.here("status").out
    verified = made.here("verify")
    assert verified.code == 0, verified.out

    made.edit("models/arrears/gates.yaml", "max: 100000", "max: 100001")
    assert made.plan()["arrears"]["category"] == "re-gate"
    assert made.apply("--target", "arrears").code == 0
    made.edit("models/arrears/model.yaml", "owner: risk", "owner: credit")
    assert made.apply("--target", "arrears").code == 0
    assert "models/debt/pipeline.yaml" in made.here("trace", "arrears@v2").out, "as it lay when it ran"
    again = made.custody("reproduce", "arrears@v2", "--engine", "inline")
    assert again.code == 0, again.err
    verified = made.here("verify")
    assert verified.code == 0, verified.out

    made.write("models/arrears/steps.py", CODE.format(3))
    made.commit("Set alpha to 3")
    done = made.apply("--target", "arrears")
    assert done.code == 0, done.err
    assert production(made, "arrears") == "v3", "numbering goes on"
    made.write("models/arrears/steps.py", CODE.format(1))
    made.commit("Set alpha to 1 again")
    assert made.plan()["arrears"]["category"] == "re-gate", "what ran under the former name is reused"
    assert made.apply("--target", "arrears").code == 0
    assert production(made, "arrears") == "v1"
    assert made.here("verify").code == 0


def test_a_chain_of_names_and_a_name_that_is_used_again(made: Repository) -> None:
    before = runs(made, "debt")
    for was, name in (("debt", "arrears"), ("arrears", "overdue")):
        rename(made, was, name)
        assert made.apply("--target", name).code == 0
    assert runs(made, "overdue") == before
    made.git("checkout", "-q", "HEAD~2", "--", "models/debt")
    made.commit("A new model of an old name")
    assert made.plan()["debt"]["category"] == "new"
    assert made.apply("--target", "debt").code == 0
    assert production(made, "debt") == "v1"
    assert (len(runs(made, "debt")), runs(made, "overdue")) == (1, before)
    assert runs(made, "arrears") == before
    assert made.plan().keys() <= {"risk"}
    assert made.here("verify").code == 0

    made.git("rm", "-q", "-r", "models/debt")
    made.commit("Remove it again")
    assert made.apply("--target", "debt").code == 0
    rename(made, "overdue", "arrears")
    assert made.apply("--target", "arrears").code == 0, "a name that is free may be taken back"
    assert runs(made, "arrears") == before
    assert production(made, "arrears") == "v2"
    assert made.here("verify").code == 0


def test_what_is_no_rename_is_refused_and_retires_nothing(made: Repository) -> None:
    head = made.head()
    rename(made, "debt", "arrears")
    path = "models/arrears/model.yaml"
    made.edit(path, "was: debt", "was: dept")
    assert "nothing is recorded of dept: did you mean debt?" in made.here("plan", "--target", "arrears").out
    made.edit(path, "was: dept", "was: arrears")
    assert "arrears cannot have been itself" in made.here("check").err
    made.edit(path, "was: arrears", "was: risk")
    assert "risk is still there" in made.here("plan", "--target", "arrears").out
    made.edit(path, "was: risk", "was: debt")
    made.git("checkout", "-q", "HEAD~5", "--", "models/debt")
    made.commit("Keep both")
    done = made.apply("--target", "arrears")
    assert done.code == 4
    assert "debt is still there: remove models/debt, or the line `was: debt`" in done.out + done.err
    assert [line.split(":")[0] for line in made.subjects(head)] == ["refuse arrears"]
    made.git("rm", "-q", "-r", "models/debt")
    made.commit("Remove the former one")
    assert made.apply("--target", "arrears").code == 0
    assert production(made, "arrears") == "v2", "a refusal does not stand in the way later"


def test_a_rename_with_an_edit_does_both(made: Repository) -> None:
    made.git("mv", "models/debt", "models/arrears")
    made.write("models/arrears/steps.py", CODE.format(5))
    text = (made.root / "models/arrears/model.yaml").read_text()
    made.write("models/arrears/model.yaml", f"{text}was: debt\n")
    made.commit("Rename and edit")
    change = made.plan()["arrears"]
    assert change["category"] == "retrain"
    assert [reason["code"] for reason in change["reasons"]][:2] == ["model.renamed", "code.changed"]
    head = made.head()
    assert made.apply("--target", "arrears").code == 0
    assert [line.split(":")[0] for line in made.subjects(head)] == [
        "rename debt",
        "train arrears",
        "register arrears v3",
        "promote arrears",
    ]


def test_a_hold_of_the_former_name_that_lands_later_holds_the_model(made: Repository, tmp_path: Path) -> None:
    host = hosted(made, tmp_path)
    made.edit(".mlops/config.yaml", "ledger: mlops/ledger\n", "ledger: mlops/ledger\nremote: origin\n")
    made.git("push", "-q", "origin", "main")
    other = clone(made, host, tmp_path / "other")
    assert other.custody("sync").code == 0
    other.git("remote", "set-url", "origin", f"file://{tmp_path}/nowhere")
    held = other.custody("rollback", "debt", "--now", "--reason", "wrong labels")
    assert held.code == 7, held.err
    rename(made, "debt", "arrears")
    made.git("push", "-q", "origin", "main")
    done = made.apply("--target", "arrears")
    assert done.code == 0, done.err
    other.git("remote", "set-url", "origin", f"file://{host}")
    assert other.custody("sync").code == 0
    assert made.custody("sync").code == 0
    assert production(made, "arrears") == "v1"
    (found,) = made.here("status", "arrears", "--json").json["models"]
    assert len(found["holds"]) == 1
    assert made.here("verify").code == 0
