"""`custody runs --where` over many runs beside `mlflow.search_runs`, each as a cold process.

    python benchmarks/search_runs.py [--runs 50000] [--models 200] [--rounds 5] [--mlflow PYTHON] [--json FILE]

MLflow is told by `--mlflow` or `MLFLOW`: the Python that has it. Its runs are inserted into its own tables and found
through its API.
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import tempfile
from pathlib import Path

from generate import generate
from interleaved import CUSTODY, environment, finish, interleave, parser, peer, table, timed

QUERY = ["runs", "--where", "roc_auc > 0.9 and train.max_depth = 6", "--sort", "roc_auc"]
SETUP = """
import sys, mlflow
mlflow.set_tracking_uri("sqlite:///" + sys.argv[1])
print(mlflow.create_experiment("bench", artifact_location=sys.argv[1] + "-files"))
"""
SEARCH = """
import sys, logging
logging.disable(logging.WARNING)
import mlflow
mlflow.set_tracking_uri("sqlite:///" + sys.argv[1])
where = "metrics.roc_auc > 0.9 and params.max_depth = '6'"
found = mlflow.search_runs([sys.argv[2]], where, order_by=["metrics.roc_auc DESC"])
print(len(found), "found")
"""


def fill(database: Path, python: str, runs: int) -> str:
    """Insert `runs` runs of eight metrics and three parameters into MLflow's tables; return the experiment's id."""
    made = subprocess.run(
        [python, "-c", SETUP, str(database)], capture_output=True, text=True, check=True, env=environment()
    )
    experiment, rng = made.stdout.split()[-1], random.Random(1)
    rows, params, metrics = [], [], []
    for number in range(runs):
        run, at = f"{number:032x}", 1_700_000_000_000 + number * 1000
        state = ("LOCAL", "", "", "bench", "FINISHED", at, at + 500, "", "active", f"a/{run}", experiment)
        rows.append((run, f"run{number}", *state))
        values = {"max_depth": number % 9 + 2, "learning_rate": round(0.2 + number / 10**6, 7), "model": number % 200}
        params += [(key, str(value), run) for key, value in values.items()]
        names = ("roc_auc", *(f"m{k}" for k in range(7)))
        metrics += [(key, 0.85 + rng.random() / 7, at, 0, False, run) for key in names]
    columns = "run_uuid,name,source_type,source_name,entry_point_name,user_id,status,start_time,end_time"
    columns += ",source_version,lifecycle_stage,artifact_uri,experiment_id"
    with sqlite3.connect(database) as connection:
        connection.executemany(f"insert into runs ({columns}) values ({','.join('?' * 13)})", rows)
        connection.executemany("insert into params (key,value,run_uuid) values (?,?,?)", params)
        for name in ("metrics", "latest_metrics"):
            connection.executemany(
                f"insert into {name} (key,value,timestamp,step,is_nan,run_uuid) values (?,?,?,?,?,?)", metrics
            )
    connection.execute("analyze")
    connection.close()
    return experiment


def main() -> None:
    options_of = parser(__doc__)
    options_of.add_argument("--runs", type=int, default=50_000)
    options_of.add_argument("--models", type=int, default=200)
    options_of.add_argument("--mlflow", type=Path, help="the Python that has MLflow")
    options = options_of.parse_args()
    mlflow = peer(options.mlflow, "MLFLOW", "MLflow")
    with tempfile.TemporaryDirectory(prefix="custody-bench-") as name:
        folder, database = Path(name) / "custody", Path(name) / "mlflow.db"
        generate(folder, options.models, options.runs + 2 * options.models + options.models // 10)
        timed([*CUSTODY, *QUERY], folder)
        ways = {"custody runs --where": lambda: timed([*CUSTODY, *QUERY], folder)}
        if mlflow:
            experiment = fill(database, mlflow, options.runs)
            search = [mlflow, "-c", SEARCH, str(database), experiment]
            ways["mlflow.search_runs"] = lambda: timed(search, folder, says="found")
        figures = interleave(ways, options.rounds)
    table(f"{options.runs} runs", figures, "custody runs --where")
    finish(options, {"runs": options.runs, "figures": figures})


if __name__ == "__main__":
    main()
