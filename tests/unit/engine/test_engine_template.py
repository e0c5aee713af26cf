"""The cached schema of Prefect's database: where it is kept, and that half of one is none."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from custody.engine import template

SCRIPT = "CREATE TABLE flow (id INTEGER);\nINSERT INTO flow VALUES (7);"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "cache" / "schema.sql"
    template._write(path, SCRIPT)
    return path


def test_it_is_kept_in_the_user_s_cache_named_by_the_migrations(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = template.template_path()
    assert first == template.template_path()
    assert first.parent == tmp_path / "custody"
    assert first.name.startswith("prefect-schema-")


def test_a_relative_cache_folder_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert template.template_path().parent == tmp_path / ".cache" / "custody"


def test_a_whole_one_is_taken_as_it_is(made, monkeypatch):
    monkeypatch.setattr(template, "template_path", lambda: made)
    said: list[str] = []
    assert template.ensure_template(said.append) == made
    assert said == []


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda _: b"", lambda data: data[1:], lambda data: data + b"\n"]
)
def test_a_damaged_one_is_none(made, damage):
    assert template.is_made(made)
    made.write_bytes(damage(made.read_bytes()))
    assert not template.is_made(made)


def test_nothing_is_left_beside_it(made):
    assert list(made.parent.iterdir()) == [made]


def test_it_is_restored_into_memory(made):
    keep = template.open_database(made)
    other = sqlite3.connect("file::memory:?cache=shared", uri=True)
    try:
        assert other.execute("select id from flow").fetchall() == [(7,)]
    finally:
        other.close()
        keep.close()


def test_the_server_sees_none_of_the_user_s_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_KEY", "secret")
    monkeypatch.setenv("PREFECT_PROFILE", "work")
    environment = template.server_environment(tmp_path)
    assert "PREFECT_API_KEY" not in environment
    assert "PREFECT_PROFILE" not in environment
    assert environment["PREFECT_HOME"] == str(tmp_path)
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
