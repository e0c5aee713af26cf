"""A real server on a real project, asked over HTTP, for tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.integration.repository import Repository

ROW = {"income": 12.5, "debt": 30, "job": "clerk"}


@dataclass
class Served:
    """A server that answers."""

    process: subprocess.Popen[str]
    address: str
    client: httpx.Client

    def predict(self, *rows: Any, model: str = "risk") -> httpx.Response:
        return self.client.post(f"/v1/models/{model}/predict", json={"rows": list(rows) or [ROW]})

    def version(self, model: str = "risk") -> str:
        found: str = self.client.get(f"/v1/models/{model}").json()["version"]
        return found

    def stop(self) -> tuple[int, str]:
        """Ask it to stop as a host does; return the exit code and what it said."""
        self.client.close()
        self.process.terminate()
        _, said = self.process.communicate()
        return self.process.returncode, said


@contextmanager
def served(made: Repository, *arguments: str) -> Iterator[Served]:
    """Start a server, wait until it says that it is ready, and end it whatever happens."""
    process = made.start("serve", *(arguments or ("risk",)), "--port", "0")
    try:
        stdout = process.stdout
        line = stdout.readline() if stdout else ""
        if not line.startswith("Serving "):
            raise RuntimeError(line + process.communicate()[1])
        address = line.split(" at ")[1].partition("/v1/")[0]
        # without the environment's proxies
        with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
            yield Served(process, address, client)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
