"""What the journal costs: the same server with it and without it, asked in turn by the same clients.

    python benchmarks/serve.py [--rounds 8] [--seconds 3] [--clients 16] [--rows 1] [--json FILE]

A model of 20 numbers in production, gradient boosting. Each client holds one connection and asks again as soon as it is
answered. With the journal an answer waits until its prediction is synced to disk. Requests a second of each round, and
the median of the ratios of rounds side by side.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from interleaved import CUSTODY, environment, finish, parser

FEATURES = [f"n{number}" for number in range(20)]
FILES = {
    ".mlops/config.yaml": "spec: 1\nid: 3d2f9a8e-4f57-4d5b-9f0c-1f3a7f1d2c11\nbranch: main\nledger: mlops/ledger\n",
    ".gitignore": ".mlops/store/\n.mlops/state/\n",
    "datasets/points/dataset.yaml": "owner: bench\npurposes: [bench]\nkey: id\n"
    "source: {uses: file, with: {path: points.csv}}\n",
    "models/bench/model.yaml": "owner: bench\npurpose: bench\ntask: classification\ntarget: y\n"
    "stages: {production: auto}\n",
    "models/bench/data.yaml": "dataset: points@v1\nsplit: {stratify: y, test: 0.2}\n"
    f"features: [{', '.join(FEATURES)}]\n",
    "models/bench/pipeline.yaml": "seed: 1\n"
    "train: {uses: sklearn.HistGradientBoostingClassifier, with: {max_iter: 50}}\n",
    "models/bench/gates.yaml": "metrics:\n  accuracy: {min: 0.5}\n",
}

Rate = tuple[float, float]
"""Requests a second, and the server's CPU for each in milliseconds."""


def main() -> None:
    options_of = parser(__doc__)
    options_of.set_defaults(rounds=8)
    options_of.add_argument("--seconds", type=float, default=3.0, help="of one round of one server")
    options_of.add_argument("--clients", type=int, default=16, help="connections that ask at the same time")
    options_of.add_argument("--rows", type=int, default=1, help="of a request")
    options = options_of.parse_args()
    found: dict[str, list[Rate]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory(prefix="custody-bench-") as name:
        folder = project(Path(name))
        servers = {which: started(folder, journal=which == "with") for which in found}
        body = request(options.rows)
        try:
            for which, (_, port) in servers.items():
                asked(port, body, options.clients, 1.0)  # warm
                print(f"{which} journal: port {port}", file=sys.stderr)
            for number in range(options.rounds):
                for which in (list(found), list(found)[::-1])[number % 2]:
                    process, port = servers[which]
                    before = cpu_of(process.pid)
                    count, seconds = asked(port, body, options.clients, options.seconds)
                    found[which].append((count / seconds, (cpu_of(process.pid) - before) / count * 1000))
        finally:
            for process, _ in servers.values():
                process.terminate()
                process.wait()
    rates = {which: [rate for rate, _ in rounds] for which, rounds in found.items()}
    cpu = {which: statistics.median(cost for _, cost in rounds) for which, rounds in found.items()}
    for which, of in rates.items():
        middle, least, most = statistics.median(of), min(of), max(of)
        print(f"{which:>7} journal {middle:6,.0f} requests/s ({least:,.0f} to {most:,.0f}), {cpu[which]:.2f} ms CPU")
    ratio = statistics.median(kept / plain for kept, plain in zip(rates["with"], rates["without"], strict=True))
    print(f"with / without  {ratio:.3f} of the requests/s, {cpu['with'] / cpu['without']:.3f} of the CPU")
    facts = {"clients": options.clients, "rows": options.rows, "ratio": ratio, "cpu_ms": cpu}
    finish(options, {"rates": rates, **facts})


def project(folder: Path) -> Path:
    """Make a project with one model in production."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(5000, len(FEATURES)))
    target = (values[:, 0] + values[:, 1] * values[:, 2] + rng.normal(size=5000) > 0).astype(int)
    lines = [",".join(["id", *FEATURES, "y"])]
    lines += [f"{place},{','.join(f'{v:.4f}' for v in row)},{target[place]}" for place, row in enumerate(values)]
    for path, text in {**FILES, "points.csv": "\n".join(lines) + "\n"}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git = ["git", "-c", "user.name=Bench", "-c", "user.email=bench@example.org"]
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "config", "user.name", "Bench"],
        ["git", "config", "user.email", "bench@example.org"],
        [*CUSTODY, "data", "add", "points", "--from-source"],
        ["git", "add", "-A"],
        [*git, "commit", "-qm", "Add a model"],
        [*CUSTODY, "apply", "--engine", "inline"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment())
    return folder


def started(folder: Path, *, journal: bool) -> tuple[subprocess.Popen[str], int]:
    """Start a server and return it with its port once it answers."""
    command = [sys.executable, __file__, "--serve", str(folder), "with" if journal else "without"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    return process, int(process.stdout.readline())  # type: ignore[union-attr]


def serve(folder: Path, *, journal: bool) -> None:
    import signal

    from custody.app.project import open_project
    from custody.app.serve import Ready, ServeOptions
    from custody.app.serve import serve as run

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def ready(told: Ready) -> None:
        print(told.address.rpartition(":")[2], flush=True)

    options = ServeOptions(port=0, journal=journal, where=f"bench-{journal}".lower())
    run(open_project(folder), ["bench"], options, ready, lambda text: print(text, file=sys.stderr), stop)


def request(rows: int) -> bytes:
    rng = np.random.default_rng(2)
    values = [dict(zip(FEATURES, row, strict=True)) for row in rng.normal(size=(rows, len(FEATURES))).round(4).tolist()]
    body = json.dumps({"rows": values}).encode()
    head = "POST /v1/models/bench/predict HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def asked(port: int, body: bytes, clients: int, seconds: float) -> tuple[int, float]:
    """Return how many requests were answered in how many seconds, by clients in a process of their own."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        count, lasted = pool.apply(ask, (port, body, clients, seconds))
        return count, lasted


def ask(port: int, body: bytes, clients: int, seconds: float) -> tuple[int, float]:
    import select

    sockets = {}
    for _ in range(clients):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[sock.fileno()] = sock
    poll = select.epoll()
    for number, sock in sockets.items():
        poll.register(number, select.EPOLLIN)
        sock.sendall(body)
    began, count, parts = time.perf_counter(), 0, dict.fromkeys(sockets, b"")
    while (now := time.perf_counter()) - began < seconds:
        for number, _ in poll.poll(1.0):
            parts[number] += sockets[number].recv(1 << 16)
            if whole(parts[number]):
                count, parts[number] = count + 1, b""
                sockets[number].sendall(body)
    return count, now - began


def whole(data: bytes) -> bool:
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(data.decode())
    length: Any = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(rest) >= int(length.split(b":")[1])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(Path(sys.argv[2]), journal=sys.argv[3] == "with")
    else:
        main()
