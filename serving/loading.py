"""From a version of the registry to a model that answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tomodistill.inference.choice import AUTO
from tomodistill.inference.classifier import Classifier
from tomodistill.tracking.versions import ResolvedVersion

Download = Callable[[ResolvedVersion, Path], Path]


@dataclass(frozen=True)
class Served:
    """A loaded version and what the registry knows of it."""

    classifier: Classifier
    resolved: ResolvedVersion
    priors: dict[str, float] | None = None  # of every class, as the user gave them; None: trained
    folder: Path = Path()  # of its files

    def passes_its_test(self) -> bool:
        """Whether it still says of its probe what it should."""
        try:
            self.classifier.self_test(self.folder)
        except Exception:  # an engine fails in many ways
            return False
        return True


@dataclass(frozen=True)
class Loader:
    """How versions are loaded on this machine."""

    download: Download
    cache: Path
    engine: str = AUTO
    precision: str = AUTO
    priors: Mapping[str, float] | None = None  # class -> share, of those that the user names

    def load(self, resolved: ResolvedVersion) -> Served:
        """Download, verify, self-test and warm up; raises whatever stands against the version."""
        folder = self.download(resolved, self.cache)
        classifier = Classifier.load(folder, engine=self.engine, precision=self.precision)
        priors = classifier.priors_of(self.priors) if self.priors else None
        return Served(classifier, resolved, priors, folder)
