"""The schema of Prefect's database, made once for each Prefect version on a machine: 10 s; restoring it takes 0.03 s.

Kept as SQL text in the user's cache folder, named by the digest of the migrations that made it. `python -m
custody.engine.template` makes it beforehand. It is Prefect's, not ours: never committed, never shipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from custody.digest import digest, sha256

DATABASE_URL = "sqlite+aiosqlite:///file::memory:?cache=shared&uri=true&check_same_thread=false"
"""Exactly this text: Prefect looks for `:memory:` in it and then keeps one connection."""

MAKING = "Preparing Prefect's database schema (once for each version of Prefect, about 15 s) ..."

_FORMAT = "-- custody: schema of Prefect's database, 1"
_MIGRATIONS = Path("server", "database", "_migrations", "versions", "sqlite")


def ensure_template(say: Callable[[str], None]) -> Path | None:
    """Return the template, made now where it is not there yet; None where it cannot be made or kept.

    Without it, Prefect's server runs its migrations at every start.
    """
    path = template_path()
    if path is None or is_made(path):
        return path
    say(MAKING)
    with tempfile.TemporaryDirectory(prefix="custody-") as home:
        subprocess.run(
            [sys.executable, "-P", "-m", "custody.engine.template", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            cwd=home,
            env=server_environment(Path(home)),
        )
    return path if is_made(path) else None


def template_path() -> Path | None:
    """Return where the template of the installed Prefect belongs; None where there is no Prefect or no home."""
    spec = importlib.util.find_spec("prefect")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / _MIGRATIONS
    names = sorted(file.name for file in folder.iterdir() if file.suffix == ".py") if folder.is_dir() else []
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        cache = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return cache / "custody" / f"prefect-schema-{digest(names)[:16]}.sql" if names else None


def is_made(path: Path) -> bool:
    """Whether a whole template is there."""
    return _read(path) is not None


def server_environment(home: Path) -> dict[str, str]:
    """Return the environment for a process with Prefect's server: no telemetry, none of the user's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return kept | {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": DATABASE_URL,
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
    }


def open_database(path: Path | None) -> sqlite3.Connection:
    """Open Prefect's database in memory with its schema in it; it lives as long as the connection that is returned.

    The template at `path` is restored, or the migrations are run and kept there for the next time.
    """
    keep = sqlite3.connect("file::memory:?cache=shared", uri=True, check_same_thread=False)
    script = _read(path) if path else None
    if script is not None:
        keep.executescript(script)
        return keep
    _migrate()
    if path is not None:
        with contextlib.suppress(OSError):
            _write(path, "\n".join(keep.iterdump()))
    return keep


def _migrate() -> None:
    from prefect.server.database import provide_database_interface

    asyncio.run(provide_database_interface().create_db())


def _read(path: Path) -> str | None:
    try:
        head, _, script = path.read_text().partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return script if head == f"{_FORMAT} {sha256(script.encode())}" else None


def _write(path: Path, script: str) -> None:
    """Write the template so that nobody ever reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".sql")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{_FORMAT} {sha256(script.encode())}\n{script}")
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def main(arguments: list[str]) -> int:
    """Make the template at the path given, in this process; without one, see that the user's is there."""
    if arguments:
        from custody.engine.zygote import die_with_parent

        die_with_parent(os.getppid())
        open_database(Path(arguments[0])).close()
        return 0
    return 0 if ensure_template(_say) else 1


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
