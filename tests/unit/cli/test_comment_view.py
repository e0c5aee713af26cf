from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from custody.app.comment import Comment, Gate, ModelComment, RelaxedGate
from custody.app.compare import Candidate
from custody.cli.views import annotations, markdown
from custody.cli.views.comment_json import to_json
from custody.cli.views.markdown import LIMIT, MARKER, Level, Links
from custody.core.comparison import Comparison, Difference, Flips, SliceDifference
from custody.core.relaxed import Relaxed
from custody.domain.plan import Category, Change, Do, Estimate, Plan, PlannedStep, Reason, StageMove, StepTime
from custody.domain.problem import Place, Problem
from custody.domain.verdict import GateResult
from tests.unit.core.build import model, run

FILES = "https://github.com/acme/models/blob/" + "a" * 40 + "/"
NASTY = (
    "@acme/risk please | merge | `now` <img src=x onerror=alert(1)> <!-- custody:plan --> [x](https://evil.example)\n"
    "| forged | row |\n::error::x\n# 12 &lt; www.evil.example \x1b[31m\u202e\x00 GH-12 #12 ~~x~~ $x$ ![i](//e)"
)
OURS = re.compile(r"</?(?:details|summary)>")


def comment(words: str = "max_depth", models: int = 1, category: Category = Category.RETRAIN) -> Comment:
    items = tuple(_model(f"{words}{number or ''}", category) for number in range(models))
    plan = Plan("7c1e90d" + "0" * 57, tuple(item.change for item in items), "9f31c2e" * 5, "b", "c" * 40)
    owed = ((f"other {words}", Category.REGATE),)
    return Comment(plan, items, "d" * 40, owed, notes=(f"note {words}",), unchanged=46)


def _model(name: str, category: Category) -> ModelComment:
    place = Place(f"models/{name}/pipeline.yaml", 4, 9)
    reasons = (
        Reason("param.changed", f"train.{name}", 4, name, place, name),
        Reason("data.changed", "data", "customers@v3", f"customers@{name}", None, name),
    )
    steps = (PlannedStep("fetch", Do.REUSE, {}), PlannedStep("train", Do.RUN, {}))
    change = Change(name, category, reasons, steps, (StageMove("production", "1" * 16, None),))
    metric = Difference(name, 0.835, 0.841, -0.003, 0.015, 0.82, 0.86)
    comparison = Comparison(
        (metric, Difference("accuracy", None, 0.5)),
        (SliceDifference(name, name, 50, metric, Flips(50, 1, 2, 3)),),
        Flips(2113, 44, 74),
        2113,
        2000,
    )
    gates = (
        Gate(GateResult(f"{name}.min", name, 0.841, 0.82, passed=True), 0.021, narrow=True),
        Gate(GateResult(f"slices.{name}.{name}.min", name, 0.7, 0.75, False, name, note=name), -0.05),
    )
    relaxed = (RelaxedGate(Relaxed(f"metrics.{name}.min", 0.85, 0.82), place),)
    return ModelComment(
        change,
        reasons,
        relaxed,
        Candidate(run(model()), trial=True),
        run(model()),
        "v18",
        "v19",
        comparison,
        gates,
        Estimate({"train": StepTime(180.0, 200.0, 400.0, 14)}),
        f"customers@{name}",
    )


def _passing(found: Comment) -> Comment:
    return replace(found, models=tuple(replace(item, gates=item.gates[:1]) for item in found.models))


