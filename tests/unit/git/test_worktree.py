from __future__ import annotations

import os
from pathlib import Path

import pytest

from custody.errors import GitError
from custody.git.identity import find_identity
from custody.git.worktree import open_worktree
from tests.unit.git.repositories import commit, git, make_repository, write


def test_reads_a_commit_and_the_working_tree(repository: Path) -> None:
    first = commit(repository, **{"models/churn/model.yaml": "owner: a\n"})
    write(repository, "models/churn/model.yaml", "owner: b\n")
    worktree = open_worktree(repository)
    assert worktree.head() == first
    assert worktree.branch() == "main"
    assert worktree.reader(first)("models/churn/model.yaml") == b"owner: a\n"
    assert worktree.reader("HEAD")("models/churn/none.yaml") is None
    assert worktree.reader("HEAD")("models/churn") is None
    assert worktree.reader(None)("models/churn/model.yaml") == b"owner: b\n"
    committed = git(repository, "rev-parse", "HEAD:models/churn/model.yaml").strip()
    assert worktree.blob(first, "models/churn/model.yaml") == committed
    assert (
        worktree.blob(None, "models/churn/model.yaml")
        == git(repository, "hash-object", "models/churn/model.yaml").strip()
    )
    assert worktree.dirty() == ("models/churn/model.yaml",)


def test_a_repository_without_a_commit_has_a_branch_and_no_head(repository: Path) -> None:
    write(repository, "a.txt", "a")
    worktree = open_worktree(repository)
    assert worktree.head() is None
    assert worktree.branch() == "main"
    assert worktree.dirty() == ("a.txt",)
    with pytest.raises(GitError):
        worktree.commit("HEAD")


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    first = commit(repository)
    git(repository, "checkout", "-q", "--detach")
    worktree = open_worktree(repository)
    assert worktree.branch() is None
    assert worktree.head() == first


def test_the_project_may_be_a_folder_of_the_repository(repository: Path) -> None:
    write(repository, "other.txt", "o")
    first = commit(repository, **{"ml/models/churn/model.yaml": "a\n", "ml/x.py": "x\n"})
    write(repository, "ml/x.py", "y\n")
    write(repository, "other.txt", "p")
    worktree = open_worktree(repository / "ml")
    assert worktree.reader(first)("x.py") == b"x\n"
    assert worktree.reader(None)("x.py") == b"y\n"
    assert list(worktree.files(first, "")) == ["models/churn/model.yaml", "x.py"]
    assert list(worktree.files(None, "models")) == ["models/churn/model.yaml"]
    assert worktree.dirty() == ("x.py",)
    assert worktree.dirty(["models"]) == ()
    assert worktree.blob("HEAD", "x.py") == git(repository, "rev-parse", "HEAD:ml/x.py").strip()


