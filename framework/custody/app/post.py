"""Post: one comment on a pull request of a Git host, edited in place."""

from __future__ import annotations

from dataclasses import dataclass, field

from custody.host.github import GitHub, Patience, Posted


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a comment goes: the API's address, `owner/name`, the number of the pull request, and the token for it."""

    api: str
    repository: str
    number: int
    token: str = field(repr=False)


def post_comment(
    destination: Destination, body: str, marker: str, *, create: bool, patience: Patience | None = None
) -> Posted:
    """Create or edit the comment that begins with `marker`; with `create` false only edit.

    Raises ReadOnlyError where the token may not write, HostError where the host refuses or cannot be reached.
    """
    found = destination
    with GitHub(found.repository, found.token, found.api, patience=patience or Patience()) as github:
        return github.post(found.number, body, marker, create=create)
