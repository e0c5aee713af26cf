"""A clone that works: `python -m tests.unit.ledger.sharers REPOSITORY NAME ROUNDS THINK [DEADLINE]`.

Each round appends a run, now and then two, and wants it registered and promoted. It prints each record once it is
acknowledged: `fact ID` once it is on the local line, `landed ID` once a share has landed it, `gave up` at a deadline.
"""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

from tests.unit.ledger.clones import SHARED, promote, register
from tests.unit.ledger.material import a_run, open_ledger, run_record


def main() -> None:
    path, name, rounds, think = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    deadline = float(sys.argv[5]) if len(sys.argv) > 5 else 60.0
    ledger = open_ledger(path, SHARED, durable=True)
    chance = random.Random(name)
    for number in range(rounds):
        threading.Event().wait(chance.random() * think)
        run, model = f"run-{name}-{number}", f"model{chance.randrange(4)}"
        ledger.append(run_record(a_run(run, model)))
        acknowledge(f"fact record-of-{run}")
        shared = ledger.share((register(run, model), promote(run, model)), deadline)
        if not shared.landed:
            acknowledge(f"gave up: {shared.reason}")
            continue
        for record in (f"record-of-{run}", *shared.commits):
            acknowledge(f"landed {record}")


def acknowledge(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is how it acknowledges


if __name__ == "__main__":
    main()
