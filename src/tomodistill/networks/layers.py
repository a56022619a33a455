"""What networks are made of: layers, and an architecture as layers in order, then dense ones."""

from dataclasses import dataclass
from itertools import chain
from typing import Literal

Zyx = tuple[int, int, int]
Role = Literal["teacher", "student"]


@dataclass(frozen=True)
class Convolution:
    """Over a cube of voxels, 'same'-padded, with biases and ReLU."""

    width: int  # filters
    edge: int = 3  # voxels, of the kernel
    stride: int = 1


@dataclass(frozen=True)
class Pooling:
    """The largest value of each block of voxels."""

    size: Zyx  # voxels


@dataclass(frozen=True)
class GlobalPooling:
    """The mean over all voxels that are left."""


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


Layer = Convolution | Pooling | GlobalPooling | Padding | Bottleneck


@dataclass(frozen=True)
class Network:
    """One architecture; its features are flattened between `layers` and `dense`."""

    name: str
    role: Role
    layers: tuple[Layer, ...]
    dense: tuple[int, ...] = ()  # widths
    dropout: float = 0.0  # after each dense layer
    binning: float = 1.0  # voxels of the box for one of the input, along an edge (Fourier crop)

    def edge(self, box: int) -> int:
        """Voxels of the input's edge for boxes of `box` voxels."""
        return round(box / self.binning)

    @property
    def smallest_box(self) -> int:
        """Edge in voxels below which pooling leaves nothing."""
        smallest = max(self._smallest_edge(axis) for axis in range(3))
        box = 1
        while self.edge(box) < smallest:
            box += 1
        return box

    def _smallest_edge(self, axis: int) -> int:
        """Of an input of which one voxel is left at the end."""
        edge = 1
        for layer in reversed(self.layers):
            match layer:
                case Pooling(size):
                    edge *= size[axis]
                case Padding(margin):
                    edge = max(edge - 2 * margin[axis], 1)
                case Convolution(stride=stride):
                    edge = stride * (edge - 1) + 1
        return edge


def stages(*widths: tuple[int, ...], pool: int) -> tuple[Layer, ...]:
    """Convolutions of these widths, stage by stage; a pooling ends each."""
    pooling = Pooling((pool, pool, pool))
    return tuple(chain.from_iterable((*map(Convolution, of), pooling) for of in widths))
