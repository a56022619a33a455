"""What people may say of their volumes and lists, wherever these are read."""

from dataclasses import dataclass
from typing import Literal, get_args

from tomodistill.errors import InputError
from tomodistill.particles.coordinates import Centre, Coordinates
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.tomograms.cropping import Border, Cropping

NONE, AUTO = "none", "auto"
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
class SourceOptions:
    """Flags of whatever reads subtomograms. Raises InputError for words they do not know."""

    particles: str = NONE  # lists or boxes: files, folders or patterns as "lists/*.star", by comma
    tomograms: str = NONE  # folder, pattern or RELION's tomograms.star; none: the boxes of the list
    contrast: Contrast | Auto = "auto"  # of particles: dark or bright; auto: as stated, else a vote
    handedness: Handedness = "same"  # as in nature; or "mirrored": z is turned round
    border: Border = "pad"  # boxes that reach out of the tomogram: pad (with their mean) or drop
    position: Position = "rounded"  # of boxes, to whole voxels; or "subvoxel"
    coordinate_spacing: float = 0.0  # Å of the voxels that lists count in; 0: as they say
    centre: Centre = Coordinates.centre  # where RELION 5 counts from: half (size / 2), or one less
    origins: bool = True  # take off the shifts that a refinement found
    dataset: str = AUTO  # within HDF5 and Zarr files; auto: the only one

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise InputError(
                    expected=f"{name}: {' or '.join(known)}",
                    found=f"{getattr(self, name)!r}",
                    todo="Choose one of them.",
                )
        self.coordinates()

    @property
    def cropped(self) -> bool:
        """Whether boxes are cut out of tomograms; else they are read as they are."""
        return self.tomograms != NONE

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
