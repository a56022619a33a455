"""Teachers and students as rows of a table: their layers in order, then the dense ones.

`dsrf3d_v2` and the students are those of arXiv 1801.10597 (Fig. 2), `rb3d` and `cb3d` of Che et al.
2017 (arXiv 1707.04885). All convolutions are 'same'-padded with ReLU and biases; pooling is 'valid'
with a stride of its own size.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Literal

from tomodistill.errors import InputError

PAPER_BOX = 40  # voxels
PAPER_CLASSES = 23

Zyx = tuple[int, int, int]
Role = Literal["teacher", "student"]


@dataclass(frozen=True)
class Convolution:
    """Over 3x3x3 voxels."""

    width: int  # filters


@dataclass(frozen=True)
class Pooling:
    """The largest value of each block of voxels."""

    size: Zyx  # voxels


@dataclass(frozen=True)
class Padding:
    """Zeros on both sides of each axis."""

    margin: Zyx  # voxels


@dataclass(frozen=True)
class Bottleneck:
    """A 3x3x3 convolution beside a 1-3-1 bottleneck whose last layer is linear, then ReLU."""

    shortcut: int  # filters
    widths: Zyx  # filters of the three convolutions
    dropout: float  # of the bottleneck's answer


Layer = Convolution | Pooling | Padding | Bottleneck


@dataclass(frozen=True)
class Network:
    """One architecture; its features are flattened between `layers` and `dense`."""

    name: str
    role: Role
    layers: tuple[Layer, ...]
    dense: tuple[int, ...]  # widths
    dropout: float = 0.0  # after each dense layer

    @property
    def smallest_box(self) -> int:
        """Edge in voxels below which pooling leaves nothing."""
        return max(self._smallest_edge(axis) for axis in range(3))

    def _smallest_edge(self, axis: int) -> int:
        """Of which one voxel is left at the end."""
        edge = 1
        for layer in reversed(self.layers):
            match layer:
                case Pooling(size):
                    edge *= size[axis]
                case Padding(margin):
                    edge = max(edge - 2 * margin[axis], 1)
        return edge


def _stages(*stages: tuple[int, ...], pool: int) -> tuple[Layer, ...]:
    """Convolutions of these widths, stage by stage; a pooling ends each."""
    pooling = Pooling((pool, pool, pool))
    return tuple(chain.from_iterable((*map(Convolution, widths), pooling) for widths in stages))


_RB3D = (*_stages((32,), pool=2), *(Bottleneck(16, (16, 32, 16), 0.7),) * 4)
_CB3D = (
    Convolution(64),
    Pooling((1, 2, 2)),
    *_stages((128,), (256, 256), (512, 512), pool=2),
    Convolution(512),
    Convolution(512),
    Padding((0, 1, 1)),
    Pooling((2, 2, 2)),
)
NETWORKS = {
    network.name: network
    for network in (
        Network(
            "dsrf3d_v2",
            "teacher",
            _stages((32, 32), (64, 64), (128, 128), pool=2),
            (1024, 1024),
            0.7,
        ),
        Network("rb3d", "teacher", _RB3D, (1024, 1024), 0.5),
        Network("cb3d", "teacher", _CB3D, (4096, 4096), 0.5),
        Network("s1", "student", _stages((32, 32), (64, 64), (128, 128), pool=3), (1024,)),
        Network("s2", "student", _stages((32, 32), (64, 64), (64, 64), pool=3), (1024,)),
        Network("s3", "student", _stages((16, 16), (32, 32), (32, 32), pool=3), (1024,)),
    )
}


def network_names(role: Role) -> list[str]:
    """Of the networks with that role."""
    return [network.name for network in NETWORKS.values() if network.role == role]


def find_network(name: str, role: Role) -> Network:
    """The row of that name. Raises InputError with the names there are."""
    if name not in network_names(role):
        raise InputError(
            expected=f"a {role}: {', '.join(network_names(role))}",
            found=repr(name),
            todo="Choose one of them.",
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
