"""The Classifier: preprocessing -> engine -> probabilities, from one version folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from tomodistill.errors import InputError
from tomodistill.inference.engines import BATCH_SIZES, Engine, KerasEngine
from tomodistill.inference.version import (
    PROBE,
    PROBE_LOGITS,
    Manifest,
    load_model,
    read_manifest,
)
from tomodistill.subtomograms.preprocessing import preprocess

SELF_TEST_TOLERANCE = 1e-3  # of a probability; backends and devices differ by about 1e-5
_SPACING_TOLERANCE = 0.02  # relative


@dataclass(frozen=True)
class Classifier:
    """Stored volumes in, decisions out. Thread-safe; memory is bounded by one batch."""

    manifest: Manifest
    engine: Engine

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read, verify, self-test and warm up a version. Raises InputError if it is not sound."""
        manifest = read_manifest(folder)  # first: nothing unverified is loaded
        engine = KerasEngine(load_model(folder))
        classifier = cls(manifest, engine)
        classifier.self_test(folder)
        engine.warm_up()
        return classifier

    def logits(self, volumes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, classes) logits of stored volumes (n, d, d, d), preprocessed here."""
        step = BATCH_SIZES[-1]
        blocks = [volumes[start : start + step] for start in range(0, len(volumes), step)]
        return np.concatenate([self.engine.logits(self._preprocess(block)) for block in blocks])

    def probabilities(
        self, volumes: NDArray[np.float32], *, voxel_spacing: float | None = None
    ) -> NDArray[np.float32]:
        """(n, classes) softmax of the logits. `voxel_spacing` in Å where the volumes state one.

        Raises InputError for a box or a voxel spacing that is not the model's.
        """
        self._check(volumes, voxel_spacing)
        return np.asarray(softmax(self.logits(volumes).astype(np.float64), axis=1), np.float32)

    def self_test(self, folder: Path) -> None:
        """Raises InputError unless the probe gets the probabilities that were stored with it."""
        stored = softmax(np.load(folder / PROBE_LOGITS, allow_pickle=False), axis=1)
        here = softmax(self.logits(np.load(folder / PROBE, allow_pickle=False)), axis=1)
        difference = float(np.abs(stored - here).max())
        if not difference <= SELF_TEST_TOLERANCE:
            raise InputError(
                expected=f"the stored probabilities of the probe within {SELF_TEST_TOLERANCE}",
                found=f"a difference of {difference:.2g}",
                todo="Do not use this version here.",
            )

    def _preprocess(self, volumes: NDArray[np.float32]) -> NDArray[np.float32]:
        return preprocess(
            volumes,
            voxel_spacing=self.manifest.voxel_spacing,
            contrast=self.manifest.contrast,
            parameters=self.manifest.preprocessing,
        )

    def _check(self, volumes: NDArray[np.float32], voxel_spacing: float | None) -> None:
        box, spacing = self.manifest.box, self.manifest.voxel_spacing
        if volumes.shape[1:] != (box, box, box):
            raise InputError(
                expected=f"boxes of {box} x {box} x {box} voxels",
                found=f"{' x '.join(map(str, volumes.shape[1:]))}",
                todo=f"Crop {box} voxels at {spacing} Å around each particle.",
            )
        if voxel_spacing and abs(voxel_spacing / spacing - 1) > _SPACING_TOLERANCE:
            raise InputError(
                expected=f"a voxel spacing of {spacing} Å",
                found=f"{voxel_spacing:.3f} Å in the header",
                todo="Rescale the volumes, or correct the header.",
            )
