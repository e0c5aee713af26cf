from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from custody.domain.record import Kind, Record
from custody.errors import LedgerError
from custody.git.objects import Person, open_repository
from custody.ledger.codec import encode
from custody.ledger.index import Index
from custody.ledger.ledger import GitLedger
from tests.unit.git.repositories import git
from tests.unit.ledger.material import CONFIG, DAY, a_run, open_ledger, run_record

BRANCH = "mlops/ledger"
ADA = Person("Ada", "ada@example.org", DAY)


def ids(ledger: GitLedger) -> list[str]:
    return [entry.id.removeprefix("record-of-") for entry in ledger.entries()]


def database(repository: Path) -> Path:
    return repository / ".git/custody/index.db"


@pytest.fixture
def three(repository: Path) -> Path:
    """A repository with three runs, whose index is closed."""
    with open_ledger(repository) as ledger:
        for number in range(3):
            ledger.append(run_record(a_run(f"run-{number}")))
    return repository


ORDER = ["run-2", "run-1", "run-0"]


def test_a_deleted_index_is_rebuilt(three: Path) -> None:
    ledger = open_ledger(three)
    assert ids(ledger) == ORDER
    for path in database(three).parent.glob("index.db*"):
        path.unlink()
    assert ids(ledger) == ORDER
    assert ids(open_ledger(three)) == ORDER
    assert database(three).exists()


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_index_is_rebuilt(three: Path, content: bytes) -> None:
    database(three).write_bytes(content)
    ledger = open_ledger(three)
    assert ids(ledger) == ORDER
    assert ledger.append(run_record(a_run("run-3")))
    assert ids(open_ledger(three)) == ["run-3", *ORDER]
    assert sqlite3.connect(database(three)).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_index_that_is_damaged_inside_is_rebuilt(three: Path) -> None:
    data = bytearray(database(three).read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 200] = bytes(200)
    database(three).write_bytes(bytes(data))
    assert ids(open_ledger(three)) == ORDER


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = '0' WHERE key = 'format'",
        "DELETE FROM meta",
        "DROP TABLE commits",
        "DROP TABLE steps",
        "ALTER TABLE commits RENAME COLUMN model TO other",
        "UPDATE meta SET value = '00' WHERE key = 'cut'",
    ],
)
def test_an_index_of_another_format_is_rebuilt(three: Path, statement: str) -> None:
    with sqlite3.connect(database(three)) as connection:
        connection.execute(statement)
    connection.close()
    ledger = open_ledger(three)
    assert [entry.id for entry in ledger.entries("churn")] == [f"record-of-{run}" for run in ORDER]
    assert ledger.step(a_run("run-1").steps["train"].key) is not None


def test_two_ledgers_keep_up_with_each_other(repository: Path) -> None:
    one, two = open_ledger(repository), open_ledger(repository)
    for number in range(4):
        (one, two)[number % 2].append(run_record(a_run(f"run-{number}")))
        assert ids(one) == ids(two) == [f"run-{back}" for back in range(number, -1, -1)]


def test_a_ledger_that_was_put_back_is_followed(three: Path) -> None:
    ledger = open_ledger(three)
    assert ids(ledger) == ORDER
    git(three, "update-ref", f"refs/heads/{BRANCH}", f"{BRANCH}~1")
    assert ids(ledger) == ORDER[1:]
    assert ledger.commit_of("run-2") is None
    ledger.append(run_record(a_run("run-7")))
    assert ids(ledger) == ["run-7", *ORDER[1:]]


def test_without_a_folder_to_write_the_index_lies_in_memory(three: Path) -> None:
    for path in (three / ".git/custody").iterdir():
        path.unlink()
    (three / ".git/custody").rmdir()
    (three / ".git/custody").write_text("no folder")
    ledger = open_ledger(three)
    assert ids(ledger) == ORDER
    assert ledger.commit_of("run-1") is not None


