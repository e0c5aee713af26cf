"""Several writers, crashes, lost answers and lost connections in random order: what must hold, and why each rule is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from custody.core.fold import advance, decode_stages, encode_stages, fold, next_version, stages_path
from custody.core.landing import Line, fold_over, line_of, merge_subject, newest_common
from custody.domain.record import Kind, ModelState, Record
from tests.unit.core import sharing
from tests.unit.core.sharing import (
    STEPS,
    BrokenPromiseError,
    Wish,
    World,
    Writer,
    act,
    run_schedule,
    run_schedules,
)

SCHEDULES = 2000
KNOCKED_OUT = 400


@pytest.mark.slow
def test_two_thousand_schedules_keep_every_promise() -> None:
    landed = merges = 0
    for seed in range(SCHEDULES):
        world = run_schedule(Writer, seed)
        landed += sum(commit in world.records for commit in world.order)
        merges += sum(len(world.parents[commit]) > 1 for commit in world.order)
    assert landed > 5 * SCHEDULES
    assert merges > SCHEDULES


class DirectoryTakenWhole(Writer):
    def merge(self, line: Line) -> str:
        base, own = self.world.trees[str(line.landed)], self.world.trees[str(line.tip)]
        models = {self.world.records[commit].model for commit in line.pending if commit in self.world.records}
        taken = {path: data for path, data in own.items() if path.split("/")[1] in models}
        return self.world.commit((str(line.landed), str(line.tip)), {**base, **taken})


class DecisionsMerged(Writer):
    """Keeps a decision that lost its race on the local line, like a fact."""

    def lost(self, candidate: str) -> None:
        if len(self.world.parents[candidate]) == 1:
            self.tip = candidate

    def look(self, candidate: str) -> bool:  # noqa: ARG002
        return False


class LocalFirst(Writer):
    def merge(self, line: Line) -> str:
        base = self.world.trees[str(line.landed)]
        over = fold_over(base.get, [self.world.records[commit] for commit in line.pending])
        return self.world.commit((str(line.tip), str(line.landed)), {**base, **over})


class OrderedByClock(Writer):
    """Folds what a merge brings by the authors' clocks: commits are numbered as they are written."""

    def merge(self, line: Line) -> str:
        reached = self.world.reached(str(line.landed)) | self.world.reached(str(line.tip))
        known = sorted((commit for commit in reached if commit in self.world.records), key=int)
        tree = fold_over(lambda _: None, [self.world.records[commit] for commit in known])
        return self.world.commit((str(line.landed), str(line.tip)), tree)


class HoldsUnread(Writer):
    def held(self, state: ModelState) -> bool:  # noqa: ARG002
        return False


class OlderSpecsWin(Writer):
    def superseded(self, state: ModelState, wish: Wish) -> bool:  # noqa: ARG002
        return False


class JudgedOnce(Writer):
    def still_passes(self, present: str | None, wish: Wish) -> bool:  # noqa: ARG002
        return self.world.facts[wish.run].passed


class DecidedBeforeOwnFacts(Writer):
    def head(self) -> str:
        return self.landed

    def deciding(self, head: str, wish: Wish) -> ModelState:
        return self.world.model({**self.seen(), **self.world.trees[head]}, wish.model)


class NeverLooked(Writer):
    def look(self, candidate: str) -> bool:  # noqa: ARG002
        return False

    def register(self, state: ModelState, wish: Wish) -> Record | None:
        record = super().register(replace(state, versions={}), wish)
        return record and replace(record, effect={**record.effect, "version": next_version(state)})


class BuiltOnWhatDidNotLand(Writer):
    def lost(self, candidate: str) -> None:
        while candidate != self.landed and len(self.world.parents[candidate]) == 1:
            (candidate,) = self.world.parents[candidate]
        if len(self.world.parents[candidate]) > 1:
            self.tip = candidate


class FactsRebuilt(Writer):
    """Writes own facts again on what has landed, as a rebase does."""

    def head(self) -> str:
        line = self.line()
        here = str(line.base)
        if line.diverged:
            here = str(line.landed)
            for commit in line.pending:
                tree, record = self.world.trees[here], self.world.records[commit]
                here = self.world.commit((here,), {**tree, **fold(tree.get, record)}, record)
        return here


