"""A server and several clones of a ledger in memory, acting in random order, and what must hold of what landed.

Writers act as `custody.ledger.sync` does, in memory: on the same functions, with commits that are numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from custody.core.fold import decode_stages, fold, next_version, stages_path
from custody.core.landing import (
    Line,
    fold_over,
    landing_order,
    line_of,
    on_first_parent_line,
)
from custody.domain.record import Kind, ModelState, Record

MODELS = ("churn", "ltv")
STAGE = "production"
STEPS = 30
DROP = 2


class BrokenPromiseError(Exception):
    """Something that must hold does not."""


def require(truth: object, words: str) -> None:
    if not truth:
        raise BrokenPromiseError(words)


@dataclass(frozen=True)
class Fact:
    """What a run is to a decision: the number of its spec commit, its score, and the run it was judged against."""

    spec: int
    score: int
    baseline: str | None
    baseline_score: int | None

    @property
    def passed(self) -> bool:
        return self.baseline_score is None or self.score >= self.baseline_score - DROP


@dataclass
class World:
    """All commits of all clones, and the head of the server."""

    parents: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"g": ()})
    trees: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"g": {}})
    records: dict[str, Record] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    spec_of: dict[str, int] = field(default_factory=dict)
    head: str = "g"
    order: list[str] = field(default_factory=lambda: ["g"])
    folded: dict[str, bytes] = field(default_factory=dict)
    count: int = 0

    def commit(self, parents: tuple[str, ...], tree: dict[str, bytes], record: Record | None = None) -> str:
        self.count += 1
        name = str(self.count)
        self.parents[name], self.trees[name] = parents, tree
        if record:
            self.records[name] = record
        return name

    def model(self, tree: dict[str, bytes], name: str) -> ModelState:
        return decode_stages(name, tree.get(stages_path(name)))

    def push(self, candidate: str) -> bool:
        """Take a candidate that stands on the head, as a server does, and look at what has landed."""
        if self.head not in self.reached(candidate):
            return False
        order = landing_order(candidate, self.parents.__getitem__)
        require(order[: len(self.order)] == self.order, "what had landed was put into another order")
        for commit in order[len(self.order) :]:
            self.land(commit)
        self.head, self.order = candidate, order
        ids = [self.records[commit].id for commit in order if commit in self.records]
        require(len(ids) == len(set(ids)), "a record landed twice")
        return True

    def reached(self, candidate: str) -> set[str]:
        return set(landing_order(candidate, self.parents.__getitem__))

    def land(self, commit: str) -> None:
        """Fold one commit; a commit of the first-parent line must hold exactly what follows."""
        record = self.records.get(commit)
        if record is not None:
            before = self.model(self.folded, str(record.model))
            self.judge(record, before)
            self.folded = {**self.folded, **fold(self.folded.get, record)}
            self.took_effect(record, before)

    def judge(self, record: Record, before: ModelState) -> None:
        run = record.effect.get("run")
        if record.kind is Kind.PROMOTION and run is not None:
            fact, pointer = self.facts[run], before.stages.get(STAGE)
            require(pointer is None or self.spec_of[pointer.record] <= fact.spec, "an older spec won")
            present = self.facts[pointer.run].score if pointer else None
            require(present is None or fact.score >= present - DROP, "worse than what it replaced")
        if record.kind is Kind.REGISTER:
            path = f"models/{record.model}/run.json"
            landed = {self.records[item].files.get(path) for item in self.order_now() if item in self.records}
            require(str(run).encode() in landed, "a decision names a run that has not landed")

    def order_now(self) -> list[str]:
        return [*self.order, *(commit for commit in self.parents if commit not in self.order)]

    def took_effect(self, record: Record, before: ModelState) -> None:
        after = self.model(self.folded, str(record.model))
        if record.kind is Kind.REGISTER:
            require(any(item.record == record.id for item in after.versions.values()), "vN was given twice")
        if record.kind is Kind.PROMOTION:
            require(after.stages.get(STAGE) != before.stages.get(STAGE), "decided on a state that it did not replace")
        if record.kind is Kind.RUN and before.retired and record.id not in NEW:
            require(after.retired, "a retired model came back")


NEW: set[str] = set()
"""Runs of models that were made anew."""


@dataclass
class Wish:
    """What a writer wants to be decided, with constant ids."""

    model: str
    run: str
    id: str
    retire: bool = False


class Writer:
    """One clone. Each rule of the protocol is a method of its own, so that it can be knocked out."""

    def __init__(self, world: World, name: str, chance: random.Random) -> None:
        self.world, self.name, self.chance = world, name, chance
        self.tip = self.landed = "g"
        self.wishes: list[Wish] = []
        self.offered: list[tuple[str, tuple[str, ...]]] = []
        self.candidate: tuple[str, tuple[str, ...]] | None = None
        self.count = 0
        self.told: list[str] = []
        self.recorded: list[str] = []
        self.found: set[str] = set()

    def line(self) -> Line:
        return line_of(self.landed, self.tip, self.world.parents.__getitem__)

    def append(self) -> None:
        """Record a run on the local line, or now and then a hold."""
        self.count += 1
        model, run = self.chance.choice(MODELS), f"{self.name}{self.count}"
        tree = self.world.trees[self.tip]
        state = self.world.model(self.seen(), model)
        if self.chance.random() < 0.08 and state.stages:
            pointer = state.stages[STAGE]
            effect = {"stage": STAGE, "from": pointer.run, "to": None, "reason": "r", "by": "b", "at": "t"}
            self.local(Record(f"hold-{run}", Kind.HOLD, "hold", (), model, effect=effect), tree)
            return
        pointer = state.stages.get(STAGE)
        present = self.world.facts[pointer.run] if pointer else None
        score, spec = self.chance.randrange(10), self.chance.randrange(1, self.world.count + 2)
        self.world.facts[run] = Fact(spec, score, pointer.run if pointer else None, present.score if present else None)
        trailers = (("Category", "new"),) if state.retired else ()
        NEW.update([f"run-{run}"] if state.retired else [])
        files = {f"models/{model}/run.json": run.encode()}
        self.local(Record(f"run-{run}", Kind.RUN, f"train {model}", trailers, model, files=files), tree)
        if self.world.facts[run].passed:
            self.wishes.append(Wish(model, run, run))
        elif self.chance.random() < 0.3:
            self.wishes.append(Wish(model, run, run, retire=True))

    def local(self, record: Record, tree: dict[str, bytes]) -> None:
        self.tip = self.world.commit((self.tip,), {**tree, **fold(tree.get, record)}, record)
        self.recorded.append(record.id)

    def seen(self) -> dict[str, bytes]:
        """State for reading: what has landed, with own facts folded over it."""
        line = self.line()
        base = self.world.trees[str(line.base)]
        return {**base, **fold_over(base.get, [self.world.records[commit] for commit in line.tail])}

    def fetch(self) -> None:
        former, self.landed = self.landed, self.world.head
        require(
            on_first_parent_line(former, self.landed, self.world.parents.__getitem__), "the shared ledger was rewritten"
        )
        for candidate, decided in self.offered:
            if self.look(candidate):
                self.found.update(decided)
                self.settle()

    def look(self, candidate: str) -> bool:
        """Find what an earlier try offered and whose answer was lost."""
        return candidate in self.world.reached(self.landed)

    def build(self) -> None:
        head = self.head()
        decided: list[str] = []
        for wish in self.wishes:
            for make in (self.register, self.promote):
                record = make(self.deciding(head, wish), wish)
                if record is not None and record.id not in self.found:
                    tree = self.world.trees[head]
                    head = self.world.commit((head,), {**tree, **fold(tree.get, record)}, record)
                    self.world.spec_of[record.id] = self.world.facts[wish.run].spec
                    decided.append(record.id)
        self.candidate = head, tuple(decided)
        self.offered.append(self.candidate)

    def head(self) -> str:
        line = self.line()
        return self.merge(line) if line.diverged else str(line.base)

    def merge(self, line: Line) -> str:
        base = self.world.trees[str(line.landed)]
        over = fold_over(
            base.get, [self.world.records[commit] for commit in line.pending if commit in self.world.records]
        )
        return self.world.commit((str(line.landed), str(line.tip)), {**base, **over})

    def deciding(self, head: str, wish: Wish) -> ModelState:
        return self.world.model(self.world.trees[head], wish.model)

    def register(self, state: ModelState, wish: Wish) -> Record | None:
        if wish.retire or state.version_of(wish.run):
            return None
        effect = {"version": next_version(state), "run": wish.run, "artifact": None, "at": "t"}
        return Record(f"register-{wish.id}", Kind.REGISTER, "register", (), wish.model, effect=effect)

    def promote(self, state: ModelState, wish: Wish) -> Record | None:
        if wish.retire:
            return None if state.retired else Record(f"retire-{wish.id}", Kind.RETIRE, "retire", (), wish.model)
        pointer, version = state.stages.get(STAGE), state.version_of(wish.run)
        present = pointer.run if pointer else None
        if version is None or state.retired or present == wish.run or self.held(state):
            return None
        if self.superseded(state, wish) or not self.still_passes(present, wish):
            return None
        effect = {"stage": STAGE, "run": wish.run, "version": version, "replaces": present, "at": "t"}
        return Record(f"promote-{wish.id}", Kind.PROMOTION, "promote", (), wish.model, effect=effect)

    def held(self, state: ModelState) -> bool:
        return bool(state.holds_on(STAGE))

    def superseded(self, state: ModelState, wish: Wish) -> bool:
        pointer = state.stages.get(STAGE)
        return pointer is not None and self.world.facts[wish.run].spec < self.world.spec_of[pointer.record]

    def still_passes(self, present: str | None, wish: Wish) -> bool:
        fact = self.world.facts[wish.run]
        return present is None or fact.score >= self.world.facts[present].score - DROP

    def push(self, weather: str) -> None:
        """Offer the candidate; `weather` is what becomes of the answer."""
        candidate, decided = self.candidate or (self.tip, ())
        self.candidate = None
        if weather == "no connection":
            return
        taken = self.world.push(candidate)
        if weather == "lost answer":
            return
        if taken:
            self.landed = candidate
            self.told += decided
            self.settle()
        else:
            self.lost(candidate)

    def lost(self, candidate: str) -> None:
        """Drop what was not taken; nothing is built upon it."""

    def settle(self) -> None:
        if not self.line().pending:
            self.tip = self.landed
            self.wishes = []
            self.offered, self.found = [], set()

    def crash(self) -> None:
        """Lose what a process knows; the refs stay, and the specs still say what they want."""
        self.candidate = None
        self.offered, self.found = [], set()
        self.count += 100
        self.wishes = [replace(wish, id=f"{wish.run}-{self.count}") for wish in self.wishes]


def run_schedule(kind: Callable[[World, str, random.Random], Writer], seed: int) -> World:
    """Let three writers act in random order, then look at the whole of what landed."""
    chance = random.Random(seed)
    world = World()
    writers = [kind(world, name, chance) for name in "abc"]
    for _ in range(STEPS):
        act(chance.choice(writers), chance)
    for writer in writers:
        writer.fetch()
        writer.build()
        writer.push("fine")
    landed = [world.records[commit].id for commit in world.order if commit in world.records]
    for writer in writers:
        require(set(writer.told) <= set(landed), "something was told that did not land")
        require(set(writer.recorded) <= set(landed), "a fact was lost")
    check_trees(world)
    return world


def run_schedules(kind: type[Writer], count: int) -> None:
    for seed in range(count):
        run_schedule(kind, seed)


def act(writer: Writer, chance: random.Random) -> None:
    if writer.candidate is not None:
        writer.push(chance.choice(["fine", "fine", "fine", "lost answer", "no connection"]))
        return
    match chance.choices(["append", "share", "crash", "fetch"], [5, 6, 1, 1])[0]:
        case "append":
            writer.append()
        case "share":
            writer.fetch()
            writer.build()
        case "fetch":
            writer.fetch()
        case "crash":
            writer.crash()


def check_trees(world: World) -> None:
    """The tree of every commit of the first-parent line is the fold of its landing order."""
    files: dict[str, bytes] = {}
    line: set[str] = set()
    here = world.head
    while here != "g":
        line.add(here)
        here = world.parents[here][0]
    for commit in world.order:
        if commit in world.records:
            files.update(fold(files.get, world.records[commit]))
        if commit in line:
            require(world.trees[commit] == files, "the tree is not the fold")