def test_a_shallow_clone_says_that_it_does_not_know(three: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=2", "--branch", BRANCH, three.as_uri(), "shallow")
    shallow = tmp_path / "shallow"
    ledger = open_ledger(shallow)
    assert not ledger.complete
    assert ids(ledger) == ORDER[:2]
    assert ledger.find_entry("run-2") is not None
    with pytest.raises(LedgerError, match="shallow") as caught:
        ledger.find_entry("run-0")
    assert caught.value.help == ("git fetch --unshallow",)
    ledger.append(run_record(a_run("run-3")))
    assert ids(ledger) == ["run-3", *ORDER[:2]]
    git(shallow, "fetch", "-q", "--unshallow")
    assert ledger.complete
    assert ids(ledger) == ["run-3", *ORDER]
    assert open_ledger(three).complete


def landed(graph: dict[str, tuple[str, ...]], head: str) -> list[str]:
    """Landing order as it is defined: L(first parent), then what only the others reach, then the commit."""
    order: list[str] = []

    def visit(commit: str) -> None:
        if commit not in order:
            for parent in graph[commit]:
                visit(parent)
            order.append(commit)

    visit(head)
    return order


@pytest.mark.parametrize("seed", range(5))
def test_landing_order_is_first_parent_first_however_it_is_reached(repository: Path, seed: int) -> None:
    chance = random.Random(seed)
    opened = open_repository(repository, durable=False)
    tree = opened.write_tree(None, {"a": opened.write_blob(b"a")})
    graph: dict[str, tuple[str, ...]] = {}
    index = Index(opened)
    for number in range(25):
        known = list(graph)
        parents = tuple(chance.sample(known, min(len(known), chance.choice([1, 1, 1, 2, 2, 3]))))
        message = encode(Record(f"record-{number}", Kind.RUN, f"record {number}", ()), "custody 0.1.0")
        commit = opened.write_commit(tree, parents, message, ADA)
        graph[commit] = parents
        if chance.random() < 0.6 or number == 24:
            index.catch_up(commit)
            assert [row[0] for row in index.query("SELECT id FROM commits ORDER BY position")] == landed(graph, commit)
    rows = index.query("SELECT * FROM commits ORDER BY position")
    index.close()
    database(repository).unlink()
    index.catch_up(commit)
    assert index.query("SELECT * FROM commits ORDER BY position") == rows


def test_merges_are_no_records_and_hide_none(repository: Path) -> None:
    ledger = open_ledger(repository)
    ledger.append(run_record(a_run("run-0")))
    base = str(ledger.head())
    ledger.append(run_record(a_run("run-local")))
    local = str(ledger.head())
    git(repository, "update-ref", f"refs/heads/{BRANCH}", base)
    ledger.append(run_record(a_run("run-landed")))
    opened = ledger.repository
    merge = opened.write_commit(opened.commit(local).tree, (str(ledger.head()), local), "2 records\n", ADA)
    git(repository, "update-ref", f"refs/heads/{BRANCH}", merge)
    assert ids(ledger) == ["run-local", "run-landed", "run-0"]
    assert ids(open_ledger(repository, CONFIG)) == ["run-local", "run-landed", "run-0"]


def test_history_that_is_damaged_is_said(three: Path) -> None:
    middle = git(three, "rev-parse", f"{BRANCH}~1").strip()
    (three / ".git/objects" / middle[:2] / middle[2:]).unlink()
    database(three).unlink()
    with pytest.raises(Exception, match="missing from the repository or damaged"):
        ids(open_ledger(three))


def test_an_index_made_at_once_holds_what_one_made_record_by_record_does(repository: Path) -> None:
    ledger = open_ledger(repository)
    for number in range(5):
        run = a_run(f"run-{number}", seed="same")
        ledger.append(run_record(run))
        assert ledger.step(run.steps["train"].key) == (run.id, run.steps["train"])
    grown = rows(database(repository))
    assert grown["commits"]
    assert grown["steps"]
    database(repository).unlink()
    ledger = open_ledger(repository)
    assert ids(ledger) == [f"run-{number}" for number in range(4, -1, -1)]
    assert len(list(ledger.steps(run.steps["train"].key))) == 5
    assert rows(database(repository)) == grown
    assert not list(database(repository).parent.glob("*.new"))


def rows(path: Path) -> dict[str, list[object]]:
    """Return the rows of all tables, and all statements that made tables and indices."""
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")]
    found = {name: sorted(connection.execute(f"SELECT * FROM {name}")) for name in tables}
    made = {"schema": connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()}
    connection.close()
    return found | made
