"""Parts of sets, with what a teacher says of them, as one stream of batches."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomodistill.distillation.batches import Batches, legal_augmentation
from tomodistill.distillation.config import Training
from tomodistill.distillation.losses import pack_targets
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.prepared import PreparedVolumes, in_memory_if_they_fit
from tomodistill.subtomograms.preprocessing import Preprocessing
from tomodistill.subtomograms.views import legal_views

_READERS = 4  # threads that read and preprocess ahead, where volumes stay on disk


@dataclass(frozen=True)
class Part:
    """Items of one set, and the logits (m, views, classes) a student is to learn of them."""

    data: SubtomogramSet
    rows: NDArray[np.int64]  # (m,) positions in the set
    logits: NDArray[np.float32]

    @property
    def tilt_ranges(self) -> NDArray[np.float64]:
        """(m, 2) degrees."""
        return np.asarray(self.data.columns["tilt_range"][self.rows])


def training_views(data: SubtomogramSet, config: Training) -> tuple[str, ...]:
    """Names of the views in which a network sees the volumes of `data` while it learns."""
    return legal_views(data.columns["tilt_range"]) if config.augment else ("identity",)


def join_parts(
    parts: Sequence[Part],
    views: tuple[str, ...],
    config: Training,
    preprocessing: Preprocessing,
    *,
    seed: int | None = None,
) -> Batches:
    """Batches of the items of all parts; shuffled, turned and augmented if there is a `seed`."""
    stored = PreparedVolumes([(part.data, part.rows) for part in parts], preprocessing)
    volumes = in_memory_if_they_fit(stored)
    tilts = np.concatenate([part.tilt_ranges for part in parts])
    targets = [
        pack_targets(teacher_logits=part.logits, labels=part.data.labels[part.rows])
        for part in parts
    ]
    augmentation = None
    if seed is not None:
        augmentation = legal_augmentation(parts[0].data.header, tilts, config, preprocessing)
    return Batches(
        volumes,
        np.concatenate(targets),
        views=views,
        batch_size=config.batch_size,
        seed=seed,
        augmentation=augmentation,
        readers=min(_READERS, os.cpu_count() or 1) if volumes is stored else 0,
    )
