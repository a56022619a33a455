"""What the service counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_VOLUMES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Of one application: tests and benchmarks hold several in a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.inside = Gauge(
            "tomodistill_volumes_inside",
            "Volumes of requests that are read, wait or are computed",
            registry=self.registry,
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
