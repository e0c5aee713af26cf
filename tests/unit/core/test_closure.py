"""The code behind a step: what its import reads, what it looks up in vain, and nothing else."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.closure import Closure, Entry, closure
from custody.core.imports import scan
from custody.digest import sha256

MODEL = "models/churn"
FILES = {
    "models/churn/steps.py": "import numpy\nimport helper\nfrom . import local\nfrom churn.features import build\n",
    "models/churn/helper.py": "x = 1\n",
    "models/churn/local.py": "from .helper import x\n",
    "models/churn/unused.py": "y = 1\n",
    "src/churn/__init__.py": "",
    "src/churn/features.py": "from churn import util\n\ndef build():\n    import late\n",
    "src/churn/util.py": "from . import deep\n",
    "src/churn/deep.py": "z = 1\n",
    "src/churn/other.py": "z = 1\n",
    "src/late.py": "try:\n    import fast\nexcept ImportError:\n    fast = None\n",
}


def of(files: dict[str, str], uses: str = "./steps.py:prepare", declared: tuple[str, ...] = ()) -> Closure:
    entry = Entry.of(uses, MODEL)
    assert entry is not None
    data = {path: text.encode() for path, text in files.items()}
    return closure(entry, data.get, extensions=("src",), files=declared)


def test_files_and_absences() -> None:
    found = of(FILES)
    assert found.found
    assert found.present == (
        "models/churn/helper.py",
        "models/churn/local.py",
        "models/churn/steps.py",
        "src/churn/__init__.py",
        "src/churn/deep.py",
        "src/churn/features.py",
        "src/churn/util.py",
        "src/late.py",
    )
    absent = {path for path, value in found.files.items() if value is None}
    assert {"models/churn/numpy.py", "models/churn/numpy/__init__.py", "src/numpy.py", "src/fast.py"} <= absent
    assert {"models/churn/__init__.py", "models/churn/helper/__init__.py", "models/churn/churn.py"} <= absent
    assert "src/helper.py" not in found.files, "the model's own directory comes first: src is not asked"
    assert found.files["src/churn/deep.py"] == sha256(b"z = 1\n")


def test_the_chain_names_the_importers() -> None:
    chain = of(FILES).chain
    assert chain["models/churn/steps.py"] == ()
    assert chain["src/churn/deep.py"] == ("models/churn/steps.py", "src/churn/features.py", "src/churn/util.py")


def test_an_entry_below_an_extension_root() -> None:
    found = of(FILES, "churn.util:build")
    assert found.present == ("src/churn/__init__.py", "src/churn/deep.py", "src/churn/util.py")
    assert not of(FILES, "sklearn_extra.kernels:fit").found
    assert not of(FILES, "churn.missing:fit").found
    assert not of(FILES, "./missing.py:fit").found


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        ("./steps.py:prepare", Entry(MODEL, "prepare", path="models/churn/steps.py")),
        ("./sub/steps.py:prepare", Entry(MODEL, "prepare", path="models/churn/sub/steps.py")),
        ("package.module:build", Entry(MODEL, "build", module="package.module")),
        ("tabular", None),
        ("sklearn.Ridge", None),
        ("./../upsell/steps.py:prepare", None),
        ("./steps.txt:prepare", None),
        ("../steps.py:prepare", None),
        ("/etc/passwd:prepare", None),
        (":prepare", None),
        ("./steps.py:", None),
    ],
)
def test_entries(uses: str, expected: Entry | None) -> None:
    assert Entry.of(uses, MODEL) == expected


def test_relative_imports_stay_inside_the_root() -> None:
    files = {
        "models/churn/sub/steps.py": "from .. import helper\nfrom ... import outside\nfrom . import near\n",
        "models/churn/helper.py": "",
        "models/churn/sub/near.py": "",
        "models/outside.py": "",
    }
    found = of(files, "./sub/steps.py:prepare")
    assert found.present == ("models/churn/helper.py", "models/churn/sub/near.py", "models/churn/sub/steps.py")
    assert "models/churn/sub/__init__.py" in found.files


def test_packages_without_init_and_star_imports() -> None:
    files = {
        "models/churn/steps.py": "import space.one\nfrom space import two\nfrom pack import *\n",
        "src/space/one.py": "",
        "src/space/two.py": "",
        "src/pack/__init__.py": "__all__ = ['inner', 'CONSTANT']\n",
        "src/pack/inner.py": "",
    }
    assert set(files) == set(of(files).present)


def test_files_that_import_each_other_end() -> None:
    files = {
        "models/churn/steps.py": "import a\n",
        "models/churn/a.py": "import b\n",
        "models/churn/b.py": "import a\n",
    }
    assert set(of(files).present) == set(files)


def test_a_package_comes_before_a_module_of_its_name() -> None:
    files = {"models/churn/steps.py": "import a\n", "src/a/__init__.py": "", "src/a.py": ""}
    assert "src/a.py" not in of(files).files


def test_declared_files_count_by_content() -> None:
    files = {**FILES, "models/churn/words.txt": "a", "shared/table.csv": "b"}
    declared = ("./words.txt", "shared/table.csv", "./missing.txt")
    before = of(files, declared=declared)
    assert before.files["models/churn/words.txt"] == sha256(b"a")
    assert before.files["models/churn/missing.txt"] is None
    assert of({**files, "shared/table.csv": "c"}, declared=declared).digest != before.digest
    assert of(files, declared=("../../etc/passwd",)).files["../../etc/passwd"] is None


def test_what_cannot_be_seen_is_warned_of() -> None:
    text = (
        "import importlib\nfrom pathlib import Path\n"
        "plugin = importlib.import_module('plugin')\n"
        "words = open('words.txt').read()\n"
        "names = Path('names.txt').read_text()\n"
        "known = open('known.txt')\n"
        "out = open('out.txt', 'w')\n"
        "late = open(path)\n"
        "other = __import__('x')\n"
    )
    found = of({"models/churn/steps.py": text, "models/churn/known.txt": ""}, declared=("./known.txt",))
    assert [(item.code, item.place.line, item.place.column) for item in found.warnings if item.place] == [
        ("W210", 3, 10),
        ("W210", 4, 9),
        ("W210", 5, 9),
        ("W210", 9, 9),
    ]
    assert found.warnings[1].excerpt == "words = open('words.txt').read()"


def test_broken_code_is_carried_by_its_bytes() -> None:
    broken = {"models/churn/steps.py": "import helper\ndef f(:\n", "models/churn/helper.py": ""}
    found = of(broken)
    assert found.present == ("models/churn/steps.py",)
    assert found.digest != of({**broken, "models/churn/steps.py": "import helper\ndef f(::\n"}).digest


NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=5)


@given(st.sampled_from(sorted(of(FILES).present)), st.sampled_from(["# words", "", "   "]))
def test_comments_and_blanks_never_change_the_digest(path: str, noise: str) -> None:
    assert of({**FILES, path: f"{noise}\n{FILES[path]}{noise}\n"}).digest == of(FILES).digest


@given(st.sampled_from(sorted(of(FILES).present)), NAMES)
def test_a_statement_more_always_changes_it(path: str, name: str) -> None:
    assert of({**FILES, path: f"{FILES[path]}v_{name} = 1\n"}).digest != of(FILES).digest


@given(st.sampled_from([path for path, value in of(FILES).files.items() if value is None]))
def test_a_file_that_shadows_always_changes_it(path: str) -> None:
    assert of({**FILES, path: ""}).digest != of(FILES).digest


@given(NAMES, st.sampled_from(["models/churn", "src", "src/churn", "models/upsell", "docs"]))
def test_unrelated_files_never_do(name: str, folder: str) -> None:
    path = f"{folder}/zz_{name}.py"
    assert of({**FILES, path: "import os\n", "src/churn/other.py": "changed = 1\n"}).digest == of(FILES).digest


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")), max_size=12))
def test_the_closure_is_what_can_be_reached(edges: list[tuple[str, str]]) -> None:
    names = {name for edge in edges for name in edge}
    files = {f"src/{name}.py": "".join(f"import {b}\n" for a, b in edges if a == name) for name in names}
    files["models/churn/steps.py"] = "import a\n"
    reached, todo = set(), ["a"] if "a" in names else []
    while todo:
        here = todo.pop()
        if here not in reached:
            reached.add(here)
            todo += [b for a, b in edges if a == here]
    assert set(of(files).present) == {"models/churn/steps.py", *(f"src/{name}.py" for name in reached)}


def test_scan_is_pure_and_may_be_kept() -> None:
    kept: dict[bytes, object] = {}

    def remembered(source: bytes):
        kept[source] = scan(source)
        return scan(source)

    entry = Entry.of("./steps.py:prepare", MODEL)
    assert entry is not None
    data = {path: text.encode() for path, text in FILES.items()}
    found = closure(entry, data.get, extensions=("src",), scan=remembered)
    assert found.digest == of(FILES).digest
    assert len(kept) == len({FILES[path] for path in found.present})
