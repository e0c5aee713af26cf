"""A process that appends records: `python -m tests.unit.ledger.writers REPOSITORY NAME COUNT [TARGET]`.

It prints the id of each record once it is acknowledged. With a target, each record carries a note for that commit.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from custody.core.fold import next_version
from custody.domain.record import ModelState, Record, Run
from tests.unit.ledger.material import a_run, open_ledger, promotion_record, register_record, run_record


def main() -> None:
    path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    targets = sys.argv[4:]
    ledger = open_ledger(path, durable=True)
    for number in range(count):
        run = a_run(f"run-{name}-{number}", f"model{number % 3}")
        ledger.append(run_record(run, notes=tuple((target, run.id) for target in targets)))
        acknowledge(f"record-of-{run.id}")
        if number % 5 == 4:
            ledger.decide(run.model, partial(register, run))
            acknowledge(f"register-{run.id}")
            ledger.decide(run.model, partial(promote, run))
            acknowledge(f"promote-{run.id}")


def acknowledge(record_id: str) -> None:
    sys.stdout.write(f"{record_id}\n")
    sys.stdout.flush()


def register(run: Run, state: ModelState) -> Record:
    return register_record(run, next_version(state))


def promote(run: Run, state: ModelState) -> Record:
    present = state.stages.get("production")
    return promotion_record(run, str(state.version_of(run.id)), present.run if present else None)


if __name__ == "__main__":
    main()
