"""`custody check` and `custody plan` from 10 to 10,000 models, beside `dvc status` on as many pipelines.

    python benchmarks/plan_scale.py [--sizes 10,100,1000] [--rounds 5] [--dvc PATH] [--json FILE]

- `plan`: nothing to do, and planned before. `plan, clone`: the same in a fresh clone each time.
- `plan, one change`: another model gets another parameter each time, and is put back before the next.

The repositories are made by `generate.py`. DVC is told by `--dvc` or `DVC`; its cache and lock files are written as
`dvc repro` leaves them, and it must call the project up to date before it is timed.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from generate import generate, name_of
from interleaved import BASE, CUSTODY, Times, finish, interleave, parser, peer, table, timed

NOTHING = "Nothing to do"
STEP = """import sys
out, *ins = sys.argv[1:]
open(out, "w").write("".join(open(i).read()[:40] for i in ins) + out + chr(10))
"""
STAGES = {
    "prepare": ("clean.txt", ("raw.txt",)),
    "train": ("model.txt", ("clean.txt", "params.yaml")),
    "evaluate": ("metrics.json", ("model.txt",)),
}


def custody_ways(folder: Path, models: int) -> dict[str, Callable[[], Times]]:
    """Return what is timed in a generated repository."""
    turns = itertools.count()

    def clone() -> Times:
        made = folder.with_name(f"{folder.name}-clone")
        shutil.rmtree(made, ignore_errors=True)
        git(folder.parent, "clone", "-q", str(folder), made.name)
        git(made, "branch", "-q", "mlops/ledger", "origin/mlops/ledger")
        return timed([*CUSTODY, "plan"], made, says=NOTHING)

    def changed() -> Times:
        path = folder / "models" / name_of(next(turns) * 7 % models) / "pipeline.yaml"
        before = path.read_text()
        path.write_text(before.replace("learning_rate: 0.1", f"learning_rate: 0.{next(turns) + 11}"))
        try:
            return timed([*CUSTODY, "plan"], folder, says="retrain")
        finally:
            path.write_text(before)

    return {
        "import pygit2, yaml": lambda: timed(BASE, folder),
        "custody check": lambda: timed([*CUSTODY, "check"], folder),
        "custody plan": lambda: timed([*CUSTODY, "plan"], folder, says=NOTHING),
        "custody plan, clone": clone,
        "custody plan, one change": changed,
    }


def pipelines(folder: Path, count: int, dvc: str) -> Path:
    """Make a DVC project of `count` pipelines that is up to date."""
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "config", "user.name", "Ann")
    git(folder, "config", "user.email", "ann@example.org")
    timed([dvc, "init", "-q"], folder)
    (folder / "step.py").write_text(STEP)
    for number in range(count):
        _pipeline(folder, folder / "models" / f"m{number:05}", number)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Add pipelines")
    return folder


def _pipeline(root: Path, folder: Path, number: int) -> None:
    folder.mkdir(parents=True)
    files = {"raw.txt": f"raw {number}\n", "params.yaml": f"lr: 0.{number + 1}\ndepth: 4\n"}
    stages, locks = "stages:\n", "schema: '2.0'\nstages:\n"
    for stage, (out, ins) in STAGES.items():
        files[out] = "".join(files[name][:40] for name in ins) + out + "\n"
        cached = root / ".dvc/cache/files/md5" / _md5(files[out])[:2] / _md5(files[out])[2:]
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text(files[out])
        cached.chmod(0o444)
        command, deps = f"python3 ../../step.py {out} {' '.join(ins)}", [name for name in ins if name != "params.yaml"]
        params = "    params: [lr, depth]\n" if "params.yaml" in ins else ""
        stages += f"  {stage}:\n    cmd: {command}\n    deps: [{', '.join(deps)}, ../../step.py]\n{params}"
        stages += f"    outs: [{out}]\n"
        locks += f"  {stage}:\n    cmd: {command}\n    deps:\n{_item('../../step.py', STEP)}"
        locks += "".join(_item(name, files[name]) for name in deps)
        locks += f"    params:\n      params.yaml:\n        depth: 4\n        lr: 0.{number + 1}\n" if params else ""
        locks += f"    outs:\n{_item(out, files[out])}"
    ignored = "".join(f"/{out}\n" for out, _ in STAGES.values())
    for name, text in {**files, "dvc.yaml": stages, "dvc.lock": locks, ".gitignore": ignored}.items():
        (folder / name).write_text(text)


def _item(name: str, text: str) -> str:
    return f"    - path: {name}\n      hash: md5\n      md5: {_md5(text)}\n      size: {len(text)}\n"


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def main() -> None:
    options_of = parser(__doc__)
    options_of.add_argument("--sizes", default="10,100,1000")
    options_of.add_argument("--dvc", type=Path, help="the program `dvc`")
    options = options_of.parse_args()
    dvc = peer(options.dvc, "DVC", "DVC")
    figures = {}
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="custody-bench-") as name:
            folder = Path(name) / "custody"
            generate(folder, size, 3 * size + max(1, size // 10) if size <= 1000 else size + size // 10)
            ways = custody_ways(folder, size)
            if dvc:
                other = pipelines(Path(name) / "dvc", size, dvc)
                ways["dvc status"] = lambda other=other: timed([dvc, "status"], other, says="up to date")
            figures[size] = interleave(ways, options.rounds)
        table(f"{size} models", figures[size], "import pygit2, yaml")
        if dvc:
            ratio = figures[size]["dvc status"]["cpu"] / figures[size]["custody plan"]["cpu"]
            print(f"dvc status / custody plan: {ratio:.0f} x CPU")
    finish(options, {"models": figures})


if __name__ == "__main__":
    main()
