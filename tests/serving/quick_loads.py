"""A follower whose versions are loaded already: what is left is its own work."""

from dataclasses import dataclass, field
from pathlib import Path

from serving.cache import LastGood
from serving.follower import Follower
from serving.loading import Served
from serving.metrics import Metrics
from tests.serving.folder_registry import URI, FolderRegistry
from tomodistill.inference.classifier import Classifier
from tomodistill.tracking.versions import ResolvedVersion


@dataclass
class QuickLoads:
    """Version -> classifier; any other does not load."""

    registry: FolderRegistry
    classifiers: dict[str, Classifier]
    loads: list[str] = field(default_factory=list)

    def load(self, version: ResolvedVersion) -> Served:
        self.loads.append(version.version)
        folder = self.registry.root / version.version
        return Served(self.classifiers[version.version], version, folder=folder)

    def follower(self, cache: Path, *, store: str = "") -> Follower:
        """As after a start of the service; its metrics are `metrics`."""
        self.metrics = Metrics()
        return Follower(
            URI,
            resolve=self.registry.resolve,
            load=self.load,
            last_good=LastGood(cache, store=store, uri=URI),
            metrics=self.metrics,
        )

    def swaps(self, outcome: str) -> float:
        """How many had that outcome."""
        labels = {"outcome": outcome}
        return self.metrics.registry.get_sample_value("tomodistill_swaps_total", labels) or 0
