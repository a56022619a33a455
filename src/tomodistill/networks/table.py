"""Teachers and students as rows of a table: their layers in order, then the dense ones.

`dsrf3d_v2` and the students `s1` to `s3` are those of arXiv 1801.10597 (Fig. 2), `rb3d` and `cb3d`
of Che et al. 2017 (arXiv 1707.04885); `f1` and so on are fast students of our own. Convolutions
are 'same'-padded with ReLU and biases; pooling is 'valid' with a stride of its own size.
"""

from dataclasses import replace

from tomodistill.errors import InputError
from tomodistill.networks.fast import EXAMPLE, Fast, is_fast
from tomodistill.networks.layers import (
    Bottleneck,
    Convolution,
    Network,
    Padding,
    Pooling,
    Role,
    stages,
)
from tomodistill.subtomograms.preprocessing import Preprocessing

PAPER_BOX = 40  # voxels
PAPER_CLASSES = 23

_RB3D = (*stages((32,), pool=2), *(Bottleneck(16, (16, 32, 16), 0.7),) * 4)
_CB3D = (
    Convolution(64),
    Pooling((1, 2, 2)),
    *stages((128,), (256, 256), (512, 512), pool=2),
    Convolution(512),
    Convolution(512),
    Padding((0, 1, 1)),
    Pooling((2, 2, 2)),
)
FAST = {
    "f1": "fast-2-5s2w32-32x1-64x2",
    "f2": "fast-2-5s2w16-32x1-64x2",
    "f3": "fast-2.5-3s2w32-32x1-64x2",
}
NETWORKS = {
    network.name: network
    for network in (
        Network(
            "dsrf3d_v2",
            "teacher",
            stages((32, 32), (64, 64), (128, 128), pool=2),
            (1024, 1024),
            0.7,
        ),
        Network("rb3d", "teacher", _RB3D, (1024, 1024), 0.5),
        Network("cb3d", "teacher", _CB3D, (4096, 4096), 0.5),
        Network("s1", "student", stages((32, 32), (64, 64), (128, 128), pool=3), (1024,)),
        Network("s2", "student", stages((32, 32), (64, 64), (64, 64), pool=3), (1024,)),
        Network("s3", "student", stages((16, 16), (32, 32), (32, 32), pool=3), (1024,)),
        *(replace(Fast.parse(of).network(), name=name) for name, of in FAST.items()),
    )
}


def network_names(role: Role) -> list[str]:
    """Of the networks of the table with that role."""
    return [network.name for network in NETWORKS.values() if network.role == role]


def network(name: str) -> Network:
    """A row of the table, or a fast student by the name that says its architecture.

    Raises InputError for a name of that family that is no network.
    """
    return Fast.parse(name).network() if is_fast(name) else NETWORKS[name]


def find_network(name: str, role: Role) -> Network:
    """The network of that name. Raises InputError with the names there are."""
    if name not in network_names(role) and not (role == "student" and is_fast(name)):
        more = f", or one of the family of {EXAMPLE}" if role == "student" else ""
        raise InputError(
            expected=f"a {role}: {', '.join(network_names(role))}{more}",
            found=repr(name),
            todo="Choose one of them.",
        )
    return network(name)


def check_box(network: Network, box: int) -> None:
    """Raises InputError if a cubic box of `box` voxels is too small for the network."""
    if box < network.smallest_box:
        raise InputError(
            expected=f"a box of {network.smallest_box} voxels or more for {network.name}",
            found=f"{box}",
            todo="Simulate or crop larger boxes, or choose another network.",
        )


def seen_by(network: Network, preprocessing: Preprocessing, box: int) -> Preprocessing:
    """What a network's manifest holds: the common preprocessing, and the crop that is its own.

    `box` is the edge of stored volumes in voxels.
    """
    if network.binning == 1:
        return preprocessing
    return replace(preprocessing, crop=network.edge(preprocessing.edge(box)))