def test_the_comment_says_what_a_reviewer_asks() -> None:
    said = markdown.text(_passing(comment("churn")), Links(FILES))
    lines = said.splitlines()
    assert lines[0] == MARKER
    assert lines[1] == "### custody · ✅ may merge (1/1 gates) · 1 retrain · 46 unchanged"
    bounds = "(\N{MINUS SIGN}0.003 … +0.015)"
    row = f"| `churn` | 0.835 | 0.841 | +0.006 {bounds} | no clear difference | ≥ 0.82 ✔ pass, narrowly |"
    for part in (
        "⚠️ **gate relaxed**: this change loosens 1 limit",
        "⚠️ 1 gate judged narrowly: the limit lies within the 95 % interval",
        "| metric | production v18 | this change | difference (95 % interval) | | gate |",
        row,
        "Predictions that flip: 118 of 2,113 (5.6%): 74 fixed, 44 newly wrong",
        "2,113 test rows, the same for both; 2,000 paired resamples.",
        f"**gate relaxed**: [metrics.churn.min 0.85 → 0.82]({FILES}models/churn/pipeline.yaml#L4)",
        f"[param train.churn 4 → churn (churn)]({FILES}models/churn/pipeline.yaml#L4)",
        "| `churn = churn` | 50 | `churn` |",
        "2 fixed, 1 newly wrong, 3 wrong in another way",
        "- `churn`: runs train ≈ 3 min 0 s (p90 3 min 20 s, 6 min 40 s CPU, n = 14), then production → v19 (was v18)",
        "Blast radius: 1 model · 1 may answer differently · 1 stage",
        "The base itself still owes: other churn (re-gate).",
        "Plan `7c1e90d` for `9f31c2e9f` against `ddddddddd`",
    ):
        assert part in said, part


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (comment(), "❌ 1 model would not pass its gates"),
        (comment(category=Category.BLOCKED), "⛔ blocked: 1 model"),
        (replace(comment(), models=()), "✅ nothing changes"),
        (replace(comment(), models=(replace(comment().models[0], measured=None),)), "❔ not measured yet: 1 model"),
        (replace(comment(), problems=(Problem("C104", "wrong"),)), "❌ cannot be planned: 1 error in the specs"),
    ],
)
def test_the_verdict(found: Comment, words: str) -> None:
    assert markdown.verdict(found).startswith(words)
    assert words in markdown.text(found).splitlines()[1]


@pytest.mark.heavy
def test_long_comments_are_cut_in_order_and_the_summary_never() -> None:
    whole = comment("x" * 30, models=300)
    seen = []
    for limit in (10**9, 600_000, 200_000, LIMIT, 2_000):
        said = markdown.text(whole, Links(FILES, "https://github.com/acme/models/actions/runs/1"), limit)
        assert len(said.encode()) <= limit
        assert said.count(MARKER) == 1
        assert "300 models would not pass" in said.splitlines()[1]
        assert "**gate relaxed**: this change loosens 300 limits" in said
        seen.append(len(said.encode()))
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) >= 4
    assert "[the whole plan](https://github.com/acme/models/actions/runs/1)" in said
    assert "300 retrain · 46 unchanged" in said


def harmless(said: str, limit: int = LIMIT) -> None:
    """All that a host would act on is custody's own."""
    assert len(said.encode()) <= limit
    assert said.count(MARKER) == 1
    assert said.startswith(MARKER)
    bare = OURS.sub("", said.replace(MARKER, "", 1))
    text = re.sub(r"`[^`\n]*`", "", re.sub(r"\\.", "", bare))
    assert "<" not in text
    assert "`" not in text
    assert not re.search(r"@[A-Za-z0-9]", text)
    assert not re.search(
        r"#\d", text.replace("&#8203;", "").replace("&#35;", "").replace("&#36;", "").replace("#L", "")
    )
    assert all(char.isprintable() or char == "\n" for char in said)
    assert {"image", "s_open", "em_open", "fence", "code_block"}.isdisjoint(parsed(said))
    links = re.findall(r"\]\(([^)]*)\)", text)
    assert all(link.startswith(FILES) for link in links)
    assert not re.search(r"https?://|www\.", re.sub(r"\]\([^)]*\)", "", text))
    _tables(said)


