"""What is to be classified, as what, and with which model."""

from dataclasses import dataclass
from typing import Literal, get_args

from tomodistill.errors import InputError
from tomodistill.inference.choice import AUTO, check_choice
from tomodistill.inference.confidence import parse_priors
from tomodistill.particles.coordinates import Centre, Coordinates
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.tomograms.cropping import Border, Cropping

NONE, TRAINED = "none", "trained"
Auto = Literal["auto"]
Handedness = Literal["same", "mirrored"]
Position = Literal["rounded", "subvoxel"]
_CHOICES = {
    "contrast": (AUTO, *get_args(Contrast)),
    "handedness": get_args(Handedness),
    "border": get_args(Border),
    "position": get_args(Position),
}


@dataclass(frozen=True)
class BulkConfig:
    """All that results depend on beside the files themselves; `predict` has it as flags."""

    particles: str = NONE  # lists or boxes: files, folders or patterns as "lists/*.star", by comma
    tomograms: str = NONE  # folder, pattern or RELION's tomograms.star; none: the boxes of the list
    model: str = "models:/subtomogram-student@production"  # alias, stage or version; or a folder
    voxel_spacing: float = 0.0  # Å, of tomograms or boxes; 0: as their headers and lists say
    contrast: Contrast | Auto = "auto"  # of particles: dark or bright; auto: as stated, else a vote
    handedness: Handedness = "same"  # as in training; or "mirrored": z is turned round
    border: Border = "pad"  # boxes that reach out of the tomogram: pad (with their mean) or drop
    position: Position = "rounded"  # of boxes, to whole voxels; or "subvoxel"
    coordinate_spacing: float = 0.0  # Å of the voxels that lists count in; 0: as they say
    centre: Centre = Coordinates.centre  # where RELION 5 counts from: half (size / 2), or one less
    origins: bool = True  # take off the shifts that a refinement found
    dataset: str = AUTO  # within HDF5 and Zarr files; auto: the only one
    priors: str = TRAINED  # or the share of each class, as "ribosome:0.6,p97:0.1"
    engine: str = AUTO  # "keras" or "openvino"; auto: Keras on a GPU, else OpenVINO
    precision: str = AUTO  # auto: the fastest whose gate passed
    shard: int = 2048  # particles that are classified, written and, if need be, repeated together

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            found = getattr(self, name)
            _check(found in known, f"{name}: {' or '.join(known)}", repr(found))
        _check(self.shard >= 1, "shard: 1 particle or more", self.shard)
        for name in ("voxel_spacing", "coordinate_spacing"):
            value = getattr(self, name)
            _check(0 <= value < float("inf"), f"{name} in Å, 0 for what files say", value)
        if self.priors != TRAINED:
            parse_priors(self.priors)
        check_choice(engine=self.engine, precision=self.precision)
        self.coordinates()

    def coordinates(self) -> Coordinates:
        """How lists are read."""
        return Coordinates(
            coordinate_spacing=self.coordinate_spacing, centre=self.centre, origins=self.origins
        )

    def cropping(self) -> Cropping:
        """How boxes are cut out."""
        return Cropping(
            border=self.border,
            subvoxel=self.position == "subvoxel",
            mirrored=self.handedness == "mirrored",
        )

    @property
    def dataset_name(self) -> str:
        """Within HDF5 and Zarr files; "": the only one."""
        return "" if self.dataset == AUTO else self.dataset

    @property
    def shares(self) -> dict[str, float] | None:
        """Class -> share, of the classes that are named; None: as trained."""
        return None if self.priors == TRAINED else parse_priors(self.priors)


def _check(holds: bool, expected: str, found: object) -> None:
    if not holds:
        raise InputError(expected=expected, found=f"{found}", todo="Change it.")
