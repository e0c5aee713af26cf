"""The documentation is true: its commands do what it shows, its links and paths exist, its tables are whole.

A ```console block is a piece of a terminal. Lines that begin with `$ ` are run, one page in one shell, and must end
with 0; the lines below are what they print, on both streams. Ids, times, durations and versions may differ, measured
values a little. `...` stands for what was left out: a whole line for any number of lines, within a line for any text.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from custody.domain import metrics
from custody.domain.plan import Category
from custody.spec.monitors import outcome_metrics
from custody.spec.schema import KINDS, schema
from tests.integration.repository import Repository, loans

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "framework/custody"
PAGES = tuple(sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")))
RUN = (
    "README.md",
    "docs/adding-a-gate.md",
    "docs/specs.md",
    "docs/reviewing.md",
    "docs/experiments.md",
    "docs/registry.md",
    "docs/serving.md",
    "docs/adding-a-monitor.md",
    "docs/alerts.md",
)
"""Pages whose commands are run here, in this order; those of ledger-format.md have a test and a ledger of their own."""
TREE = ("models", "datasets", ".mlops", "templates", "Makefile", "requirements.lock", "pyproject.toml", ".gitignore")
LIMITED = outcome_metrics(schema("monitors")["properties"]["outcomes"]["properties"])
"""The metrics of outcomes, each a key of its own."""
SPECS = {"version": "versions/\\*.yaml"}
END = "\x1e"

TOKENS = (
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\+00:00|Z)",
    r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d \d{4} [+-]\d{4}",
    r"\b\d+\.\d+\.\d+\b",
    r"\b\d+(?:\.\d+)? s\b",
    r"\b[0-9a-f]{7,64}\b",
)
"""What may be another one of its kind: times, versions, durations, ids."""
DECIMAL = r"(?<![\w.])-?\d+\.\d+(?![\w.])"
SPLIT = re.compile("|".join(f"({pattern})" for pattern in (*TOKENS, DECIMAL, r"\.\.\.", r" {2,}")))


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a page and the lines that the page shows below it."""

    page: str
    text: str
    shown: tuple[str, ...]


def blocks(page: str, language: str) -> Iterator[list[str]]:
    """Yield the lines of each fenced block of the language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield found[1].splitlines()


def commands(page: str) -> list[Command]:
    found: list[Command] = []
    for lines in blocks(page, "console"):
        assert lines[0].startswith("$ "), f"{page}: a console block begins with a command, not {lines[0]!r}"
        for line in lines:
            if line.startswith("$ "):
                found.append(Command(page, line[2:], ()))
            else:
                found[-1] = Command(page, found[-1].text, (*found[-1].shown, line))
    return found


def expected(line: str) -> str:
    """Return the pattern of the lines that a shown line stands for; decimals are groups, compared afterwards."""
    parts, end = [], 0
    for found in SPLIT.finditer(line):
        parts.append(re.escape(line[end : found.start()]))
        kind = (found.lastindex or 0) - 1
        parts.append((*TOKENS, rf"({DECIMAL}|\d+)", ".*", " {2,}")[kind])
        end = found.end()
    return "".join([*parts, re.escape(line[end:])])


def difference(shown: tuple[str, ...], printed: str) -> str | None:
    """Return what a page shows and a command did not print; None where all is there."""
    if not shown:
        return None
    patterns = [r"(?:.*\n)*?" if line == "..." else expected(line) + r" *\n" for line in shown]
    matched = re.fullmatch("".join(patterns), printed)
    if matched is None:
        until = next(end for end in range(len(shown), -1, -1) if re.match("".join(patterns[:end]), printed))
        return f"not so, or not only so: {shown[until] if until < len(shown) else 'the end'}\nprinted:\n{printed}"
    values = [float(found[0]) for line in shown for found in SPLIT.finditer(line) if found.lastindex == len(TOKENS) + 1]
    found = [float(value) for value in matched.groups()]
    if any(abs(value - other) > 0.05 * max(1.0, abs(value)) for value, other in zip(values, found, strict=True)):
        return f"measured: {found}, shown: {values}"
    return None


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository of this one's own tree as it stands, and beside it one with nothing but a table."""
    folder = tmp_path_factory.mktemp("docs")
    made = Repository(folder / "custody", folder / "home")
    made.home.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard", "--", *TREE], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (made.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, made.root / name)
    stand_in(made.root / ".venv")
    begin(made, "Add models")
    other = Repository(folder / "lending", folder / "home")
    other.write("data/loans.csv", loans(400))
    begin(other, "Begin")
    return made


def stand_in(venv: Path) -> None:
    """Have `make` find an environment that is set up: the one that runs the tests."""
    venv.mkdir()
    (venv / "bin").symlink_to(Path(sys.executable).parent)
    (venv / ".ready").touch()


def begin(made: Repository, message: str) -> None:
    made.git("init", "-q", "-b", "main")
    made.git("config", "user.name", "Ann")
    made.git("config", "user.email", "ann@example.org")
    made.commit(message)