class ToldBeforeItLanded(Writer):
    def build(self) -> None:
        super().build()
        self.told += self.candidate[1] if self.candidate else ()


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (DirectoryTakenWhole, "the tree is not the fold|vN was given twice|it did not replace"),
        (DecisionsMerged, "vN was given twice|it did not replace|older spec|worse than|landed twice"),
        (LocalFirst, "into another order|was rewritten"),
        (OrderedByClock, "the tree is not the fold"),
        (HoldsUnread, "it did not replace"),
        (OlderSpecsWin, "an older spec won"),
        (JudgedOnce, "worse than what it replaced"),
        (DecidedBeforeOwnFacts, "a run that has not landed|a fact was lost"),
        (NeverLooked, "landed twice|vN was given twice"),
        (BuiltOnWhatDidNotLand, "holds the merge"),
        (FactsRebuilt, "landed twice"),
        (ToldBeforeItLanded, "told that did not land"),
    ],
)
def test_without_one_rule_a_promise_is_broken(without: type[Writer], words: str) -> None:
    with pytest.raises((BrokenPromiseError, ValueError), match=words):
        run_schedules(without, KNOCKED_OUT)


def test_a_retired_model_that_facts_bring_back_breaks_a_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    def returning(read: Callable[[str], bytes | None], record: Record) -> dict[str, bytes]:
        files = fold(read, record)
        if record.kind is Kind.RUN:
            path = stages_path(str(record.model))
            state = advance(decode_stages(str(record.model), read(path)), record)
            files[path] = encode_stages(replace(state, retired=False))
        return files

    monkeypatch.setattr(sharing, "fold", returning)
    with pytest.raises(BrokenPromiseError, match="a retired model came back"):
        run_schedules(Writer, KNOCKED_OUT)


def test_the_line_says_what_is_pending_and_where_reading_starts() -> None:
    graph = {"g": (), "a": ("g",), "b": ("g",), "c": ("b",), "m": ("a", "c"), "d": ("c",)}
    at = graph.__getitem__
    assert line_of("g", None, at).base == "g"
    assert line_of("g", "c", at) == Line("g", "c", ("b", "c"), diverged=False)
    assert line_of("g", "c", at).base == "c"
    assert line_of("a", "c", at) == Line("a", "c", ("b", "c"), diverged=True)
    assert (line_of("a", "c", at).base, line_of("a", "c", at).tail) == ("a", ("b", "c"))
    assert line_of("m", "c", at) == Line("m", "c", ())
    assert line_of("m", "d", at) == Line("m", "d", ("d",), diverged=True)
    assert line_of(None, "c", at) == Line(None, "c", ("g", "b", "c"))
    with pytest.raises(ValueError, match="no commit in common"):
        line_of("x", "c", {**graph, "x": ()}.__getitem__)


def test_the_newest_common_commit_is_found_however_it_landed() -> None:
    for seed in range(200):
        chance = random.Random(seed)
        world = World()
        writers = [Writer(world, name, chance) for name in "abc"]
        for _ in range(STEPS):
            act(chance.choice(writers), chance)
            reached = world.reached(world.head)
            for writer in writers:
                here = writer.tip
                while here not in reached:
                    here = world.parents[here][0]
                assert newest_common(writer.tip, world.head, world.parents.__getitem__) == here


def test_a_merge_says_what_it_lands() -> None:
    def fact(number: int, model: str | None) -> Record:
        return Record(f"r-{number}", Kind.RUN, f"train {model}", (), model)

    assert merge_subject([fact(1, "churn")]) == "train churn"
    assert merge_subject([fact(1, "ltv"), fact(2, "churn"), fact(3, "ltv")]) == "3 records: churn, ltv"
    assert merge_subject([fact(number, f"m{number}") for number in range(7)]).endswith("m0, m1, m2, m3, m4 and 2 more")
    assert merge_subject([fact(1, None), fact(2, None)]) == "2 records: data"