def parsed(said: str, files: str = FILES) -> list[str]:
    """Return what a Markdown parser makes of it: kinds of tokens; raw HTML and links are custody's own."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(said)
    flat = [one for token in tokens for one in (token, *(token.children or ()))]
    for token in flat:
        if token.type in {"html_block", "html_inline"}:
            assert not OURS.sub("", token.content.replace(MARKER, "")).strip().count("<")
        if token.type == "link_open":
            assert str(token.attrs["href"]).startswith(files)
    return [token.type for token in flat]


def test_a_parser_finds_no_more_in_hostile_text_than_in_plain() -> None:
    plain_kinds, hostile = parsed(markdown.text(_every("x"), Links())), parsed(markdown.text(_every(NASTY), Links()))
    assert {"image", "s_open", "em_open"}.isdisjoint(hostile)
    for kind in ("table_open", "tr_open", "td_open", "heading_open", "list_item_open", "strong_open", "html_block"):
        assert hostile.count(kind) == plain_kinds.count(kind), kind


def _tables(said: str) -> None:
    """Each table has a head of ours, and each of its rows as many cells as that."""
    heads = ("| model | what |", "| metric |", "| slice |", "| gate |")
    cells = 0
    for line in said.splitlines():
        if not line.startswith("|"):
            cells = 0
            continue
        count = len(re.sub(r"\\.", "", line).split("|"))
        if not cells:
            assert line.startswith(heads)
            cells = count
        assert count == cells, line


def _every(words: str) -> Comment:
    found = comment(words, 2)
    problem = Problem(words, words, Place(words, 3, 1), words, words, (words,), (words,))
    plan = replace(found.plan, new_versions=(words,), branch=words)
    return replace(found, plan=plan, problems=(problem,))


def test_hostile_text_stays_text() -> None:
    for level in Level:
        harmless(markdown.render(_every(NASTY), Links(FILES), level))
    said = markdown.text(_every(NASTY), Links(FILES))
    assert "onerror" in said
    assert "\n| forged" not in said


def test_blanks_are_named_and_endless_paths_are_not_linked() -> None:
    assert "| (blank) | retrain |" in markdown.text(comment(" \u2003"), Links(FILES))
    assert "](" in markdown.text(comment("x" * 100), Links(FILES))
    assert "](" not in markdown.text(comment("x" * 200), Links(FILES))


@settings(max_examples=60, deadline=None)
@given(
    st.text(
        st.one_of(st.sampled_from("@|`<>&[]()!#*_~$:\\\n\r\t\x00\x1b\u202e\u2028 wWw.hHtTpPsS/-=0a"), st.characters())
    )
)
def test_any_text_stays_text(words: str) -> None:
    harmless(markdown.text(_every(words), Links(FILES)))


@pytest.mark.heavy
@settings(max_examples=15, deadline=None)
@given(st.text(min_size=1), st.integers(0, 80), st.sampled_from(list(Category)))
def test_any_size_stays_below_the_limit(words: str, models: int, category: Category) -> None:
    harmless(markdown.text(comment(words * 50, models, category), Links(FILES)))


def test_annotations_stand_at_the_lines_and_cannot_be_forged() -> None:
    found = annotations.lines(comment("x"))
    assert found[0] == (
        "::warning file=models/x/pipeline.yaml,line=4,col=9,endColumn=9,title=x%3A gate relaxed::"
        "gate relaxed: metrics.x.min 0.85 → 0.82"
    )
    assert found[1].startswith("::notice file=models/x/pipeline.yaml,line=4")
    for line in annotations.lines(_every(NASTY)):
        assert "\n" not in line
        assert "\x1b" not in line
        assert line.startswith(("::warning ", "::notice ", "::error "))


def test_json_has_the_same_facts_with_all_digits() -> None:
    found: dict[str, Any] = to_json(comment("churn"), "words")
    item = found["models"][0]
    assert item["comparison"]["metrics"][0]["interval"] == [-0.003, 0.015]
    assert item["comparison"]["flips"] == {"rows": 2113, "newly_wrong": 44, "fixed": 74, "moved": 0, "tolerance": None}
    assert (item["passed"], item["relaxed"][0]["after"], item["gates"][0]["narrow"]) == (False, 0.82, True)
    whole = {"p50": 180.0, "p90": 200.0, "cpu": 400.0, "n": 14}
    assert item["estimate"] == {**whole, "steps": {"train": whole}}
