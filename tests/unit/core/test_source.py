"""What a Python file means: comments, docstrings and blanks never count, every other token does."""

from __future__ import annotations

import ast
import io
import tokenize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.source import meaning, same_tree

SOURCE = '''"""About this module."""
from __future__ import annotations

import math  # for the root


class Shape:
    """A shape."""

    sides: int = 4  # as usual


def area(a: float, b: float) -> float:
    """Return the area.

    Over several lines.
    """
    # not a docstring
    text = """kept

      with   blanks   # and no comment
    """

    if a:
        return (
            a  # one
            * b
        )
    return math.sqrt(b) \\
        + len(text)


def only():
    """Nothing else."""
'''


def test_what_is_cut() -> None:
    assert (
        meaning(SOURCE.encode()).decode()
        == '''from __future__ import annotations
import math
class Shape:
    sides: int = 4
def area(a: float, b: float) -> float:
    text = """kept

      with   blanks   # and no comment
    """
    if a:
        return (
            a
            * b
        )
    return math.sqrt(b) \\
        + len(text)
def only():
    ""
'''
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\n", "x = 1  # one\n"),
        ("x = 1\n", "\n\n# a\nx = 1   \n\n"),
        ("x = 1\n", "x = 1"),
        ("x = 1\n", "x = 1\r\n"),
        ("x = 1\ny = 2\n", "x = 1\ry = 2\r"),
        ("x = 1\n", "\ufeffx = 1\n"),
        ("def f():\n    'a'\n    return 1\n", "def f():\n    return 1\n"),
        ("def f():\n    'a'\n    return 1\n", "def f():\n    ('other'\n     'text')  # c\n    return 1\n"),
        ("def f(): 'a'\n", "def f(): 'b'\n"),
        ("def f():\n    'a'; return 1\n", "def f():\n    'b'; return 1\n"),
        ("async def f():\n    'a'\n    return 1\n", "async def f():\n    return 1\n"),
        ("'é' 'ü'; x = 1\n", "'a'; x = 1\n"),
    ],
)
def test_same_meaning(before: str, after: str) -> None:
    assert meaning(before.encode()) == meaning(after.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\n", "x = 2\n"),
        ("x = 'a#b'\n", "x = 'a'\n"),
        ('x = """a\n\nb"""\n', 'x = """a\nb"""\n'),
        ('x = """a \nb"""\n', 'x = """a\nb"""\n'),
        ("x = f'''a {1}\n\nb'''\n", "x = f'''a {1}\nb'''\n"),
        ("if x:\n    y = 1\nz = 2\n", "if x:\n    y = 1\n    z = 2\n"),
        ("def f():\n    x = 1\n    'not a docstring'\n", "def f():\n    x = 1\n"),
        ("def f():\n    'a'\n", "def f():\n"),
        ("x = 1 \\\n\n+2\n", "x = 1 \\\n+2\n"),
        ("x = 1 \\\n# c\n+2\n", "x = 1 \\\n+2\n"),
        ("f'a' \n", "f'b'\n"),
        ("b'doc'\nx = 1\n", "x = 1\n"),
    ],
)
def test_another_meaning(before: str, after: str) -> None:
    assert meaning(before.encode()) != meaning(after.encode())


@pytest.mark.parametrize(
    "source",
    [
        b'"""Doc."""\nprint(__doc__)\n',
        b"import inspect\n# why\ninspect.getsource(f)\n",
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"#!/usr/bin/env python\n# vim: set fileencoding=utf-8 :\nx = 1\n",
        b"def f(:\n",
        b"x = '\xff'\n",
        b"x = 1\0\n",
        b"'''never closed",
        b"",
    ],
)
def test_kept_as_it_is(source: bytes) -> None:
    assert meaning(source) == source


def test_a_file_that_no_longer_parses_is_another_one() -> None:
    """Cutting must never make valid and broken source look alike."""
    assert meaning(b"def f():\n    'doc'\n") != meaning(b"def f():\n")


def test_deep_nesting_is_survived() -> None:
    deep = b"x = " + b"(" * 5000 + b")" * 5000
    assert meaning(deep) == deep
    assert not same_tree(deep, deep + b"\n")


def test_warnings_of_the_parser_are_not_ours() -> None:
    assert meaning(b"x = '\\d'  # one\n") == b"x = '\\d'\n"


def test_same_tree_after_reformatting() -> None:
    before = b"def f(a,b):\n  'doc'\n  return {'x':a,\n   'y':b}\n"
    after = b'def f(a, b):\n    """doc"""\n    return {"x": a, "y": b}\n'
    assert meaning(before) != meaning(after)
    assert same_tree(before, after)
    assert not same_tree(before, after.replace(b'"y"', b'"z"'))
    assert not same_tree(b"print(__doc__)", b"print( __doc__ )")
    assert not same_tree(b"x = (", b"x = [")


LINES = SOURCE.split("\n")
SAFE = [  # lines before which a comment or a blank line may stand
    number
    for number in range(len(LINES))
    if not any(
        token.type == tokenize.STRING and token.start[0] - 1 < number <= token.end[0] - 1
        for token in tokenize.generate_tokens(io.StringIO(SOURCE).readline)
    )
    and (number == 0 or not LINES[number - 1].endswith("\\"))
]
NOISE = st.sampled_from(["", "   ", "# a comment", '    # \'quoted\' """ comment', "\t", "#", "\x0c"])


@given(st.lists(st.tuples(st.sampled_from(SAFE), NOISE), max_size=8), st.lists(st.sampled_from(SAFE), max_size=4))
def test_noise_never_counts(inserted: list[tuple[int, str]], trailing: list[int]) -> None:
    lines = list(LINES)
    for number in trailing:
        if number in SAFE and number + 1 in SAFE:
            lines[number] += "  # more" if lines[number].strip() else "  "
    for number, noise in sorted(inserted, reverse=True):
        lines.insert(number, noise)
    noisy = "\n".join(lines)
    ast.parse(noisy)
    assert meaning(noisy.encode()) == meaning(SOURCE.encode())


TOKENS = [
    token
    for token in tokenize.generate_tokens(io.StringIO(SOURCE).readline)
    if token.type in {tokenize.NAME, tokenize.NUMBER} or (token.type == tokenize.STRING and "kept" in token.string)
]


@given(st.sampled_from(TOKENS), st.sampled_from(["other", "7", "'text'"]))
def test_every_other_token_counts(token: tokenize.TokenInfo, other: str) -> None:
    starts = [0]
    for line in LINES:
        starts.append(starts[-1] + len(line) + 1)
    low = starts[token.start[0] - 1] + token.start[1]
    high = starts[token.end[0] - 1] + token.end[1]
    changed = SOURCE[:low] + other + SOURCE[high:]
    assert meaning(changed.encode()) != meaning(SOURCE.encode())


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="ignore")))
def test_any_bytes_have_a_meaning(source: bytes) -> None:
    assert isinstance(meaning(source), bytes)
    assert same_tree(source, source)
