"""Who is at work: the identity that Git is configured with, else login and host, and which of the two it is."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from custody.git.objects import FAILURES, Repository, clean


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as Git names one. `configured` is False where Git knows none and login and host stand in."""

    name: str
    email: str
    configured: bool

    @property
    def actor(self) -> str:
        """The text for a record's `Actor:`; says so where no identity is configured."""
        if self.configured:
            return f"{self.name} <{self.email}>"
        return f"{self.email} (no Git identity configured)"


def find_identity(repository: Repository, given: Mapping[str, str] | None = None) -> Identity:
    """Return who is at work. `given` may hold GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL, which win over the configuration.

    Name and address count as configured only together.
    """
    given = given or {}
    name = given.get("GIT_AUTHOR_NAME") or _configured(repository, "author.name", "user.name")
    email = given.get("GIT_AUTHOR_EMAIL") or _configured(repository, "author.email", "user.email")
    if name and email:
        return Identity(clean(name), clean(email), configured=True)
    login = _login()
    return Identity(clean(login), f"{clean(login)}@{clean(socket.gethostname())}", configured=False)


def _configured(repository: Repository, *keys: str) -> str | None:
    for key in keys:
        try:
            value = str(repository.raw.config[key]).strip()
        except FAILURES:
            continue
        if value:
            return value
    return None


def _login() -> str:
    """Return the login name of the process's user; the number where the system has no name for it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"
