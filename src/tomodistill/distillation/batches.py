"""Batches for Keras: shuffled every epoch from one seed, augmented legally if asked to."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from tomodistill.distillation.ahead import Ahead
from tomodistill.distillation.config import StudentConfig, Training
from tomodistill.distillation.losses import HARD, TEACHER
from tomodistill.errors import InputError
from tomodistill.subtomograms.augmentation import (
    filtered_noise,
    measured_halves,
    mix,
    response,
    shift,
    unit_variance,
)
from tomodistill.subtomograms.dataset import SetHeader
from tomodistill.subtomograms.prepared import Volumes
from tomodistill.subtomograms.preprocessing import Preprocessing, preprocess
from tomodistill.subtomograms.views import view

Arrays = tuple[NDArray[np.float32], NDArray[np.float32]]  # volumes and their targets


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What training batches go through after their half turn; the missing wedge stays in place."""

    shift: int  # voxels, largest along each axis
    noise: float  # standard deviation, in units of the volume's
    mix: float  # largest share of a second volume
    temperature: float  # at which the targets of two volumes are mixed
    measured: NDArray[np.bool_] | None  # (n, d, 1, d//2 + 1) where there is noise, if any
    response: NDArray[np.float32]  # (1, d, d, d//2 + 1) its amplitude there

    def __call__(self, batch: Arrays, rows: NDArray[np.int64], rng: np.random.Generator) -> Arrays:
        """Volumes (m, d, d, d) and targets (m, 2, classes) at positions `rows`, augmented."""
        volumes, targets = batch
        if self.shift:
            volumes = shift(volumes, rng.integers(-self.shift, self.shift + 1, (len(rows), 3)))
        if self.mix:
            volumes, targets = self._mixed(volumes, targets, rng)
        if self.measured is not None:
            noise = unit_variance(filtered_noise(self.measured[rows] * self.response, rng))
            volumes = unit_variance(volumes + np.float32(self.noise) * noise)
        return volumes, targets

    def _mixed(
        self,
        volumes: NDArray[np.float32],
        targets: NDArray[np.float32],
        rng: np.random.Generator,
    ) -> Arrays:
        """Each with another of the batch, by a share drawn between 0 and `mix`."""
        other = rng.permutation(len(volumes))
        share = self.mix * (1 - rng.random(len(volumes)))  # above 0
        mixed = mix_targets(targets, targets[other], share=share, temperature=self.temperature)
        return unit_variance(mix(volumes, volumes[other], share=share)), mixed


def mix_targets(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    *,
    share: NDArray[np.float64],
    temperature: float,
) -> NDArray[np.float32]:
    """(m, 2, classes) targets (see losses) of mixes with `share` (m,), above 0, of the second.

    Hard labels mix as they are, a teacher's answers as probabilities at `temperature`: the row of
    logits that comes back gives exactly these at that temperature, and at no other.
    """
    logs = (log_softmax(of[:, TEACHER] / temperature, axis=-1) for of in (first, second))
    weighted = (np.log(w)[:, None] + log for w, log in zip((1 - share, share), logs, strict=True))
    soft = temperature * np.logaddexp(*weighted)
    hard = mix(first[:, HARD], second[:, HARD], share=share)
    return np.stack([soft, hard], axis=1).astype(np.float32)


def legal_augmentation(
    header: SetHeader,
    tilt_ranges: NDArray[np.float64],
    config: Training,
    preprocessing: Preprocessing,
) -> Augmentation | None:
    """What `config` asks for beside half turns, for volumes of `tilt_ranges` (n, 2) in degrees.

    None for nothing. Raises InputError where the tilt ranges forbid it.
    """
    if not (config.augment_shift or config.augment_noise or config.augment_mix):
        return None
    _check_mix(config, tilt_ranges)
    edge = preprocessing.edge(header.box)
    prepare = partial(
        preprocess,
        voxel_spacing=header.voxel_spacing,
        contrast=header.contrast,
        parameters=preprocessing,
    )
    return Augmentation(
        shift=config.augment_shift,
        noise=config.augment_noise,
        mix=config.augment_mix,
        temperature=config.temperature if isinstance(config, StudentConfig) else 1.0,
        measured=measured_halves(edge, tilt_ranges) if config.augment_noise else None,
        response=response(header.box, prepare),
    )


def _check_mix(config: Training, tilt_ranges: NDArray[np.float64]) -> None:
    if config.augment_mix and not (tilt_ranges == tilt_ranges[0]).all():  # NaN: not known to be
        raise InputError(
            expected="one tilt range for all subtomograms, so that mixes keep their missing wedge",
            found="several, or an unknown one",
            todo="Set teacher_augment_mix and student_augment_mix to 0.",
        )


class Batches(keras.utils.PyDataset):
    """Yields (m, d, d, d, 1) volumes and their (m, 2, classes) targets.

    `volumes` (n, d, d, d) are preprocessed; `targets` (n, views, 2, classes) hold one set for each
    view in `views`. With one view nothing is turned. The order is that of the data without `seed`,
    and then nothing is augmented. `readers` threads prepare batches ahead.
    """

    def __init__(
        self,
        volumes: Volumes,
        targets: NDArray[np.float32],
        *,
        views: tuple[str, ...],
        batch_size: int,
        seed: int | None = None,
        augmentation: Augmentation | None = None,
        readers: int = 0,
    ) -> None:
        super().__init__()
        self.volumes, self.targets, self.views = volumes, targets, views
        self.batch_size, self.seed, self.augmentation = batch_size, seed, augmentation
        self.devices = 1  # that share a batch: the last few of an epoch, too few for all, stay out
        self._ahead = Ahead(self._batch, threads=readers) if readers else None
        self.draw(0)

    def __len__(self) -> int:
        return -(-self._items // self.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        return self._ahead.get(index, count=len(self)) if self._ahead else self._batch(index)

    def _batch(self, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        rows = self.order[: self._items][index * self.batch_size :][: self.batch_size]
        chosen = int(self.turns[index])
        volumes = np.ascontiguousarray(view(self.volumes[rows], self.views[chosen]))
        targets = self.targets[rows, chosen]
        if self.augmentation is not None and self.seed is not None:
            rng = np.random.default_rng(self.seeds[index])
            volumes, targets = self.augmentation((volumes, targets), rows, rng)
        return volumes[..., None], targets

    def draw(self, epoch: int) -> None:
        """Draw the order of an epoch (from 0 on), and one view and one seed for each batch.

        From `seed` and `epoch` alone, so that a training that was interrupted goes on as it would
        have; and a batch is the same whenever and however often Keras asks for it.
        """
        if self._ahead:
            self._ahead.forget()
        count = len(self.volumes)
        batches = -(-count // self.batch_size)
        if self.seed is None:
            self.order, self.turns = np.arange(count), np.zeros(batches, int)
            return
        rng = np.random.default_rng((self.seed, epoch))
        self.order = rng.permutation(count)
        self.turns = rng.integers(len(self.views), size=batches)
        self.seeds = rng.integers(2**63, size=batches)

    @property
    def _items(self) -> int:
        """How many of an epoch's items are shown."""
        return len(self.volumes) - len(self.volumes) % self.devices
