"""What the service counts, for Prometheus."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:  # whoever serves counts its swaps here
    from serving.loading import Served

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_VOLUMES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# Why a request was not computed, by the status it was answered with.
_REASONS = {
    400: "malformed",
    401: "token",
    403: "forbidden",
    408: "slow",
    413: "too_large",
    415: "encoding",
    422: "not_for_this_model",
    429: "full",
    499: "cancelled",
    503: "unavailable",
    504: "deadline",
}
_MODEL = ("name", "version", "student", "engine", "precision")


class Metrics:
    """Of one application: tests and benchmarks hold several in a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.inside = Gauge(
            "tomodistill_volumes_inside",
            "Volumes of requests that are read, wait or are computed",
            registry=self.registry,
        )
        self.connections = Gauge(
            "tomodistill_connections", "Open connections", registry=self.registry
        )
        self.batch = Histogram(
            "tomodistill_batch_volumes",
            "Volumes in a call of the engine",
            buckets=_VOLUMES,
            registry=self.registry,
        )
        self.stage = Histogram(
            "tomodistill_stage_seconds",
            "Time of a request in each stage: read, prepare, queue, compute",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.requests = Histogram(
            "tomodistill_request_seconds",
            "Time from the header of a request to its answer",
            ["route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.classified = Counter(
            "tomodistill_classified_volumes_total",
            "Volumes that were classified",
            registry=self.registry,
        )
        self.rejected = Counter(
            "tomodistill_rejections_total",
            "Requests that were not computed",
            ["reason"],
            registry=self.registry,
        )
        self.engine_errors = Counter(
            "tomodistill_engine_errors_total",
            "Calls of the engine that failed",
            registry=self.registry,
        )
        self.swaps = Counter(
            "tomodistill_swaps_total",
            "Versions that were to take over: loaded, failed or rolled_back",
            ["outcome"],
            registry=self.registry,
        )
        self._routes: dict[tuple[str, int], Histogram] = {}

    def answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """One request; `route` is a template ("/model"), so that the labels stay few."""
        histogram = self._routes.get((route, status))
        if histogram is None:  # `labels` costs more than `observe`
            histogram = self._routes[route, status] = self.requests.labels(route, status)
        histogram.observe(seconds)
        if status >= 400 and method == "POST":  # no probes
            self.rejected.labels(_REASONS.get(status, "other")).inc()

    def follow(self, current: Callable[[], "Served | None"]) -> None:
        """Tell at every look which model is `current`."""
        self.registry.register(_ModelInfo(current))


class _ModelInfo(Collector):
    """1, with the model in its labels; nothing while none is loaded."""

    def __init__(self, current: Callable[[], "Served | None"]) -> None:
        self._current = current

    def collect(self) -> Iterable[GaugeMetricFamily]:
        info = GaugeMetricFamily("tomodistill_model_info", "The model in service", labels=_MODEL)
        if served := self._current():
            engine, resolved = served.classifier.engine, served.resolved
            student = served.classifier.manifest.network
            known = (resolved.name, resolved.version, student, engine.name, engine.precision)
            info.add_metric(known, 1)
        yield info