def terminal(made: Repository, page: list[Command]) -> Iterator[tuple[Command, str, int]]:
    """Run the commands of a page in one shell, and yield what each printed and its exit code.

    The README puts `custody` on the path itself; who reads another page has done so.
    """
    ready = "" if page[0].page == "README.md" else "export PATH=$PWD/.venv/bin:$PATH\n"
    script = ready + "".join(f"{command.text}\nprintf '{END}%s{END}' \"$?\"\n" for command in page)
    kept = {name: value for name, value in made.variables().items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=made.root,
        env=kept | {"COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    parts = done.stdout.decode().split(END)
    assert len(parts) == 2 * len(page) + 1, parts[-1]
    for index, command in enumerate(page):
        yield command, parts[2 * index], int(parts[2 * index + 1])


def test_the_commands_do_what_the_pages_show(repository: Repository) -> None:
    if not shutil.which("make"):
        pytest.skip("there is no make on this machine")
    wrong = []
    for page in RUN:
        for command, printed, code in terminal(repository, commands(page)):
            fault = f"exit {code}: {printed}" if code else difference(command.shown, printed)
            if fault:
                wrong.append(f"{page}: $ {command.text}\n{fault}")
        assert not wrong, "\n\n".join(wrong)
        assert repository.git("status", "--porcelain") == "", f"{page} leaves the work tree changed"
    assert len(commands("README.md")) >= 12


def test_no_page_is_left_out() -> None:
    shown = {str(page.relative_to(ROOT)) for page in PAGES if "```console" in page.read_text(encoding="utf-8")}
    assert shown == {*RUN, "docs/ledger-format.md"}


def test_what_is_compared() -> None:
    """Ids, times and durations may differ, values a little; anything else may not."""
    shown = ("a 0.9988 (run 586fb3a9)  in 18 s", "...", "Date: 2026-11-24T19:09:48+00:00", "end ... here")
    printed = "a 0.9991 (run 00000000)    in 2.5 s\nmore\nmore\nDate: 2001-01-01T00:00:00+00:00\nend x here\n"
    assert difference(shown, printed) is None
    assert difference(shown, printed.replace("0.9991", "0.5")) is not None
    assert difference(shown, printed.replace("run", "model")) is not None
    assert difference(shown, printed + "more\n") is not None
    assert difference(("a", "b"), "b\na\n") is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """Return what hosts make of the headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_paths_exist(page: Path) -> None:
    """`framework/custody/...` anywhere, and `app/plan.py` for short."""
    text = page.read_text(encoding="utf-8")
    layers = "app|cli|content|core|domain|engine|git|kit|ledger|spec"
    paths = re.findall(r"framework/custody/[\w./*-]*[\w/*]", text)
    paths += [f"framework/custody/{name}" for name in re.findall(rf"`((?:{layers})/[\w./*-]*)`", text)]
    paths += re.findall(r"`((?:tests|templates|benchmarks|docs)/[\w./*-]*)`", text)
    for path in paths:
        assert any(ROOT.glob(path)), f"{page.name}: {path}"


def cells(section: str) -> Iterator[list[str]]:
    """Yield the cells of the rows of all tables, without the heads."""
    rows = [line for line in section.splitlines() if line.startswith("|")]
    for index, row in enumerate(rows):
        if not re.match(r"\| -", row) and not (index + 1 < len(rows) and re.match(r"\| -", rows[index + 1])):
            yield [cell.strip() for cell in row.strip("|").split("|")]


def sections(page: str) -> dict[str, str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    parts = re.split(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def written_keys(cell: str) -> Iterator[str]:
    """Yield `a.c` and `b.c` for `{a,b}.c`, and `*` for a name in angle brackets; metrics of outcomes have theirs."""
    for written in re.findall(r"`([^`]+)`", cell):
        name = written.replace("outcomes.<metric>", f"outcomes.{{{','.join(LIMITED)}}}")
        choices = [part.strip("{}").split(",") for part in re.split(r"(\{[^}]*\})", name)]
        for parts in product(*choices):
            yield re.sub(r"<\w+>", "*", "".join(parts))


def schema_keys(rules: dict[str, Any], above: str = "") -> Iterator[tuple[str, bool]]:
    """Yield each key of a schema with its path, and whether it is required."""
    for name, inner in rules.get("properties", {}).items():
        yield f"{above}{name}", name in rules.get("required", ())
        yield from schema_keys(inner, f"{above}{name}.")
    free = rules.get("additionalProperties")
    if isinstance(free, dict):
        yield f"{above}*", False
        yield from schema_keys(free, f"{above}*.")
    if isinstance(rules.get("items"), dict):
        yield from schema_keys(rules["items"], f"{above.rstrip('.')}[].")


@pytest.mark.parametrize("kind", KINDS)
def test_the_tables_of_keys_are_whole(kind: str) -> None:
    rows = list(cells(sections("docs/specs.md")[SPECS.get(kind, f"{kind}.yaml")]))
    written = {key: default == "required" for cell, default, *_ in rows for key in written_keys(cell)}
    known = dict(schema_keys(dict(schema(kind))))
    unnamed = {key for key in known if not key.endswith("*")} - written.keys()
    assert (unnamed, written.keys() - known.keys()) == (set(), set())
    assert {key for key, needed in written.items() if needed} == {key for key, needed in known.items() if needed}


def test_the_table_of_categories_is_whole() -> None:
    rows = list(cells(sections("docs/specs.md")["What a change costs"]))
    signs = {sign for row in rows for sign in re.findall(r"`([^`]+)`", row[0])}
    words = {word.strip() for row in rows for word in row[1].split(",")}
    assert signs == {item.sign for item in Category}
    assert words == {item.word for item in Category}


def test_the_table_of_metrics_is_whole() -> None:
    rows = list(cells(sections("docs/adding-a-gate.md")["Metrics"]))
    named = [tuple(re.findall(r"`([^`]+)`", row[1])) for row in rows]
    assert named == [metrics.BINARY, metrics.MULTICLASS, metrics.REGRESSION]


def test_the_named_codes_are_used() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    named = {code for page in PAGES for code in re.findall(r"\b[EW]\d{3}\b", page.read_text(encoding="utf-8"))}
    assert named
    assert {code for code in named if f'"{code}"' not in source} == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
