"""Two limits for one statistic: from the second on drift is an alert, whatever the severity says."""

from __future__ import annotations

from datetime import UTC

import pytest

from custody.core.judging_inputs import Seen, judge_inputs
from custody.core.windows import window_named
from custody.domain.monitoring import Counts, Edges, Profile
from custody.domain.monitors import TRAINING, Drift, DriftRule, Every, Level, Monitors, Quality
from custody.domain.reference import Known, Limit, Reference

KNOWN = Known(Edges((0.0,)), Counts((500, 500)), {TRAINING: Limit(0.1, 400, 12, (0.1,) * 12)})
REFERENCE = Reference("bikes", "r", "d@v1", "e", 1000, Every.MONTH, 12, "psi", {"temp": KNOWN})
NONE = Quality(None, 0.0, False, *(Level.OFF,) * 6)


@pytest.mark.parametrize(
    ("cells", "levels"), [((500, 500), []), ((340, 660), [Level.WARN]), ((250, 750), [Level.ALERT])]
)
def test_the_second_limit_pages(cells: tuple[int, int], levels: list[Level]) -> None:
    rule = DriftRule(limit=0.05, severity=Level.WARN, paging=0.25)
    monitors = Monitors(Every.MONTH, quality=NONE, drift=Drift(rule, None, (TRAINING,)))
    seen = Seen(window_named("2012-01", UTC), Profile("e", sum(cells), {"temp": Counts(cells)}))
    assert [item.level for item in judge_inputs(monitors, REFERENCE, seen, ()).signals] == levels
