"""The server, over real HTTP: answers, refusals, what is kept, what takes over, and how it ends."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest

from custody.app.predictions import batches, find
from custody.app.project import open_project
from custody.ledger.locks import file_lock
from tests.integration.clones import copied
from tests.integration.repository import Repository
from tests.integration.server import ROW, Served, served

STEPS = """\
from numbers_of import numbers
from sklearn.base import BaseEstimator, TransformerMixin


class Numbers(TransformerMixin, BaseEstimator):
    def fit(self, rows, labels=None):
        self.fitted_ = True
        return self

    def transform(self, rows):
        return numbers(rows)


def prepare(ctx):
    return Numbers()
"""
NUMBERS_OF = """\
import numpy as np


def numbers(rows):
    return np.array([[value if isinstance(value, (int, float)) else -1 for value in row] for row in rows], dtype=float)
"""
PIPELINE = """\
prepare: {uses: "./steps.py:prepare"}
train: {uses: sklearn.DecisionTreeClassifier, with: {max_depth: 3}}
seed: 1
"""


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A project whose model `risk` has two versions, v2 in production, with code that the working tree lacks by now."""
    own = {"steps.py": STEPS, "numbers_of.py": NUMBERS_OF, "pipeline.yaml": PIPELINE}
    made = Repository.create(tmp_path_factory.mktemp("served"), {f"models/risk/{name}": own[name] for name in own})
    assert made.apply().code == 0
    made.edit("models/risk/pipeline.yaml", "max_depth: 3", "max_depth: 4")
    assert made.apply().code == 0
    made.write("models/risk/numbers_of.py", "raise SystemExit('what is edited is not what was promoted')\n")
    return made


@pytest.fixture
def made(twice: Repository, tmp_path: Path) -> Repository:
    return copied(twice, tmp_path)


def test_answers_and_refusals(made: Repository) -> None:
    with served(made, "risk", "debt@v1", "--max-rows", "3", "--max-bytes", "2000") as server:
        done = server.predict(ROW, {**ROW, "job": None, "id": 7})
        assert done.status_code == 200, done.text
        one, other = done.json()["predictions"]
        assert done.json()["version"] == "v2"
        assert set(one) == {"id", "prediction", "probabilities"}
        assert other["key"] == 7
        assert sum(one["probabilities"].values()) == pytest.approx(1)
        assert isinstance(
            server.predict({"income": 3, "job": "x"}, model="debt").json()["predictions"][0]["prediction"], float
        )

        told = server.client.get("/v1/models/risk").json()
        assert {item["name"]: item["kind"] for item in told["features"]} == {
            "income": "number",
            "debt": "number",
            "job": "text",
        }
        assert server.client.get("/health").json() == {"status": "ok"}
        assert server.client.get("/ready").json() == {"ready": True, "waiting": []}
        version = server.client.get("/version").json()
        assert [version["models"][name]["version"] for name in ("risk", "debt")] == ["v2", "v1"]

        refused(server)
        metrics = server.client.get("/metrics").text
        assert 'custody_requests_total{model="risk",status="200"} 1.0' in metrics
        assert 'custody_predictions_total{model="risk",version="v2"} 2.0' in metrics
        assert 'custody_serving{model="debt",run=' in metrics
        assert server.stop()[0] == 0


def refused(server: Served) -> None:
    cases = [
        (json.dumps({"rows": [{**ROW, "income": "x"}]}), 422, "rows[0].income is a text, a number is expected"),
        (json.dumps({"rows": [{**ROW, "email": "a@b.c"}]}), 422, "rows[0] has 'email', which is unknown"),
        (json.dumps({"rows": []}), 422, "with a row at least"),
        (json.dumps([ROW]), 422, "the body must be"),
        ('{"rows": [{"income": NaN}]}', 400, "no JSON"),
        ("{", 400, "no JSON"),
        ("[" * 1500, 400, "no JSON"),
        (json.dumps({"rows": [ROW] * 4}), 413, "4 rows are more than 3"),
        (json.dumps({"rows": [{**ROW, "job": "x" * 3000}]}), 413, "more than 2,000 bytes"),
    ]
    for body, status, said in cases:
        done = server.client.post("/v1/models/risk/predict", content=body)
        assert (done.status_code, said in done.text) == (status, True), (body[:80], done.text)
    pieces = server.client.post("/v1/models/risk/predict", content=iter([b" " * 1500] * 3))
    assert pieces.status_code == 413
    assert server.client.post("/v1/models/other/predict", json={"rows": [ROW]}).status_code == 404
    assert server.client.get("/v1/models/risk/predict").status_code == 405
    assert server.client.get("/nothing").json()["error"]["code"] == "request.path"


