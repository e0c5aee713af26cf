"""Who is behind a record: what a CI job says of itself, and what commits say of people and of requests. Pure.

All of it is text that others wrote: it ends in trailers as one line without control characters, and is believed no
further than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from custody.domain.revision import Commit

LIMIT = 300
"""Characters of one value."""
_GITHUB_REF = re.compile(r"refs/pull/([1-9][0-9]{0,9})/(?:merge|head)")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f<>\"]{1,290}")
_MERGE = re.compile(r"Merge pull request #([1-9][0-9]{0,9}) from \S+")
_SQUASH = re.compile(r".*\(([#!])([1-9][0-9]{0,9})\)")
_GITLAB = re.compile(r"See merge request \S*!([1-9][0-9]{0,9})")
_PERSON = re.compile(r"(Co-authored-by|Merged-by|Approved-by|Reviewed-by): +(\S.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Job:
    """What a job says of itself: who started it, its address, and the request that it is for; empty where unknown.

    `target` is the branch that the request goes to.
    """

    actor: str = ""
    url: str = ""
    change: str = ""
    target: str = ""


def job_of(environ: Mapping[str, str]) -> Job:
    """Return the job that the variables of GitHub Actions or GitLab CI describe; an empty one anywhere else."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return _github(environ)
    if environ.get("GITLAB_CI") == "true":
        return _gitlab(environ)
    return Job()


def change_of(commit: Commit) -> str:
    """Return the request that a commit says it merges: `#12` or `!7`; empty where it names none."""
    subject = commit.subject.strip()
    if found := _MERGE.fullmatch(subject):
        return f"#{found[1]}"
    if found := _SQUASH.fullmatch(subject):
        return found[1] + found[2]
    for line in commit.body.splitlines():
        if found := _GITLAB.fullmatch(line.strip()):
            return f"!{found[1]}"
    return ""


def behalf_of(commit: Commit, merged: Iterable[Commit] = ()) -> str:
    """Return the people behind a spec commit, each with what they did.

    1. A merge: the author of what was merged, and who merged it. `merged` are the tips that the merge brought.
    2. Else the author, and who committed it where that is somebody else (a squash on a host: the host itself).
    3. Those that its trailers name: co-authors, mergers, approvers.
    """
    tips = tuple(merged)
    people = [tip.author for tip in tips]
    people += [f"merged by {commit.author}"] if tips else [commit.author]
    if commit.committer != commit.author and not tips:
        people.append(f"committed by {commit.committer}")
    for source in (*tips, commit):
        for line in source.body.splitlines():
            if found := _PERSON.fullmatch(line.strip()):
                role, who = found[1].lower().replace("-by", " by"), found[2]
                people.append(f"{role.replace('co-authored', 'with')} {who}".replace("with by", "with"))
    return _line("; ".join(dict.fromkeys(people)))


def _github(environ: Mapping[str, str]) -> Job:
    actor, again = environ.get("GITHUB_ACTOR", ""), environ.get("GITHUB_TRIGGERING_ACTOR", "")
    named = actor if again in {"", actor} else f"{again}, again for {actor}"
    server, repository = environ.get("GITHUB_SERVER_URL", ""), environ.get("GITHUB_REPOSITORY", "")
    url = f"{server}/{repository}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}" if server and repository else ""
    request = _GITHUB_REF.fullmatch(environ.get("GITHUB_REF", ""))
    change, target = f"#{request[1]}" if request else "", environ.get("GITHUB_BASE_REF", "")
    return Job(_actor(named, "GitHub Actions"), _url(url), change, target)


def _gitlab(environ: Mapping[str, str]) -> Job:
    named = environ.get("GITLAB_USER_LOGIN") or environ.get("GITLAB_USER_NAME") or ""
    request = environ.get("CI_MERGE_REQUEST_IID", "")
    change = f"!{request}" if _NUMBER.fullmatch(request) else ""
    target = environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "")
    return Job(_actor(named, "GitLab CI"), _url(environ.get("CI_JOB_URL", "")), change, target)


def _actor(name: str, where: str) -> str:
    text = _line(name)
    return f"{text} ({where})" if text else where


def _url(text: str) -> str:
    return text if _URL.fullmatch(text) else ""


def _line(text: str) -> str:
    """Return `text` as one line of printable characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= LIMIT else line[: LIMIT - 1].rstrip() + "…"
