"""What the views say, against approved texts, and the same facts as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from custody.app.apply_result import Applied, AppliedModel
from custody.app.records import Recorded
from custody.app.status import Left, Live, ModelStatus, Status
from custody.app.trace import Fact, Trace
from custody.cli.actions import Actions
from custody.cli.views import apply as apply_view
from custody.cli.views import log as log_view
from custody.cli.views import plan as plan_view
from custody.cli.views import problems as problems_view
from custody.cli.views import progress as progress_view
from custody.cli.views import show as show_view
from custody.cli.views import status as status_view
from custody.cli.views import trace as trace_view
from custody.cli.views.text import duration, plain
from custody.core.deployments import Standing
from custody.core.serving import Departure
from custody.domain.graph import Event, Node, Progress, Ref, StepOutput, StepRecord, StepStatus
from custody.domain.plan import Category, Change, Do, Plan, PlannedStep, Reason, StageMove
from custody.domain.problem import Place, Problem, Severity
from custody.domain.record import Deployed, Entry, Failure, Headline, Run, RunStatus, StagePointer
from custody.domain.verdict import GateResult, Verdict
from tests.unit.cli.golden import approve

STEPS = ("fetch", "validate", "split", "prepare", "train", "evaluate")
RUN = "1a2b3c4d5e6f7081"
LAST = {
    "id": RUN,
    "subject": "train churn: roc_auc 0.841, 3/3 gates passed",
    "when": "2026-11-24T12:00:00+00:00",
    "who": "Ana <ana@example.org>",
    "commit": "41ab07c" + "0" * 33,
    "code": "9f31c2e" + "0" * 33,
}


def planned(*run: str, maybe: tuple[str, ...] = ()) -> tuple[PlannedStep, ...]:
    def do(step: str) -> Do:
        return Do.RUN if step in run else Do.MAYBE if step in maybe else Do.REUSE

    return tuple(PlannedStep(step, do(step), {"uses": step}, f"k1:{step}") for step in STEPS)


def change(model: str, category: Category, *reasons: Reason, **rest: Any) -> Change:
    return Change(model, category, reasons, **rest)


def plan(*changes: Change, **rest: Any) -> Plan:
    facts: dict[str, Any] = {
        "spec_commit": "9f31c2e" + "0" * 33,
        "branch": "main",
        "ledger_head": "41ab07c" + "0" * 33,
        "last": LAST,
    }
    return Plan("7c1e90d" + "f" * 57, changes, **(facts | rest))


MAX_DEPTH = Reason("param.changed", "train.max_depth", 4, 6, Place("models/churn/pipeline.yaml", 4, 9))
LIMIT = Reason("limit.changed", "metrics.roc_auc.min", 0.8, 0.82, Place("models/upsell/gates.yaml", 2, 18), "raised")
DATA = Reason(
    "data.changed",
    "data",
    "customers@v3",
    "customers@v4",
    Place("models/ltv/data.yaml", 1, 10),
    "sha256:9b1c → 51aa, +12,004 rows",
)
REFUSED = Reason(
    "purpose.refused",
    "purpose advertising",
    place=Place("models/fraud/model.yaml", 2, 10),
    note="customers may be used for retention (datasets/customers/dataset.yaml:2:11)",
)
HELD = Reason("gate.failed", "recall.min", 0.7, 0.61, Place("models/risk/gates.yaml", 2, 12))
LOCK = Reason(
    "environment.changed",
    "environment",
    "3b0ebd40",
    "6434d293",
    Place("requirements.lock", 12, 1),
    "3 packages since run 1a2b3c4d, 1 of which it did not load",
    ("numpy 2.1.0 → 2.2.0", "scikit-learn 1.6.1 → 1.7.0"),
)
EVERYTHING = plan(
    change(
        "churn",
        Category.RETRAIN,
        MAX_DEPTH,
        steps=planned("train", "evaluate"),
        moves=(StageMove("production", RUN, None),),
        annotations=(LOCK,),
    ),
    change("digits", Category.NOOP, steps=planned(), annotations=(LOCK,)),
    change("fraud", Category.BLOCKED, REFUSED),
    change("iris", Category.NEW, Reason("never-run", "no run is recorded"), steps=planned("fetch", maybe=STEPS[1:])),
    change("ltv", Category.REBUILD, DATA, steps=planned("fetch", "evaluate", maybe=STEPS[1:5])),
    change(
        "old",
        Category.RETIRE,
        Reason("model.removed", "its directory is gone; records and versions stay"),
        moves=(StageMove("production", RUN, None, cleared=True),),
    ),
    change("risk", Category.HELD, HELD, steps=planned()),
    change(
        "segments",
        Category.ROLLBACK,
        Reason("stage.changed", "production", "v3", "v2", note="run 1a2b3c4d has these inputs and passed its gates"),
        steps=planned(),
        moves=(StageMove("production", "f" * 16, RUN, "v2"),),
    ),
    change("upsell", Category.REGATE, LIMIT, steps=planned()),
    change(
        "visits",
        Category.MONITOR,
        Reason("monitor.changed", "outcomes.bias", "auto", 40, Place("models/visits/monitors.yaml", 9, 9)),
        steps=planned(),
    ),
    change("wine", Category.METADATA, Reason("metadata.changed", "owner", "ann", "a team"), steps=planned()),
    change("zip", Category.NOOP, steps=planned()),
    new_versions=("customers@v4",),
)


def test_a_plan_with_everything() -> None:
    approve("plan", plan_view.text(EVERYTHING, "0.1.0"))


def test_a_plan_of_an_edited_working_tree_after_a_crash() -> None:
    edited = plan(
        EVERYTHING.changes[0],
        dirty=tuple(f"models/churn/part{number}.py" for number in range(7)),
        crashed=(RUN,),
        branch=None,
    )
    approve("plan_dirty", plan_view.text(edited, "0.1.0"))


def test_nothing_to_do() -> None:
    unchanged = tuple(change(name, Category.NOOP) for name in "abcd")
    approve("plan_nothing", plan_view.text(plan(*unchanged), "0.1.0"))
    held = plan_view.text(plan(*unchanged, change("risk", Category.HELD, HELD)), "0.1.0")
    assert plain(held).splitlines()[-1].endswith("spec commit 9f31c2e), 1 held.")
    assert "recall.min not passed: 0.61, limit 0.7" in held


def test_a_plan_before_there_is_anything() -> None:
    empty = plan(spec_commit=None, ledger_head=None, last={})
    text = plain(plan_view.text(empty, "0.1.0"))
    assert text.splitlines()[0] == "custody 0.1.0 · spec not committed yet (branch main) · ledger empty"
    assert text.splitlines()[-1] == "Nothing to do: no model is declared."


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (None, 4, "nothing → 4"),
        (True, False, "true → false"),
        ("a", "", 'a → ""'),
        ([1, "x"], {"a": 1.5}, '[1, "x"] → {"a": 1.5}'),
        ("x" * 90, "\x1b[2J", "x" * 59 + "… → \\x1b[2J"),
    ],
)
def test_values_in_reasons(before: Any, after: Any, shown: str) -> None:
    assert plan_view.reason_text(Reason("param.changed", "train.p", before, after)) == f"param train.p {shown}"


def test_many_reasons_are_cut_and_counted() -> None:
    many = tuple(Reason("param.changed", f"train.p{number}", 1, 2) for number in range(30))
    block = plan_view.block(change("churn", Category.RETRAIN, *many))
    assert block[8].strip() == "… and 22 more reasons (custody plan --json)"


def test_every_category_has_its_sign_and_word_in_the_text() -> None:
    for category in Category:
        if category is not Category.NOOP:
            text = plain("\n".join(plan_view.block(change("churn", category, MAX_DEPTH))))
            assert text.startswith(f"  {category.sign} churn  {category.word}  param")


def test_a_plan_as_json_has_the_same_facts() -> None:
    value = json.loads(json.dumps(plan_view.to_json(EVERYTHING, "0.1.0")))
    assert value["format_version"] == "1.0"
    assert value["has_changes"] is True
    assert value["summary"]["unchanged"] == 2
    churn = value["changes"][0]
    assert churn["reasons"][0]["place"] == "models/churn/pipeline.yaml:4:9"
    assert [step["do"] for step in churn["steps"]] == ["reuse"] * 4 + ["run"] * 2
    text = plain(plan_view.text(EVERYTHING, "0.1.0"))
    for item in value["changes"]:
        assert item["model"] in text or item["category"] == "unchanged"


def run(model: str, status: RunStatus = RunStatus.PASSED, **rest: Any) -> Run:
    gates = (
        GateResult("roc_auc.min", "roc_auc", 0.841, 0.82, passed=True),
        GateResult(
            "slices.gender.min_ratio",
            "selection_rate",
            0.7 if status is RunStatus.REJECTED else 0.9,
            0.8,
            passed=status is not RunStatus.REJECTED,
        ),
    )
    done = StepRecord(
        "train",
        StepStatus.DONE,
        "k1:a",
        {"uses": "sklearn.Ridge"},
        {},
        StepOutput(Ref("model", "d" * 64, "d" * 64)),
        seconds=3.2,
        cpu=3.0,
        memory=210 << 20,
    )
    facts: dict[str, Any] = {
        "id": RUN,
        "code": "9f31c2e" + "0" * 33,
        "data": {"dataset": "customers", "version": "v3", "logical": "ab" * 32, "rows": 10},
        "steps": {"train": done},
        "metadata": {},
        "limits": {"metrics": {"roc_auc": {"min": 0.82}}},
        "metrics": {"accuracy": 0.8, "roc_auc": 0.8411, "f1": None},
        "verdict": Verdict("l", gates) if status in {RunStatus.PASSED, RunStatus.REJECTED} else None,
        "params": {"max_depth": 4, "text": "a b"},
        "seed": 7,
        "artifact": "ef" * 32,
        "category": "retrain",
        "reasons": ({"code": "param.changed", "subject": "train.max_depth", "before": 4, "after": 6, "note": "n"},),
        "environment": {"python": "3.11.7"},
        "closure": {"models/churn/steps.py": "b" * 40, "src/x.py": None},
        "actor": "Ana <ana@example.org>",
        "started": "2026-11-24T12:00:00+00:00",
        "finished": "2026-11-24T12:00:04+00:00",
    }
    return Run(model=model, status=status, **(facts | rest))


FAILED = run(
    "fraud",
    RunStatus.FAILED,
    failure=Failure("train", "ValueError: Input X contains NaN\x1b[31m", "aa" * 32),
    steps={"train": StepRecord("train", StepStatus.FAILED, "k", {}, {}, seconds=41.4, error="ValueError")},
    metrics={},
)
APPLIED = Applied(
    EVERYTHING,
    (
        AppliedModel(
            "churn",
            Category.RETRAIN,
            run("churn"),
            RunStatus.PASSED,
            (StageMove("production", "f" * 16, RUN, "v4"),),
            "v4",
            "c" * 40,
            reused=STEPS[:4],
            ran=STEPS[4:],
        ),
        AppliedModel("digits", Category.BLOCKED, note="purpose advertising is not allowed"),
        AppliedModel("fraud", Category.RETRAIN, FAILED, RunStatus.FAILED, ran=("train",)),
        AppliedModel(
            "old", Category.RETIRE, None, None, (StageMove("production", RUN, None, cleared=True),), commit="c" * 40
        ),
        AppliedModel("risk", Category.REGATE, run("risk", RunStatus.REJECTED), RunStatus.REJECTED),
        AppliedModel("wine", Category.NEW, run("wine", RunStatus.INTERRUPTED), RunStatus.INTERRUPTED),
    ),
    ("customers@v4",),
    72.4,
    "52cd91e" + "0" * 33,
)


def test_what_an_apply_did() -> None:
    approve("apply", apply_view.text(APPLIED))


def test_an_apply_as_json_has_the_same_facts() -> None:
    value = json.loads(json.dumps(apply_view.to_json(APPLIED, 7)))
    assert value["exit_code"] == 7
    endings = [item["ending"] for item in value["models"]]
    assert endings == ["done", "refused", "failed", "done", "refused", "interrupted"]
    assert value["models"][2]["failure"]["step"] == "train"
    assert value["models"][0]["metrics"]["roc_auc"] == 0.8411


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "?"), (0.04, "0.0 s"), (9.94, "9.9 s"), (41.4, "41 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


UNKNOWN_KEY = Problem(
    "E101",
    'unknown key "max_dept" in `train.with`',
    Place("models/churn/pipeline.yaml", 4, 10, 8),
    "  with: {max_dept: 4, learning_rate: 0.1}",
    "not a parameter of sklearn.hist_gradient_boosting",
    help=('did you mean "max_depth"?   (all parameters: custody explain sklearn.hist_gradient_boosting)',),
)
LOWERED = Problem(
    "E301",
    'policy "gates-not-lowered" refuses this change of churn',
    Place("models/churn/gates.yaml", 12, 18, 4),
    "  roc_auc: {min: 0.78, max_drop: 0.01}",
    "was 0.82; production run c41f9e2 has 0.841",
    because=("run 77b0e12 was produced with sample 0.1", "sampled runs can never be promoted"),
    help=("ask @risk-ml to approve this pull request, or add a waiver:", "custody waive churn roc_auc"),
    related=Place(".mlops/policies/production.yaml", 1, 1),
)
WIDE = Problem(
    "W210",
    "odd \x1b[2J text \u202e here",
    Place("models/漢/model.yaml", 3, 6, 2),
    "\t漢字: \x07値\r\n",
    "label\nwith a line",
    severity=Severity.WARNING,
)


def test_problems() -> None:
    approve("problems", problems_view.text([UNKNOWN_KEY, LOWERED, WIDE, Problem("E900", "no place")]))


def test_at_most_twenty_problems_then_a_count() -> None:
    text = plain(problems_view.text([UNKNOWN_KEY] * 23))
    assert text.count("error[E101]") == 20
    assert "… and 3 more problems." in text
    assert text.endswith("23 errors.")


def test_a_long_line_is_cut_around_the_caret() -> None:
    long = Problem("E1", "m", Place("f", 1, 501, 3), "a" * 500 + "bad" + "c" * 500, "here")
    line, caret = plain(problems_view.problem_text(long)).splitlines()[3:5]
    assert len(line) < 160
    assert line[caret.index("^^^") :].startswith("bad")


def test_annotations_for_github() -> None:
    lines = problems_view.github([LOWERED, WIDE, Problem("E900", "no place")])
    assert lines[0] == (
        "::error file=models/churn/gates.yaml,line=12,col=18,endColumn=21,title=E301::"
        'policy "gates-not-lowered" refuses this change of churn%0Arun 77b0e12 was produced with sample 0.1%0A'
        "sampled runs can never be promoted%0A"
        "help: ask @risk-ml to approve this pull request, or add a waiver:%0Ahelp: custody waive churn roc_auc"
    )
    assert lines[1].startswith("::warning file=models/漢/model.yaml,line=3,")
    assert lines[2] == "::error title=E900::no place"
    forged = Problem("E1", "100%\n::add-mask::x", Place("a,b:c\n::x", 1, 1))
    assert problems_view.github([forged]) == [
        "::error file=a%2Cb%3Ac%0A%3A%3Ax,line=1,col=1,endColumn=1,title=E1::100%25%0A::add-mask::x"
    ]


def node(model: str, step: str) -> Node:
    return Node(f"{model}.{step}", model, step, {}, {})


def test_progress_as_lines() -> None:
    events = [
        Event(node("churn", "fetch"), Progress.REUSED),
        Event(node("churn", "train"), Progress.STARTED),
        Event(node("churn", "train"), Progress.RETRYING, "2 of 3"),
        Event(node("churn", "train"), Progress.DONE, seconds=3.14),
        Event(node("fraud", "evaluate"), Progress.FAILED, "ValueError:\nNaN\x1b[2J", 41.0),
        Event(node("fraud", "train"), Progress.TIMED_OUT, seconds=600),
    ]
    approve("progress", "\n".join(progress_view.line(event, "12:03:04Z") for event in events))


def test_progress_as_a_board() -> None:
    board = progress_view.Board()
    for at, (model, step, progress, detail) in enumerate(
        [
            ("churn", "fetch", Progress.REUSED, ""),
            ("churn", "train", Progress.STARTED, ""),
            ("wine", "train", Progress.STARTED, ""),
            ("wine", "train", Progress.RETRYING, "attempt 2"),
            ("fraud", "train", Progress.STARTED, ""),
            ("fraud", "train", Progress.FAILED, "ValueError"),
            ("digits", "evaluate", Progress.DONE, ""),
        ]
    ):
        board = board.after(Event(node(model, step), progress, detail), float(at))
    assert progress_view.rows(board, 10.0, 60) == [
        "· churn   fetch train 9.0 s",
        "· wine    train 8.0 s (attempt 2)",
        "✗ fraud   train failed: ValueError",
        "✓ digits  evaluate",
    ]
    assert progress_view.rows(board, 10.0, 12)[2] == "✗ fraud   t…"


ENTRY = Entry(
    "41ab07c" + "0" * 33,
    RUN,
    "run",
    "train churn: roc_auc 0.841, 2/2 gates passed",
    (("Model", "churn"), ("Run", RUN), ("Status", "failed"), ("Failed", "train: it broke"), ("Actor", "Ana <a@b>")),
    "bot <b@c>",
    "2026-11-24T12:00:00+00:00",
)


def test_log_lines() -> None:
    local = replace(ENTRY, at="2026-11-24T12:00:00+01:00", trailers=(), subject="odd \x1b[2J subject")
    approve("log", log_view.text([ENTRY, local]))
    assert log_view.text([]) == "Nothing is recorded yet."
    assert log_view.to_json([ENTRY])[0]["trailers"][1] == ["Run", RUN]


def test_one_run_shown() -> None:
    found = Recorded(run("churn"), ENTRY, ENTRY, (ENTRY,), "v4", ("production",), "churn")
    approve("show", show_view.text(found))
    value = json.loads(json.dumps(show_view.to_json(found)))
    assert (value["run"], value["version"], value["stages"]) == (RUN, "v4", ["production"])


def test_a_failed_run_shown() -> None:
    found = Recorded(FAILED, ENTRY, ENTRY, (ENTRY,), None, (), "churn")
    assert "failed    train: ValueError: Input X contains NaN\\x1b[31m" in plain(show_view.text(found))


HEADLINE = Headline(ENTRY.commit, ENTRY.id, ENTRY.kind, "churn", ENTRY.subject, "Ana <ana@example.org>", ENTRY.at)
DEPLOYED = Deployed("d" * 16, "eu", "production", "v3", "0" * 16, None, "Ana <ana@example.org>", ENTRY.at, "by hand")


def test_status_rows() -> None:
    pointer = StagePointer(RUN, "v4", "r", "2026-11-24T12:00:00+00:00")
    status = Status(
        (
            ModelStatus(
                "churn",
                declared=True,
                change=change("churn", Category.NOOP),
                stages={"production": pointer},
                versions=4,
                serving=run("churn"),
                last=HEADLINE,
                failure=None,
                pinned={"production": "auto", "canary": "none"},
                live=(Live(DEPLOYED, Standing.BEHIND),),
                left=(Left(Departure("production", "0" * 16, HEADLINE.at, HEADLINE.at, HEADLINE, RUN), "v3", "v4"),),
                data_at="2026-11-12T12:00:00+00:00",
                data_age=12 * 86_400.0,
            ),
            ModelStatus(
                "fraud",
                declared=True,
                change=EVERYTHING.changes[0],
                stages={},
                versions=0,
                serving=FAILED,
                last=HEADLINE,
                failure=ENTRY,
            ),
            ModelStatus("gone", False, None, {}, 1, None, HEADLINE, None, retired=True),
            ModelStatus("new", True, EVERYTHING.changes[3], {}, 0, None, None, None),
        ),
        EVERYTHING,
        "41ab07c",
    )
    approve("status", status_view.text(status))
    approve("status_churn", status_view.text(replace(status, models=status.models[:1]), detailed=True))
    for room in (80, 100, 120):
        table, _, _ = plain(status_view.text(status, room=room)).partition("\n\n")
        assert max(map(len, table.splitlines())) <= room
        assert "eu v3 (behind)" in table
    value = json.loads(json.dumps(status_view.to_json(status)))
    assert [item["sync"] for item in value["models"]] == ["in sync", "retrain", "retired", "new"]
    broken = replace(status, plan=None, problem="2 errors in the specs")
    assert "cannot be compared: 2 errors in the specs (custody check)" in plain(status_view.text(broken))


def test_a_trace_as_a_tree() -> None:
    inner = (Fact("steps.py", "blob 1", "1" * 40, "git cat-file -p 1"), Fact("src/x\n.py", "blob 2\x1b[2J"))
    tree = Trace(
        "churn",
        "churn · v4",
        (
            Fact("ran", "Ana", "c", "git show c"),
            Fact("code", "2 files", facts=inner),
            Fact("history", "1 record", facts=(Fact("run", "train", "c", "git show c"),)),
        ),
    )
    approve("trace", trace_view.text(tree))


@pytest.mark.parametrize(
    ("environ", "fork"),
    [
        ({}, False),
        ({"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7", "CI_MERGE_REQUEST_PROJECT_ID": "7"}, False),
        ({"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8", "CI_MERGE_REQUEST_PROJECT_ID": "7"}, True),
        ({"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8", "CI_PROJECT_ID": "7"}, True),
    ],
)
def test_a_fork_is_told_by_gitlab(environ: dict[str, str], fork: bool) -> None:  # noqa: FBT001
    assert Actions.of(environ).fork is fork