def test_no_link_and_no_parent_leads_out(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    write(repository, "inside.txt", "inside")
    (repository / "link").symlink_to(tmp_path / "secret")
    (repository / "file").symlink_to(tmp_path / "secret/key")
    (repository / "near").symlink_to("inside.txt")
    os.mkfifo(repository / "pipe")
    commit(repository)
    worktree = open_worktree(repository)
    odd = [
        "link/key",
        "file",
        "near",
        "../secret/key",
        "a/../inside.txt",
        "/etc/passwd",
        ".git/config",
        "pipe",
        "",
        ".",
    ]
    for path in [*odd, ".GIT/config", "inside.txt\0", "inside.txt/"]:
        assert worktree.reader(None)(path) is None, path
        assert worktree.reader("HEAD")(path) is None, path
        assert worktree.blob(None, path) is None, path
        assert worktree.blob("HEAD", path) is None, path
    assert list(worktree.files(None, "")) == ["inside.txt"]
    assert list(worktree.files("HEAD", "")) == ["inside.txt"]
    for folder in ("link", "..", ".git"):
        assert list(worktree.files(None, folder)) == []


def test_files_of_the_working_tree_leave_out_ignored_ones_but_for_tracked_ones(repository: Path) -> None:
    write(repository, ".gitignore", "build/\n*.tmp\n/models/*/scratch\n")
    write(repository, "build/kept.py", "k")
    write(repository, "models/a/model.yaml", "m")
    git(repository, "add", "-f", ".")
    git(repository, "commit", "-q", "-m", "x")
    for name in ("build/made.py", "models/a/x.tmp", "models/a/scratch/s.py", "models/b/model.yaml", "sub/.git/HEAD"):
        write(repository, name, "n")
    worktree = open_worktree(repository)
    listed = git(repository, "ls-files", "--cached", "--others", "--exclude-standard").split()
    expected = sorted(name for name in listed if not name.startswith("sub/"))
    assert list(worktree.files(None, "")) == expected
    assert "build/kept.py" in expected
    assert list(worktree.files(None, "models")) == ["models/a/model.yaml", "models/b/model.yaml"]
    assert list(worktree.files(None, "absent")) == []


def test_dirty_compares_with_head_whatever_is_staged(repository: Path) -> None:
    commit(repository, a="1", b="1", c="1", d="1")
    write(repository, "a", "2")
    git(repository, "add", "a")
    write(repository, "a", "1")
    write(repository, "b", "2")
    git(repository, "add", "b")
    (repository / "c").unlink()
    (repository / "d").chmod(0o755)
    write(repository, "new/e", "1")
    worktree = open_worktree(repository)
    assert worktree.dirty() == ("b", "c", "d", "new/e")
    assert worktree.dirty(["new", "b"]) == ("b", "new/e")


def test_a_commit_tells_who_and_when(repository: Path) -> None:
    first = commit(repository, "first words\n\nmore")
    git(repository, "config", "user.name", "Bob")
    git(
        repository,
        "-c",
        "user.email=b@x",
        "commit",
        "-q",
        "--allow-empty",
        "--date",
        "2026-03-01T10:00:00+0530",
        "-m",
        "two",
    )
    worktree = open_worktree(repository)
    assert worktree.commit(first).subject == "first words"
    second = worktree.commit("main")
    assert second.author == "Bob <b@x>"
    assert second.authored == "2026-03-01T10:00:00+05:30"
    assert second.parents == (first,)
    assert worktree.commit(second.id[:10]).id == second.id
    for odd in ("nowhere", "", "HEAD:absent", "HEAD~7", "-x", "@{99}"):
        with pytest.raises(GitError, match="no commit called"):
            worktree.commit(odd)


def test_linked_worktrees_share_one_common_folder(repository: Path, tmp_path: Path) -> None:
    commit(repository)
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    linked = open_worktree(tmp_path / "linked")
    assert linked.common_dir == open_worktree(repository).common_dir.resolve() == repository.resolve() / ".git"
    assert linked.branch() == "side"


def test_what_cannot_be_used_is_said_with_a_command(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    git(tmp_path, "init", "-q", "--bare", "bare")
    git(tmp_path, "init", "-q", "--object-format=sha256", "long")
    reftable = make_repository(tmp_path / "reftable")
    git(reftable, "config", "core.repositoryformatversion", "1")
    git(reftable, "config", "extensions.refstorage", "reftable")
    for name, words, remedy in (
        ("none", "not in a Git repository", "git init"),
        ("bare", "bare", "git clone"),
        ("long", "SHA-256", "git init --object-format=sha1"),
        ("reftable", "reftables", "git refs migrate --ref-format=files"),
    ):
        with pytest.raises(GitError, match=words) as caught:
            open_worktree(tmp_path / name)
        assert caught.value.help[0].startswith(remedy)
        assert "\n" not in caught.value.message


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_somebody_else_is_not_trusted(repository: Path) -> None:
    os.chown(repository, 12345, 12345)
    os.chown(repository / ".git", 12345, 12345)
    with pytest.raises(GitError, match="another user") as caught:
        open_worktree(repository)
    assert "safe.directory" in caught.value.help[0]


def test_identity_comes_from_git_or_says_that_it_does_not(tmp_path: Path) -> None:
    known = open_worktree(make_repository(tmp_path / "known")).repository
    assert find_identity(known).actor == "Ada Byron <ada@example.org>"
    given = {"GIT_AUTHOR_NAME": "Eve <x>\n", "GIT_AUTHOR_EMAIL": "eve@example.org"}
    assert find_identity(known, given).actor == "Eve x <eve@example.org>"
    unknown = open_worktree(make_repository(tmp_path / "unknown", identity=False)).repository
    nobody = find_identity(unknown)
    assert not nobody.configured
    assert nobody.email.count("@") == 1
    assert nobody.actor == f"{nobody.email} (no Git identity configured)"
    git(tmp_path / "unknown", "config", "user.name", "Half")
    assert not find_identity(unknown).configured
