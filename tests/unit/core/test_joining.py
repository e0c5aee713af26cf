from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from custody.core.joining import match

IDS = st.lists(st.sampled_from("abcdefgh"), max_size=12)


def texts(values: str | list[str]) -> np.ndarray:
    return np.array(list(values), dtype="<U4")


def test_the_last_known_outcome_counts() -> None:
    found = match(texts("abc"), texts("bbxa"), np.array([5.0, 3.0, 1.0, 9.0]), until=8.0)
    assert found.predictions.tolist() == [1]
    assert found.outcomes.tolist() == [0]
    assert (found.superseded, found.repeated, found.orphans, found.early) == (1, 0, 1, 1)
    again = match(texts("abc"), texts("bbxa"), np.array([5.0, 3.0, 1.0, 9.0]))
    assert again.predictions.tolist() == [0, 1]
    assert again.outcomes.tolist() == [3, 0]


def test_of_equal_times_the_later_row_counts() -> None:
    assert match(texts("a"), texts("aa")).outcomes.tolist() == [1]


def test_nothing_joins_nothing() -> None:
    assert match(texts(""), texts("")).predictions.tolist() == []
    found = match(texts("ab"), texts(""))
    assert found.predictions.tolist() == found.outcomes.tolist() == []
    assert match(texts(""), texts("ab")).orphans == 2


@given(IDS, IDS, st.randoms())
def test_it_joins_as_a_dictionary_would(predicted: list[str], observed: list[str], random: object) -> None:
    times = [float(random.randint(0, 3)) for _ in observed]  # type: ignore[attr-defined]
    newest: dict[str, tuple[float, int]] = {}
    for place, name in enumerate(observed):
        newest[name] = max(newest.get(name, (-1.0, -1)), (times[place], place))
    first = {name: predicted.index(name) for name in predicted}
    expected = sorted((name, first[name], newest[name][1]) for name in first if name in newest)
    found = match(texts(predicted), texts(observed), np.array(times))
    assert found.predictions.tolist() == [item[1] for item in expected]
    assert found.outcomes.tolist() == [item[2] for item in expected]
    assert found.orphans == len(set(observed) - set(predicted))
    assert found.superseded == len(observed) - len(set(observed))
    assert found.repeated == len(predicted) - len(set(predicted))
