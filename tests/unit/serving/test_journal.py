"""The journal: what is acknowledged is there, whatever happens to the writer and to the end of the file."""

from __future__ import annotations

import os
import threading
from concurrent.futures import wait
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.domain.serving import Prediction, Promoted
from custody.errors import StoreError
from custody.serving import journal
from custody.serving.frames import FrameError, entry, frame, header, read_segment
from custody.serving.journal import Journal, Limits

CHURN = Promoted("churn", "v1", "r1", "a" * 64, "classification", ("age", "plan"), ("number", "text"), (False, True))
NEXT = Promoted("churn", "v2", "r2", "b" * 64, "classification", ("age", "plan"), ("number", "text"), (False, True))


def prediction(name: str) -> Prediction:
    return Prediction(name, 1_764_000_000_000_000, True, (0.25, 0.75), (12.5, None), key=7)


def names(folder: Path) -> list[str]:
    segments = [journal.read(path) for path in journal.segments(folder)]
    return [item.id for segment in segments if segment for item in segment.predictions]


def test_values_come_back_as_they_were() -> None:
    found = read_segment(header(CHURN) + entry([prediction("a"), prediction("b")]) + entry([prediction("c")]))
    assert found is not None
    assert found.promoted == CHURN
    assert found.predictions == (prediction("a"), prediction("b"), prediction("c"))
    assert not found.damaged


@given(st.lists(st.lists(st.text(max_size=3), max_size=3), max_size=4), st.data())
def test_a_torn_end_takes_nothing_along_that_was_whole(groups: list[list[str]], data: st.DataObject) -> None:
    frames = [header(CHURN), *(entry([prediction(name) for name in group]) for group in groups)]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(map(len, frames[:count])) for count in range(1, len(frames) + 1)]
    kept = [group for group, end in zip(groups, ends[1:], strict=True) if end <= cut]
    torn = whole[:cut] + data.draw(st.sampled_from([b"", b"\0" * 40]))
    found = read_segment(torn)
    if cut < ends[0]:
        assert found is None or found.damaged
        return
    assert found is not None
    assert [item.id for item in found.predictions] == [name for group in kept for name in group]


def test_changed_bytes_are_said() -> None:
    data = bytearray(header(CHURN) + entry([prediction("a")]) + entry([prediction("b")]))
    data[len(header(CHURN)) + 20] ^= 1
    found = read_segment(bytes(data))
    assert found is not None
    assert (found.predictions, found.damaged) == ((), True)


@pytest.mark.parametrize("payload", [b"[]", b'{"format": 9}', b"no json", b'{"format": 1}'])
def test_what_is_no_segment_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        read_segment(frame(payload))


def test_all_threads_find_theirs_on_disk_when_they_are_told(tmp_path: Path) -> None:
    kept = Journal(tmp_path / "churn")
    seen: list[bool] = []

    def ask(name: str) -> None:
        for number in range(20):
            kept.append(CHURN, [prediction(f"{name}-{number}")]).result()
            seen.append(f"{name}-{number}" in names(tmp_path / "churn"))

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 80
    kept.close()
    assert len(names(tmp_path / "churn")) == len(set(names(tmp_path / "churn"))) == 80


def test_a_segment_holds_one_run(tmp_path: Path) -> None:
    kept = Journal(tmp_path)
    wait([kept.append(promoted, [prediction(promoted.run)]) for promoted in (CHURN, CHURN, NEXT)])
    kept.close()
    found = [journal.read(path) for path in journal.segments(tmp_path)]
    runs = [(item.promoted.run, {one.id for one in item.predictions}) for item in found if item]
    assert runs == [("r1", {"r1"}), ("r2", {"r2"})]


def test_a_segment_is_closed_at_its_size(tmp_path: Path) -> None:
    kept = Journal(tmp_path, Limits(size=1))
    for name in "abc":
        kept.append(CHURN, [prediction(name)]).result()
    kept.close()
    assert len(journal.segments(tmp_path)) == 3


def test_a_segment_belongs_to_its_writer_until_that_ends(tmp_path: Path) -> None:
    kept = Journal(tmp_path)
    kept.append(CHURN, [prediction("a")]).result()
    (path,) = journal.segments(tmp_path)
    with journal.claimed(path) as ours:
        assert not ours
    kept.close()
    with journal.claimed(path) as ours, journal.claimed(path) as theirs:
        assert (ours, theirs) == (True, False)
    journal.remove(path)
    with journal.claimed(path) as ours:
        assert not ours


def test_a_segment_whose_writer_was_killed_may_be_sealed(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        Journal(tmp_path).append(CHURN, [prediction("a")]).result()
        os._exit(0)
    os.waitpid(pid, 0)
    (path,) = journal.segments(tmp_path)
    with journal.claimed(path) as ours:
        assert ours
    assert names(tmp_path) == ["a"]


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    kept = Journal(tmp_path)
    kept.close()
    kept.close()
    with pytest.raises(StoreError, match="closed"):
        kept.append(CHURN, [prediction("a")]).result()


def test_what_cannot_be_written_is_not_acknowledged(tmp_path: Path) -> None:
    kept = Journal(tmp_path / "churn")
    kept.append(CHURN, [prediction("a")]).result()
    for path in (tmp_path / "churn").iterdir():
        path.unlink()
    (tmp_path / "churn").rmdir()
    with pytest.raises(StoreError, match="cannot be written"):
        kept.append(NEXT, [prediction("b")]).result()
    (tmp_path / "churn").mkdir()
    kept.append(NEXT, [prediction("c")]).result()
    assert names(tmp_path / "churn") == ["c"]
    kept.close()


def test_who_gives_up_waiting_stops_nobody(tmp_path: Path) -> None:
    kept = Journal(tmp_path)
    assert not kept.append(CHURN, [prediction("a")]).cancel()
    kept.append(CHURN, [prediction("b")]).result()
    kept.close()
    assert names(tmp_path) == ["a", "b"]
