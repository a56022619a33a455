"""The networks of the paper (arXiv 1801.10597, Fig. 2) as rows of a table.

All convolutions are 3x3x3, 'same' padding, ReLU, with biases; pooling is 'valid' with a stride
of its own size.
"""

from dataclasses import dataclass
from typing import Literal

from tomodistill.errors import InputError

PAPER_BOX = 40  # voxels
PAPER_CLASSES = 23


@dataclass(frozen=True)
class Network:
    """One architecture: widths of the convolutions, stage by stage, then of the dense layers."""

    name: str
    role: Literal["teacher", "student"]
    stages: tuple[tuple[int, ...], ...]  # filters of each convolution; a pooling ends each stage
    pool: int  # voxels
    dense: tuple[int, ...]
    dropout: float = 0.0  # after each dense layer

    @property
    def smallest_box(self) -> int:
        """Edge in voxels below which pooling leaves nothing."""
        return int(self.pool ** len(self.stages))


NETWORKS = {
    network.name: network
    for network in (
        Network("dsrf3d_v2", "teacher", ((32, 32), (64, 64), (128, 128)), 2, (1024, 1024), 0.7),
        Network("s1", "student", ((32, 32), (64, 64), (128, 128)), 3, (1024,)),
        Network("s2", "student", ((32, 32), (64, 64), (64, 64)), 3, (1024,)),
        Network("s3", "student", ((16, 16), (32, 32), (32, 32)), 3, (1024,)),
    )
}


def find_network(name: str, role: Literal["teacher", "student"]) -> Network:
    """The row of that name. Raises InputError with the names there are."""
    names = [network.name for network in NETWORKS.values() if network.role == role]
    if name not in names:
        raise InputError(
            expected=f"a {role}: {', '.join(names)}", found=repr(name), todo="Choose one of them."
        )
    return NETWORKS[name]


def check_box(network: Network, box: int) -> None:
    """Raises InputError if a cubic box of `box` voxels is too small for the network."""
    if box < network.smallest_box:
        raise InputError(
            expected=f"a box of {network.smallest_box} voxels or more for {network.name}",
            found=f"{box}",
            todo="Simulate or crop larger boxes, or choose another network.",
        )
