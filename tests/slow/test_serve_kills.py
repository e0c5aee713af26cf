"""`kill -9` of a server under load, again and again, and a rollback while it answers: nothing lost, nothing double."""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from custody.app.predictions import batches, content, find
from custody.app.project import open_project
from tests.integration.repository import Repository
from tests.integration.server import ROW, Served, served

pytestmark = pytest.mark.slow

KILLS = 50
CLIENTS = 6
LIMIT = 5.0
"""Seconds until a rollback is confirmed."""


class Load:
    """Clients that ask all the time: `told` are the ids that were answered, `failed` what else came back."""

    def __init__(self, server: Served) -> None:
        self.told: list[str] = []
        self.versions: Counter[str] = Counter()
        self.failed: list[str] = []
        self._server = server
        self._enough = threading.Condition()
        self._ended = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Load]:
        threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def await_answers(self, count: int) -> None:
        with self._enough:
            assert self._enough.wait_for(lambda: len(self.told) >= count or self.failed, timeout=120)

    def _ask(self) -> None:
        with httpx.Client(base_url=self._server.address, trust_env=False, timeout=60) as client:
            while not self._ended.is_set():
                try:
                    done = client.post("/v1/models/risk/predict", json={"rows": [ROW, ROW]})
                except httpx.HTTPError as error:
                    self._heard([], failed=repr(error))
                    return
                if done.status_code != 200:
                    self._heard([], failed=done.text)
                    return
                self.versions[done.json()["version"]] += 1
                self._heard([item["id"] for item in done.json()["predictions"]])

    def _heard(self, ids: list[str], failed: str = "") -> None:
        with self._enough:
            self.told += ids
            self.failed += [failed] if failed else []
            self._enough.notify_all()


@pytest.fixture
def made(tmp_path: Path) -> Repository:
    found = Repository.create(tmp_path)
    assert found.apply().code == 0
    found.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    assert found.apply().code == 0
    return found


def sealed(made: Repository) -> Counter[str]:
    """Return how often each prediction is in a sealed batch."""
    project = open_project(made.root)
    found = (content(project, batch).column("id").to_pylist() for batch in batches(project, "risk"))
    return Counter(name for ids in found for name in ids)


def test_no_acknowledged_prediction_is_lost_and_none_is_double(made: Repository) -> None:
    rng, told = random.Random(7), list[str]()
    for _ in range(KILLS):
        # so short an age that segments are closed and sealed all the time, beside the answers
        with served(made, "risk", "--seal-after", "0.05") as server, Load(server).running() as load:
            load.await_answers(rng.randrange(1, 120))
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            load.await_answers(10**9)  # all that was on its way; then a failure
        told += load.told
    done = made.custody("predict", "--seal")
    assert done.code == 0, done.err
    kept = sealed(made)
    assert len(told) == len(set(told)) > KILLS
    assert [name for name in told if name not in kept] == []
    assert [name for name, count in kept.items() if count != 1] == []
    assert not list((made.root / ".mlops/state/journal/risk").iterdir())
    assert made.custody("verify", "--full").code == 0
    sys.stderr.write(f"{KILLS} kills, {len(told)} acknowledged, {len(kept)} sealed in {len(made.subjects())} records\n")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_rollback_under_load_fails_no_request(made: Repository, workers: str) -> None:
    with served(made, "risk", "--workers", workers) as server, Load(server).running() as load:
        load.await_answers(100)
        began = time.monotonic()
        done = made.custody("rollback", "risk", "--now", "--reason", "wrong labels", "--json")
        seconds = time.monotonic() - began
        assert done.code == 0, done.err
        (asked,) = done.json["servers"]
        assert (asked["version"], asked["confirmed"]) == ("v1", True)
        before = dict(load.versions)
        load.await_answers(len(load.told) + 100)
    assert load.failed == []
    assert load.versions["v2"] <= before["v2"] + CLIENTS, "what was on its way when it was confirmed"
    assert load.versions["v1"] > 0
    sys.stderr.write(f"confirmed after {asked['seconds']} s, {len(load.told)} answered, {len(load.failed)} failed\n")
    assert asked["seconds"] <= LIMIT, f"confirmed after {asked['seconds']} s, the command took {seconds:.1f} s"
    told = load.told
    assert server.process.poll() is not None
    assert made.custody("predict", "--seal").code == 0
    assert set(told) <= set(sealed(made))


def test_several_workers_answer_as_one(made: Repository) -> None:
    with served(made, "risk", "--workers", "2") as server:
        workers = server.client.get("/version").json()["workers"]
        assert len({item["pid"] for item in workers}) == 2
        ids = [item["id"] for _ in range(20) for item in server.predict().json()["predictions"]]
        done = made.custody("rollback", "risk", "--now", "--reason", "wrong labels", "--json")
        assert (done.code, done.json["servers"][0]["confirmed"]) == (0, True), done.err
        assert server.stop()[0] == 0
    project = open_project(made.root)
    assert {find(project, name).id for name in ids} == set(ids)
    assert sum(batch.rows for batch in batches(project, "risk")) == 20
