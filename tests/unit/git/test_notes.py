from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.errors import GitError
from custody.git.notes import NOTES_REF, all_notes, projected_upto, write_notes
from custody.git.objects import Person, open_repository
from custody.git.refs import branch_ref, clear_stale_lock, move_ref, read_ref
from custody.git.transport import loose_objects, maintain
from tests.unit.git.repositories import commit, git, make_repository, own_home

ADA = Person("Ada", "ada@example.org", datetime(2026, 11, 24, tzinfo=UTC))
UPTO = "a" * 40


def test_lines_are_a_set_that_git_reads(repository: Path) -> None:
    first, second = commit(repository, "one"), commit(repository, "two")
    opened = open_repository(repository, durable=False)
    assert write_notes(opened, {first: ["trained churn", "gated churn"]}, UPTO, ADA)
    assert write_notes(opened, {first: ["gated churn"]}, UPTO, ADA) is None
    assert write_notes(opened, {first: ["gated churn", "promoted"], second: ["é"]}, "b" * 40, ADA)
    assert git(repository, "notes", "--ref=mlops", "show", first) == "trained churn\ngated churn\npromoted\n"
    assert "    promoted\n" in git(repository, "log", "--notes=mlops", "-1", first)
    assert sorted(line.split()[1] for line in git(repository, "notes", "--ref=mlops", "list").splitlines()) == sorted(
        [first, second]
    )
    assert dict(all_notes(opened))[second] == {"é"}
    assert projected_upto(opened) == "b" * 40
    tree = git(repository, "ls-tree", "-r", "--name-only", NOTES_REF).split()
    assert sorted(tree) == sorted(f"{target[:2]}/{target[2:]}" for target in (first, second))


@pytest.mark.parametrize("fan", [0, 1, 2])
def test_notes_of_any_depth_are_read_and_kept(repository: Path, fan: int) -> None:
    target = commit(repository)
    parts = [target[: 2 * fan][start : start + 2] for start in range(0, 2 * fan, 2)]
    blob = git(repository, "hash-object", "-w", "--", str(_file(repository, "by hand, without an end of line"))).strip()
    git(repository, "update-index", "--add", "--cacheinfo", f"100644,{blob},{'/'.join([*parts, target[2 * fan :]])}")
    tree = git(repository, "write-tree").strip()
    git(repository, "update-ref", NOTES_REF, git(repository, "commit-tree", "-m", "by hand", tree).strip())
    opened = open_repository(repository, durable=False)
    assert projected_upto(opened) is None
    write_notes(opened, {target: ["a line"]}, UPTO, ADA)
    assert git(repository, "notes", "--ref=mlops", "show", target) == "by hand, without an end of line\na line\n"


def _file(repository: Path, text: str) -> Path:
    path = repository / ".git" / "text"
    path.write_text(text)
    return path


def test_git_and_custody_write_the_same_notes(repository: Path) -> None:
    target = commit(repository)
    opened = open_repository(repository, durable=False)
    write_notes(opened, {target: ["ours"]}, UPTO, ADA)
    git(repository, "notes", "--ref=mlops", "append", "-m", "theirs", target)
    write_notes(opened, {target: ["ours", "again"]}, UPTO, ADA)
    assert git(repository, "notes", "--ref=mlops", "show", target).split() == ["ours", "theirs", "again"]
    assert projected_upto(opened) == UPTO


_TARGETS = st.sampled_from([f"{number:040x}" for number in range(300, 312)] + ["ab" * 20, "ab" * 19 + "cd"])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(_TARGETS, st.sampled_from("abc")), max_size=12))
def test_any_order_of_lines_gives_each_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("notes")
    with own_home(folder):
        opened = open_repository(make_repository(folder / "r"), durable=False)
        for target, line in lines:
            write_notes(opened, {target: [line]}, UPTO, ADA)
        for target in {target for target, _ in lines}:
            expected = dict.fromkeys(line for found, line in lines if found == target)
            note = git(opened.git_dir, "cat-file", "-p", f"{NOTES_REF}:{target[:2]}/{target[2:]}")
            assert note.split() == list(expected)


def test_a_ref_moves_only_from_where_it_was(repository: Path) -> None:
    first, second = commit(repository, "one"), commit(repository, "two")
    opened = open_repository(repository, durable=False)
    assert move_ref(opened, "refs/heads/x", None, first, "made")
    assert not move_ref(opened, "refs/heads/x", None, second, "made again")
    assert not move_ref(opened, "refs/heads/x", second, first, "moved")
    assert not move_ref(opened, "refs/heads/absent", second, first, "moved")
    assert move_ref(opened, "refs/heads/x", first, second, "moved")
    assert read_ref(opened, "refs/heads/x") == second


def test_a_lock_that_a_killed_process_left_is_removed(repository: Path) -> None:
    first, second = commit(repository, "one"), commit(repository, "two")
    opened = open_repository(repository, durable=False)
    move_ref(opened, "refs/heads/x", None, first, "made")
    lock = repository / ".git/refs/heads/x.lock"
    lock.touch()
    assert not clear_stale_lock(opened, "refs/heads/x")
    os.utime(lock, (1_000_000, 1_000_000))
    assert move_ref(opened, "refs/heads/x", first, second, "moved")
    assert not lock.exists()


def test_a_branch_in_the_way_is_named(repository: Path) -> None:
    commit(repository)
    git(repository, "branch", "mlops")
    opened = open_repository(repository, durable=False)
    with pytest.raises(GitError, match="in the way") as caught:
        branch_ref(opened, "mlops/ledger")
    assert caught.value.help == ("git branch -m mlops mlops-old",)
    with pytest.raises(GitError, match="cannot be the name"):
        branch_ref(opened, "a..b")
    assert branch_ref(opened, "other/ledger") == "refs/heads/other/ledger"


def test_packing_is_asked_for_only_where_there_is_much(repository: Path) -> None:
    opened = open_repository(repository, durable=False)
    assert loose_objects(opened) == 0
    assert not maintain(opened)
    for number in range(600):
        opened.write_blob(str(number).encode())
    assert loose_objects(opened) > 0
    commit(repository)
    git(repository, "config", "gc.autoDetach", "false")
    git(repository, "config", "gc.auto", "1")
    assert maintain(opened, limit=0)
    assert list((repository / ".git/objects/pack").glob("*.pack"))
