"""What a client states of its volumes and wishes for them, beside what their file says."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.work import Asked
from tomodistill.errors import InputError
from tomodistill.subtomograms.spacing import LARGEST_SPACING, SMALLEST_SPACING, same_spacing
from tomodistill.subtomograms.volumes import Parsed, check_volumes


class Stated(BaseModel):
    """Nothing but what is known: a misspelt voxel spacing would not be heard."""

    model_config = ConfigDict(extra="forbid")

    voxel_spacing: float | None = Field(
        default=None,
        ge=SMALLEST_SPACING,
        le=LARGEST_SPACING,
        description="Å; none: what the file says, else the model's",
    )
    contrast: Literal["auto", "dark", "bright"] = Field(
        default="auto",
        description="of the particle; auto: what the file says, else the model's",
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="seconds to be answered within, if the service does not allow fewer",
    )

    def asked(self, parsed: Parsed) -> Asked:
        """The volumes with what their file and the client say of them; the client is believed.

        Raises InputError if two voxel spacings contradict each other, and for what are no volumes.
        """
        return Asked(
            check_volumes(parsed.array),
            voxel_spacing=self._spacing(parsed.voxel_spacing),
            contrast=parsed.contrast if self.contrast == "auto" else self.contrast,
            seconds=self.timeout,
        )

    def _spacing(self, of_file: float | None) -> float | None:
        own = self.voxel_spacing
        if own and of_file and not same_spacing(own, of_file):
            raise InputError(
                expected=f"voxel_spacing={of_file:.3f} Å, as the header says",
                found=f"{own:g} Å",
                todo="Leave voxel_spacing out, or correct the header.",
            )
        return own or of_file
