"""What a server measures of itself, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from custody.domain.serving import Promoted

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The metrics of one worker."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "custody_requests", "Requests for predictions", ["model", "status"], registry=self._registry
        )
        self.predictions = Counter(
            "custody_predictions", "Rows that were answered", ["model", "version"], registry=self._registry
        )
        self.seconds = Histogram(
            "custody_request_seconds", "Seconds to answer", ["model"], buckets=_SECONDS, registry=self._registry
        )
        self._serving = Gauge(
            "custody_serving", "1 for what answers now", ["model", "version", "run"], registry=self._registry
        )

    def text(self, serving: Mapping[str, Promoted | None]) -> bytes:
        """Return all metrics in Prometheus' text format."""
        self._serving.clear()
        for name, promoted in serving.items():
            if promoted:
                self._serving.labels(name, promoted.version, promoted.run).set(1)
        return generate_latest(self._registry)
