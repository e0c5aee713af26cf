"""Importing and calling the model's own code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from custody.kit.usercode import UserCode, UserCodeError


def code(folder: Path, **files: str) -> UserCode:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return UserCode("churn", folder, "models/churn", ("src",))


def test_a_file_beside_the_spec_is_imported_under_a_stable_name(tmp_path: Path) -> None:
    steps = "import sibling\nfrom . import sibling as other\ndef f(): return sibling.X, other.X\n"
    others = {"models__churn__sibling_py": "X = 1\n", "src__shared_py": "def g(): return 2\n"}
    user = code(tmp_path, models__churn__steps_py=steps, **others)
    path = list(sys.path)
    with user.importable():
        function = user.function("./steps.py:f")
        assert function.__module__ == "custody_models.churn.steps"
        assert user.call(function) == (1, 1)
        assert user.function("shared:g")() == 2
        assert user.owns("sibling")
        assert user.owns("shared")
        assert not user.owns("json")
        assert user.first_party(["custody_models.churn.steps", "shared", "json", "os"]) == (
            "custody_models.churn.steps",
            "shared",
        )
    assert sys.path == path
    assert not {"sibling", "shared", "custody_models", "custody_models.churn.steps"} & set(sys.modules)
    assert not list(tmp_path.rglob("__pycache__"))


def test_another_version_may_follow_in_the_same_process(tmp_path: Path) -> None:
    for number in (1, 2):
        user = code(tmp_path / str(number), models__churn__steps_py=f"def f(): return {number}\n")
        with user.importable():
            assert user.function("./steps.py:f")() == number


def test_folders_and_a_package_file(tmp_path: Path) -> None:
    files = {"models__churn__lib__steps_py": "from .. import MARK\ndef f(): return MARK\n"}
    user = code(tmp_path, **files)
    (tmp_path / "models/churn/__init__.py").write_text("MARK = 'init'\n")
    with user.importable():
        function = user.function("./lib/steps.py:f")
        assert function() == "init"
        assert function.__module__ == "custody_models.churn.lib.steps"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:\n", "models/churn/steps.py:1: SyntaxError: "),
        ("\nimport nowhere_at_all\n", "models/churn/steps.py:2: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("x = 1\n", "steps.py has no function f"),
        ("f = 3\n", "steps.py has no function f"),
        ("def f():\n    raise ValueError('a\\nb')\n", "models/churn/steps.py:2: ValueError: a b"),
        ("def f():\n    import json\n    json.loads('{')\n", "models/churn/steps.py:3: JSONDecodeError: "),
        ("def f(): raise KeyError\n", "models/churn/steps.py:1: KeyError"),
    ],
)
def test_faults_are_one_line_that_names_the_place(tmp_path: Path, text: str, said: str) -> None:
    user = code(tmp_path, models__churn__steps_py=text)
    with user.importable(), pytest.raises(UserCodeError) as caught:
        user.call(user.function("./steps.py:f"))
    assert caught.value.message.startswith(said)
    assert "\n" not in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    user = code(tmp_path, models__churn__other_py="")
    with user.importable(), pytest.raises(UserCodeError, match=r"importing steps\.py: ModuleNotFoundError"):
        user.function("./steps.py:f")


def test_what_lies_elsewhere_is_never_imported_on_a_files_word(tmp_path: Path) -> None:
    user = code(tmp_path, models__churn__steps_py="")
    names = ["antigravity", "custody_models.other.steps", "this"]
    with user.importable():
        assert user.first_party(names) == ()
    assert UserCode("churn", None, "models/churn").first_party(["custody_models.churn.steps"]) == ()
    assert "antigravity" not in sys.modules
