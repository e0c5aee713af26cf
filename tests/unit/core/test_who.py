from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.recording import Source
from custody.core.who import Job, behalf_of, change_of, job_of
from custody.domain.revision import Commit

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "octocat",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/models",
    "GITHUB_RUN_ID": "7",
    "GITHUB_REF": "refs/pull/12/merge",
}
GITLAB = {"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "gia", "CI_JOB_URL": "https://gitlab.com/a/b/-/jobs/1"}
ANN, BEN, HOST = "Ann <ann@example.org>", "Ben <ben@example.org>", "GitHub <noreply@github.com>"


def commit(subject: str, body: str = "", author: str = ANN, committer: str = "") -> Commit:
    return Commit("c" * 40, author, committer or author, "2026", "2026", subject, (), body)


def test_jobs() -> None:
    run = "https://github.com/acme/models/actions/runs/7"
    assert job_of(GITHUB) == Job("octocat (GitHub Actions)", run, "#12")
    assert job_of({**GITHUB, "GITHUB_REF": "refs/heads/main"}).change == ""
    again = job_of({**GITHUB, "GITHUB_TRIGGERING_ACTOR": "hubot"})
    assert again.actor == "hubot, again for octocat (GitHub Actions)"
    assert job_of(GITLAB) == Job("gia (GitLab CI)", "https://gitlab.com/a/b/-/jobs/1", "")
    assert job_of({**GITLAB, "CI_MERGE_REQUEST_IID": "7"}).change == "!7"
    assert job_of({"GITHUB_ACTOR": "somebody", "CI": "true"}) == Job()


@pytest.mark.parametrize(
    ("subject", "body", "change"),
    [
        ("Merge pull request #12 from ann/deeper", "", "#12"),
        ("Deepen the tree (#12)", "", "#12"),
        ("Deepen the tree (!7)", "", "!7"),
        ("Merge branch 'x' into 'main'", "Deepen\n\nSee merge request group/sub/models!7\n", "!7"),
        ("Deepen the tree, as #12 asks", "", ""),
        ("Merge pull request #0 from a/b", "", ""),
        ("Deepen (#12) again", "See merge request !x", ""),
    ],
)
def test_changes(subject: str, body: str, change: str) -> None:
    assert change_of(commit(subject, body)) == change


def test_people() -> None:
    assert behalf_of(commit("Edit")) == ANN
    assert behalf_of(commit("Edit (#1)", committer=HOST)) == f"{ANN}; committed by {HOST}"
    merge = commit("Merge pull request #12 from ann/deeper", author=BEN, committer=HOST)
    assert behalf_of(merge, (commit("Edit"),)) == f"{ANN}; merged by {BEN}"
    told = commit("Edit", f"\nCo-authored-by: {BEN}\nMerged-by: Cleo <c@x>\nco-authored-by: {BEN}\n")
    assert behalf_of(told) == f"{ANN}; with {BEN}; merged by Cleo <c@x>"


@given(
    st.dictionaries(st.sampled_from([*GITHUB, *GITLAB, "GITHUB_TRIGGERING_ACTOR", "CI_MERGE_REQUEST_IID"]), st.text())
)
def test_whatever_a_job_says_becomes_one_printable_line(said: dict[str, str]) -> None:
    for host in ({"GITHUB_ACTIONS": "true"}, {"GITLAB_CI": "true"}):
        job = job_of({**said, **host})
        for _, value in Source("c" * 40, "Ann", job.change, job.url, job.actor).trailers:
            assert value.isprintable()
            assert value.strip()
            assert len(value) <= 500


@given(st.text(), st.text(), st.text())
def test_whatever_a_commit_says_becomes_one_printable_line(subject: str, body: str, author: str) -> None:
    made = commit(subject, f"Co-authored-by: {body}", author)
    for value in (behalf_of(made), behalf_of(made, (made,)), change_of(made)):
        assert not value or value.isprintable()
