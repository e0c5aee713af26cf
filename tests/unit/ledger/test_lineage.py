from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from custody.ledger.lineage import Rename, Span, name_now, spans

END = Span("x").before


def test_a_model_that_was_never_renamed_is_its_name() -> None:
    assert spans("churn", [Rename(5, "risk", "debt")]) == (Span("churn"),)


def test_a_name_that_is_used_again_is_another_model() -> None:
    renames = [Rename(5, "churn", "leavers"), Rename(9, "leavers", "gone"), Rename(20, "gone", "leavers")]
    assert spans("churn", renames) == (Span("churn", 5),)
    assert spans("leavers", renames) == (
        Span("leavers", 9),
        Span("gone", -1, 20),
        Span("leavers", -1, 9),
        Span("churn", -1, 5),
    )
    assert [name_now("churn", position, renames) for position in (1, 6)] == ["leavers", "churn"]


@given(st.lists(st.sampled_from(["rename", "record", "new"]), max_size=40), st.data())
def test_every_record_belongs_to_one_model_whatever_it_was_called(steps: list[str], data: st.DataObject) -> None:
    """Against a model that carries its records along: names a to e, renamed to names that are free."""
    renames: list[Rename] = []
    owned: dict[str, list[int]] = {"a": []}
    made: dict[int, str] = {}
    for position, step in enumerate(steps):
        free = [name for name in "abcde" if name not in owned]
        name = data.draw(st.sampled_from(sorted(owned)))
        if step == "record" or not free:
            owned[name].append(position)
            made[position] = name
        elif step == "new":
            owned[data.draw(st.sampled_from(free))] = []
        else:
            other = data.draw(st.sampled_from(free))
            owned[other] = owned.pop(name)
            renames.append(Rename(position, name, other))
    for name, positions in owned.items():
        found = spans(name, renames)
        within = [
            position
            for position, called in made.items()
            if any(span.name == called and span.after < position < span.before for span in found)
        ]
        assert within == positions
        assert all(name_now(made[position], position, renames) == name for position in positions)
