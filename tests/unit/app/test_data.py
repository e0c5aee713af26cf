from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pygit2
import pytest

from custody.app import versions
from custody.app.data import Added, Addition, add
from custody.app.ingest import Recorded, Stamp, ingest, restore
from custody.app.project import Project, open_project
from custody.cli.main import main
from custody.content.store import FileStore
from custody.domain.uses import Uses
from custody.errors import ContractError, RefusedError, StoreError, UsageError
from custody.spec.dump import dump_manifest

ROWS = 120
HEAD = "email,age,plan,charges\n"
DATASET = """\
owner: crm
purposes: [retention, forecasting]
source: {uses: file, with: {path: data/c.csv}}
key: email
columns:
  email: {type: string, personal: true}
  age: {type: integer, sensitive: true}
  charges: {type: number}
"""


def rows(first: int = 0, count: int = ROWS) -> str:
    return HEAD + "".join(
        f"m{row:04}@x,{20 + row % 60},{'ab'[row % 2]},{row}.5\n" for row in range(first, first + count)
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    pygit2.init_repository(root)
    for path, text in {
        ".mlops/config.yaml": "spec: 1\nid: 6f1c0f1e-0000-4000-8000-000000000001\n",
        ".gitignore": ".mlops/store/\n.mlops/state/\n",
        "data/c.csv": rows(),
        "datasets/customers/dataset.yaml": DATASET,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    opened = open_project(root)
    opened.clock = lambda: datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
    return opened


def added(project: Project, path: str | None = None, **fields: Any) -> Added:
    return add(project, Addition("customers", project.root / path if path else None, "ada", **fields))


def recorded(project: Project, version: str = "v1") -> Recorded:
    spec, _ = project.load()
    dataset = spec.datasets["customers"]
    return Recorded.of(dataset, dataset.versions[version])


def fresh(project: Project) -> FileStore:
    return FileStore(project.root / ".mlops" / "fresh")


def test_a_first_version_from_the_declared_source(project: Project) -> None:
    found = added(project)
    assert found.written == ("datasets/customers/versions/v1.yaml",)
    assert found.block.startswith("columns:\n  email: {type: string, personal: true}\n  age: {type: integer, sens")
    assert "  plan: {type: string}\n" in found.block
    spec, problems = project.load()
    assert problems == ()
    manifest = spec.datasets["customers"].versions["v1"]
    assert replace(manifest, document=None) == found.manifest
    assert manifest.rows == ROWS
    assert manifest.stored_columns == ("age", "plan", "charges")
    assert manifest.columns["email"] == {"personal": True}
    assert manifest.columns["plan"]["top"] == {"a": 60, "b": 60}
    assert "min" not in manifest.columns["age"]
    assert (manifest.as_of, manifest.by, manifest.parent) == ("2026-11-24T17:00:00+00:00", "ada", None)
    assert manifest.source["path"] == "data/c.csv"
    assert project.store.has(manifest.files[0].sha256)


def test_no_value_of_a_personal_column_is_stored_anywhere(project: Project) -> None:
    added(project)
    written = [path for folder in ("datasets", ".mlops/store") for path in (project.root / folder).rglob("*")]
    assert not any(b"@x" in path.read_bytes() for path in written if path.is_file())


def test_the_same_data_adds_nothing_whatever_the_order_of_its_rows(project: Project) -> None:
    added(project)
    lines = rows().splitlines()
    (project.root / "data" / "d.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]))
    found = added(project, "data/d.csv")
    assert found.same
    assert found.written == ()
    assert found.manifest.version == "v1"
    assert [path.name for path in (project.root / "datasets/customers/versions").iterdir()] == ["v1.yaml"]


def test_other_data_is_the_next_version_and_keeps_its_parent(project: Project) -> None:
    added(project)
    (project.root / "data" / "d.csv").write_text(rows(count=ROWS + 5))
    found = added(project, "data/d.csv")
    assert (found.manifest.version, found.manifest.parent, found.manifest.rows) == ("v2", "v1", ROWS + 5)
    assert found.block == ""
    assert added(project, "data/c.csv", version="2026-11").manifest.version == "2026-11"


def test_a_version_is_never_changed(project: Project) -> None:
    added(project)
    manifest = project.root / "datasets/customers/versions/v1.yaml"
    before = manifest.read_bytes()
    (project.root / "data" / "d.csv").write_text(rows(count=ROWS + 5))
    with pytest.raises(ContractError, match="customers@v1 is recorded and holds other data") as caught:
        added(project, "data/d.csv", version="v1")
    assert caught.value.because[0] == "rows: 120 recorded, 125 now"
    assert manifest.read_bytes() == before
    assert added(project, "data/c.csv", version="v1").same


def test_the_bytes_of_a_version_can_be_brought_back_by_adding_it_again(project: Project) -> None:
    digest = added(project).manifest.files[0].sha256
    project.store.path(digest).unlink()
    added(project, version="v1")
    assert project.store.has(digest)


def test_columns_that_are_not_declared_keep_the_type_of_the_version_before(project: Project) -> None:
    added(project)
    (project.root / "data" / "d.csv").write_text(HEAD + "m1@x,20,7,1.5\nm2@x,21,8,1.5\n")
    found = added(project, "data/d.csv")
    assert found.manifest.columns["plan"]["kind"] == "string"
    (project.root / "data" / "e.csv").write_text("email,age,charges,more\nm1@x,20,1.5,1\n")
    changed = added(project, "data/e.csv")
    assert any("no longer there: plan" in warning for warning in changed.warnings)
    assert any("did not have: more" in warning for warning in changed.warnings)


def test_data_that_breaks_its_contract_leaves_nothing(project: Project) -> None:
    (project.root / "data/c.csv").write_text(rows() + "z@x,young,a,1\n")
    with pytest.raises(ContractError, match=r"age \(1\)"):
        added(project)
    assert not (project.root / "datasets/customers/versions").exists()
    assert not (project.root / ".mlops/store").exists()


def test_a_dataset_that_is_not_declared_needs_an_owner_and_a_purpose(project: Project) -> None:
    path = project.root / "data" / "c.csv"
    with pytest.raises(UsageError, match="nothing says whose it is") as caught:
        add(project, Addition("buyers", path, "ada"))
    assert caught.value.help[0].startswith(f"custody data add buyers {path} --owner TEAM --purpose WORD")
    wanted = Addition(
        "buyers", path, "ada", owner="sales", purposes=("retention",), key="email", personal=("email",), nulls=("", "-")
    )
    found = add(project, wanted)
    assert found.written == ("datasets/buyers/dataset.yaml", "datasets/buyers/versions/v1.yaml")
    spec, problems = project.load()
    assert problems == ()
    dataset = spec.datasets["buyers"]
    assert (dataset.owner, dataset.purposes, dataset.key) == ("sales", ("retention",), "email")
    assert dataset.columns["email"].personal
    assert dataset.columns["charges"].type == "number"
    assert dataset.source == Uses("file", {"path": "data/c.csv", "nulls": ["", "-"]})
    assert "email" not in dataset.versions["v1"].stored_columns


def test_a_dataset_yaml_with_errors_is_not_taken_for_an_absent_one(project: Project) -> None:
    (project.root / "datasets/customers/dataset.yaml").write_text("owner: crm\npurposes: []\n")
    with pytest.raises(Exception, match="in the specs"):
        added(project, "data/c.csv", owner="crm", purposes=("retention",))


@pytest.mark.parametrize(("version", "name"), [("latest", "customers"), ("../v1", "customers"), (None, "../evil")])
def test_labels_and_names_that_cannot_be(project: Project, version: str | None, name: str) -> None:
    wanted = Addition(name, project.root / "data/c.csv", "ada", version, owner="crm", purposes=("retention",))
    with pytest.raises(UsageError, match="cannot be"):
        add(project, wanted)


def test_a_dataset_without_source_wants_a_path(project: Project) -> None:
    path = project.root / "datasets/customers/dataset.yaml"
    path.write_text(path.read_text().replace("source:", "#"))
    with pytest.raises(UsageError, match="declares no source"):
        added(project)


def test_a_purpose_that_is_not_allowed_is_refused_before_a_byte_is_read(project: Project) -> None:
    added(project)
    (project.root / "data/c.csv").unlink()
    with pytest.raises(RefusedError, match="customers may not be used for advertising") as caught:
        restore(recorded(project), "advertising", root=project.root, store=fresh(project))
    assert caught.value.exit_code == 4


def test_a_version_in_the_store_is_verified(project: Project) -> None:
    manifest = added(project).manifest
    (project.root / "data/c.csv").unlink()
    ref = restore(recorded(project), "retention", root=project.root, store=project.store)
    assert (ref.kind, ref.digest, ref.object) == ("table", manifest.logical, manifest.files[0].sha256)
    path = project.store.path(ref.object)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(StoreError, match="damaged"):
        restore(recorded(project), "retention", root=project.root, store=project.store)


def test_an_empty_store_is_filled_from_the_source(project: Project) -> None:
    manifest = added(project).manifest
    store = fresh(project)
    ref = restore(recorded(project), "retention", root=project.root, store=store)
    assert ref.digest == manifest.logical
    assert store.get(ref.object) == project.store.get(manifest.files[0].sha256)


def test_what_a_fetch_step_is_told_is_enough(project: Project) -> None:
    manifest = added(project).manifest
    known = recorded(project)
    settings = {
        "dataset": "customers",
        "version": "v1",
        "purposes": list(known.purposes),
        "file": known.file,
        "rows": known.rows,
        "key": known.key,
        "source": known.source,
        "columns": known.columns,
        "digests": known.digests,
        "raw": known.raw,
    }
    told = Recorded.from_settings(manifest.logical, json.loads(json.dumps(settings)))
    assert restore(told, "retention", root=project.root, store=fresh(project)).digest == manifest.logical


def test_bytes_that_another_writer_would_write_are_the_same_data(project: Project) -> None:
    manifest = added(project).manifest
    other = replace(recorded(project), file="0" * 64)
    assert restore(other, "retention", root=project.root, store=fresh(project)).digest == manifest.logical


def test_a_source_that_moved_says_what_differs(project: Project) -> None:
    added(project)
    (project.root / "data/c.csv").write_text(rows().replace(",a,", ",A,"))
    store = fresh(project)
    with pytest.raises(ContractError, match="customers@v1 no longer holds the data") as caught:
        restore(recorded(project), "retention", root=project.root, store=store)
    assert caught.value.because[0] == "columns that differ: plan (1 of 3)"
    assert caught.value.because[1].startswith("the file data/c.csv: sha256 ")
    assert not store.root.exists()
    (project.root / "data/c.csv").write_text(rows(count=ROWS + 1))
    with pytest.raises(ContractError) as longer:
        restore(recorded(project), "retention", root=project.root, store=store)
    assert longer.value.because[0] == "rows: 120 recorded, 121 now"


def test_a_changed_contract_still_has_an_old_version_again(project: Project) -> None:
    manifest = added(project).manifest
    path = project.root / "datasets/customers/dataset.yaml"
    path.write_text(path.read_text().replace("charges: {type: number}", "charges: {type: string}"))
    assert restore(recorded(project), "retention", root=project.root, store=fresh(project)).digest == manifest.logical


def test_each_version_is_read_again_from_where_it_was_read(project: Project) -> None:
    added(project)
    (project.root / "data" / "d.csv").write_text(rows(count=ROWS + 5))
    second = added(project, "data/d.csv").manifest
    for version, rows_ in (("v1", ROWS), ("v2", ROWS + 5)):
        known = recorded(project, version)
        assert known.rows == rows_
        assert restore(known, "retention", root=project.root, store=fresh(project)).digest == known.logical
    assert second.source["path"] == "data/d.csv"


def test_without_store_and_source_the_error_names_the_file_that_is_wanted(project: Project) -> None:
    added(project)
    (project.root / "data/c.csv").unlink()
    with pytest.raises(StoreError, match="neither in the content store nor in its source") as caught:
        restore(recorded(project), "retention", root=project.root, store=fresh(project))
    assert caught.value.help[0].startswith("custody data add customers v1 PATH   # PATH: data/c.csv with sha256 ")


def test_a_file_outside_of_the_project_leaves_no_path_of_the_machine(project: Project, tmp_path: Path) -> None:
    (tmp_path / "away.csv").write_text(rows())
    added(project, str(tmp_path / "away.csv"))
    text = (project.root / "datasets/customers/versions/v1.yaml").read_text()
    assert "away.csv" in text
    assert str(tmp_path) not in text


def test_ingest_is_the_same_without_a_command(project: Project) -> None:
    spec, _ = project.load()
    dataset = spec.datasets["customers"]
    stamp = Stamp("v1", "2026-11-24T17:00:00+00:00", "ada")
    manifest = ingest(dataset, dataset.source or Uses("file"), stamp, root=project.root, store=fresh(project))
    assert manifest == added(project).manifest
    assert dump_manifest(manifest).decode() == (project.root / "datasets/customers/versions/v1.yaml").read_text()


def test_scikit_learn_is_a_source_like_any_other(project: Project) -> None:
    folder = project.root / "datasets/wines"
    folder.mkdir()
    text = (
        "owner: lab\npurposes: [grading]\nkey: row\nsource: {uses: sklearn, with: {dataset: wine, target: cultivar}}\n"
    )
    (folder / "dataset.yaml").write_text(text)
    manifest = add(project, Addition("wines", None, "ada")).manifest
    assert manifest.source["with"] == {"target": "cultivar"}
    spec, _ = project.load()
    known = Recorded.of(spec.datasets["wines"], spec.datasets["wines"].versions["v1"])
    assert restore(known, "grading", root=project.root, store=fresh(project)).digest == manifest.logical


def test_show_and_versions(project: Project) -> None:
    added(project)
    (project.root / "data" / "d.csv").write_text(rows(count=ROWS + 5))
    added(project, "data/d.csv")
    shown = versions.show(project, "customers")
    assert (shown.manifest.version, shown.stored, shown.recorded, shown.used) == ("v2", True, False, ())
    assert versions.show(project, "customers@v1").manifest.rows == ROWS
    assert [item.manifest.version for item in versions.versions(project, "customers")] == ["v2", "v1"]
    for name, said in {"customer": "no dataset customer", "customers@v9": "no version v9"}.items():
        with pytest.raises(UsageError, match=said):
            versions.show(project, name)


def statuses(project: Project, *, source: bool = False) -> list[str]:
    return [check.status for check in versions.verify(project, "customers@v1", source=source)[1]]


def test_verify(project: Project) -> None:
    manifest = added(project).manifest
    assert statuses(project, source=True) == ["note", "ok", "ok", "ok"]
    (project.root / "data/c.csv").write_text(rows(count=ROWS + 1))
    label, checks = versions.verify(project, "customers@v1", source=True)
    assert label == "customers@v1"
    assert (checks[-1].status, checks[-1].text) == ("note", "the source moved: it holds other data now")
    path = project.store.path(manifest.files[0].sha256)
    path.chmod(0o644)
    path.write_bytes(b"PAR1")
    assert statuses(project) == ["note", "bad"]
    assert not path.exists(), "what is damaged is set aside, so that it is never read again"
    assert statuses(project) == ["note", "note"]


def test_verify_finds_a_table_that_was_exchanged_for_another(project: Project) -> None:
    manifest = added(project).manifest
    table = pq.read_table(project.store.path(manifest.files[0].sha256))
    sink = pa.BufferOutputStream()
    pq.write_table(table.set_column(1, "plan", pa.array(["c"] * ROWS)), sink)
    other = bytes(sink.getvalue())
    digest = project.store.put(other)
    path = project.root / "datasets/customers/versions/v1.yaml"
    text = (
        path.read_text().replace(manifest.files[0].sha256, digest).replace(str(manifest.files[0].size), str(len(other)))
    )
    path.write_text(text)
    bad = versions.verify(project, "customers@v1")[1][-1]
    assert bad.status == "bad"
    assert bad.text.endswith("it differs in plan")


def run(project: Project, *arguments: str) -> int:
    return main(["-C", str(project.root), *arguments])


def test_the_command_line_tells_the_same_as_text_and_as_json(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(project, "data", "add", "customers", "--from-source") == 0
    first = capsys.readouterr()
    assert first.out.startswith("added  customers@v1   120 rows x 3   ")
    assert "  wrote datasets/customers/versions/v1.yaml" in first.out
    assert "  plan: {type: string}" in first.err
    assert "Next: git add datasets/customers && git commit -m 'data customers@v1'" in first.err
    assert run(project, "data", "add", "customers", "data/none.csv") == 1
    assert "the source data/none.csv is not there" in capsys.readouterr().err
    assert run(project, "data", "add", "customers", "data/c.csv", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["added"], again["same_as"]) == (False, "customers@v1")
    assert run(project, "data", "show", "customers") == 0
    shown = capsys.readouterr().out
    assert "customers@v1   120 rows x 3" in shown
    assert "email    personal           not stored" in shown
    assert "plan     string             a 50.00%, b 50.00%" in shown
    assert run(project, "data", "show", "customers", "--json") == 0
    assert json.loads(capsys.readouterr().out)["columns"]["plan"]["top"] == {"a": 60, "b": 60}
    assert run(project, "data", "versions", "customers") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("v1        120        3  ")
    assert run(project, "data", "versions", "customers", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["version"] == "v1"
    assert run(project, "data", "verify", "customers@v1", "--source", "--json") == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_a_damaged_version_fails_the_command(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    digest = added(project).manifest.files[0].sha256
    project.store.path(digest).chmod(0o644)
    project.store.path(digest).write_bytes(b"")
    assert run(project, "data", "verify", "customers") == 1
    assert "bad   object" in capsys.readouterr().out


@pytest.mark.parametrize("rest", [[], ["v1", "a", "b"], ["v1", "a", "--from-source"]])
def test_a_wrong_command_line_is_told_how_it_should_be(
    project: Project, capsys: pytest.CaptureFixture[str], rest: list[str]
) -> None:
    assert run(project, "data", "add", "customers", *rest) == 64
    assert "custody data add customers" in capsys.readouterr().err
