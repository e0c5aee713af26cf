"""`custody explain` on predictions that were made by `custody predict`, kept in a journal, or tampered with."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from custody.app.predictions import batches
from custody.app.project import open_project
from custody.app.promoted import find_promoted
from custody.app.sealing import journal_root, record_batches
from custody.content.tables import read_table, to_parquet
from custody.core.predictions import prediction_id
from custody.domain.batch import Batch
from custody.domain.serving import Prediction
from custody.kit import predictions
from custody.serving.journal import Journal
from tests.integration.repository import Repository, loans

PERSONAL = "job: {type: string, personal: true}"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository.create(tmp_path_factory.mktemp("explain"))
    assert made.custody("apply", "--engine", "inline").code == 0
    made.write("new.csv", loans(30, seed=9))
    assert made.here("predict", "risk", "--data", "new.csv", "--out", "risk.csv").code == 0
    assert made.here("predict", "debt", "--data", "new.csv", "--out", "debt.csv").code == 0
    return made


def told(repository: Repository, model: str) -> list[dict[str, str]]:
    with (repository.root / f"{model}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def batch_of(repository: Repository, model: str) -> Batch:
    return batches(open_project(repository.root), model)[-1]


@pytest.fixture
def gone(repository: Repository) -> Iterator[Any]:
    """Take objects out of the store, and put them back at the end."""
    moved: list[tuple[Path, Path]] = []

    def take(digest: str) -> None:
        path = open_project(repository.root).store.path(digest)
        aside = repository.root.parent / digest
        path.rename(aside)
        moved.append((aside, path))

    yield take
    for aside, path in moved:
        aside.rename(path)


def test_a_prediction_is_explained_from_its_row_to_its_people(repository: Repository) -> None:
    row = told(repository, "risk")[1]
    found = repository.here("explain", row["id"])
    assert found.code == 0, found.err
    lines = found.out.splitlines()
    assert lines[0].startswith(f"{row['id']}  risk v1 · run ")
    assert " of 30 in batch " in lines[1]
    assert "answer   false  (probability: false 0.7183, true 0.2817)" in lines
    assert any(line.startswith("again    same, with artifact sha256:") for line in lines)
    how = "inputs, and what each adds to the probability of defaulted=true (exact, from its trees; against 100 training"
    assert any(line.startswith(how) for line in lines)
    assert "chain of custody" in lines
    chain = repository.here("trace", "risk").out.splitlines()
    assert lines[lines.index("chain of custody") + 1 :] == chain


def test_the_json_has_the_same_facts_and_they_add_up(repository: Repository) -> None:
    for model, method in (("risk", "trees"), ("debt", "linear")):
        row = told(repository, model)[3]
        found = repository.here("explain", row["id"], "--json").json
        assert (found["id"], found["rescored"]["same"], found["notes"]) == (row["id"], True, [])
        basis = found["basis"]
        assert (basis["method"], basis["rows"]) == (method, 100)
        assert basis["base"] + sum(item["adds"] for item in found["inputs"]) == pytest.approx(basis["score"])
        answer = float(row["prediction"]) if model == "debt" else float(row["probability.true"])
        assert basis["score"] == pytest.approx(answer)
        sizes = [abs(item["adds"]) for item in found["inputs"]]
        assert sizes == sorted(sizes, reverse=True)
        assert found["chain"]["facts"]
    assert {item["feature"]: item["value"] for item in found["inputs"]}["income"] is None  # the row has none


def test_the_beginning_of_an_id_is_enough(repository: Repository) -> None:
    name = told(repository, "debt")[5]["id"]
    assert repository.here("explain", name[:24].upper()).out.startswith(name)
    many = repository.here("explain", name[:13])
    assert many.code == 64
    assert f"30 predictions begin with {name[:13]}" in many.err
    assert many.err.count("custody explain 0") == 5


def test_an_id_that_is_none_says_what_was_meant(repository: Repository) -> None:
    name = told(repository, "risk")[0]["id"]
    wrong = name[:-1] + ("0" if name[-1] != "0" else "1")
    mistyped = repository.here("explain", wrong)
    assert mistyped.code == 64
    assert f"did you mean {name}?" in mistyped.err
    run = str(open_project(repository.root).ledger.state().models["risk"].stages["production"].run)
    other = repository.here("explain", run[:8])
    assert other.code == 64
    assert f"= help: custody trace {run[:8]}" in other.err
    nothing = repository.here("explain", "order-17")
    assert nothing.code == 64
    assert "custody sync" in nothing.err


def test_what_is_not_here_is_left_out_and_said(repository: Repository, gone: Any) -> None:
    name = told(repository, "risk")[0]["id"]
    run = open_project(repository.root).ledger.state().models["risk"].run
    assert run is not None
    split = run.steps["split"].output
    assert split is not None
    gone(split.ref.object)
    without = repository.here("explain", name, "--json").json
    assert without["basis"] is None
    assert without["rescored"]["same"]
    assert without["notes"][0].startswith("no contributions: ")
    gone(run.artifact)
    bare = repository.here("explain", name)
    assert bare.code == 0
    assert "Note: not scored again: " in bare.out
    assert "again    " not in bare.out
    assert "chain of custody" in bare.out
    gone(batch_of(repository, "risk").content)
    lost = repository.here("explain", name)
    assert lost.code == 64
    assert "is not here, such as" in lost.err
    assert "= help: custody sync" in lost.err


def test_an_answer_that_does_not_come_out_again_is_told(repository: Repository) -> None:
    """A batch whose answers were changed before it was sealed: digest and root are right, the answer is not."""
    project = open_project(repository.root)
    source = find_promoted(project, "debt")
    table = read_table(project.store.get(batch_of(repository, "debt").content))
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = [prediction_id(10**15, bytes([number]) * 10) for number in range(table.num_rows)]
    changed = table.set_column(0, "id", pa.array(ids))
    place = table.column_names.index("prediction")
    changed = changed.set_column(place, "prediction", pc.add(table.column("prediction"), 1.0))
    for item in predictions.seal(changed, source.promoted, "log"):
        digest = project.store.put(to_parquet(item.table))
        record_batches(project, [replace(item.batch, content=digest).to_dict()])
    again = repository.here("explain", ids[0], "--json").json["rescored"]
    assert (again["same"], again["because"][0].partition(":")[0]) == (False, "another server made it")


def test_a_prediction_in_the_journal_is_explained_before_it_is_sealed(repository: Repository) -> None:
    project = open_project(repository.root)
    promoted = find_promoted(project, "debt").promoted
    name = prediction_id(1_750_000_000_000_000, b"0123456789")
    row = {"income": 54.0, "job": None}
    kept = tuple(row[feature] for feature in promoted.kept)
    keeper = Journal(journal_root(project) / "debt")
    keeper.append(promoted, [Prediction(name, 1_750_000_000_000_000, 1.0, (), kept)]).result()
    found = repository.here("explain", name)
    keeper.close()
    assert found.code == 0, found.err
    assert "not sealed yet: it is in the journal of a server" in found.out
    assert "again    differs: " in found.out
    assert "likely: nothing that is recorded differs; what was kept of the row may" in found.out
    assert "(null)" in found.out


def test_a_row_that_was_not_kept_whole_is_not_scored_again(repository: Repository) -> None:
    """A column that is declared personal after the training is read by the model, and kept nowhere."""
    path = repository.root / "datasets/loans/dataset.yaml"
    repository.write("datasets/loans/dataset.yaml", path.read_text().replace("job: {type: string}", PERSONAL))
    repository.commit("Call the job personal")
    assert repository.here("predict", "debt", "--data", "new.csv", "--out", "later.csv").code == 0
    found = repository.here("explain", told(repository, "later")[0]["id"])
    assert found.code == 0, found.err
    assert "Note: not scored again: of the row job was not kept" in found.out
    assert "  job " not in found.out
    earlier = repository.here("explain", told(repository, "debt")[0]["id"], "--json").json
    assert earlier["rescored"]["same"]
    assert {item["feature"]: item["value"] for item in earlier["inputs"]}["job"] == "(personal)"
