"""Where a step's code changed: the file, the line, and the imports that lead there."""

from __future__ import annotations

import pytest

from custody.core.closure import Closure, Entry, closure
from custody.core.codechange import CodeChange, code_change
from custody.core.source import first_difference
from custody.digest import sha256

FILES = {
    "models/churn/steps.py": "from shop import util\n\n\ndef fit(ctx):\n    return util.make()\n",
    "src/shop/__init__.py": "",
    "src/shop/util.py": "from shop import deep\n\n\ndef make():\n    return deep.VALUE\n",
    "src/shop/deep.py": "VALUE = 1\n",
}


def closed(files: dict[str, str]) -> Closure:
    entry = Entry("models/churn", "fit", path="models/churn/steps.py")
    return closure(entry, reader(files), extensions=("src",))


def reader(files: dict[str, str]):
    return lambda path: files[path].encode() if path in files else None


def change(files: dict[str, str]) -> CodeChange | None:
    before = closed(FILES)
    blobs = {sha256(text.encode()): text.encode() for text in FILES.values()}
    recorded = {path: sha256(FILES[path].encode()) if value else None for path, value in before.files.items()}
    return code_change(closed(files), recorded, reader(files), blobs.get)


def test_the_chain_leads_from_the_entry_to_the_changed_line() -> None:
    found = change({**FILES, "src/shop/deep.py": "# a comment\n\nVALUE = 2\n"})
    assert found is not None
    assert str(found.place) == "src/shop/deep.py:3:9"
    assert found.chain == ("models/churn/steps.py", "src/shop/util.py", "src/shop/deep.py")
    assert (found.what, found.others) == ("", 0)


def test_a_file_that_shadows_is_named() -> None:
    found = change({**FILES, "models/churn/shop/__init__.py": "", "models/churn/shop/util.py": "make = dict\n"})
    assert found is not None
    assert found.place.path == "models/churn/shop/__init__.py"
    assert "shadows" in found.what


def test_several_files_are_counted_and_the_nearest_named() -> None:
    found = change(
        {**FILES, "src/shop/deep.py": "VALUE = 2\n", "models/churn/steps.py": "from shop import util\nx = 1\n"}
    )
    assert found is not None
    assert (found.place.path, found.others) == ("models/churn/steps.py", 1)


def test_a_file_that_is_gone_is_told_at_its_importer() -> None:
    found = change({path: text for path, text in FILES.items() if path != "src/shop/deep.py"})
    assert found is not None
    assert (found.place.path, found.what) == ("src/shop/util.py", "src/shop/deep.py is gone")


def test_unchanged_code_has_no_change() -> None:
    assert change(FILES) is None
    assert change({**FILES, "src/shop/deep.py": "VALUE  =  1\n"}) is None


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("x = 1\n", "x = 2\n", (1, 5)),
        ("x = 1\n", "# c\nx = 1\ny = 2\n", (3, 1)),
        ("x = 1\ny = 2\n", "x = 1\n", (1, 5)),
        ('def f():\n    "a"\n    return 1\n', 'def f():\n    "b"\n    return 2\n', (3, 12)),
        ("if a:\n    b\nc\n", "if a:\n    b\n    c\n", (3, 5)),
        ("x = 1\n", "x = (\n", (1, 1)),
        ("", "x = 1\n", (1, 1)),
        ("x = 1\n", "", (1, 1)),
    ],
)
def test_the_first_difference(before: str, after: str, place: tuple[int, int]) -> None:
    assert first_difference(before.encode(), after.encode()) == place
