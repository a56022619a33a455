"""Fast students: a small input, a strided stem, a few stages of convolutions, the mean of all.

At full resolution the first two convolutions are four fifths of the work of `s1` and `s2`. What a
low-pass leaves of a subtomogram fits into fewer voxels, and a strided stem spends little on those.
"""

import re
from dataclasses import dataclass
from typing import Self

from tomodistill.errors import InputError
from tomodistill.networks.layers import Convolution, GlobalPooling, Layer, Network, Pooling

EXAMPLE = "fast-2-5s2w32-64x2-128x2"
_FAMILY = "fast-"
_STAGE = r"[1-9]\d*x[1-9]\d*"
_NAME = re.compile(
    rf"fast-(\d+(?:\.\d+)?)-([1-9]\d*)s([1-9]\d*)w([1-9]\d*)-({_STAGE}(?:-{_STAGE})*)"
)


@dataclass(frozen=True)
class Fast:
    """One of the family. Pooling of 2 voxels lies between its stages, a global one ends it.

    `fast-2-5s2w32-64x2-128x2`: binning 2; a stem of 5 voxels, stride 2, 32 filters; then 64 filters
    twice and 128 twice.
    """

    binning: float  # voxels of the box for one of the input, along an edge
    kernel: int  # voxels, of the stem
    stride: int
    width: int  # filters of the stem
    stages: tuple[tuple[int, int], ...]  # filters and number of convolutions of each

    @classmethod
    def parse(cls, name: str) -> Self:
        """The one of that name. Raises InputError if it is none."""
        found = _NAME.fullmatch(name)
        if found is None or float(found[1]) < 1:
            raise InputError(
                expected=f"a fast student by its architecture, as {EXAMPLE}",
                found=repr(name),
                todo="Binning (1 or more), stem (kernel, s stride, w filters), stages (filters x "
                "convolutions).",
            )
        binning, kernel, stride, width, stages = found.groups()
        pairs = (stage.split("x") for stage in stages.split("-"))
        each = tuple((int(filters), int(depth)) for filters, depth in pairs)
        return cls(float(binning), int(kernel), int(stride), int(width), each)

    @property
    def name(self) -> str:
        """By which `parse` finds it again."""
        stages = "-".join(f"{filters}x{depth}" for filters, depth in self.stages)
        return f"fast-{self.binning:g}-{self.kernel}s{self.stride}w{self.width}-{stages}"

    def network(self) -> Network:
        """As a row of the table."""
        layers: list[Layer] = [Convolution(self.width, self.kernel, self.stride)]
        for index, (filters, depth) in enumerate(self.stages):
            layers += [Pooling((2, 2, 2))] if index else []
            layers += [Convolution(filters)] * depth
        return Network(self.name, "student", (*layers, GlobalPooling()), binning=self.binning)


def is_fast(name: str) -> bool:
    """Whether a name claims to be of the family."""
    return name.startswith(_FAMILY)