def test_what_was_answered_is_sealed_once_whatever_ended_the_server(made: Repository) -> None:
    with served(made) as server:
        ids = [item["id"] for item in server.predict(ROW, ROW).json()["predictions"]]
        project = open_project(made.root)
        found = find(project, ids[0])
        assert (found.batch, found.version) == (None, "v2")
        assert found.features == {"income": 12.5, "debt": 30.0, "job": "clerk"}
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with served(made) as server:
        ids += [item["id"] for item in server.predict(ROW).json()["predictions"]]
        assert server.stop()[0] == 0
    project = open_project(made.root)
    sealed = batches(project, "risk")
    assert sorted((batch.rows, batch.source) for batch in sealed) == [(1, "serve"), (2, "serve")]
    assert {found.batch.id for name in ids if (found := find(project, name)).batch} == {batch.id for batch in sealed}
    assert "Nothing to seal" in made.here("predict", "--seal").out
    assert made.here("verify", "--full").code == 0


def test_a_kill_between_the_record_and_the_journal_seals_nothing_twice(made: Repository) -> None:
    with served(made) as server:
        server.predict(ROW)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    (segment,) = (made.root / ".mlops/state/journal/risk").glob("*.segment")
    kept = segment.read_bytes()
    assert made.here("predict", "--seal", "risk").code == 0
    assert not segment.exists()
    head = made.head()
    segment.write_bytes(kept + b"\x07torn")
    done = made.here("predict", "--seal")
    assert (done.code, made.head()) == (0, head), done.err
    assert not segment.exists()
    damaged = bytearray(kept)
    damaged[-3] ^= 1
    segment.write_bytes(bytes(damaged))
    done = made.here("predict", "--seal")
    assert "cannot be read; it was kept" in done.err
    assert segment.with_suffix(".damaged").read_bytes() == bytes(damaged)


def test_a_rollback_returns_when_the_server_answers_with_the_version(made: Repository) -> None:
    with served(made, "risk", "--where", "here") as server:
        assert any(
            server.predict() and "deployed risk: production at here is v2" in made.subjects() for _ in range(999)
        )
        failed: list[int] = []
        versions: set[str] = set()
        ended = threading.Event()

        def load() -> None:
            while not ended.is_set():
                done = server.predict()
                failed.append(done.status_code) if done.status_code != 200 else versions.add(done.json()["version"])

        thread = threading.Thread(target=load)
        thread.start()
        done = made.custody("rollback", "risk", "--now", "--reason", "wrong labels", "--json")
        after = server.version()
        ended.set()
        thread.join()
        assert done.code == 0, done.err
        (asked,) = done.json["servers"]
        assert (asked["where"], asked["version"], asked["confirmed"]) == ("here", "v1", True)
        assert (after, failed, versions - {"v2"} <= {"v1"}) == ("v1", [], True)
        server.stop()
    subjects = made.subjects()
    assert subjects[-1].startswith("deployed risk: production at here is nothing")
    assert [(batch.version, batch.rows > 0) for batch in batches(open_project(made.root), "risk")][:1] == [("v2", True)]


def settle(made: Repository) -> None:
    """Wait until the server has recorded what it serves: it has nothing more to record then."""
    assert any(made.subjects()[-1].startswith("deployed risk: production") for _ in range(9999))


def test_a_server_that_does_not_confirm_is_named(made: Repository) -> None:
    with served(made) as server:
        settle(made)
        with file_lock(made.root / ".git", "append.lock"):  # nothing may be stopped that holds it
            server.process.send_signal(signal.SIGSTOP)
        arguments = ("rollback", "risk", "--now", "--reason", "wrong labels", "--wait", "0")
        done = made.custody(*arguments)
        server.process.send_signal(signal.SIGCONT)
        assert done.code == 7
        assert "does not answer" in done.err
        assert f"curl -s {server.address}/version" in done.err
    assert made.here("rollback", "risk", "--release", done.out.split()[1].rstrip(":")).code == 0
    done = made.custody("rollback", "risk", "--now", "--reason", "again", "--to", "v2", "--json")
    assert (done.code, done.json["servers"]) == (0, []), "a dead server is not asked"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("rosk",), 64, "did you mean risk?"),
        (("risk@v9",), 64, "no stage or version 'v9'"),
        (("risk", "risk@v1"), 64, "risk is named twice"),
        (("risk", "--workers", "0"), 64, "--workers is 1 to 64"),
        (("risk", "--host", "192.0.2.1"), 1, "cannot listen on 192.0.2.1"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(
    twice: Repository, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = twice.here("serve", "--port", "0", *arguments)
    assert (done.code, said in done.err) == (code, True), done.err


def test_an_artifact_that_was_changed_is_not_loaded(made: Repository) -> None:
    artifact = made.run_json("risk")["artifact"]
    path = made.root / f".mlops/store/sha256/{artifact[:2]}/{artifact[2:]}"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = made.here("serve", "risk", "--port", "0")
    assert done.code == 1
    assert "is damaged" in done.err
