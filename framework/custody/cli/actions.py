"""What CI tells a job through its environment: the pull request, the repository, the token, the summary, a fork.

All of GitHub Actions; of GitLab CI the target branch and whether the request comes from a fork.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

_SUMMARY = 1_000_000
"""Bytes of a job summary that GitHub takes (1 MiB), rounded down."""


@dataclass(frozen=True, slots=True)
class Actions:
    """`head` and `base` are commit ids of the pull request, `number` its number; None where the job has none.

    `fork` is whether the head lies in another repository, whose jobs get a token that can only read.
    """

    running: bool = False
    repository: str | None = None
    server: str = "https://github.com"
    api: str = "https://api.github.com"
    number: int | None = None
    head: str | None = None
    base: str | None = None
    target: str | None = None
    fork: bool = False
    run: str | None = None
    summary: Path | None = None
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Read the environment and the event's payload; what is missing or odd is left out."""
        pull = _pull_request(environ.get("GITHUB_EVENT_PATH"))
        head, base = _mapping(pull.get("head")), _mapping(pull.get("base"))
        repository, server = environ.get("GITHUB_REPOSITORY"), environ.get("GITHUB_SERVER_URL") or "https://github.com"
        number, run = pull.get("number"), environ.get("GITHUB_RUN_ID")
        source = _mapping(head.get("repo")).get("full_name")
        return cls(
            running=environ.get("GITHUB_ACTIONS") == "true",
            repository=repository,
            server=server,
            api=environ.get("GITHUB_API_URL") or "https://api.github.com",
            number=number if isinstance(number, int) else None,
            head=_text(head.get("sha")) or environ.get("GITHUB_SHA"),
            base=_text(base.get("sha")),
            target=environ.get("GITHUB_BASE_REF") or environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME") or None,
            fork=_of_other_project(environ) or (bool(pull) and source != _mapping(base.get("repo")).get("full_name")),
            run=f"{server}/{repository}/actions/runs/{run}" if repository and run else None,
            summary=Path(environ["GITHUB_STEP_SUMMARY"]) if environ.get("GITHUB_STEP_SUMMARY") else None,
            token=environ.get("GITHUB_TOKEN") or environ.get("GH_TOKEN") or None,
        )

    def files_below(self, root: Path, repository: str | None = None) -> str | None:
        """Return the URL below which the files of the project at `root` are shown at `head`; None where not known."""
        named = repository or self.repository
        if not named or not self.head:
            return None
        inside = root.resolve().relative_to(_top(root.resolve())).as_posix()
        prefix = "" if inside == "." else f"{quote(inside)}/"
        return f"{self.server}/{quote(named)}/blob/{self.head}/{prefix}"

    def summarise(self, markdown: str) -> bool:
        """Append to the summary of this step; whether there is one to append to."""
        if self.summary is None or len(markdown.encode()) > _SUMMARY:
            return False
        try:
            with self.summary.open("a", encoding="utf-8") as file:
                file.write(markdown + "\n")
        except OSError:
            return False
        return True


def _of_other_project(environ: Mapping[str, str]) -> bool:
    """Whether GitLab says that the merge request comes from another project."""
    source = environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID")
    return bool(source) and source != environ.get("CI_MERGE_REQUEST_PROJECT_ID", environ.get("CI_PROJECT_ID"))


def _top(root: Path) -> Path:
    """Return the top of the working tree that `root` lies in."""
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)


def _pull_request(path: str | None) -> Mapping[str, Any]:
    event: Any = {}
    if path:
        with suppress(OSError, ValueError):
            event = json.loads(Path(path).read_text(encoding="utf-8"))
    return _mapping(_mapping(event).get("pull_request"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
