"""What is to be classified, as what, and with which model."""

from dataclasses import dataclass

from tomodistill.errors import InputError
from tomodistill.inference.choice import check_choice
from tomodistill.inference.confidence import TRAINED, stated_priors
from tomodistill.particles.options import AUTO, SourceOptions
from tomodistill.particles.placing import KnownSpacing


@dataclass(frozen=True)
class BulkConfig(SourceOptions):
    """All that results depend on beside the files themselves; `predict` has it as flags."""

    model: str = "models:/subtomogram-student@production"  # alias, stage or version; or a folder
    voxel_spacing: float = 0.0  # Å, of tomograms or boxes; 0: as their headers and lists say
    priors: str = TRAINED  # or the share of each class, as "ribosome:0.6,p97:0.1"
    engine: str = AUTO  # "keras" or "openvino"; auto: Keras on a GPU, else OpenVINO
    precision: str = AUTO  # auto: the fastest whose gate passed
    shard: int = 2048  # particles that are classified, written and, if need be, repeated together

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.shard >= 1, "shard: 1 particle or more", self.shard)
        stated = 0 <= self.voxel_spacing < float("inf")
        _check(stated, "voxel_spacing in Å, 0 for what files say", self.voxel_spacing)
        stated_priors(self.priors)
        check_choice(engine=self.engine, precision=self.precision)

    @property
    def known_spacing(self) -> KnownSpacing:
        """What the flag says of the files."""
        return KnownSpacing("voxel_spacing", self.voxel_spacing)

    @property
    def shares(self) -> dict[str, float] | None:
        """Class -> share, of the classes that are named; None: as trained."""
        return stated_priors(self.priors)


def _check(holds: bool, expected: str, found: object) -> None:
    if not holds:
        raise InputError(expected=expected, found=f"{found}", todo="Change it.")
