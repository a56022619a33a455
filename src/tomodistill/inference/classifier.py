"""The Classifier: preprocessing -> engine -> probabilities and decisions, from a version folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.inference.choice import AUTO, open_engine
from tomodistill.inference.confidence import (
    UNKNOWN,
    complete_priors,
    log_probabilities,
    with_priors,
)
from tomodistill.inference.engines import REFERENCE, Engine
from tomodistill.inference.gate import probability_difference
from tomodistill.inference.preparation import Prepared, prepare
from tomodistill.inference.version import PROBE, PROBE_LOGITS, Manifest, read_manifest
from tomodistill.subtomograms.preprocessing import Contrast

SELF_TEST_TOLERANCE = 1e-3  # of a probability; backends and devices differ by about 1e-5
_REDUCED_TOLERANCE = 0.2  # likewise, in other precisions than float32, which have their gate
_BLOCK = 64  # volumes that are prepared at a time


@dataclass(frozen=True)
class Decisions:
    """What a classifier makes of n volumes."""

    classes: NDArray[np.int64]  # (n,) index of the most probable class; UNKNOWN where rejected
    probabilities: NDArray[np.float32]  # (n, classes)
    scores: NDArray[np.float64] | None  # (n,) see Unknown; None: this version rejects nothing


@dataclass(frozen=True)
class Classifier:
    """Stored volumes in, decisions out. Thread-safe; memory is bounded by one block."""

    manifest: Manifest
    engine: Engine
    why: str = ""  # this engine and no other, in words

    @classmethod
    def load(cls, folder: Path, *, engine: str = AUTO, precision: str = AUTO) -> Self:
        """Read, verify, self-test and warm up a version; see `open_engine` for the choices.

        Raises InputError if it is not sound, or cannot run so here.
        """
        manifest = read_manifest(folder)  # first: nothing unverified is loaded
        classifier = cls(
            manifest, *open_engine(folder, manifest, engine=engine, precision=precision)
        )
        classifier.self_test(folder)
        classifier.engine.warm_up()
        return classifier

    def logits(
        self,
        volumes: NDArray[Any],
        *,
        voxel_spacing: float | None = None,
        contrast: Contrast | None = None,
    ) -> NDArray[np.float32]:
        """(n, classes) logits of stored volumes (n, d, d, d), prepared here; see `prepare`."""
        starts = range(0, max(len(volumes), 1), _BLOCK)  # none at all are checked, too
        return np.concatenate(
            [
                self._block(volumes[start : start + _BLOCK], start, voxel_spacing, contrast)
                for start in starts
            ]
        )

    def probabilities(
        self,
        volumes: NDArray[Any],
        *,
        voxel_spacing: float | None = None,
        priors: Mapping[str, float] | None = None,
    ) -> NDArray[np.float32]:
        """(n, classes) probabilities; see `decide`."""
        return self.decide(volumes, voxel_spacing=voxel_spacing, priors=priors).probabilities

    def decide(
        self,
        volumes: NDArray[Any],
        *,
        voxel_spacing: float | None = None,
        contrast: Contrast | None = None,
        priors: Mapping[str, float] | None = None,
    ) -> Decisions:
        """Calibrated probabilities of stored volumes (n, d, d, d), and what is rejected.

        `voxel_spacing` in Å and `contrast` where the volumes state them. `priors`: class -> share
        that the user expects, see `priors_of`; None: those of the training data. Rejection does not
        depend on them. Raises InputError for what `prepare` refuses, and for priors that it cannot
        have.
        """
        expected = self.priors_of(priors) if priors else None
        logits = self.logits(volumes, voxel_spacing=voxel_spacing, contrast=contrast)
        return self.decisions(logits, priors=expected)

    def prepare(
        self,
        volumes: NDArray[Any],
        *,
        voxel_spacing: float | None = None,
        contrast: Contrast | None = None,
        first: int = 0,
    ) -> Prepared:
        """What the engine takes; see `preparation.prepare`."""
        return prepare(
            self.manifest, volumes, voxel_spacing=voxel_spacing, contrast=contrast, first=first
        )

    def prepared_logits(self, volumes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, classes) logits of volumes (n, e, e, e) as `prepare` gives them; n may be 0."""
        if len(volumes):
            return self.engine.logits(volumes)
        return np.empty((0, len(self.manifest.class_names)), np.float32)

    def decisions(
        self, logits: NDArray[np.float32], *, priors: Mapping[str, float] | None = None
    ) -> Decisions:
        """What (n, classes) logits say, under the `priors` of every class, if given."""
        probabilities = self._probabilities(logits, priors)
        classes, scores = probabilities.argmax(axis=1), None
        if unknown := self.manifest.unknown:
            scores = unknown.scores(logits, temperature=self._temperature)
            classes = np.where(unknown.rejects(scores), UNKNOWN, classes)
        return Decisions(classes, probabilities, scores)

    def priors_of(self, named: Mapping[str, float]) -> dict[str, float]:
        """Class -> share of every class, in label order, where some are `named`.

        A simulated set holds as many of each class; a cell holds far more ribosomes than
        proteasomes, and probabilities are right only for shares like those they assume. Raises
        InputError for what are no shares of these classes, and without a calibration.
        """
        return complete_priors(named, trained_priors(self.manifest))

    def self_test(self, folder: Path) -> None:
        """Raises InputError unless the probe gets the probabilities that were stored with it."""
        stored = np.load(folder / PROBE_LOGITS, allow_pickle=False)
        here = self.logits(np.load(folder / PROBE, allow_pickle=False))
        difference = probability_difference(stored, here)
        exact = self.engine.precision == REFERENCE
        tolerance = SELF_TEST_TOLERANCE if exact else _REDUCED_TOLERANCE
        if not difference <= tolerance:
            raise InputError(
                expected=f"the stored probabilities of the probe within {tolerance}",
                found=f"a difference of {difference:.2g}",
                todo="Do not use this version here.",
            )

    def _probabilities(
        self, logits: NDArray[np.float32], priors: Mapping[str, float] | None
    ) -> NDArray[np.float32]:
        """(n, classes) of logits, under the `priors` of every class, if given."""
        found = log_probabilities(logits, temperature=self._temperature)
        if priors:
            trained = trained_priors(self.manifest)
            before, wanted = np.array([(trained[name], priors[name]) for name in trained]).T
            found = with_priors(found, trained=before, wanted=wanted)
        return np.exp(found).astype(np.float32)

    @property
    def _temperature(self) -> float:
        """Of the calibration; 1 without one."""
        return self.manifest.calibration.temperature if self.manifest.calibration else 1.0

    def _block(
        self,
        volumes: NDArray[Any],
        first: int,
        voxel_spacing: float | None,
        contrast: Contrast | None,
    ) -> NDArray[np.float32]:
        """(m, classes) logits of (m, d, d, d) volumes; `first`: their place among all."""
        prepared = self.prepare(
            volumes, voxel_spacing=voxel_spacing, contrast=contrast, first=first
        )
        return self.prepared_logits(prepared.volumes)


def trained_priors(manifest: Manifest) -> dict[str, float]:
    """Class -> share of the training data, in label order. Raises InputError if unknown."""
    if manifest.calibration is None:
        raise InputError(
            expected="a version with a calibration, to which priors can be given",
            found="one without",
            todo="Leave priors out, or train a student anew.",
        )
    return {name: manifest.calibration.priors[name] for name in manifest.class_names}
