"""Predicting files and logging others' predictions: what users get, what is recorded, and what can be proved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from custody.app.predictions import batches, content, find
from custody.app.project import Project, open_project
from custody.core.merkle import canonical_row, proof, proves, root
from custody.errors import UsageError
from custody.kit.predictions import leaves_of
from tests.integration.clones import clone, copied, hosted
from tests.integration.repository import DATASET, Repository


@pytest.fixture
def made(applied: Repository, tmp_path: Path) -> Repository:
    return copied(applied, tmp_path)


def opened(made: Repository) -> Project:
    return open_project(made.root)


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_is_scored_recorded_and_found_again(made: Repository) -> None:
    before = made.head()
    done = made.here("predict", "risk", "--data", "data/loans.csv", "--out", "scores.jsonl", "--json")
    assert done.code == 0, done.err
    told = rows(made.root / "scores.jsonl")
    assert len(told) == done.json["rows"] == 400
    assert list(told[0]) == ["id", "time", "key", "prediction", "probability.false", "probability.true"]
    assert [row["key"] for row in told] == list(range(400))
    assert made.subjects(before) == ["predictions risk: 400 predictions by v1 (predict)"]

    project = opened(made)
    (batch,) = batches(project, "risk")
    assert batch.to_dict() == done.json["batches"][0]
    assert (batch.source, batch.classification, sum(batch.counts.values())) == ("predict", "internal", 400)
    table = content(project, batch)
    assert table.column_names == [*told[0], "income", "debt", "job"]
    found = find(project, str(told[7]["id"]))
    assert (found.model, found.version, found.batch) == ("risk", "v1", batch)
    assert (found.prediction, found.values["key"]) == (told[7]["prediction"], 7)
    assert found.features["job"] in {"clerk", "nurse", "none"}
    assert set(found.probabilities) == {"false", "true"}

    leaves = leaves_of(table)
    assert root(leaves) == batch.root
    assert found.row is not None
    path = proof(leaves, found.row)
    assert proves(canonical_row(found.values), found.row, batch.rows, path, batch.root)
    assert made.plan() == {}
    assert made.here("verify").code == 0


def test_predictions_are_those_of_the_evaluation(made: Repository) -> None:
    """The very pipeline that was evaluated answers, to the last bit."""
    assert made.here("predict", "risk", "--data", "data/loans.csv", "--out", "scores.parquet").code == 0
    told = {row["key"]: row["probability.true"] for row in pq.read_table(made.root / "scores.parquet").to_pylist()}
    stored = made.run_json("risk")["steps"]["evaluate"]["output"]["extra"]["predictions"]["object"]
    judged = pq.read_table(made.root / f".mlops/store/sha256/{stored[:2]}/{stored[2:]}").to_pylist()
    assert len(judged) > 50
    assert {row["key"]: row["probability.true"] for row in judged}.items() <= told.items()


def test_rows_can_be_of_other_times(made: Repository) -> None:
    done = made.here("predict", "debt@v1", "--data", "data/loans.csv", "--out", "o.csv", "--time", "day", "--json")
    assert done.code == 0, done.err
    found = batches(opened(made), "debt", "2025-03-10T00:00:00+00:00", "2025-05-01T00:00:00+00:00")
    assert [batch.period for batch in found] == ["2025-03", "2025-04"]
    assert len(done.json["batches"]) == 12
    assert made.here("verify", "--full").code == 0
    header = (made.root / "o.csv").read_text().splitlines()[0]
    assert header == '"id","time","key","prediction"'


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("risk", "--data", "bad.csv", "--out", "o.csv"), 1, "bad.csv has no column debt, job"),
        (("risk", "--data", "text.csv", "--out", "o.csv"), 1, "income"),
        (("risk", "--data", "none.csv", "--out", "o.csv"), 1, "none.csv is not there"),
        (("risk@v7", "--data", "data/loans.csv", "--out", "o.csv"), 64, "no stage or version 'v7'"),
        (("rosk", "--data", "data/loans.csv", "--out", "o.csv"), 64, "did you mean risk?"),
        (("risk", "--data", "data/loans.csv", "--out", "o.xlsx"), 64, "cannot be told from its name"),
        (("risk", "--data", "data/loans.csv", "--out", "bad.csv"), 64, "bad.csv is there already"),
        (("risk", "--data", "data/loans.csv", "--out", "no/o.csv"), 64, "there is no folder"),
        (("risk", "--data", "data/loans.csv", "--out", "o.csv", "--time", "at"), 1, "has no column at"),
        (("risk", "--data", "data/loans.csv", "--out", "o.csv", "--time", "job"), 1, "job"),
        (("risk", "--data", "data/loans.csv"), 64, "--data and --out"),
        (("risk", "--seal", "--out", "o.csv"), 64, "--seal takes no --out"),
    ],
)
def test_what_cannot_be_done_leaves_nothing(
    settled: Repository, arguments: tuple[str, ...], code: int, said: str
) -> None:
    settled.write("bad.csv", "income\n3\n")
    settled.write("text.csv", "income,debt,job\nmany,3,clerk\n")
    before = settled.head()
    done = settled.here("predict", *arguments)
    assert (done.code, said in done.err) == (code, True), done.err
    assert settled.head() == before
    assert not list(settled.root.glob("*o.*"))


def test_nothing_personal_is_kept_even_where_it_was_a_feature(made: Repository) -> None:
    personal = DATASET.replace("job: {type: string}", "job: {type: string, personal: true}")
    made.write("datasets/loans/dataset.yaml", personal.replace("key: id", "key: email"))
    made.commit("Jobs are personal")
    done = made.here("predict", "risk", "--data", "data/loans.csv", "--out", "o.jsonl", "--json")
    assert done.code == 0, done.err
    (batch,) = batches(opened(made), "risk")
    table = content(opened(made), batch)
    assert not {"job", "email", "key"} & set(table.column_names)
    assert b"example.org" not in (made.root / "o.jsonl").read_bytes()


def test_verify_tells_a_batch_that_was_changed_from_one_that_is_missing(made: Repository) -> None:
    assert made.here("predict", "risk", "--data", "data/loans.csv", "--out", "o.csv").code == 0
    (batch,) = batches(opened(made), "risk")
    path = made.root / f".mlops/store/sha256/{batch.content[:2]}/{batch.content[2:]}"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = made.here("verify", "--json")
    assert (done.code, [item["code"] for item in done.json["faults"]]) == (1, ["bytes.damaged"])
    path.unlink()
    done = made.here("verify", "--json")
    assert done.code == 0
    assert any(batch.id in line for line in done.json["not_here"])
    with pytest.raises(UsageError, match="no prediction 'nothing'") as caught:
        find(opened(made), "nothing")
    assert "1 batches is not here" in caught.value.because[0]


def test_verify_finds_a_record_that_says_other_rows(made: Repository) -> None:
    from custody.app.sealing import record_batches

    assert made.here("predict", "risk", "--data", "data/loans.csv", "--out", "o.csv").code == 0
    (batch,) = batches(opened(made), "risk")
    forged = replace(batch, rows=399, id="f" * 16)
    record_batches(opened(made), [forged.to_dict()])
    done = made.here("verify", "--json")
    assert done.code == 1
    assert {"batch.name", "batch.root"} <= {item["code"] for item in done.json["faults"]}


def test_another_clone_has_the_batch_and_its_content(made: Repository, tmp_path: Path) -> None:
    made.edit(".mlops/config.yaml", "ledger: mlops/ledger", "ledger: mlops/ledger\nremote: origin")
    host = hosted(made, tmp_path)
    made.git("fetch", "-q", "origin")
    done = made.here("predict", "risk", "--data", "data/loans.csv", "--out", "o.jsonl")
    assert done.code == 0, done.err
    other = clone(made, host, tmp_path / "other")
    (batch,) = batches(opened(other), "risk")
    assert content(opened(other), batch).num_rows == 400


def log(made: Repository, name: str, count: int, **changed: object) -> None:
    day = "2026-11-24T08:30:00+00:00"
    made_rows = [
        {"id": f"p-{number}", "time": day, "prediction": number % 2 == 0, "version": "v1", "income": 1.5, **changed}
        for number in range(count)
    ]
    made.write(name, "".join(json.dumps(row) + "\n" for row in made_rows))


def test_a_log_of_another_server_is_recorded_once(made: Repository) -> None:
    log(made, "a.jsonl", 20, email="x@example.org")
    done = made.here("log-predictions", "risk", "a.jsonl", "--json")
    assert done.code == 0, done.err
    assert (done.json["rows"], done.json["skipped"], done.json["dropped"]) == (20, 0, ["email"])
    assert made.here("log-predictions", "risk", "a.jsonl", "--json").json["skipped"] == 20
    log(made, "more.jsonl", 25)
    done = made.here("log-predictions", "risk", "more.jsonl")
    assert "5 predictions of risk recorded, 20 were recorded already" in done.out
    assert [(batch.rows, batch.source) for batch in batches(opened(made), "risk")] == [(20, "log"), (5, "log")] or [
        (batch.rows, batch.source) for batch in batches(opened(made), "risk")
    ] == [(5, "log"), (20, "log")]
    found = find(opened(made), "p-3")
    assert (found.version, found.prediction, found.features) == ("v1", False, {"income": 1.5})
    assert made.here("verify", "--full").code == 0


def test_a_log_that_cannot_be_is_refused(made: Repository) -> None:
    log(made, "a.jsonl", 3)
    assert made.here("log-predictions", "risk", "a.jsonl").code == 0
    before = made.head()
    cases = [
        ({"income": 2.5}, 1, "recorded already, with other values"),
        ({"id": "same"}, 1, "occur more than once"),
        ({"prediction": "maybe"}, 1, "prediction"),
        ({"prediction": None}, 1, "prediction"),
        ({"version": "v9"}, 64, "is no version of risk"),
        ({"time": None}, 1, "time"),
        ({"probability.true": 1.5}, 1, "from 0 to 1"),
    ]
    for changed, code, said in cases:
        log(made, "b.jsonl", 3, **changed)
        done = made.here("log-predictions", "risk", "b.jsonl")
        assert (done.code, said in done.err) == (code, True), (changed, done.err)
    assert made.head() == before
