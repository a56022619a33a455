"""A first look at every box: which can be used, which are twice there, dark or bright."""

import hashlib
from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tomodistill.errors import InputError
from tomodistill.ingestion.config import Ingestion
from tomodistill.ingestion.found import Found, read_found
from tomodistill.subtomograms.contents import content_digest
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.subtomograms.volumes import faults
from tomodistill.tomograms.contrast import vote_contrast
from tomodistill.tomograms.cropping import Crops, edge_spanning

_USABLE = ""
_VOTERS = 128  # boxes at most, from all over the set, that are asked for the contrast


@dataclass(frozen=True)
class Voxels:
    """Of the boxes that are stored, and of those they are made from."""

    box: int  # voxels that are stored
    voxel_spacing: float  # Å, of these
    edge: int  # voxels as the files have them, which span the box


@dataclass(frozen=True)
class Survey:
    """What a look at all boxes found."""

    usable: Found
    left_out: dict[str, list[str]]  # why -> ids
    contrast: Contrast
    contrast_from: str  # how that is known
    contents_sha256: str  # of all usable boxes, in their order


def voxels_of(found: Found, config: Ingestion) -> Voxels:
    """What to store. Raises InputError where that would have to be made up."""
    have, spacing = found.voxel_spacing, config.voxel_spacing or found.voxel_spacing
    box = config.box or floor(found.edge * have / spacing + 1e-6)
    edge = edge_spanning(box, model_spacing=spacing, tomogram_spacing=have)
    if found.edge and edge > found.edge:
        raise InputError(
            expected=f"boxes of at least {edge} voxels of {have:g} Å, which span box={box} at "
            f"{spacing:g} Å",
            found=f"{found.edge} voxels",
            todo="Lower box, or extract larger ones.",
        )
    return Voxels(box, spacing, edge)


def survey(found: Found, voxels: Voxels, config: Ingestion) -> Survey:
    """Read every box once.

    What is constant, not finite or not within its tomogram is left out, and so is a box that was
    there before. Raises InputError for a box in two classes, for nothing usable, and where dark and
    bright cannot be told apart.
    """
    look = _Look(found)
    with tqdm(total=len(found), desc="looking", unit=" subtomograms", disable=None) as shown:
        for first, crops in read_found(found, voxels.edge, config):
            look.take(first, crops)
            shown.update(len(crops.volumes))
    usable = np.flatnonzero(look.why == _USABLE)
    left_out = {
        why: found.ids[look.why == why].tolist() for why in np.unique(look.why) if why != _USABLE
    }
    if not len(usable):
        raise InputError(
            expected="subtomograms that can be used",
            found=", ".join(f"{len(ids)} {why}" for why, ids in left_out.items()),
            todo="Correct particles and tomograms, or coordinate_spacing (Å of the list's voxels).",
        )
    contrast, how = _contrast(found, look.voters, config)
    return Survey(found.take(usable), left_out, contrast, how, look.contents_sha256)


class _Look:
    """What is remembered of the boxes that were read."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.why = np.full(len(found), _USABLE, object)  # (n,) why one is left out
        self.voters: list[NDArray[np.float32]] = []  # (d, d, d) each
        self._known: dict[bytes, int] = {}  # content -> row
        self._step = -(-len(found) // _VOTERS)

    def take(self, first: int, crops: Crops) -> None:
        """Boxes from the row `first` on."""
        rows = np.arange(first, first + len(crops.volumes))
        self.why[rows] = _faults(crops)
        for row, volume in zip(rows.tolist(), crops.volumes, strict=True):
            if self.why[row] == _USABLE:
                self._keep(row, volume)

    def _keep(self, row: int, volume: NDArray[np.float32]) -> None:
        before = self._known.setdefault(content_digest(volume), row)
        if before != row:
            _check_one_class(self.found, before, row)
            self.why[row] = "the same as others"
        elif (len(self._known) - 1) % self._step == 0:
            self.voters.append(volume)

    @property
    def contents_sha256(self) -> str:
        """Of all usable boxes, in their order."""
        return hashlib.sha256(b"".join(self._known)).hexdigest()


def _faults(crops: Crops) -> NDArray[np.object_]:
    """(m,) why each box cannot be used."""
    constant, not_finite = faults(crops.volumes)
    why = np.full(len(constant), _USABLE, object)
    why[constant] = "constant"
    why[not_finite] = "not finite"
    why[~crops.taken] = "not within their tomogram"
    return why


def _check_one_class(found: Found, one: int, other: int) -> None:
    first, second = found.classes[one], found.classes[other]
    if first != second:
        raise InputError(
            expected="each box in one class",
            found=f"{found.ids[one]} in {first or 'none'}, which is {found.ids[other]} in "
            f"{second or 'none'}",
            todo="Leave it out of one of them.",
        )


def _contrast(
    found: Found, voters: list[NDArray[np.float32]], config: Ingestion
) -> tuple[Contrast, str]:
    """And how it is known. Raises InputError where nothing tells."""
    if config.contrast != "auto":
        return config.contrast, "as given"
    if found.contrast:
        return found.contrast, "as the files state"
    vote = vote_contrast(np.stack(voters))
    words = f"{vote.dark} boxes look dark, {vote.bright} bright"
    if vote.verdict is None:
        raise InputError(
            expected="a contrast",
            found=f"none in the files, and {words}",
            todo="Give contrast=dark or contrast=bright: what a particle is against the ice.",
        )
    return vote.verdict, f"by vote: {words}"
