"""A scheduled fetch: new data becomes a version in the ledger, the same data nothing at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from custody.app.project import open_project
from custody.app.refresh import refresh
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
    assert repository.custody("reproduce", "debt", "--engine", "inline").out.startswith("identical")
    assert repository.custody("verify").code == 0

    repository.write("data/loans.csv", "id,day\n")
    repository.commit("Break the source")
    failed = repository.custody("data", "refresh")
    assert (failed.code, failed.out.split()) == (1, ["loans", "failed"])
    assert "error" in failed.err
    assert repository.custody("data", "refresh", "loan").code == 64


def test_a_schedule_says_when_and_a_version_by_its_time_may_be_pinned(tmp_path: Path) -> None:
    pipeline = "train: {uses: sklearn.Ridge}\nseed: 1\n"
    repository = Repository.create(tmp_path, {DATA: PINNED.replace("@v1", "@latest")})
    assert repository.apply("debt").code == 0
    repository.write("models/debt/pipeline.yaml", f'{pipeline}schedule: "0 2 * * 1"\n')
    repository.commit("Refresh on Mondays")
    change = repository.plan()["debt"]
    assert change["category"] == "metadata"
    assert change["reasons"][0]["place"] == "models/debt/pipeline.yaml:3:11"
    assert repository.apply("debt").code == 0
    assert repository.run_json("debt")["metadata"]["schedule"] == "0 2 * * 1"
    assert "debt" not in repository.plan()

    read_at = datetime.now(UTC)
    monday = (read_at + timedelta(days=7 - read_at.weekday())).replace(hour=2, minute=0, second=0, microsecond=0)
    assert refreshed(repository, monday - timedelta(minutes=1)) == []
    assert refreshed(repository, monday) == [None]
    assert refreshed(repository, monday + timedelta(days=3)) == [None], "no new data: it looks again"
    repository.write("data/loans.csv", loans(420))
    repository.commit("More loans")
    friday = monday + timedelta(days=25)
    label = friday.date().isoformat()
    assert refreshed(repository, friday) == [label], "three Mondays are one reading"
    assert refreshed(repository, friday + timedelta(days=2)) == []
    assert refreshed(repository, friday + timedelta(days=4)) == [None]
    assert repository.here("data", "refresh", "--due", "loan").code == 64

    repository.write("models/risk/data.yaml", f"dataset: loans@{label}\nsplit: {{by: day, test: 0.25}}\n")
    assert repository.here("check").code == 0
    assert repository.plan()["risk"]["category"] == "new"
    repository.commit("Pin what was read")
    assert repository.apply("risk").code == 0
    assert repository.run_json("risk")["data"]["version"] == label
    repository.write("models/risk/data.yaml", f"dataset: loans@{label}T120000\nsplit: {{by: day, test: 0.25}}\n")
    refused = repository.here("plan")
    assert refused.code == 1
    assert "error[E203]" in refused.err + refused.out
    assert f'did you mean "{label}"?' in refused.err + refused.out
    wrong = f"dataset: loans@{label}\nsplit: {{by: dya, test: 0.25}}\n"
    repository.write("models/risk/data.yaml", wrong)
    assert 'did you mean "day"?' in "".join(vars(repository.here("plan"))[stream] for stream in ("out", "err"))


def refreshed(repository: Repository, now: datetime) -> list[str | None]:
    """Return the versions that a job finds at `now`, None for the same data."""
    project = open_project(repository.root)
    project.clock = lambda: now
    return [item.version for item in refresh(project, (), "job", due=True)]
