"""Batches for Keras: shuffled every epoch from one seed, turned by legal views if asked to."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tomodistill.subtomograms.views import view


class Batches(keras.utils.PyDataset):
    """Yields (m, d, d, d, 1) volumes and their (m, 2, classes) targets.

    `volumes` (n, d, d, d) are preprocessed; `targets` (n, views, 2, classes) hold one set for each
    view in `views`. With one view nothing is turned. The order is that of the data without `rng`.
    """

    def __init__(
        self,
        volumes: NDArray[np.float32],
        targets: NDArray[np.float32],
        *,
        views: tuple[str, ...],
        batch_size: int,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.volumes, self.targets, self.views = volumes, targets, views
        self.batch_size, self.rng = batch_size, rng
        self.order = np.arange(len(volumes))
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.volumes) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
        rows = self.order[index * self.batch_size :][: self.batch_size]
        chosen = int(self.turns[index])
        turned = view(self.volumes[rows], self.views[chosen])
        return np.ascontiguousarray(turned)[..., None], self.targets[rows, chosen]

    def on_epoch_end(self) -> None:
        """Draw the next epoch's order and one view for each batch."""
        self.turns = np.zeros(len(self), int)
        if self.rng is not None:
            self.rng.shuffle(self.order)
            self.turns = self.rng.integers(len(self.views), size=len(self))
