"""A scheduled fetch: new data becomes a version in the ledger, the same data nothing at all."""

from __future__ import annotations

from pathlib import Path

from tests.integration.repository import Repository, loans

DATA = "models/debt/data.yaml"
PINNED = "dataset: loans@v1\nsplit: {by: day, test: 0.25}\nfeatures: [income, job]\n"


def test_new_data_is_a_version_by_its_time_and_the_same_data_is_none(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path, {DATA: PINNED.replace("@v1", "@latest")})
    assert repository.apply("debt").code == 0
    before = repository.head()
    same = repository.custody("data", "refresh", "--json")
    assert (same.code, [item["version"] for item in same.json], same.json[0]["latest"]) == (0, [None], "v1")
    assert repository.head() == before

    repository.write("data/loans.csv", loans(420))
    repository.commit("More loans")
    [found] = repository.custody("data", "refresh", "--json").json
    assert (found["dataset"], found["rows"], found["models"], found["error"]) == ("loans", 420, ["debt"], None)
    assert repository.subjects(before) == [f"data loans@{found['version']}: 420 rows, 7 columns"]
    assert repository.custody("data", "refresh").out.startswith("loans  no new data")

    change = repository.plan()["debt"]
    assert change["category"] == "rebuild"
    assert (change["reasons"][0]["before"], change["reasons"][0]["after"]) == ("loans@v1", f"loans@{found['version']}")
    assert "risk" not in {name for name, item in repository.plan().items() if item["category"] == "rebuild"}
    assert repository.apply("debt").code == 0
    assert repository.run_json("debt")["data"]["version"] == found["version"]
    assert "debt" not in repository.plan()
    assert found["version"] in repository.custody("data", "versions", "loans").out
    assert f"loans@{found['version']}" in repository.custody("trace", "debt").out

    repository.write("data/loans.csv", "id,day\n")
    repository.commit("Break the source")
    failed = repository.custody("data", "refresh")
    assert (failed.code, failed.out.split()) == (1, ["loans", "failed"])
    assert "error" in failed.err
    assert repository.custody("data", "refresh", "loan").code == 64
